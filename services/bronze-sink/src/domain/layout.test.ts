import { expect, test } from 'vitest';
import { storableInstant } from './layout.ts';

test.each([
  [0, 0],
  [-1, -1],
  [1.5, 1],
  [Date.parse('9999-12-31T23:59:59.999Z'), 253_402_300_799_999],
  [Date.parse('9999-12-31T23:59:59.999Z') + 1, Number.POSITIVE_INFINITY],
  [Date.parse('0001-01-01T00:00:00Z') - 1, Number.NEGATIVE_INFINITY],
  [2 ** 63, Number.POSITIVE_INFINITY],
  [Number.NaN, Number.NEGATIVE_INFINITY],
])('a Kafka timestamp of %d is stored as %d', (ms, stored) => {
  expect(storableInstant(ms)).toBe(stored);
});
