import { expect, test } from 'vitest';
import { snakeCased } from './snake-case.ts';

test('keys at every depth, and nothing but keys', () => {
  expect(
    snakeCased({ leakageCalls: { onlyA: 1 }, byDay: [{ of: 'camelCase', localDate: null }], a: true, of_two: 2 }),
  ).toEqual({ leakage_calls: { only_a: 1 }, by_day: [{ of: 'camelCase', local_date: null }], a: true, of_two: 2 });
});
