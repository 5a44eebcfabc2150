import type { OutgoingRecord, PublishedRange, Publisher } from '@leakage/kafka';
import { expect, test } from 'vitest';
import { Sender } from './sender.ts';

/** A partition to which somebody else publishes `others` records before each of our batches. */
function busyPartition(others: number): Publisher {
  let end = 0;
  return {
    name: 'publisher',
    publish: async (batch): Promise<PublishedRange[]> => {
      const firstOffset = end + others;
      end = firstOffset + batch.length;
      return [{ topic: 't', partition: 0, firstOffset, lastOffset: end - 1 }];
    },
    stop: async () => undefined,
  };
}

const record: OutgoingRecord = { topic: 't', key: null, value: Buffer.alloc(600_000) };

async function rangesOf(batches: number, others: number): Promise<PublishedRange[]> {
  const sender = new Sender(busyPartition(others));
  for (let sent = 0; sent < batches; sent += 1) await sender.add(record);
  await sender.flush();
  return sender.ranges;
}

test('what lies together is one range', async () => {
  expect(await rangesOf(5, 0)).toEqual([{ topic: 't', partition: 0, firstOffset: 0, lastOffset: 4 }]);
});

test('records of others part the ranges', async () => {
  const ranges = await rangesOf(3, 2);
  expect(ranges.map(({ firstOffset, lastOffset }) => [firstOffset, lastOffset])).toEqual([
    [2, 2],
    [5, 5],
    [8, 8],
  ]);
});

test('however large a file is, so many ranges are remembered, and no record of ours is outside of them', async () => {
  const ranges = await rangesOf(1_500, 1);
  expect(ranges).toHaveLength(1_000);
  expect(ranges.at(-1)?.lastOffset).toBe(2_999);
});
