import { describe, expect, test } from 'vitest';
import type { CommandError } from '../command-error.ts';
import { LocalTime } from '../import/local-time.ts';
import { forgottenPartitions, type Logs, mustBeThere, type Part, partPositions, partWords, readPart } from './part.ts';

const localTime = new LocalTime('America/New_York');
const now = Date.parse('2026-11-29T12:00:00Z');
const read = (from?: string, to?: string) => readPart({ from, to }, { localTime, now });

describe('what --from and --to say', () => {
  test('a part, local where a time has no offset; without either it is everything', () => {
    const from = Date.parse('2026-11-01T04:00:00Z');
    expect(read('2026-11-01', '2026-11-02T00:00:00Z')).toEqual({ from, to: Date.parse('2026-11-02T00:00:00Z') });
    expect(read('2026-11-01')).toEqual({ from, to: null });
    expect(read(undefined, '2026-11-01')).toEqual({ from: null, to: from });
    expect(read()).toBeNull();
  });

  test.each([
    ['2026-11-02', '2026-11-01', /--from 2026-11-02T05:00:00.000Z is not before --to 2026-11-01T04:00:00.000Z/],
    ['2026-11-01', '2026-11-01', /is not before/],
    ['2026-11-30', undefined, /--from .* lies in the future/],
    ['2026-11-01', '2026-11-30', /--to .* lies in the future/],
    ['yesterday', undefined, /yesterday is no time/],
    ['earliest', undefined, /is no time/],
    ['leakage.calls/3@7', undefined, /is no time/],
  ])('%s to %s is wrong usage, and why is said', (from, to, reason) => {
    expect(() => read(from, to)).toThrow(reason);
    expect(() => read(from, to)).toThrow(expect.objectContaining({ exitCode: 2 }) as CommandError);
  });

  test('in words', () => {
    expect(partWords({ from: 0, to: null })).toBe('what Kafka got from 1970-01-01T00:00:00.000Z on');
    expect(partWords({ from: 0, to: 1 })).toMatch(/^what Kafka got from .* on and before 1970-01-01T00:00:00.001Z$/);
  });
});

test.each([
  [{ from: 5, to: 9 }, null],
  [{ from: null, to: 6 }, null],
  [
    { from: 4, to: 9 },
    /^Bronze has journeys and calls from 1970-01-01T00:00:00.005Z on, and --from .*004Z lies before/,
  ],
  [{ from: null, to: 4 }, /--to .*004Z lies before/],
])('before %j there is nothing where the oldest is of 5', (part, refused) => {
  if (refused === null) mustBeThere(part, 5);
  else expect(() => mustBeThere(part, 5)).toThrow(refused);
  expect(() => mustBeThere(part, null)).toThrow(/has no journeys and no calls/);
});

describe('where a part lies', () => {
  const at = (topic: string, partition: number, offset: number) => ({ topic, partition, offset });
  const bronze = [
    { topic: 'calls', partition: 0, firstOffset: 10, nextOffset: 100, dropped: 0 },
    { topic: 'calls', partition: 1, firstOffset: 0, nextOffset: 50, dropped: 0 },
    { topic: 'members', partition: 0, firstOffset: 3, nextOffset: 40, dropped: 0 },
  ];
  const ends = [
    { topic: 'calls', partition: 0, low: 30, high: 120 },
    { topic: 'calls', partition: 1, low: 0, high: 50 },
    { topic: 'members', partition: 0, low: 0, high: 40 },
  ];
  const from = [at('calls', 0, 30), at('calls', 0, 25), at('calls', 1, 50), at('members', 0, 20)];
  const to = [at('calls', 0, 110), at('calls', 1, 50), at('members', 0, 30)];
  const positions = (part: Part, logs: Partial<Logs> = {}) =>
    partPositions(part, { bronze, ends, from, to, ofProfiles: (topic) => topic === 'members', ...logs });
  const offsets = (part: Part, logs?: Partial<Logs>) =>
    positions(part, logs).map(({ firstOffset, untilOffset }) => [firstOffset, untilOffset]);

  test('it begins at the first record of Kafka or of bronze, profiles at their beginning', () => {
    expect(offsets({ from: 1, to: 2 })).toEqual([
      [25, 110],
      [50, 50],
      [3, 30],
    ]);
    expect(offsets({ from: 1, to: null }, { to: [] })).toEqual([
      [25, null],
      [50, null],
      [3, null],
    ]);
    expect(offsets({ from: null, to: 2 }, { from: [] })).toEqual([
      [10, 110],
      [0, 50],
      [3, 30],
    ]);
  });

  test('it never begins before bronze does, and never ends before it begins', () => {
    expect(offsets({ from: 1, to: 2 }, { from: from.map((one) => ({ ...one, offset: 5 })) })[0]).toEqual([10, 110]);
    expect(offsets({ from: 1, to: 2 }, { to: [at('calls', 0, 110), at('calls', 1, 7), at('members', 0, 1)] })).toEqual([
      [25, 110],
      [50, 50],
      [3, 3],
    ]);
  });

  test('one without journeys and calls is refused, profiles or not', () => {
    expect(() => positions({ from: 1, to: 2 }, { to: from })).toThrow(
      /There are no journeys and no calls in what Kafka/,
    );
  });

  test('a partition that bronze has not begun is said', () => {
    const more = [...ends, { topic: 'calls', partition: 2, low: 0, high: 1 }];
    expect(() => positions({ from: 1, to: 2 }, { ends: more })).toThrow('Bronze has not begun to read calls/2');
  });

  test('only where Kafka has removed something is bronze asked', () => {
    expect(forgottenPartitions(bronze, ends)).toEqual([bronze[0]]);
    expect(forgottenPartitions(bronze, [])).toEqual(bronze);
  });
});
