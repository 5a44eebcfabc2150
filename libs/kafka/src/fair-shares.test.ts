import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fairShares } from './fair-shares.ts';

test('small ones are served whole, and what they leave goes to the large ones', () => {
  expect(fairShares([1, 100, 100], 21, 0)).toEqual([1, 10, 10]);
  expect(fairShares([5, 5, 5], 100, 0)).toEqual([5, 5, 5]);
  expect(fairShares([], 10, 0)).toEqual([]);
});

test('an indivisible rest goes round, so that over time nobody is preferred', () => {
  expect(fairShares([9, 9, 9], 4, 0)).toEqual([2, 1, 1]);
  expect(fairShares([9, 9, 9], 4, 1)).toEqual([1, 2, 1]);
  expect(fairShares([9, 9, 9], 4, 2)).toEqual([1, 1, 2]);
});

test('the limit is used up, nobody gives more than it has, and nobody gets two more than one who wants more', () => {
  const input = fc.tuple(fc.array(fc.nat(200), { maxLength: 40 }), fc.nat(3000), fc.nat(39));
  fc.assert(
    fc.property(input, ([available, limit, first]) => {
      const shares = fairShares(available, limit, first);
      const total = (list: readonly number[]) => list.reduce((sum, item) => sum + item, 0);
      expect(total(shares)).toBe(Math.min(limit, total(available)));
      for (const [at, share] of shares.entries()) {
        expect(share).toBeLessThanOrEqual(available[at] ?? 0);
        if (share < (available[at] ?? 0)) expect(Math.max(...shares)).toBeLessThanOrEqual(share + 1);
      }
    }),
  );
});
