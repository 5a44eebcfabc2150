import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { StalledError } from './errors.ts';
import { Watchdog } from './watchdog.ts';

const onStall = vi.fn();
let watchdog: Watchdog;

beforeEach(() => {
  vi.useFakeTimers();
  onStall.mockReset();
  watchdog = new Watchdog(1_000, onStall);
});

afterEach(() => {
  watchdog.stop();
  vi.useRealTimers();
});

test('silence longer than the limit is reported once', () => {
  vi.advanceTimersByTime(1_000);
  expect(onStall).not.toHaveBeenCalled();
  vi.advanceTimersByTime(5_000);
  expect(onStall).toHaveBeenCalledExactlyOnceWith(expect.any(StalledError));
});

test('whatever moves starts the count anew', () => {
  for (let times = 0; times < 20; times += 1) {
    vi.advanceTimersByTime(900);
    watchdog.moved();
  }
  expect(onStall).not.toHaveBeenCalled();
});

test('a rebalance may take its own time on top', () => {
  watchdog.allow(3_000);
  vi.advanceTimersByTime(4_000);
  expect(onStall).not.toHaveBeenCalled();
  vi.advanceTimersByTime(200);
  expect(onStall).toHaveBeenCalledOnce();
});

test('a process that was frozen is not taken for a stalled one: timers of lost time fire once', () => {
  vi.setSystemTime(Date.now() + 3_600_000);
  vi.advanceTimersByTime(500);
  expect(onStall).not.toHaveBeenCalled();
});
