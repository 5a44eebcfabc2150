import { createLogger } from '@leakage/runtime';
import { expect, test, vi } from 'vitest';
import type { PartitionEnd } from './domain/lag.ts';
import { shared } from './topic-ends.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const ends: PartitionEnd[] = [{ topic: 'calls', partition: 0, low: 0, high: 3 }];

test('many who ask at once cause one question', async () => {
  const ask = vi.fn(async () => ends);
  const topicEnds = shared(ask, log);
  expect(await Promise.all([topicEnds(), topicEnds(), topicEnds()])).toEqual([ends, ends, ends]);
  expect(ask).toHaveBeenCalledTimes(1);
});

test('an answer is kept for a second, then asked for again', async () => {
  vi.useFakeTimers();
  const ask = vi.fn(async () => ends);
  const topicEnds = shared(ask, log);
  await topicEnds();
  vi.advanceTimersByTime(900);
  await topicEnds();
  expect(ask).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(200);
  await topicEnds();
  expect(ask).toHaveBeenCalledTimes(2);
  vi.useRealTimers();
});

test('a Kafka that fails gives null', async () => {
  expect(await shared(async () => Promise.reject(new Error('refused')), log)()).toBeNull();
});
