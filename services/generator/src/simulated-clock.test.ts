import { expect, test } from 'vitest';
import { SimulatedClock } from './simulated-clock.ts';

test('without a beginning it is the wall clock', () => {
  const clock = new SimulatedClock({ from: null, startedAt: 1_000, speed: 60 });
  expect(clock.now(5_000)).toBe(5_000);
  expect(clock.wait(5_250, 5_000)).toBe(250);
  expect(clock.wait(4_000, 5_000)).toBe(0);
});

test('it runs at its speed from its beginning, until it has caught up with the wall clock', () => {
  const clock = new SimulatedClock({ from: 0, startedAt: 1_000_000, speed: 60 });
  expect(clock.now(1_000_000)).toBe(0);
  expect(clock.now(1_001_000)).toBe(60_000);
  expect(clock.wait(120_000, 1_001_000)).toBe(1_000);
  expect(clock.now(2_000_000)).toBe(2_000_000);
  expect(clock.wait(2_000_500, 2_000_000)).toBe(500);
});
