import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FaultServers, startFaultServers, temporaryFolder } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultPipeline } from './support/fault-pipeline.ts';
import { anyOf, lastWords } from './support/last-words.ts';
import { long, report } from './support/report.ts';
import { type Fault, planSchedule, runSchedule } from './support/schedule.ts';

/** What a process may say last when its server was away for longer than it is patient. */
const endsWithServers = anyOf(...Object.values(lastWords));
/** Clocks jump in any schedule: at the latest when they are put right behind it. */
const endsWithout = anyOf(lastWords.startCut, lastWords.requestTimedOut);
const schedules = long ? 200 : 6;
/** A database of its own for so many: what was verified once need not be recomputed hundreds of times. */
const perPipeline = 20;

describe(`${schedules} random schedules of faults`, () => {
  let servers: FaultServers;
  beforeAll(async () => {
    servers = await startFaultServers();
  });
  afterAll(async () => await servers.stop());

  const first = Number(process.env.FAULT_SEED ?? (long ? Math.floor(Math.random() * 1_000_000) : 1));
  console.log(`Seeds ${first} to ${first + schedules - 1}; FAULT_SEED=${first} does the same again.`);
  const lots = Array.from({ length: Math.ceil(schedules / perPipeline) }, (_, lot) => first + lot * perPipeline);
  it.each(lots)('from seed %i', { timeout: 1_800_000 }, async (from) => {
    const clockFile = join(temporaryFolder(), 'clock');
    writeFileSync(clockFile, '0');
    const tampering = { clockFile };
    const pipeline = await FaultPipeline.start({
      servers,
      seed: from,
      tampering: { 'bronze-sink': tampering, 'silver-joiner': tampering, 'gold-aggregator': tampering },
    });
    try {
      for (let seed = from; seed < Math.min(from + perPipeline, first + schedules); seed++) {
        const schedule = planSchedule(seed, { servers: true });
        await runSchedule(schedule, { pipeline, clockFile, servers });
        const hurt = schedule.steps.some(({ fault }) => fault.kind === 'server' || fault.kind === 'cut everything');
        const wrong = await pipeline.differences({ mayEnd: hurt ? endsWithServers : endsWithout });
        expect(wrong, `FAULT_SEED=${seed}: ${JSON.stringify(schedule.steps.map((step) => step.fault))}`).toEqual([]);
        for (const { fault } of schedule.steps) report({ kind: 'schedules', fault: nameOf(fault), times: 1 });
        report({ kind: 'schedules', fault: 'schedule', times: 1 });
      }
      report({ kind: 'schedules', fault: 'records acknowledged', times: pipeline.history.acknowledged });
      report({ kind: 'schedules', fault: 'stories compared', times: pipeline.workload.tested });
    } finally {
      await pipeline.stop();
    }
  });
});

function nameOf(fault: Fault): string {
  switch (fault.kind) {
    case 'kill at a step':
      return `kill -9 of ${fault.stage} at a step of its transaction`;
    case 'kill':
      return `kill -9 of ${fault.stage} at a random moment`;
    case 'cut':
      return `connection of ${fault.stage} cut ${fault.cut}`;
    case 'server':
      return `${fault.server}: ${fault.how}`;
    case 'cut everything':
    case 'clock':
      return fault.kind;
    case 'join':
    case 'leave':
    case 'pause':
    case 'terminate backends':
    case 'zombie':
      return `${fault.kind} of ${fault.stage}`;
  }
}
