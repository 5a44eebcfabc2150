import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fingerprintOf } from './fingerprint.ts';
import { PartitionBuffer, recordBytes } from './partition-buffer.ts';
import type { KafkaRecord, PartitionChunk } from './types.ts';

function recordAt(offset: number, size = 4): KafkaRecord {
  const value = Buffer.alloc(size, offset % 251);
  return { topic: 't', partition: 0, offset, timestampMs: offset, key: Buffer.from('k'), value, headers: null };
}

/** A log from offset 10 on: for each delivery, per offset whether it holds a record. */
const deliveries = fc.array(fc.array(fc.tuple(fc.boolean(), fc.nat(300)), { maxLength: 12 }), { maxLength: 12 });
const takes = fc.array(fc.tuple(fc.nat(9), fc.nat(2000)), { maxLength: 40 });

test('however a log is delivered and taken, the chunks are the log: no gap, no record lost, doubled or out of order', () => {
  fc.assert(
    fc.property(deliveries, takes, fc.infiniteStream(fc.boolean()), (log, limits, order) => {
      const buffer = new PartitionBuffer('t', 0, 10);
      const all: KafkaRecord[] = [];
      const chunks: PartitionChunk[] = [];
      const taken = (chunk: PartitionChunk | null) => (chunk === null ? undefined : chunks.push(chunk));
      let offset = 10;
      for (const delivery of log) {
        const records = delivery.flatMap(([present, size], at) => (present ? [recordAt(offset + at, size)] : []));
        offset += delivery.length;
        all.push(...records);
        buffer.append([...records], offset);
        while (order.next().value === true) {
          const [maxRecords, maxBytes] = limits.shift() ?? [3, 1000];
          taken(buffer.take(maxRecords, maxBytes));
        }
      }
      while (buffer.pending) taken(buffer.take(5, 1500));

      expect(chunks.flatMap(({ records }) => records)).toEqual(all);
      let next = 10;
      for (const chunk of chunks) {
        expect(chunk.expectedOffset).toBe(next);
        expect(chunk.nextOffset - chunk.expectedOffset).toBe(chunk.records.length + chunk.holes);
        expect(chunk.lastOffset).toBe(chunk.records.at(-1)?.offset ?? null);
        next = chunk.nextOffset;
      }
      expect(next).toBe(offset);
      expect([buffer.records, buffer.bytes, buffer.headBytes]).toEqual([0, 0, 0]);
    }),
  );
});

test('a chunk keeps to its limits; one record larger than the bytes allowed is a chunk of its own', () => {
  const buffer = new PartitionBuffer('t', 0, 0);
  buffer.append([recordAt(0, 5000), recordAt(1), recordAt(2), recordAt(3)], 4);
  const lengthOf = (chunk: PartitionChunk | null) => chunk?.records.length;
  expect(lengthOf(buffer.take(10, 100))).toBe(1);
  expect(lengthOf(buffer.take(10, 2 * recordBytes(recordAt(1))))).toBe(2);
  expect(lengthOf(buffer.take(10, 100))).toBe(1);
  expect(buffer.take(10, 100)).toBeNull();
});

test('holes go with the record before them, and holes alone are a chunk without a last record', () => {
  const buffer = new PartitionBuffer('t', 0, 0);
  buffer.append([recordAt(0), recordAt(1)], 3);
  buffer.append([], 5);
  const fingerprint = fingerprintOf(recordAt(1));
  expect(buffer.take(1, 9999)).toMatchObject({ expectedOffset: 0, nextOffset: 1, holes: 0 });
  expect(buffer.take(1, 9999)).toMatchObject({ nextOffset: 5, holes: 3, lastOffset: 1, lastFingerprint: fingerprint });
  buffer.append([], 7);
  expect(buffer.take(0, 0)).toMatchObject({
    expectedOffset: 5,
    nextOffset: 7,
    holes: 2,
    lastOffset: null,
    lastFingerprint: null,
    records: [],
  });
});

test('a chunk that ends with something that was erased proves nothing to Kafka: its position has no fingerprint', () => {
  for (const erased of ['everything', 'key'] as const) {
    const buffer = new PartitionBuffer('t', 0, 10);
    buffer.append([recordAt(10), { ...recordAt(11), key: null, value: null, erased }], 12);
    expect(buffer.take(2, 1_000)).toMatchObject({ lastOffset: 11, lastFingerprint: null, holes: 0 });
    buffer.append([{ ...recordAt(12), erased }, recordAt(13)], 14);
    expect(buffer.take(2, 1_000)).toMatchObject({ lastOffset: 13, lastFingerprint: fingerprintOf(recordAt(13)) });
  }
});

test('what does not continue the buffer is refused: a position never moves backwards', () => {
  const buffer = new PartitionBuffer('t', 0, 10);
  buffer.append([recordAt(12)], 13);
  expect(() => buffer.append([recordAt(12)], 14)).toThrow('do not continue');
  expect(() => buffer.append([], 12)).toThrow('do not continue');
  expect(() => buffer.append([recordAt(13), recordAt(14)], 14)).toThrow('do not continue');
});

test('headers count like values: a producer cannot fill the memory with them', () => {
  const bare = recordAt(0);
  const one = { ...bare, headers: { trace: Buffer.alloc(50_000) } };
  const twice = { ...bare, headers: { trace: [Buffer.alloc(50_000), 'text'], empty: undefined } };
  expect(recordBytes(one) - recordBytes(bare)).toBeGreaterThanOrEqual(50_000);
  expect(recordBytes(twice) - recordBytes(one)).toBeGreaterThanOrEqual('text'.length);
  const buffer = new PartitionBuffer('t', 0, 0);
  buffer.append([one], 1);
  expect(buffer.bytes).toBe(recordBytes(one));
});
