// A run over some days says of these days what a run over everything says, and of others nothing.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
  const midnight = (n: number) => begin + n * day - (n >= 8 ? 60 * minute : 0);
  const instants = Array.from({ length: 40 }, (_, i) =>
    i < 12 ? midnight(i + 1) : begin + below(daysLong * 1_440) * minute,
  );
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
        session_id: `S${below(one([3, 12]))}`,
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

/** Corrections of events without an id, at other times, by the id that was derived for them. */
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
      const sent = { ...row, timestamp, emitted_at: iso(begin + 30 * day), action: 'abandon' };
      // Some win, some lose against what they were to correct, and some contradict it.
      return { source: 'journeys', event: { ...sent, revision: Math.floor(random() * 4) } };
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

describe('a difference', () => {
  beforeAll(async () => {
    await world.reset();
    await world.deliver(randomWorld(7, 600));
    await world.adopt();
  });

  interface Planted {
    check: string;
    table: string;
    /** The local date of a row. */
    date: string;
    /** `?` stands for the condition that selects one row. */
    change: string;
  }
  const plants: readonly Planted[] = (
    [
      ['silver: journey events', `update ! set error_message = 'planted' where ?`],
      ['silver: journey events', 'delete from ! where ?'],
      ['silver: calls', `update ! set resolution_status = 'planted' where ?`],
      ['silver: calls', 'delete from ! where ?'],
      ['silver: digital_call_leakage facts', 'update ! set is_repeat_call = not is_repeat_call where ?'],
      ['silver: digital_call_leakage facts', `update ! set local_hour = 23 - local_hour where ?`],
      ['silver: digital_call_leakage facts', 'delete from ! where ?'],
      ['silver: journey outcomes', `update ! set device_type = 'planted' where ?`],
      ['silver: journey outcomes', `update ! set first_decisive_at = first_decisive_at - interval '3 days' where ?`],
      ['silver: journey outcomes', 'delete from ! where ?'],
      ['gold: call_cube', 'update ! set time_to_call_sum_ms = time_to_call_sum_ms + 1 where ?'],
      ['gold: call_cube', 'delete from ! where ?'],
      ['gold: journey_cube', 'update ! set journeys = journeys + 1 where ?'],
    ] as const
  ).map(([check, change]) => {
    const { table, date } = tables[check] ?? { table: '', date: '' };
    return { check, table, date: date.replace('$3', `'America/New_York'`), change: change.replace('!', table) };
  });

  test.each(plants)('in $check: $change: is found by runs over its day and by no other', async (planted) => {
    await world.snapshot(async (query) => {
      const { rows } = await query(
        `select ctid::text as place, d::text as date, (d + 1)::text as next, (d - 1)::text as before
           from (select ctid, ${planted.date} as d from ${planted.table}) r
          where d between '${dateOf(2)}' and '${dateOf(12)}' order by md5(ctid::text) limit 1`,
      );
      const { place, date, next, before } = rows[0] as Record<'place' | 'date' | 'next' | 'before', string>;
      await query(planted.change.replace('?', `ctid = '${place}'`));
      const found = async (days: DayRange) =>
        differing(await verifyDays(query, days))
          .map(({ name }) => name)
          // Sums of what is stored have no day.
          .filter((name) => name !== 'gold: parts and wholes (R2)');
      expect(await found({ from: date, to: date })).toContain(planted.check);
      expect(await found({ from: before, to: null })).toContain(planted.check);
      expect(await found({ from: next, to: null })).toEqual([]);
      expect(await found({ from: null, to: before })).toEqual([]);
    });
  });

  test('in the conflicts is found by runs over the day of the event or call and by no other', async () => {
    await world.snapshot(async (query) => {
      const { rows } = await query(
        `select k.identity, d::text as date, (d + 1)::text as next
           from silver_1.conflict_record k
           join (select call_id as id, call_timestamp as at from silver_1.call
                 union all select event_id, "timestamp" from silver_1.journey_event) r on r.id = k.identity
          cross join lateral (select (at at time zone 'America/New_York')::date) as x (d)
          where d between '${dateOf(2)}' and '${dateOf(12)}' order by identity limit 1`,
      );
      const { identity, date, next } = rows[0] as Record<'identity' | 'date' | 'next', string>;
      await query('delete from silver_1.conflict_record where identity = $1', [identity]);
      expect(differing(await verifyDays(query, { from: date, to: date }))).toMatchObject([
        { name: 'silver: conflicts' },
      ]);
      expect(differing(await verifyDays(query, { from: next, to: null }))).toEqual([]);
    });
  });
});

describe('a journey that began long before the days', () => {
  const event = (n: number, action: string, session_id = 'S'): Delivered => ({
    source: 'journeys',
    event: {
      event_id: `long ${session_id} ${n}`,
      member_id: 'M',
      session_id,
      timestamp: `${dateOf(n)}T15:00:00Z`,
      journey_type: 'billing',
      action,
    },
  });
  const call = (n: number): Delivered => ({
    source: 'calls',
    event: {
      call_id: `call ${n}`,
      member_id: 'M',
      call_timestamp: `${dateOf(n)}T15:10:00Z`,
      call_reason: 'billing_question',
    },
  });

  beforeAll(async () => {
    await world.reset();
    await world.deliver([event(1, 'error'), call(1), event(5, 'abandon'), call(5)]);
    await world.deliver([event(5, 'error', 'short'), event(6, 'abandon', 'short'), call(6)]);
    await world.adopt();
  });

  const only = { from: dateOf(5), to: dateOf(5) };

  test('is compared but for how often it was called about, and that is said', async () => {
    await world.snapshot(async (query) => {
      const report = await verifyDays(query, only);
      expect(differing(report)).toEqual([]);
      expect(report.notChecked.filter(({ rows }) => rows !== null)).toEqual([
        {
          name: 'silver: journey outcomes: leaked, leakage_calls',
          rows: 1,
          reason: expect.stringMatching(/began before/),
        },
        {
          name: 'silver: digital_call_leakage facts: is_primary',
          rows: 1,
          reason: expect.stringMatching(/began before/),
        },
      ]);
      await query('update silver_1.journey_outcome set leakage_calls = 7');
      await query(`update silver_1.call_fact set is_primary = true where call_id = 'call 5'`);
      await query('update gold_1.journey_cube set leakage_calls = 7');
      await query('update gold_1.call_cube set primary_calls = 1');
      expect(differing(await verifyDays(query, only))).toEqual([]);
      const whole = await verifyDays(query, { from: dateOf(0), to: dateOf(9) });
      expect(differing(whole).map(({ name }) => name)).toEqual([
        'silver: digital_call_leakage facts',
        'silver: journey outcomes',
        'gold: call_cube',
        'gold: journey_cube',
      ]);
      expect(whole.notChecked.filter(({ rows }) => rows !== null)).toEqual([]);
    });
  });

  test.each([
    ['its first event', `update silver_1.journey_outcome set first_decisive_at = '${dateOf(5)} 15:00+00'`],
    ['its outcome', `update silver_1.journey_outcome set outcome = 'failed_error'`],
  ])('%s is compared all the same', async (_says, change) => {
    await world.snapshot(async (query) => {
      await query(change);
      expect(differing(await verifyDays(query, only))).toMatchObject([{ name: 'silver: journey outcomes' }]);
    });
  });

  test('is compared in every way if it began no more than a day before', async () => {
    await world.snapshot(async (query) => {
      const next = { from: dateOf(6), to: dateOf(6) };
      const report = await verifyDays(query, next);
      expect(differing(report)).toEqual([]);
      expect(report.notChecked.filter(({ rows }) => rows !== null)).toEqual([]);
      await query(`update silver_1.journey_outcome set leakage_calls = 7 where session_id = 'short'`);
      expect(differing(await verifyDays(query, next))).toMatchObject([{ name: 'silver: journey outcomes' }]);
    });
  });

  test('counts on the day of its last event, which a run over an earlier day knows of', async () => {
    await world.snapshot(async (query) => {
      const report = await verifyDays(query, { from: dateOf(1), to: dateOf(1) });
      expect(differing(report)).toEqual([]);
      expect(report.checks.find(({ name }) => name === 'silver: journey outcomes')).toMatchObject({ compared: 0 });
    });
  });
});

test('what a run over days leaves out is listed: every check of a full run is in one of both', async () => {
  await world.reset();
  await world.snapshot(async (query) => {
    const report = await verifyDays(query, { from: dateOf(3), to: dateOf(4) });
    const full = (await world.verify()).checks.map(({ name }) => name);
    const said = [...report.checks, ...report.notChecked].map(({ name }) => name);
    expect(full.filter((name) => !said.includes(name))).toEqual([]);
    expect(full.filter((name) => !report.checks.some((check) => check.name === name))).toEqual([
      'bronze: every offset below the position is there, once',
      'conservation: every record had one outcome',
      'quarantine: the records and the named reasons',
      'watermarks',
      'gold: error_message_cube',
      'gold: daily_leakage_summary',
    ]);
    expect(report.warnings).toEqual([]);
  });
});
