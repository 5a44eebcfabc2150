import { beforeEach, expect, test } from 'vitest';
import type { Delivery } from './delivery.ts';
import { LogReplacedError } from './errors.ts';
import { fingerprintOf } from './fingerprint.ts';
import { Intake } from './intake.ts';
import { recordBytes } from './partition-buffer.ts';
import type { KafkaRecord } from './types.ts';

const size = recordBytes({ key: null, value: Buffer.alloc(10), headers: null });
const limits = {
  maxBatchRecords: 10,
  maxBatchBytes: 100 * size,
  bufferRecordsPerPartition: 20,
  bufferBytes: 50 * size,
};
let intake: Intake;

beforeEach(() => {
  intake = new Intake(limits);
  intake.assign([0, 1].map((partition) => ({ topic: 't', partition })));
});

function recordAt(partition: number, offset: number, bytes = 10): KafkaRecord {
  return { topic: 't', partition, offset, timestampMs: 1, key: null, value: Buffer.alloc(bytes), headers: null };
}

function delivery(partition: number, from: number, to: number, bytes = 10): Delivery {
  const records = Array.from({ length: to - from }, (_, at) => recordAt(partition, from + at, bytes));
  return { topic: 't', partition, fetchedOffset: from, nextOffset: to, records };
}

function openAll(nextOffset = 0, untilOffset: number | null = null): void {
  for (const lane of intake.lanes) intake.open(lane, { seekTo: nextOffset, nextOffset, witness: null, untilOffset });
}

test('until its position is read, a partition takes nothing', () => {
  expect(intake.positioned).toBe(false);
  expect(intake.admits(delivery(0, 0, 5))).toBe('closed');
  expect(intake.admitHoles({ topic: 't', partition: 0, first: 0, last: 3 })).toBe('closed');
  expect(intake.admits({ ...delivery(0, 0, 5), partition: 9 })).toBe('closed');
});

test('only what begins where the last delivery ended is admitted', () => {
  openAll();
  expect(intake.admits(delivery(0, 0, 5))).toBe('admitted');
  intake.append(delivery(0, 0, 5));
  expect(intake.admits(delivery(0, 5, 6))).toBe('admitted');
  expect(intake.admits(delivery(0, 6, 7))).toBe('misplaced');
  expect(intake.admits(delivery(0, 0, 5))).toBe('misplaced');
});

test('a batch takes from every partition, up to its limit, and says from where to where', () => {
  openAll();
  intake.append(delivery(0, 0, 18));
  intake.append(delivery(1, 0, 3));
  const batch = intake.take();
  expect(batch?.records).toBe(10);
  const places = batch?.chunks.map(({ partition, expectedOffset, nextOffset }) => [
    partition,
    expectedOffset,
    nextOffset,
  ]);
  expect(places?.toSorted()).toEqual([
    [0, 0, 7],
    [1, 0, 3],
  ]);
  expect(intake.take()?.chunks).toMatchObject([{ partition: 0, expectedOffset: 7, nextOffset: 17 }]);
  expect(intake.take()?.records).toBe(1);
  expect(intake.take()).toBeNull();
});

test('bytes limit a batch, too, whatever the sizes are', () => {
  openAll();
  intake.append(delivery(0, 0, 3, 90 * size));
  intake.append(delivery(1, 0, 3, 90 * size));
  const sizes = Array.from({ length: 6 }, () => intake.take()?.records);
  expect(sizes).toEqual([1, 1, 1, 1, 1, 1]);
  expect(intake.pending).toBe(false);
});

test('a drop empties everything, closes every partition and voids what was taken before', () => {
  openAll();
  intake.append(delivery(0, 0, 5));
  const batch = intake.take();
  intake.append(delivery(0, 5, 9));
  const { drop } = intake;
  intake.dropAll();
  expect(intake.drop).toBe(drop + 1);
  expect([intake.pending, intake.positioned, intake.records]).toEqual([false, false, 0]);
  expect(intake.admits(delivery(0, 9, 10))).toBe('closed');
  openAll();
  if (batch !== null) intake.confirm(batch);
  expect(intake.lane('t', 0)?.reading?.applied).toBe(0);
});

test('an assignment forgets revoked partitions and begins the others anew', () => {
  openAll();
  intake.append(delivery(0, 0, 5));
  intake.append(delivery(1, 0, 5));
  const { drop } = intake;
  intake.assign([{ topic: 't', partition: 1 }]);
  expect(intake.drop).toBe(drop + 1);
  expect(intake.lanes.map(({ partition }) => partition)).toEqual([1]);
  expect(intake.pending).toBe(false);
});

test('room ends at the records of one partition or at the bytes of all', () => {
  openAll();
  intake.append(delivery(0, 0, 19));
  expect(intake.hasRoom('t', 0)).toBe(true);
  intake.append(delivery(0, 19, 20));
  expect(intake.hasRoom('t', 0)).toBe(false);
  expect(intake.hasRoom('t', 1)).toBe(true);
  intake.append(delivery(1, 0, 1, 40 * size));
  expect(intake.hasRoom('t', 1)).toBe(false);
});

test('the witness comes first and is thrown away; the position stays where it was until more comes', () => {
  const [lane] = intake.lanes;
  if (lane === undefined) throw new Error('no lane');
  const witness = { offset: 97, fingerprint: fingerprintOf(recordAt(0, 97)) };
  intake.open(lane, { seekTo: 97, nextOffset: 100, witness, untilOffset: null });
  // Offsets 98 and 99 are markers; kafkajs may deliver them with the record or later.
  intake.append({ ...delivery(0, 97, 98), nextOffset: 98 });
  expect(intake.pending).toBe(false);
  expect(intake.admitHoles({ topic: 't', partition: 0, first: 98, last: 99 })).toBe('admitted');
  expect(intake.pending).toBe(false);
  intake.append(delivery(0, 100, 102));
  expect(intake.take()?.chunks).toMatchObject([{ expectedOffset: 100, nextOffset: 102, holes: 0 }]);
});

test('any other record in the place of the witness is a loud stop', () => {
  const [lane] = intake.lanes;
  if (lane === undefined) throw new Error('no lane');
  intake.open(lane, { seekTo: 97, nextOffset: 100, witness: { offset: 97, fingerprint: 1 }, untilOffset: null });
  expect(() => intake.append(delivery(0, 97, 99))).toThrow(LogReplacedError);
  expect(() => intake.admitHoles({ topic: 't', partition: 0, first: 97, last: 97 })).toThrow(LogReplacedError);
});

test('holes count only where they begin exactly at the position: a stale notice must not skip records', () => {
  openAll(10);
  expect(intake.admitHoles({ topic: 't', partition: 0, first: 12, last: 20 })).toBe('misplaced');
  expect(intake.admitHoles({ topic: 't', partition: 0, first: null, last: 20 })).toBe('misplaced');
  expect(intake.admitHoles({ topic: 't', partition: 0, first: 10, last: 14 })).toBe('admitted');
  expect(intake.admitHoles({ topic: 't', partition: 0, first: null, last: 15 })).toBe('admitted');
  expect(intake.take()).toMatchObject({ records: 0, chunks: [{ expectedOffset: 10, nextOffset: 16, holes: 6 }] });
});

test('a confirmed batch moves what is applied, for its own partitions only', () => {
  openAll();
  intake.append(delivery(0, 0, 5));
  const batch = intake.take();
  if (batch !== null) intake.confirm(batch);
  expect(intake.lanes.map(({ reading }) => reading?.applied)).toEqual([5, 0]);
});

test('nothing at or beyond the end of a partition is given to a batch, whatever is delivered', () => {
  openAll(0, 5);
  expect(intake.isDelivered('t', 0)).toBe(false);
  intake.append(delivery(0, 0, 3));
  expect(intake.isDelivered('t', 0)).toBe(false);
  intake.append(delivery(0, 3, 9));
  expect(intake.isDelivered('t', 0)).toBe(true);
  expect(intake.take()?.chunks).toMatchObject([{ expectedOffset: 0, nextOffset: 5, lastOffset: 4, holes: 0 }]);
  // What was on its way when the partition was paused.
  intake.append(delivery(0, 9, 12));
  expect([intake.pending, intake.records, intake.take()]).toEqual([false, 0, null]);
});

test('holes do not lead beyond the end either', () => {
  openAll(0, 5);
  expect(intake.admitHoles({ topic: 't', partition: 0, first: 0, last: 20 })).toBe('admitted');
  expect(intake.isDelivered('t', 0)).toBe(true);
  expect(intake.take()).toMatchObject({ records: 0, chunks: [{ expectedOffset: 0, nextOffset: 5, holes: 5 }] });
  intake.append({ ...delivery(1, 0, 3), nextOffset: 30 });
  expect(intake.take()?.chunks).toMatchObject([{ partition: 1, nextOffset: 5, holes: 2 }]);
});

test('it is done when every partition that has an end is applied up to it, not when all is taken', () => {
  openAll(0, 5);
  intake.append(delivery(0, 0, 5));
  intake.append(delivery(1, 0, 8));
  const batch = intake.take();
  expect([batch?.records, intake.done]).toEqual([10, false]);
  if (batch !== null) intake.confirm(batch);
  expect(intake.done).toBe(true);
  intake.dropAll();
  expect(intake.done).toBe(false);
  openAll(5, 5);
  expect([intake.done, intake.isDelivered('t', 1)]).toEqual([true, true]);
});

test('where no partition has an end, it is never done; where one has, the others do not count', () => {
  openAll(7);
  expect(intake.done).toBe(false);
  const [lane] = intake.lanes;
  if (lane !== undefined) intake.open(lane, { seekTo: 7, nextOffset: 7, witness: null, untilOffset: 7 });
  expect(intake.done).toBe(true);
  intake.assign([]);
  expect(intake.done).toBe(false);
});
