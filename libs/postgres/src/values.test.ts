import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { daysOfCivil, instantParameter, parseInstant, parseInt8 } from './values.ts';

describe('timestamptz as epoch milliseconds', () => {
  test.each([
    ['1970-01-01 00:00:00+00', 0],
    ['2026-03-08 07:00:00.123456+00', Date.parse('2026-03-08T07:00:00.123Z')],
    ['1969-12-31 23:59:59.9995+00', -1],
    ['2026-03-08 02:30:00+05:30', Date.parse('2026-03-07T21:00:00Z')],
    ['1883-11-18 12:00:00-04:56:02', Date.UTC(1883, 10, 18, 16, 56, 2)],
    ['0001-01-01 00:00:00+00 BC', Date.parse('0000-01-01T00:00:00Z')],
    ['4714-11-24 00:00:00+00 BC', -210_866_803_200_000],
    ['10000-01-01 00:00:00+00', Date.parse('+010000-01-01T00:00:00Z')],
    ['infinity', Number.POSITIVE_INFINITY],
    ['-infinity', Number.NEGATIVE_INFINITY],
  ])('%s is %d', (text, ms) => {
    expect(parseInstant(text)).toBe(ms);
  });

  test('a text in another date style is refused, not misread', () => {
    expect(() => parseInstant('03/08/2026 07:00:00 UTC')).toThrow(RangeError);
  });
});

test('the days of a civil date are those of Date', () => {
  fc.assert(
    fc.property(fc.date({ noInvalidDate: true }), (date) => {
      const midnight = Date.UTC(2000, date.getUTCMonth(), date.getUTCDate());
      const day = new Date(midnight).setUTCFullYear(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate());
      expect(daysOfCivil(date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate())).toBe(day / 86_400_000);
    }),
  );
});

describe('an instant as a parameter', () => {
  test.each([
    [null, null],
    [Number.POSITIVE_INFINITY, 'infinity'],
    [Number.NEGATIVE_INFINITY, '-infinity'],
    [0, '1970-01-01T00:00:00.000Z'],
    [Date.parse('0000-06-01T00:00:00Z'), '0001-06-01T00:00:00.000Z BC'],
    [Date.parse('-000001-06-01T00:00:00Z'), '0002-06-01T00:00:00.000Z BC'],
    [Date.parse('+012345-06-01T00:00:00Z'), '12345-06-01T00:00:00.000Z'],
  ])('%s is %s', (ms, text) => {
    expect(instantParameter(ms)).toBe(text);
  });
});

test('a bigint beyond 2^53 is an error, not another number', () => {
  expect(parseInt8('-9007199254740991')).toBe(Number.MIN_SAFE_INTEGER);
  expect(() => parseInt8('9007199254740993')).toThrow(/does not fit/);
});
