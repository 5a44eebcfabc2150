import { setTimeout as sleep } from 'node:timers/promises';
import {
  eventually,
  type FaultServers,
  freePort,
  sampleMemory,
  startFaultServers,
  superviseService,
  temporaryFolder,
} from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomOf } from '../support/random.ts';
import { FaultPipeline, stages } from './support/fault-pipeline.ts';
import { lastWords } from './support/last-words.ts';
import { long, report } from './support/report.ts';
import { terminateBackends } from './support/schedule.ts';

const simulatedHours = 8;
/** Simulated seconds in a second: sixteen hours in five minutes, or in 24 seconds. */
const speed = long ? 192 : 2_400;
const world: Record<string, string> = {
  ANCHOR_DATE: '2026-03-10',
  HISTORY_DAYS: '1',
  NUM_MEMBERS: long ? '80000' : '10000',
  NUM_DIGITAL_JOURNEYS: long ? '102800' : '12850',
  NUM_CALLS: long ? '2400' : '300',
};
/** At midnight, where the history ends, nobody is awake: the eight hours are those of a working day. */
const nightHours = 8;
const faultEveryMs = long ? 6_000 : 3_000;

describe('eight hours of simulated traffic', { timeout: 1_200_000 }, () => {
  let servers: FaultServers;
  let pipeline: FaultPipeline;
  beforeAll(async () => {
    servers = await startFaultServers();
    pipeline = await FaultPipeline.start({ servers, seed: 5 });
    // One of each stage is never killed: it is theirs whose memory must not grow.
    for (const stage of stages) pipeline.join(stage);
    await pipeline.ready();
  });
  afterAll(async () => {
    await pipeline.stop();
    await servers.stop();
  });

  it('with faults all the time: the memory of every process is flat, and the oracle agrees', async () => {
    const folder = temporaryFolder();
    const generator = superviseService('generator', {
      env: { ...pipeline.pipeline.env, ...world, SPEED: String(speed), OUTPUT_PATH: folder, LIVE: 'true' },
    });
    const api = superviseService('api', { env: { ...pipeline.pipeline.env, API_PORT: String(await freePort()) } });
    await Promise.all([generator.ready(), api.ready()]);
    await eventually(() => generator.output().includes('history published'), {
      withinMs: 240_000,
      what: 'the history',
    });
    await pipeline.pipeline.drained(240_000);

    const memory = sampleMemory({ generator: generator.current().pid, api: api.current().pid });
    for (const stage of stages) memory.watch(stage, pipeline.member(stage, 0).current().pid);
    const until = performance.now() + ((simulatedHours + nightHours) * 3_600_000) / speed;
    const random = randomOf(6);
    let faults = 0;
    while (performance.now() < until) {
      await sleep(faultEveryMs * (0.5 + random()));
      await inflict(faults++, random);
    }
    const survivors = stages.map((stage) => pipeline.member(stage, 0).lives());
    await generator.stop();
    const reports = ['generator', 'api', ...stages].map((name) => memory.report(name));
    memory.stop();
    await api.stop();

    const wrong = await pipeline.differences({ mayEnd: lastWords.startCut });
    expect(wrong).toEqual([]);
    expect(survivors).toEqual([1, 1, 1]);
    console.log(reports.map(({ sentence }) => sentence).join('\n'));
    expect(reports.filter(({ flat }) => !flat).map(({ sentence }) => sentence)).toEqual([]);
    report({ kind: 'soak', fault: 'simulated hours with faults', times: simulatedHours });
    report({ kind: 'soak', fault: 'faults', times: faults });
  });

  /** In turn; none of them needs a process to be started anew but the one that is killed. */
  async function inflict(nr: number, random: () => number): Promise<void> {
    const stage = stages[Math.floor(random() * stages.length)] ?? 'silver-joiner';
    switch (nr % 4) {
      case 0:
        pipeline.member(stage, 1).kill();
        return;
      case 1:
        await terminateBackends(pipeline.pipeline.pool, stage);
        return;
      case 2:
        pipeline.proxy.cutAll();
        return;
      default:
        pipeline.member(stage, 1).pause();
        await sleep(2_500);
        pipeline.member(stage, 1).resume();
    }
  }
});
