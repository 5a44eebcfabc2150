import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fingerprintOf } from './fingerprint.ts';

const bytes = fc.option(
  fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
  { nil: null },
);
const record = fc.record({ timestampMs: fc.nat(), key: bytes, value: bytes });

test('the fingerprint of a record is the same for ever: positions stored long ago are compared with it', () => {
  const known = { timestampMs: 1_767_225_600_000, key: Buffer.from('M000001'), value: Buffer.from('{"a":1}') };
  expect(fingerprintOf(known)).toBe(636_316_912);
  expect(fingerprintOf({ timestampMs: 0, key: null, value: null })).toBe(2_833_074_976);
});

test('a record without a value differs from one with an empty value, and key and value cannot change places', () => {
  const empty = Buffer.alloc(0);
  const a = Buffer.from('a');
  const all = [
    fingerprintOf({ timestampMs: 5, key: null, value: null }),
    fingerprintOf({ timestampMs: 5, key: null, value: empty }),
    fingerprintOf({ timestampMs: 5, key: empty, value: null }),
    fingerprintOf({ timestampMs: 5, key: a, value: empty }),
    fingerprintOf({ timestampMs: 5, key: empty, value: a }),
  ];
  expect(new Set(all).size).toBe(all.length);
});

test('any other timestamp or any changed byte gives another fingerprint', () => {
  fc.assert(
    fc.property(record, fc.nat(7), fc.nat(), (original, bit, at) => {
      const base = fingerprintOf(original);
      expect(base).toBeGreaterThanOrEqual(0);
      expect(fingerprintOf({ ...original, timestampMs: original.timestampMs ^ (1 << bit) })).not.toBe(base);
      if (original.value === null || original.value.length === 0) return;
      const changed = Buffer.from(original.value);
      const place = at % changed.length;
      changed[place] = (changed[place] ?? 0) ^ (1 << bit);
      expect(fingerprintOf({ ...original, value: changed })).not.toBe(base);
    }),
  );
});
