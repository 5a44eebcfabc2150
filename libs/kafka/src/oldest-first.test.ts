import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { oldestFirst, type Queue } from './oldest-first.ts';

const queue = (timestamps: readonly number[]): Queue => ({
  records: timestamps.length,
  timestampAt: (ahead) => timestamps[ahead] ?? Number.NaN,
});
const every = (ms: number, count: number, from = 0) => queue(Array.from({ length: count }, (_, i) => from + i * ms));
const total = (list: readonly number[]) => list.reduce((sum, item) => sum + item, 0);

describe('what is taken of the records that wait', () => {
  test('everything, when it is little', () => {
    expect(oldestFirst([every(1, 5), every(1, 0), every(1, 7)], 12)).toEqual([5, 0, 7]);
    expect(oldestFirst([], 10)).toEqual([]);
  });

  test('a busy topic and a quiet one up to about the same time', () => {
    // 20 records a second beside one: a batch of 4,200 is 200 seconds.
    const [busy = 0, quiet = 0] = oldestFirst([every(50, 10_000), every(1_000, 10_000)], 4_200);
    expect(busy + quiet).toBe(4_200);
    expect(Math.abs(busy * 50 - quiet * 1_000)).toBeLessThan(300 * 1_000);
    expect(quiet).toBeLessThan(550);
  });

  test('the old first, until it has caught up with the others', () => {
    const [one = 0, old, other = 0] = oldestFirst(
      [every(1, 1_000, 1_000_000), every(1, 200), every(1, 1_000, 1_000_000)],
      600,
    );
    expect(old).toBe(200);
    // To within what is taken at a time.
    expect(Math.abs(one - other)).toBeLessThanOrEqual(25);
  });

  test('of records of one time the same from everybody', () => {
    expect(oldestFirst([every(0, 18), every(0, 3)], 10)).toEqual([7, 3]);
    expect(oldestFirst([every(0, 900), every(0, 900), every(0, 900)], 30)).toEqual([10, 10, 10]);
  });

  test('something of everybody, whatever its clock says', () => {
    const shares = oldestFirst([every(1, 10_000, -1e12), every(1, 10_000, 1e15)], 1_000);
    expect(total(shares)).toBe(1_000);
    expect(shares[1]).toBe(31);
  });

  test('as much as may be, and from nobody more than it has', () => {
    const timestamps = fc.array(fc.integer({ min: -5, max: 200 }), { maxLength: 100 });
    fc.assert(
      fc.property(fc.array(timestamps, { maxLength: 40 }), fc.nat(3_000), (all, limit) => {
        const shares = oldestFirst(all.map(queue), limit);
        expect(total(shares)).toBe(Math.min(limit, total(all.map(({ length }) => length))));
        for (const [at, share] of shares.entries()) expect(share).toBeLessThanOrEqual(all[at]?.length ?? 0);
      }),
    );
  });
});
