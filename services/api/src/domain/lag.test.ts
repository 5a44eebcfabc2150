import { expect, test } from 'vitest';
import { lagOf } from './lag.ts';

const end = (partition: number, low: number, high: number) => ({ topic: 'calls', partition, low, high });
const position = (partition: number, nextOffset: number, pipeline = 'bronze') => ({
  pipeline,
  topic: 'calls',
  partition,
  nextOffset,
});

test('the lag of a topic is the sum over its partitions', () => {
  expect(lagOf('bronze', [position(0, 90), position(1, 50)], [end(0, 0, 100), end(1, 0, 50)])).toEqual([
    { topic: 'calls', lagRecords: 10 },
  ]);
});

test('a partition that was never begun lags by all that it still has', () => {
  expect(lagOf('bronze', [], [end(0, 40, 100)])).toEqual([{ topic: 'calls', lagRecords: 60 }]);
});

test('a position beyond the end read before it is no lag, and pays for no other partition', () => {
  expect(lagOf('bronze', [position(0, 120), position(1, 5)], [end(0, 0, 100), end(1, 0, 7)])).toEqual([
    { topic: 'calls', lagRecords: 2 },
  ]);
});

test('positions of another pipeline do not count', () => {
  expect(lagOf('silver_1', [position(0, 100)], [end(0, 0, 100)])).toEqual([{ topic: 'calls', lagRecords: 100 }]);
});
