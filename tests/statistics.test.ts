import { expect, test } from 'vitest';
import { changePoint, growth, shareError, varianceOfSum } from './support/statistics.ts';

test('the variance of a sum of days is Poisson and what days and hours add', () => {
  const even = { dayCv: 0.1, hourCv: 0.2, hours: [0.5, 0.5] };
  // 2 x (100 + 10,000 x (.01 + .04 x .5))
  expect(varianceOfSum([100, 100], even)).toBeCloseTo(800, 9);
  expect(varianceOfSum([100, 100], { ...even, dayCv: 0, hourCv: 0 })).toBe(200);
});

test('a share of n', () => {
  expect(shareError(0.5, 100)).toBeCloseTo(0.05, 12);
});

test('growth with its interval', () => {
  const found = growth({ sum: 110, variance: 110 }, { sum: 100, variance: 100 });
  expect(found.growth).toBeCloseTo(0.1, 12);
  const error = Math.sqrt(1 / 110 + 1 / 100);
  expect(found.high).toBeCloseTo(1.1 * Math.exp(1.96 * error) - 1, 12);
  expect(found.low).toBeLessThan(0);
});

test('a step is found where it is, whatever the weekdays', () => {
  const weights = [1.2, 1, 0.8, 1.2, 1, 0.8, 1.2, 1];
  const counts = weights.map((weight, day) => Math.round(weight * (day < 5 ? 100 : 200)));
  expect(changePoint(counts, weights)).toBe(5);
});
