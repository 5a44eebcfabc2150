// After a retention run the oracle asks for everything from the horizon on, for nothing before it, and believes silver only so far.

import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createWorld, type Delivered, type World } from './testing/world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

const dayOf = (n: number) => `2026-03-${String(n).padStart(2, '0')}`;
/** Midnights in New York before daylight saving begins, and after. */
const midnight = (n: number) => `${dayOf(n)}T0${n <= 8 ? 5 : 4}:00:00Z`;
const horizon = 22;
const kept = 13;

/** A failure a day and a call ten minutes after it, of one member: each call repeats the one before. */
const stories = Array.from({ length: 28 }, (_, i) => i + 1).flatMap((n): Delivered[] => [
  {
    source: 'journeys',
    event: {
      event_id: `event ${n}`,
      member_id: 'M',
      session_id: `session ${n}`,
      timestamp: `${dayOf(n)}T15:00:00Z`,
      journey_type: 'billing',
      action: 'error',
    },
  },
  {
    source: 'calls',
    event: {
      call_id: `call ${n}`,
      member_id: 'M',
      call_timestamp: `${dayOf(n)}T15:10:00Z`,
      call_reason: 'billing_question',
    },
  },
]);

beforeEach(async () => {
  await world.reset();
  await world.deliver(stories);
  await world.adopt();
});

/** What a retention run does to the tables, and nothing else of it. */
async function retain(o: { beginsAt?: string } = {}): Promise<void> {
  await world.run(
    `insert into ops.horizon (generation, refused_before, kept_from, begins_at) values (1, $1, $2, $3)`,
    o.beginsAt === undefined ? [midnight(horizon), midnight(kept), null] : [o.beginsAt, o.beginsAt, o.beginsAt],
  );
  for (const [table, at] of Object.entries({
    journey_event: '"timestamp"',
    call: 'call_timestamp',
    call_fact: 'call_timestamp',
    journey_outcome: 'last_decisive_at',
  })) {
    await world.run(`delete from silver_1.${table} where ${at} < $1`, [o.beginsAt ?? midnight(kept)]);
  }
}

async function differing(): Promise<string[]> {
  const { checks } = await world.verify();
  return checks.filter((check) => check.differences > 0).map(({ name }) => name);
}

const refuse = (call: string) =>
  world.run(
    `insert into silver_1.quarantine_record (source, kafka_topic, kafka_partition, kafka_offset, received_at, record_id, reasons)
     select 'calls', kafka_topic, kafka_partition, kafka_offset, now(), call_id, '{beyond_retention}'
       from bronze.call_logs_raw where call_id = $1`,
    [call],
  );

test('what silver has let go of is missed only where nobody has said that it may be', async () => {
  expect((await world.verify()).horizon).toBeNull();
  await retain();
  const report = await world.verify();
  expect({ ok: report.ok, horizon: report.horizon }).toEqual({ ok: true, horizon: dayOf(horizon) });
  expect(report.checks.map(({ name }) => name)).toContain('bronze: every offset below the position is there, once');
  await world.run('delete from ops.horizon');
  expect(await differing()).toEqual(expect.arrayContaining(['silver: calls', 'silver: journey events']));
});

test('from the horizon on everything must be there', async () => {
  await retain();
  await world.run(`delete from silver_1.call where call_id = 'call 23'`);
  expect(await differing()).toContain('silver: calls');
});

test('an old record counts as refused or as taken in, as silver says: both are right', async () => {
  await retain();
  expect(await differing()).toEqual([]);
  // Day 21 was refused when it came: then the call of the day after repeats that of day 20, and still is a repeat.
  await refuse('call 21');
  await world.run(`delete from silver_1.call where call_id = 'call 21'`);
  await world.run(`delete from silver_1.call_fact where call_id = 'call 21'`);
  expect(await differing()).toEqual([]);
  // All of the week before: it repeats nothing any more, and silver must know.
  for (let n = 15; n < 21; n++) await refuse(`call ${n}`);
  expect(await differing()).toEqual(expect.arrayContaining(['silver: digital_call_leakage facts', 'gold: call_cube']));
});

test('what is not that old is never refused for its age', async () => {
  await retain();
  await refuse('call 24');
  expect(await differing()).toContain('quarantine: beyond_retention only before the horizon');
});

test('what was dropped from bronze counts as there, and nothing else does', async () => {
  await retain();
  await world.run('delete from bronze.call_logs_raw where kafka_offset < 5');
  expect(await differing()).toEqual(['bronze: every offset below the position is there, once']);
  await world.run(
    `insert into ops.bronze_dropped (topic, partition, from_offset, next_offset, records, dropped_from)
     values ('leakage.calls', 0, 0, 5, 5, 'call_logs_raw_p20260301')`,
  );
  expect(await differing()).toEqual([]);
  await world.run('delete from bronze.call_logs_raw where kafka_offset = 27');
  expect(await differing()).toContain('bronze: every offset below the position is there, once');
});

test('a generation that began later never had what came before, and needs no quarantine to say so', async () => {
  await retain({ beginsAt: midnight(horizon) });
  // The first call repeats nothing here.
  expect(await differing()).toEqual(expect.arrayContaining(['silver: digital_call_leakage facts', 'gold: call_cube']));
  await world.run(`update silver_1.call_fact set is_repeat_call = false where call_id = 'call ${horizon}'`);
  await world.run(`update gold_1.call_cube set repeat_calls = repeat_calls - 1 where local_date = '${dayOf(horizon)}'`);
  expect(await differing()).toEqual([]);
});
