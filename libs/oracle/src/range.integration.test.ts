// A run over some days says of these days what a run over everything says, and of others nothing.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { randomOf } from '../../../tests/support/random.ts';
import { runOracle } from './index.ts';
import { createWorld, type Delivered, defaultRules, options, type World } from './testing/world.ts';
import type { Check, DayRange, OracleQuery, OracleReport, OracleRules } from './types.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

const minute = 60_000;
const day = 1_440 * minute;
/** Daylight saving begins in New York in the middle of this world. */
const begin = Date.parse('2026-03-01T05:00:00Z');
const daysLong = 14;
const iso = (ms: number) => new Date(ms).toISOString();
const dateOf = (n: number) => iso(begin + n * day).slice(0, 10);

/**
 * Few members who use few sessions again and again, now within minutes and now days later; corrections that move events and
 * calls by hours and days, to other members and sessions; copies, contradictions, withdrawals, records without an id.
 */
function randomWorld(seed: number, records: number): Delivered[] {
  const random = randomOf(seed);
  const below = (n: number) => Math.floor(random() * n);
  const one = <T>(items: readonly T[]): T => items[below(items.length)] as T;
  const instants = Array.from({ length: 40 }, () => begin + below(daysLong * 1_440) * minute);
  // Near one of a few instants, so that things meet, or exactly W apart.
  const instant = () => one(instants) + one([0, 0, 1, 5, 29, 30, 31, 60, 180, -30, 1_440, 7 * 1_440]) * minute;
  const member = () => `M${below(5)}`;
  const journey = (id: number): Delivered => {
    const timestamp = instant();
    return {
      source: 'journeys',
      partition: below(3),
      event: {
        event_id: random() < 0.3 ? null : `e${id}`,
        member_id: member(),
        session_id: `S${below(4)}`,
        timestamp: iso(timestamp),
        journey_type: one(['billing', 'pharmacy']),
        action: one(['error', 'error', 'abandon', 'complete', 'login']),
        error_code: one(['E1', 'E2', null]),
        revision: one([0, 0, 0, 1, 2]),
        deleted: random() < 0.08,
        emitted_at: iso(timestamp + below(60) * minute),
      },
    };
  };
  const call = (id: number): Delivered => {
    const at = instant();
    return {
      source: 'calls',
      partition: below(3),
      event: {
        call_id: `c${id}`,
        member_id: member(),
        call_timestamp: iso(at),
        call_reason: one(['billing_question', 'pharmacy_refill', 'login_help', 'claims_status', null]),
        sentiment_score: one([-0.5, 0, 0.25]),
        revision: one([0, 0, 1]),
        deleted: random() < 0.08,
        emitted_at: iso(at + below(60) * minute),
      },
    };
  };
  const profile = (): Delivered => ({
    source: 'members',
    event: {
      member_id: member(),
      plan_type: one(['MAPD', 'Commercial']),
      segment: one(['new', 'tenured']),
      language_preference: one(['English', 'Spanish']),
      tenure_months: 3,
      enrollment_date: '2026-01-01',
      valid_from: one([null, iso(instant())]),
      emitted_at: iso(begin + daysLong * day),
    },
  });
  // Ids come again: the copies are corrections, duplicates and contradictions, at other times and of other members.
  return Array.from({ length: records }, () => {
    const kind = random();
    if (kind < 0.55) return journey(below(records / 3));
    return kind < 0.95 ? call(below(records / 4)) : profile();
  });
}

/** Corrections of events without an id, by the id that was derived for them. */
async function correctDerived(seed: number): Promise<void> {
  const random = randomOf(seed + 1);
  const rows = (await world.run(
    `select event_id, member_id, session_id, "timestamp", journey_type, error_code from silver_1.journey_event
      where event_id ~ '^[0-9a-f]{12}-' order by event_id`,
  )) as { timestamp: number }[];
  const moved = rows
    .filter(() => random() < 0.3)
    .map((row): Delivered => {
      const timestamp = iso(row.timestamp + Math.floor((random() - 0.5) * 10 * day));
      const sent = { ...row, timestamp, emitted_at: iso(begin + 30 * day), revision: 3, action: 'abandon' };
      return { source: 'journeys', event: sent };
    });
  expect(moved.length).toBeGreaterThan(5);
  await world.deliver(moved);
}

/** Runs inside a snapshot that others use too. */
async function verifyDays(query: OracleQuery, days: DayRange): Promise<OracleReport> {
  await query('savepoint days');
  const report = await runOracle(query, { ...options, days });
  await query('rollback to savepoint days');
  return report;
}

const differing = (report: OracleReport) => report.checks.filter((check) => check.differences > 0);

const tables: Readonly<Record<string, { table: string; date: string }>> = {
  'silver: journey events': { table: 'silver_1.journey_event', date: `("timestamp" at time zone $3)::date` },
  'silver: calls': { table: 'silver_1.call', date: '(call_timestamp at time zone $3)::date' },
  'silver: digital_call_leakage facts': { table: 'silver_1.call_fact', date: 'local_date' },
  'silver: journey outcomes': { table: 'silver_1.journey_outcome', date: 'local_date' },
  'gold: call_cube': { table: 'gold_1.call_cube', date: 'local_date' },
  'gold: journey_cube': { table: 'gold_1.journey_cube', date: 'local_date' },
};

/** The rows of these days, counted where they are stored. */
async function storedRows(query: OracleQuery, days: DayRange, timeZone: string): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const [name, { table, date }] of Object.entries(tables)) {
    const { rows } = await query(
      `select count(*)::int as n from ${table}
        where ${date} between coalesce($1::date, '-infinity') and coalesce($2::date, 'infinity') and $3::text is not null`,
      [days.from, days.to, timeZone],
    );
    counts[name] = Number(rows[0]?.n);
  }
  return counts;
}

const comparedRows = (checks: readonly Check[]) =>
  Object.fromEntries(checks.filter(({ name }) => name in tables).map(({ name, compared }) => [name, compared]));

const someDays: readonly DayRange[] = [
  { from: dateOf(2), to: dateOf(2) },
  { from: dateOf(6), to: dateOf(8) },
  { from: dateOf(7), to: dateOf(7) },
  { from: dateOf(11), to: null },
  { from: null, to: dateOf(3) },
  { from: dateOf(30), to: dateOf(31) },
];

const ruleSets: readonly (readonly [string, Partial<OracleRules>])[] = [
  ['the usual rules', {}],
  ['a window of 24 hours', { windowMs: day }],
  ['repeats for any reason, in a zone ahead of UTC', { repeatScope: 'any_reason', timeZone: 'Asia/Kolkata' }],
];

describe.each(ruleSets)('a random world under %s', (_says, changed) => {
  const rules: OracleRules = { ...defaultRules, ...changed };

  test.each([1, 2, 3])('every run over days is equal, and compares every row of these days (%i)', async (seed) => {
    await world.reset(rules);
    await world.deliver(randomWorld(seed, 600));
    await world.adopt();
    await correctDerived(seed);
    await world.adopt();
    expect(differing(await world.verify())).toEqual([]);
    await world.snapshot(async (query) => {
      for (const days of someDays) {
        const report = await verifyDays(query, days);
        expect(differing(report), JSON.stringify(days)).toEqual([]);
        expect(comparedRows(report.checks)).toEqual(await storedRows(query, days, rules.timeZone));
      }
    });
  });
});
