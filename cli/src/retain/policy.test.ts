import { describe, expect, it, test } from 'vitest';
import { checkPolicy, goldKeptFrom, horizonDays, parseKeep } from './policy.ts';

const hour = 3_600_000;
const policy = { keepDays: 90, bronzeKeepDays: 90, quarantineKeepDays: 30, goldKeepMonths: 25 };

test.each([
  ['90d', { days: 90 }],
  [' 25MO ', { months: 25 }],
  ['0d', null],
  ['90', null],
  ['90h', null],
  ['1.5mo', null],
  ['-3d', null],
])('%s', (text, kept) => {
  expect(parseKeep(text)).toEqual(kept);
});

describe('the horizon', () => {
  it('is as many local days before today as are kept', () => {
    expect(horizonDays('2026-06-20', 90, hour / 2).refusedBefore).toBe('2026-03-22');
  });

  it.each([
    ['half an hour', hour / 2, '2026-03-13'],
    ['twelve hours', 12 * hour, '2026-03-13'],
    ['a day', 24 * hour, '2026-03-12'],
  ])('lets silver keep what a fact looks back to with a window of %s', (_, windowMs, keptFrom) => {
    const days = horizonDays('2026-06-20', 90, windowMs);
    expect(days.keptFrom).toBe(keptFrom);
    // A week for repeats, two windows, a day for journeys; on a day that is an hour short.
    const reach = Date.parse(days.refusedBefore) - Date.parse(days.keptFrom) - hour;
    expect(reach).toBeGreaterThanOrEqual(7 * 24 * hour + 3 * hour);
    expect(reach).toBeGreaterThanOrEqual(Math.max(24 * hour, windowMs) + 2 * windowMs + 3 * hour);
  });
});

test.each([
  ['2026-06-20', 25, '2024-05-01'],
  ['2026-01-31', 1, '2025-12-01'],
  ['2026-03-31', 12, '2025-03-01'],
])('on %s, %i months of figures begin with %s', (today, months, first) => {
  expect(goldKeptFrom(today, months)).toBe(first);
});

describe('a policy', () => {
  it('may be the usual one', () => {
    expect(() => checkPolicy(policy)).not.toThrow();
  });

  it.each([
    ['shorter than what views read', { keepDays: 34 }, /at least 35d/],
    [
      'shorter for figures than for what they count',
      { keepDays: 365, goldKeepMonths: 13 },
      /too short for --keep 365d/,
    ],
  ])('is refused when it is %s', (_, part, words) => {
    expect(() => checkPolicy({ ...policy, ...part })).toThrow(words);
  });
});
