import { expect, test } from 'vitest';
import { type BatchEffort, pacedStage } from './paced-stage.ts';
import type { ApplyResult, PartitionChunk } from './types.ts';

const record = { topic: 't', partition: 0, offset: 0, timestampMs: 1, key: null, value: null, headers: null };
const chunk = (records: number): PartitionChunk => ({
  topic: 't',
  partition: 0,
  expectedOffset: 0,
  nextOffset: records,
  lastOffset: null,
  lastFingerprint: null,
  holes: 0,
  records: Array.from({ length: records }, (_, offset) => ({ ...record, offset })),
});

async function applied(result: ApplyResult): Promise<{ efforts: BatchEffort[]; log: string[] }> {
  const efforts: BatchEffort[] = [];
  const log: string[] = [];
  const stage = pacedStage<number>(
    {
      prepare: (chunks) => chunks.length,
      apply: async (prepared) => {
        log.push(`applied ${prepared}`);
        return result;
      },
    },
    async (effort) => {
      log.push('rested');
      efforts.push(effort);
    },
  );
  log.push(await stage.apply(await stage.prepare([chunk(3), chunk(4)])));
  return { efforts, log };
}

test('it rests after the commit, and is told how many records the batch had', async () => {
  const { efforts, log } = await applied('applied');
  expect(log).toEqual(['applied 2', 'rested', 'applied']);
  expect(efforts.map(({ records }) => records)).toEqual([7]);
});

test.each(['moved', 'unknown'] as const)(
  'it does not rest after a batch that was %s: nothing was done',
  async (result) => {
    expect((await applied(result)).log).toEqual(['applied 2', result]);
  },
);
