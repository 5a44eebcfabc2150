import { eventually, failPointsOf } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultPipeline, stages } from './support/fault-pipeline.ts';
import { report } from './support/report.ts';

describe('kill -9 at every numbered step of the transaction', () => {
  let pipeline: FaultPipeline;
  beforeAll(async () => {
    pipeline = await FaultPipeline.start({ seed: 1 });
  });
  afterAll(async () => await pipeline.stop());

  it.each(stages)('%s', async (stage) => {
    for (const { name } of failPointsOf(stage)) {
      const member = pipeline.member(stage);
      const lives = member.lives();
      member.reborn({ name, pass: 1, signal: 'SIGKILL' });
      await pipeline.feed(6);
      await eventually(() => member.lives() >= lives + 2, { what: `${stage} to be killed when ${name}` });
    }
    expect(await pipeline.differences()).toEqual([]);
    const times = failPointsOf(stage).length;
    report({ kind: 'kills', fault: `kill -9 of ${stage} at each step of its transaction`, times });
  });
});
