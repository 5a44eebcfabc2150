import { shardOf } from '@leakage/schemas';
import { expect, test } from 'vitest';
import { dayOfDate, HOUR_MS, MINUTE_MS } from './calendar.ts';
import type { Disturbance } from './disturbances.ts';
import type { Emission } from './emission.ts';
import { Feed } from './feed.ts';
import { DEFAULT_RATES } from './noise.ts';
import { DEFAULT_PARAMETERS } from './parameters.ts';
import { advance, BEGINNING, type StreamPosition } from './stream.ts';
import { World } from './world.ts';

const newWorld = () =>
  new World({
    seed: 5,
    timeZone: 'America/New_York',
    anchorDay: dayOfDate('2026-03-10'),
    firstDay: dayOfDate('2026-03-02'),
    members: 2_000,
    eventsPerDay: 5_140,
    callsPerDay: 60,
    parity: false,
    rates: DEFAULT_RATES,
    parameters: DEFAULT_PARAMETERS,
  });
/** A Tuesday, ten in the morning in New York. */
const from = Date.parse('2026-03-03T15:00:00Z');
const until = from + 40 * MINUTE_MS;
const end = from + 8 * HOUR_MS;

function sent(disturbances: readonly Disturbance[], after: StreamPosition = BEGINNING): Emission[] {
  return new Feed(newWorld(), after, { disturbances, shardOf }).take(end, Number.POSITIVE_INFINITY);
}

const plain = sent([]);
const inside = ({ at }: Emission): boolean => at >= from && at < until;
const isJourney = ({ source }: Emission): boolean => source === 'journeys';
const idOf = ({ event }: Emission): string =>
  'event_id' in event
    ? `${event.event_id}/${event.revision}`
    : 'call_id' in event
      ? `${event.call_id}/${event.revision}`
      : `${event.member_id}`;

const outage: Disturbance = { id: 1, from, until, kind: 'outage', source: 'journeys', lost: false };
const duplicates: Disturbance = { id: 2, from, until, kind: 'duplicates', source: 'calls', copies: 3 };
const delayMs = 90 * MINUTE_MS;
const delay: Disturbance = { id: 3, from, until, kind: 'delay', source: 'journeys', partition: 4, delayMs };
const schema: Disturbance = { id: 4, from, until, kind: 'schema', source: 'calls', breaking: true };

test('in an outage nothing of its source is sent; then the backlog is, one by one and in its order', () => {
  const records = sent([outage]);
  expect(plain.filter((record) => inside(record) && isJourney(record)).length).toBeGreaterThan(150);
  expect(records.filter((record) => inside(record) && isJourney(record))).toEqual([]);
  expect(records.filter((record) => inside(record) && !isJourney(record))).toEqual(
    plain.filter((record) => inside(record) && !isJourney(record)),
  );
  expect(records.map(idOf).sort()).toEqual(plain.map(idOf).sort());
  const held = new Set(plain.filter((record) => inside(record) && isJourney(record)).map(idOf));
  const backlog = records.filter((record) => held.has(idOf(record)) && record.at >= until);
  expect(backlog.slice(0, held.size).map(({ at }) => at - until)).toEqual([...Array(held.size).keys()]);
  expect(backlog.every(({ at, event }) => event.emitted_at === at)).toBe(true);
  expect(records.filter((record, i) => record.at < (records[i - 1]?.at ?? 0))).toEqual([]);
});

test('what is lost in an outage never comes', () => {
  const records = sent([{ ...outage, lost: true }]);
  expect(records).toEqual(plain.filter((record) => !inside(record) || !isJourney(record)));
});

test('a burst sends each record several times, its truth once', () => {
  const records = sent([duplicates]);
  const calls = plain.filter((record) => inside(record) && record.source === 'calls');
  expect(calls.length).toBeGreaterThan(5);
  expect(records.length).toBe(plain.length + 2 * calls.length);
  expect(records.filter(({ truth }) => truth !== null).length).toBe(plain.filter(({ truth }) => truth !== null).length);
});

test('a partition is delayed, and only it', () => {
  const records = sent([delay]);
  const concerned = (record: Emission): boolean =>
    inside(record) &&
    isJourney(record) &&
    shardOf(record.event.member_id ?? '') === 4 &&
    record.event.member_id !== null;
  expect(plain.filter(concerned).length).toBeGreaterThan(8);
  expect(records.filter((record) => !concerned(record) && inside(record))).toEqual(
    plain.filter((record) => !concerned(record) && inside(record)),
  );
  const times = new Map(plain.filter(concerned).map((record) => [idOf(record), record.at]));
  const late = records.filter((record) => times.has(idOf(record)) && record.at >= from + delayMs);
  expect(late.length).toBeGreaterThanOrEqual(times.size);
  for (const record of late.slice(0, times.size))
    expect(record.at - (times.get(idOf(record)) ?? 0)).toBeLessThan(delayMs + 100);
});

test('records of another schema keep what they tell', () => {
  const records = sent([schema]);
  const changed = records.filter(({ damage }) => damage?.kind === 'schema');
  expect(changed.length).toBe(plain.filter((r) => inside(r) && r.source === 'calls' && r.damage === null).length);
  expect(records.map(({ event }) => event)).toEqual(plain.map(({ event }) => event));
});

test('a stream with disturbances taken up anywhere goes on exactly where it was left', { timeout: 60_000 }, () => {
  const all = [outage, duplicates, delay, schema];
  const records = sent(all);
  const begin = records.findIndex(({ at }) => at >= from - 10 * MINUTE_MS);
  let position = BEGINNING;
  for (const [i, record] of records.entries()) {
    position = advance(position, record);
    if (i >= begin && (i - begin) % 400 === 0) expect(sent(all, position)).toEqual(records.slice(i + 1));
  }
  expect(records.length - begin).toBeGreaterThan(1_000);
});

test('a disturbance that is added on the way is as if it had been known from the beginning', () => {
  const feed = new Feed(newWorld(), BEGINNING, { disturbances: [], shardOf });
  const first = feed.take(from - MINUTE_MS, Number.POSITIVE_INFINITY);
  const late: Disturbance = { ...outage, from: feed.nextAt + 1 };
  feed.disturb(late);
  expect([...first, ...feed.take(end, Number.POSITIVE_INFINITY)]).toEqual(sent([late]));
});
