import fc from 'fast-check';
import { expect, test } from 'vitest';
import { dateOfDays, daysOfDate, isInstantInRange, parseInstant } from './instants.ts';

const NOON = Date.UTC(2026, 10, 22, 12);

test.each([
  ['2026-11-22T12:00:00Z', NOON],
  ['2026-11-22T12:00Z', NOON],
  ['2026-11-22 12:00:00z', NOON],
  ['2026-11-22T07:00:00-05:00', NOON],
  ['2026-11-22T17:30:00.000+0530', NOON],
  ['2026-11-22T13:00:00+01', NOON],
  ['2026-11-22T12:00:00.5Z', NOON + 500],
  ['2026-11-22T12:00:00,123456789Z', NOON + 123],
  ['1969-12-31T23:59:59.9999Z', -1],
])('%s is an instant', (text, ms) => {
  expect(parseInstant(text)).toBe(ms);
});

test.each([
  '2026-11-22T12:00:00',
  '2026-11-22',
  '2026-02-30T12:00:00Z',
  '2026-11-22T24:00:00Z',
  '2026-11-22T12:60:00Z',
  '2026-11-22T12:00:60Z',
  '0000-01-01T00:00:00Z',
  '+12026-11-22T12:00:00Z',
  '2026-11-22T12:00:00+24:00',
  '2026-11-22T12:00:00Z ',
  'yesterday',
  '',
])('%s is not an instant with an offset', (text) => {
  expect(parseInstant(text)).toBeNull();
});

test('an instant written by JavaScript is read back', () => {
  fc.assert(
    fc.property(
      fc.date({
        min: new Date('0001-01-01T00:00:00Z'),
        max: new Date('9999-12-31T23:59:59.999Z'),
        noInvalidDate: true,
      }),
      (date) => {
        expect(parseInstant(date.toISOString())).toBe(date.getTime());
        expect(isInstantInRange(date.getTime())).toBe(true);
      },
    ),
  );
});

test('a date is a day of the calendar in the years 0001 to 9999', () => {
  expect(daysOfDate('1970-01-01')).toBe(0);
  expect(daysOfDate('2024-02-29')).toBe(19782);
  for (const text of ['2023-02-29', '2026-13-01', '2026-1-1', '0000-12-31', '2026-01-01T00:00:00Z']) {
    expect([text, daysOfDate(text)]).toEqual([text, null]);
  }
  expect(dateOfDays(19782)).toBe('2024-02-29');
  expect(dateOfDays(-800_000)).toBeNull();
  expect(dateOfDays(3_000_000)).toBeNull();
});
