import { expect, test } from 'vitest';
import { parseDuration } from './duration.ts';

test.each([
  ['1s', 1_000],
  [' 90S ', 90_000],
  ['30m', 1_800_000],
  ['6h', 21_600_000],
  ['31d', 2_678_400_000],
])('%s is %d ms', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', '6', 'h', '0s', '-1h', '1.5h', '6 h', '6h30m', '32d', '1w', '9999999999s'])('%j is none', (text) => {
  expect(parseDuration(text)).toBeNull();
});
