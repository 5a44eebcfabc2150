import { expect, test } from 'vitest';
import { LocalTime } from './local-time.ts';

const newYork = new LocalTime('America/New_York');
const utc = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString());

test.each([
  ['2026-01-15 09:30:00', '2026-01-15T14:30:00.000Z'],
  ['2026-07-15T09:30', '2026-07-15T13:30:00.000Z'],
  ['2026-07-15 09:30:00.123456', '2026-07-15T13:30:00.123Z'],
  ['2026-07-15', '2026-07-15T04:00:00.000Z'],
  // Clocks go forward at 2:00 on 2026-03-08: 2:00 to 2:59 never happen, and lie an hour later.
  ['2026-03-08 01:59:59.999', '2026-03-08T06:59:59.999Z'],
  ['2026-03-08 02:00:00', '2026-03-08T07:00:00.000Z'],
  ['2026-03-08 02:30:00', '2026-03-08T07:30:00.000Z'],
  ['2026-03-08 03:00:00', '2026-03-08T07:00:00.000Z'],
  // Clocks go back at 2:00 on 2026-11-01: 1:00 to 1:59 happen twice, the first is taken.
  ['2026-11-01 00:59:59', '2026-11-01T04:59:59.000Z'],
  ['2026-11-01 01:00:00', '2026-11-01T05:00:00.000Z'],
  ['2026-11-01 01:59:59', '2026-11-01T05:59:59.000Z'],
  ['2026-11-01 02:00:00', '2026-11-01T07:00:00.000Z'],
])('%s in New York is %s', (text, instant) => {
  expect(utc(newYork.parse(text))).toBe(instant);
});

test.each([
  '2026-02-30',
  '2026-01-15 24:00',
  '2026-01-15 09:60',
  '2026-1-5',
  '0026-01-01',
  '2026-01-15T09:30Z',
  'now',
  '',
])('%s is no local time', (text) => {
  expect(newYork.parse(text)).toBeNull();
});

test('the southern hemisphere, half an hour, and a day that begins at one', () => {
  const sydney = new LocalTime('Australia/Sydney');
  expect(utc(sydney.parse('2026-04-05 02:30'))).toBe('2026-04-04T15:30:00.000Z');
  expect(utc(sydney.parse('2026-10-04 02:30'))).toBe('2026-10-03T16:30:00.000Z');
  const lordHowe = new LocalTime('Australia/Lord_Howe');
  expect(utc(lordHowe.parse('2026-10-04 02:15'))).toBe('2026-10-03T15:45:00.000Z');
  expect(utc(lordHowe.parse('2026-04-05 01:45'))).toBe('2026-04-04T14:45:00.000Z');
  expect(utc(new LocalTime('Asia/Kolkata').parse('2026-04-05 00:00'))).toBe('2026-04-04T18:30:00.000Z');
  expect(utc(new LocalTime('Africa/Cairo').parse('2026-04-24 00:30'))).toBe('2026-04-23T22:30:00.000Z');
});

test('every hour of two years is read back, but the repeated ones as their first', () => {
  const format = new Intl.DateTimeFormat('sv-SE', {
    timeZone: 'America/New_York',
    dateStyle: 'short',
    timeStyle: 'medium',
  });
  const wrong: string[] = [];
  for (let ms = Date.UTC(2025, 0, 1); ms < Date.UTC(2027, 0, 1); ms += 3_600_000) {
    const back = newYork.parse(format.format(ms));
    const repeated = format.format(ms) === format.format(ms - 3_600_000);
    if (back !== (repeated ? ms - 3_600_000 : ms)) wrong.push(new Date(ms).toISOString());
  }
  expect(wrong).toEqual([]);
});

test('a time zone that does not exist is refused', () => {
  expect(() => new LocalTime('America/Nowhere')).toThrow(RangeError);
});
