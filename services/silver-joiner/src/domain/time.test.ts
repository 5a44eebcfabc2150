import { describe, expect, it } from 'vitest';
import { epochDay, localClock } from './time.ts';

const newYork = localClock('America/New_York');

describe('local date and hour', () => {
  it.each([
    ['2025-03-09T04:59:59.999Z', '2025-03-08', 23],
    ['2025-03-09T05:00:00.000Z', '2025-03-09', 0],
    ['2025-03-09T06:59:59.999Z', '2025-03-09', 1],
    ['2025-03-09T07:00:00.000Z', '2025-03-09', 3],
    ['2025-11-02T05:59:59.999Z', '2025-11-02', 1],
    ['2025-11-02T06:00:00.000Z', '2025-11-02', 1],
    ['2025-11-02T06:59:59.999Z', '2025-11-02', 1],
    ['2025-11-02T07:00:00.000Z', '2025-11-02', 2],
    ['2024-02-29T12:00:00.000Z', '2024-02-29', 7],
    ['2000-01-01T00:00:00.000Z', '1999-12-31', 19],
  ])('of %s in New York are %s, hour %i', (instant, date, hour) => {
    expect(newYork(Date.parse(instant))).toEqual({ date, hour });
  });

  it('follow zones with quarters and half hours of daylight saving', () => {
    expect(localClock('Asia/Kathmandu')(Date.parse('2025-06-01T18:14:59.999Z'))).toEqual({
      date: '2025-06-01',
      hour: 23,
    });
    expect(localClock('Asia/Kathmandu')(Date.parse('2025-06-01T18:15:00.000Z'))).toEqual({
      date: '2025-06-02',
      hour: 0,
    });
    const lordHowe = localClock('Australia/Lord_Howe');
    expect(lordHowe(Date.parse('2025-04-05T14:59:59.999Z'))).toEqual({ date: '2025-04-06', hour: 1 });
    expect(lordHowe(Date.parse('2025-04-05T15:00:00.000Z'))).toEqual({ date: '2025-04-06', hour: 1 });
    expect(lordHowe(Date.parse('2025-04-05T15:30:00.000Z'))).toEqual({ date: '2025-04-06', hour: 2 });
  });

  it('agree with Intl at every half hour of a year, and a millisecond before', () => {
    const format = new Intl.DateTimeFormat('sv-SE', {
      timeZone: 'America/New_York',
      dateStyle: 'short',
      timeStyle: 'short',
    });
    const wrong: string[] = [];
    for (let at = Date.UTC(2025, 0, 1); at < Date.UTC(2026, 0, 1); at += 1_800_000) {
      for (const instant of [at - 1, at]) {
        const { date, hour } = newYork(instant);
        if (!format.format(instant).startsWith(`${date} ${String(hour).padStart(2, '0')}`))
          wrong.push(new Date(instant).toISOString());
      }
    }
    expect(wrong).toEqual([]);
  });

  it('refuse a zone that does not exist', () => {
    expect(() => localClock('Mars/Olympus')).toThrow(RangeError);
  });
});

describe('epoch days', () => {
  it('begin at midnight UTC, before 1970 too', () => {
    expect([epochDay(0), epochDay(-1), epochDay(86_399_999), epochDay(86_400_000)]).toEqual([0, -1, 0, 1]);
  });
});
