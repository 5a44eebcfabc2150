import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, type SupervisedProcess } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultPipeline, type Stage } from './support/fault-pipeline.ts';
import { long, report } from './support/report.ts';

/** Longer than a session (2 s): the others have taken over what the zombie still believes to own. */
const asleepMs = 4_000;
const rounds = long ? 4 : 1;

describe('a process that is stopped, replaced by another, and goes on (a zombie)', () => {
  let pipeline: FaultPipeline;
  beforeAll(async () => {
    pipeline = await FaultPipeline.start({ seed: 2 });
    for (const stage of ['bronze-sink', 'silver-joiner', 'gold-aggregator'] as const) pipeline.join(stage);
    await pipeline.ready();
  });
  afterAll(async () => await pipeline.stop());

  /** The records that it has read are applied by others meanwhile, and new ones too. */
  async function sleepWhileOthersWork(zombie: SupervisedProcess): Promise<void> {
    await pipeline.feed(4);
    await sleep(asleepMs);
    await pipeline.feed(4);
    zombie.resume();
    await pipeline.feed(4);
  }

  it.each([['bronze-sink'], ['silver-joiner']] as const)('%s, in the middle of a COPY', async (stage) => {
    for (let round = 0; round < rounds; round++) {
      const held = pipeline.proxy.holdNextCopy(stage);
      await pipeline.feed(10);
      const release = await held;
      // Nobody can tell which of the two it is whose COPY is held: both stop, so both wake up as zombies.
      const zombies = pipeline.members(stage);
      for (const zombie of zombies) zombie.pause();
      const third = pipeline.join(stage);
      await third.ready();
      await pipeline.feed(6);
      await sleep(asleepMs);
      for (const zombie of zombies) zombie.resume();
      release();
      expect(await pipeline.differences()).toEqual([]);
      await pipeline.leave(third);
      report({ kind: 'zombies', fault: `${stage} stopped in the middle of a COPY`, times: 1 });
    }
  });

  it.each([
    ['bronze-sink', 'rows copied'],
    ['silver-joiner', 'staged'],
    ['silver-joiner', 'positions moved'],
    ['silver-joiner', 'COMMIT to be sent'],
    ['gold-aggregator', 'cells added'],
  ] as const satisfies readonly (readonly [Stage, string])[])('%s, when: %s', async (stage, name) => {
    for (let round = 0; round < rounds; round++) {
      const zombie = pipeline.member(stage);
      zombie.reborn({ name, pass: 1, signal: 'SIGSTOP' });
      for (const until = performance.now() + 60_000; !zombie.isPaused() && performance.now() < until; ) {
        await pipeline.feed(2);
        await sleep(200);
      }
      await eventually(() => zombie.isPaused(), { what: `${stage} to stop itself when ${name}` });
      await sleepWhileOthersWork(zombie);
      expect(await pipeline.differences()).toEqual([]);
      report({ kind: 'zombies', fault: `${stage} stopped when: ${name}`, times: 1 });
    }
  });
});
