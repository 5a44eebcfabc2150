import { expect, test } from 'vitest';
import { LogLostError, LogReplacedError, OtherClusterError } from './errors.ts';
import { fingerprintOf } from './fingerprint.ts';
import { afterWitness, checkCluster, lostError, lostRange, startingPoint } from './positions.ts';
import type { KafkaRecord, StoredPosition } from './types.ts';

const stored: StoredPosition = {
  topic: 'calls',
  partition: 3,
  nextOffset: 100,
  lastOffset: 98,
  lastFingerprint: 7,
  clusterId: 'one',
  untilOffset: null,
};
const log = { low: 0, high: 200 };

test('reading begins at the last record read, which proves that it is the same log', () => {
  expect(startingPoint(stored, log)).toEqual({
    seekTo: 98,
    nextOffset: 100,
    witness: { offset: 98, fingerprint: 7 },
    untilOffset: null,
  });
});

test('without a last record, or when retention has removed it, reading begins at the position', () => {
  const start = { seekTo: 100, nextOffset: 100, witness: null, untilOffset: null };
  expect(startingPoint({ ...stored, lastOffset: null, lastFingerprint: null }, log)).toEqual(start);
  expect(startingPoint(stored, { ...log, low: 99 })).toEqual(start);
  expect(startingPoint(stored, { ...log, low: 100 })).toEqual(start);
});

test('a position at the very end of the log is fine', () => {
  expect(startingPoint(stored, { ...log, high: 100 }).seekTo).toBe(98);
});

test('a position that Kafka no longer has is a loud stop that says where, what and what to do', () => {
  const lost = lostRange(stored, { ...log, low: 130 });
  expect(lost).toEqual({ topic: 'calls', partition: 3, fromOffset: 100, nextOffset: 130 });
  if (lost === null) return;
  expect(lostError([lost], 'select way_out;')).toBeInstanceOf(LogLostError);
  expect(lostError([lost], 'select way_out;').message).toBe(
    'calls/3 continues at offset 100, but Kafka has removed everything below 130: restore these 30 offsets, or, to go on without them, run in Postgres: select way_out;',
  );
  expect(lostError([lost, { ...lost, partition: 4 }], 'select way_out;').message).toMatch(
    /below 130 \(and so in 1 more partitions\): restore these 60 offsets/,
  );
  expect(lostRange(stored, { ...log, low: 100 })).toBeNull();
});

test('a log that ends below the position is another log', () => {
  const replaced = () => startingPoint(stored, { ...log, high: 99 });
  expect(replaced).toThrow(LogReplacedError);
  expect(replaced).toThrow(/calls\/3 continues at offset 100, but its log ends at 99/);
});

test('a position at its end needs no proof and has lost nothing, whatever Kafka has removed', () => {
  const ended = { ...stored, untilOffset: 100 };
  expect(startingPoint(ended, log)).toEqual({ seekTo: 100, nextOffset: 100, witness: null, untilOffset: 100 });
  expect(lostRange(ended, { ...log, low: 130 })).toBeNull();
});

test('what was not to be read is nobody’s loss', () => {
  expect(lostRange({ ...stored, untilOffset: 120 }, { ...log, low: 130 })).toMatchObject({ nextOffset: 120 });
  expect(lostRange({ ...stored, untilOffset: 140 }, { ...log, low: 130 })).toMatchObject({ nextOffset: 130 });
});

test('a log that ends below what is to be read is another log: waiting for it would never end', () => {
  const cut = () => startingPoint({ ...stored, untilOffset: 201 }, log);
  expect(cut).toThrow(LogReplacedError);
  expect(cut).toThrow(/calls\/3 is to be read up to offset 201, but its log ends at 200/);
});

test('the position of another cluster is refused', () => {
  expect(() => checkCluster(stored, 'two')).toThrow(OtherClusterError);
  expect(() => checkCluster(stored, 'one')).not.toThrow();
});

function recordAt(offset: number, value: string): KafkaRecord {
  return { topic: 'calls', partition: 3, offset, timestampMs: 1, key: null, value: Buffer.from(value), headers: null };
}

test('the witness is thrown away and what follows it is kept', () => {
  const first = recordAt(98, 'a');
  const next = recordAt(100, 'b');
  const witness = { offset: 98, fingerprint: fingerprintOf(first) };
  expect(afterWitness(stored, witness, [first, next])).toEqual([next]);
  expect(afterWitness(stored, witness, [first])).toEqual([]);
});

test('another record at the place of the witness, or at an offset that had none, means another log', () => {
  const first = recordAt(98, 'a');
  const witness = { offset: 98, fingerprint: fingerprintOf(first) };
  expect(() => afterWitness(stored, witness, [recordAt(98, 'x')])).toThrow(LogReplacedError);
  expect(() => afterWitness(stored, witness, [recordAt(99, 'a')])).toThrow(LogReplacedError);
  expect(() => afterWitness(stored, witness, [])).toThrow(LogReplacedError);
  expect(() => afterWitness(stored, witness, [first, recordAt(99, 'b')])).toThrow(LogReplacedError);
});
