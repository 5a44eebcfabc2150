import { logLevel } from 'kafkajs';
import { expect, test } from 'vitest';
import { levelOf, rememberTexts } from './kafkajs-log.ts';

test('what a starting broker or a rebalance makes kafkajs report as an error is no news', () => {
  expect(
    levelOf(logLevel.ERROR, 'Response GroupCoordinator(key: 10, version: 2) The group coordinator is not available'),
  ).toBe('debug');
  expect(
    levelOf(logLevel.ERROR, 'Response Heartbeat(key: 12, version: 3) The group is rebalancing, so a rejoin is needed'),
  ).toBe('debug');
  expect(levelOf(logLevel.WARN, 'The group is rebalancing, re-joining ')).toBe('debug');
});

test('anything else is one step below what kafkajs says, because it retries or crashes loudly', () => {
  expect(levelOf(logLevel.ERROR, 'Connection timeout')).toBe('warn');
  expect(levelOf(logLevel.WARN, 'something')).toBe('info');
  expect(levelOf(logLevel.INFO, 'Pausing fetching')).toBe('debug');
  expect(levelOf(logLevel.DEBUG, 'Request')).toBe('trace');
});

test('a broker that is away is reported now and then, not several times a second', () => {
  let now = 0;
  const isRepeated = rememberTexts(() => now);
  expect([isRepeated('refused'), isRepeated('refused'), isRepeated('other')]).toEqual([false, true, false]);
  now = 15_000;
  expect([isRepeated('refused'), isRepeated('refused')]).toEqual([false, true]);
});
