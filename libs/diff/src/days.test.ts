import { describe, expect, test } from 'vitest';
import { comparedDays, type Reach } from './days.ts';

const at = (text: string) => Date.parse(text);
/** Has read everything, from the first to the running day. */
const whole: Reach = {
  id: 1,
  timeZone: 'America/New_York',
  firstDay: '2026-03-01',
  lastDay: '2026-03-09',
  asOf: at('2026-03-09T15:00:00-04:00'),
  recordsBehind: 0,
  heardUntil: Number.POSITIVE_INFINITY,
  beginsLater: false,
  fromTime: null,
  toTime: null,
};
const other: Reach = { ...whole, id: 2 };
const days = (a: Partial<Reach>, b: Partial<Reach>, asked = {}) =>
  comparedDays({ ...whole, ...a }, { ...other, ...b }, asked);

describe('the days that are compared', () => {
  test('all that there are where both have read the same, the running day too', () => {
    expect(days({}, {})).toEqual({ from: '2026-03-01', to: '2026-03-09', because: [] });
    expect(days({ firstDay: '2026-03-02' }, { lastDay: '2026-03-10' })).toMatchObject({
      from: '2026-03-01',
      to: '2026-03-10',
    });
  });

  test('those that were asked for', () => {
    expect(days({}, {}, { from: '2026-03-03', to: '2026-03-04' })).toEqual({
      from: '2026-03-03',
      to: '2026-03-04',
      because: [],
    });
  });

  test('none where neither has a figure', () => {
    expect(days({ firstDay: null, lastDay: null }, { firstDay: null, lastDay: null })).toBeNull();
  });

  test('only complete ones of the one that is behind, and why', () => {
    expect(days({}, { recordsBehind: 1_200, heardUntil: at('2026-03-05T23:59:59-05:00') })).toEqual({
      from: '2026-03-01',
      to: '2026-03-04',
      because: [
        'the last complete local day of generation 1 is 2026-03-08',
        expect.stringMatching(
          /^generation 2 has read 1,200 records less than generation 1: its last complete local day is 2026-03-04$/,
        ),
      ],
    });
  });

  test('each in its own time zone', () => {
    const tokyo = { timeZone: 'Asia/Tokyo', recordsBehind: 1, heardUntil: at('2026-03-05T23:59:59-05:00') };
    expect(days({}, tokyo)).toMatchObject({ to: '2026-03-05' });
  });

  test('from the first complete one of a part on, which is that very day if it began at midnight', () => {
    expect(days({}, { fromTime: at('2026-03-03T00:00:00-05:00') })).toMatchObject({ from: '2026-03-03' });
    expect(days({}, { fromTime: at('2026-03-03T00:00:00.001-05:00') })).toMatchObject({ from: '2026-03-04' });
    expect(days({}, { toTime: at('2026-03-06T00:00:00-05:00') })).toMatchObject({ to: '2026-03-05' });
  });

  test('one that begins at later records may lack some of its first day', () => {
    expect(days({}, { beginsLater: true, firstDay: '2026-03-04' })).toMatchObject({
      from: '2026-03-05',
      because: expect.arrayContaining([expect.stringContaining('generation 2 begins at later records')]) as string[],
    });
  });

  test.each([
    ['nothing was heard of a partition', {}, { recordsBehind: 5, heardUntil: null }, {}],
    ['the days asked for are not there', {}, {}, { from: '2026-04-01' }],
    [
      'they have no complete day in common',
      { fromTime: at('2026-03-08T12:00:00Z') },
      { recordsBehind: 1, heardUntil: at('2026-03-05T12:00:00Z') },
      {},
    ],
  ])('refused where %s', (_what, a, b, asked) => {
    expect(() => days(a, b, asked)).toThrow(
      /no complete local day in common|have figures from 2026-03-01 to 2026-03-09 only/,
    );
  });
});
