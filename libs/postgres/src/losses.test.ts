import { expect, test } from 'vitest';
import { lostWithin } from './losses.ts';

const losses = [
  { topic: 't', partition: 1, fromOffset: 10, nextOffset: 20 },
  { topic: 't', partition: 1, fromOffset: 30, nextOffset: 40 },
  { topic: 't', partition: 2, fromOffset: 0, nextOffset: 100 },
];
const within = (expectedOffset: number, nextOffset: number, partition = 1) =>
  lostWithin(losses, { topic: 't', partition, expectedOffset, nextOffset }).map((lost) => [
    lost.fromOffset,
    lost.nextOffset,
  ]);

test('of what is read of a partition, the parts that had been given up', () => {
  expect(within(0, 50)).toEqual([
    [10, 20],
    [30, 40],
  ]);
  expect(within(15, 33)).toEqual([
    [15, 20],
    [30, 33],
  ]);
  expect(within(12, 14)).toEqual([[12, 14]]);
});

test('what only touches them is none of them, and neither is another partition', () => {
  expect(within(0, 10)).toEqual([]);
  expect(within(20, 30)).toEqual([]);
  expect(within(10, 20, 3)).toEqual([]);
});
