import { expect, test } from 'vitest';
import { dateText, dayOfDate, monthsBefore, weekdayOf, Zone } from './calendar.ts';

const at = (text: string): number => Date.parse(text);
const newYork = new Zone('America/New_York');

test('local day, hour and weekday', () => {
  expect(newYork.local(at('2026-11-22T04:59:59.999Z'))).toEqual({ day: dayOfDate('2026-11-21'), hour: 23, weekday: 5 });
  expect(newYork.local(at('2026-11-22T05:00:00Z'))).toEqual({ day: dayOfDate('2026-11-22'), hour: 0, weekday: 6 });
});

test('the clock changes on the minute it changes', () => {
  expect(newYork.local(at('2026-03-08T06:59:59Z')).hour).toBe(1);
  expect(newYork.local(at('2026-03-08T07:00:00Z')).hour).toBe(3);
  expect(newYork.local(at('2026-11-01T05:30:00Z')).hour).toBe(1);
  expect(newYork.local(at('2026-11-01T06:30:00Z')).hour).toBe(1);
});

test('a day begins at local midnight, or where clocks jump over it', () => {
  expect(newYork.startOfDay(dayOfDate('2026-03-08'))).toBe(at('2026-03-08T05:00:00Z'));
  expect(newYork.startOfDay(dayOfDate('2026-03-09'))).toBe(at('2026-03-09T04:00:00Z'));
  expect(new Zone('Asia/Kolkata').startOfDay(dayOfDate('2026-03-09'))).toBe(at('2026-03-08T18:30:00Z'));
  // In Cairo on 2026-04-24 clocks go from 00:00 to 01:00.
  expect(new Zone('Africa/Cairo').startOfDay(dayOfDate('2026-04-24'))).toBe(at('2026-04-23T22:00:00Z'));
});

test('calendar arithmetic', () => {
  expect(weekdayOf(dayOfDate('2026-11-23'))).toBe(0);
  expect(weekdayOf(dayOfDate('1969-12-31'))).toBe(2);
  expect(dateText(monthsBefore(dayOfDate('2026-03-31'), 1))).toBe('2026-02-28');
  expect(dateText(monthsBefore(dayOfDate('2026-01-15'), 13))).toBe('2024-12-15');
});
