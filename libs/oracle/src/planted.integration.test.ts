import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { allChecks } from './checks.ts';
import { type Comparison, compare } from './compare.ts';
import { recompute } from './index.ts';
import { createWorld, type Delivered, options, type World } from './testing/world.ts';

const { vectors } = JSON.parse(
  readFileSync(new URL('../../../tests/fixtures/leakage-vectors.json', import.meta.url), 'utf8'),
) as { vectors: Record<string, { steps: { records: Delivered[] }[] }> };

const error = {
  member_id: 'P',
  session_id: 'P',
  timestamp: '2025-03-12T10:00:00Z',
  journey_type: 'billing',
  action: 'error',
};
const extra: Delivered[] = [
  { source: 'journeys', event: { ...error, event_id: 'rivals', error_code: 'A', error_message: 'a' } },
  { source: 'journeys', event: { ...error, event_id: 'rivals', error_code: 'B', error_message: 'b' } },
  { source: 'journeys', event: { ...error, action: 'smile' }, partition: 3 },
  { source: 'calls', event: { call_id: 'nobody', call_timestamp: '2025-03-12T10:00:00Z' }, partition: 3 },
  { source: 'calls', event: {}, decodeError: 'json' },
  {
    source: 'members',
    event: { member_id: 'ATT-M1', plan_type: 'MAPD', segment: 'new', tenure_months: 3, enrollment_date: '2025-01-01' },
  },
];

let world: World;
let snapshot: Awaited<ReturnType<World['openSnapshot']>>;
let checks: Map<string, Comparison>;

/** One snapshot for all tests, with the stages there and no constraint in the way; everything is rolled back. */
beforeAll(async () => {
  world = await createWorld();
  await world.deliver([...Object.values(vectors).flatMap((v) => v.steps.flatMap((s) => s.records)), ...extra]);
  await world.adopt();
  snapshot = await world.openSnapshot();
  const rules = await recompute(snapshot.query, options);
  checks = new Map(allChecks(options, rules, { scope: null, left: [] }).map((check) => [check.name, check]));
  await snapshot.query(`do $$ declare c record; begin
    for c in select conrelid::regclass as t, conname from pg_constraint
              where contype = 'c' and connamespace in ('silver_1'::regnamespace, 'gold_1'::regnamespace)
    loop execute format('alter table %s drop constraint %I', c.t, c.conname); end loop; end $$`);
});
afterAll(async () => {
  await snapshot.close();
  await world.close();
});

function checkNamed(name: string): Comparison {
  const check = checks.get(name);
  if (check === undefined) throw new Error(`there is no check ${name}`);
  return check;
}

/** What the check finds while `sql` has been done. */
async function planted(check: Comparison, sql: string) {
  const { query } = snapshot;
  await query('savepoint planted');
  await query(sql);
  const found = await compare(query, check, 3);
  await query('rollback to savepoint planted');
  return found;
}

const tables: Record<string, string> = {
  'silver: journey events': 'silver_1.journey_event',
  'silver: calls': 'silver_1.call',
  'silver: member profiles': 'silver_1.member_profile',
  'silver: digital_call_leakage facts': 'silver_1.call_fact',
  'silver: journey outcomes': 'silver_1.journey_outcome',
  'gold: call_cube': 'gold_1.call_cube',
  'gold: journey_cube': 'gold_1.journey_cube',
  'gold: member_cube': 'gold_1.member_cube',
  'gold: error_message_cube': 'gold_1.error_message_cube',
};

const another: Record<string, (column: string) => string> = {
  text: (c) => `coalesce(${c}, '') || 'x'`,
  bool: (c) => `not ${c}`,
  date: (c) => `${c} + 1`,
  timestamptz: (c) => `coalesce(nullif(${c}, '-infinity'), now()) + interval '1 millisecond'`,
  int2: (c) => `coalesce(${c}, 0) + 1`,
  int4: (c) => `coalesce(${c}, 0) + 1`,
  int8: (c) => `coalesce(${c}, 0) + 1`,
};

test.each(Object.entries(tables))('%s: every compared column of a row is looked at', async (name, table) => {
  const check = checkNamed(name);
  expect((await compare(snapshot.query, check, 1)).differences).toBe(0);
  const { rows } = await snapshot.query(
    `select attname as column, atttypid::regtype::text as long, t.typname as type
         from pg_attribute a join pg_type t on t.oid = atttypid where attrelid = '${table}'::regclass and attnum > 0`,
  );
  const types = new Map(rows.map((row) => [String(row.column), String(row.type)]));
  const somewhere = `where ctid = (select ctid from ${table} order by ctid desc limit 1)`;
  for (const column of check.columns) {
    const change = another[types.get(column) ?? ''];
    if (change === undefined) throw new Error(`no other value for ${table}.${column} of type ${types.get(column)}`);
    const found = await planted(check, `update ${table} set "${column}" = ${change(`"${column}"`)} ${somewhere}`);
    expect(found.differences, column).toBe(1);
    expect(found.examples[0]?.columns, column).toEqual([column]);
  }
});

test.each(Object.entries(tables))('%s: a row too few, a row too many, a row under another key', async (name, table) => {
  const check = checkNamed(name);
  const [key] = check.key.filter(
    (column) => !column.endsWith('_date') && !column.endsWith('_hour') && column !== 'valid_from',
  );
  const one = `ctid = (select min(ctid) from ${table})`;
  const missing = await planted(check, `delete from ${table} where ${one}`);
  expect(missing).toMatchObject({ differences: 1, examples: [{ actual: null }] });
  const copy = `create temp table copied on commit drop as select * from ${table} where ${one};
      update copied set "${key}" = "${key}" || 'x'; insert into ${table} select * from copied`;
  expect(await planted(check, copy)).toMatchObject({ differences: 1, examples: [{ expected: null }] });
  const moved = await planted(check, `update ${table} set "${key}" = "${key}" || 'x' where ${one}`);
  expect(moved.differences).toBe(2);
});

const bronze = 'bronze: every offset below the position is there, once';
const conservation = 'conservation: every record had one outcome';
const quarantine = 'quarantine: the records and the named reasons';
const conflicts = 'silver: conflicts';
const shards = 'silver: every member in its own shard';
const changeLog = 'change log: no gap, up to the sequence of its shard';
const wholes = 'gold: parts and wholes (R2)';
const first = (table: string) => `ctid = (select ctid from ${table} limit 1)`;

test.each([
  [bronze, 'a record is lost', `delete from bronze.call_logs_raw where kafka_offset = 1 and kafka_partition = 0`],
  [
    bronze,
    'a record is there twice',
    `insert into bronze.call_logs_raw select * from bronze.call_logs_raw where kafka_offset = 1`,
  ],
  [
    bronze,
    'a record stands above the position',
    `update bronze.call_logs_raw set kafka_offset = 1000000 where kafka_offset = 1 and kafka_partition = 0`,
  ],
  [
    conservation,
    'a record had no outcome',
    `update ops.position set accepted = accepted - 1 where pipeline = 'silver_1' and partition = 3`,
  ],
  [
    conservation,
    'a good record counts as quarantined',
    `update ops.position set accepted = accepted - 1, quarantined = quarantined + 1 where pipeline = 'silver_1' and partition = 0`,
  ],
  [
    conservation,
    'a hole that is none',
    `update ops.position set accepted = accepted - 1, holes = holes + 1 where pipeline = 'silver_1' and partition = 0`,
  ],
  [quarantine, 'a record is not in quarantine', `delete from silver_1.quarantine_record where 'json' = any (reasons)`],
  [
    quarantine,
    'the figure of unidentified calls misses one',
    `update silver_1.quarantine_record set record_id = null where 'unidentified' = any (reasons)`,
  ],
  [
    quarantine,
    'another named reason',
    `update silver_1.quarantine_record set reasons = reasons || '{future}' where 'json' = any (reasons)`,
  ],
  [
    quarantine,
    'a good record is in quarantine',
    `insert into silver_1.quarantine_record (source, kafka_topic, kafka_partition, kafka_offset, received_at, reasons)
     values ('calls', 'leakage.calls', 0, 0, now(), '{invalid}')`,
  ],
  [
    conflicts,
    'a conflict is kept no more',
    `delete from silver_1.conflict_record where ${first('silver_1.conflict_record')}`,
  ],
  [
    conflicts,
    'a conflict names a record that is none',
    `update silver_1.conflict_record set kafka_offset = 0 where ${first('silver_1.conflict_record')}`,
  ],
  [
    shards,
    'a fact of a member stands in another shard',
    `update silver_1.call_fact set shard = (shard + 1) % 12 where ${first('silver_1.call_fact')}`,
  ],
  [changeLog, 'a change is missing at the end', `update ops.shard set change_seq = 3 where shard = 5`],
  [
    changeLog,
    'a change is missing in between',
    `insert into silver_1.change_log (shard, seq, last_seq, changes) values (5, 1, 1, '[]'), (5, 3, 3, '[]');
     update ops.shard set change_seq = 3 where shard = 5`,
  ],
  [
    changeLog,
    'more was trimmed than gold has read',
    `insert into silver_1.change_log (shard, seq, last_seq, changes) values (5, 3, 3, '[]');
     update ops.shard set change_seq = 3 where shard = 5`,
  ],
  ['watermarks', 'a watermark is ahead', `update ops.shard set wm_calls = wm_calls + interval '1 day' where shard = 2`],
  [
    'gold: has folded the whole change log',
    'gold is behind',
    `update ops.shard set change_seq = change_seq + 1 where shard = 7`,
  ],
  [
    'gold: daily_leakage_history',
    'a total is wrong',
    `update gold_1.call_cube set calls = calls + 1 where ctid = (select ctid from gold_1.call_cube where attribution = 'leakage' limit 1)`,
  ],
  [
    'gold: daily_leakage_summary',
    'a total is wrong',
    'update gold_1.journey_cube set failed_journeys = failed_journeys + 1',
  ],
  [
    wholes,
    'a call is charged twice',
    `alter table silver_1.call_fact drop constraint call_fact_pkey;
     insert into silver_1.call_fact select * from silver_1.call_fact where call_id = (select min(call_id) from silver_1.call_fact where attribution = 'leakage')`,
  ],
  [wholes, 'more leakage calls than calls', `update gold_1.call_cube set calls = -100 where attribution <> 'leakage'`],
  [wholes, 'more journeys leaked than failed', `update gold_1.journey_cube set leaked_journeys = failed_journeys + 1`],
  [wholes, 'more journeys failed than decided', `update gold_1.journey_cube set failed_journeys = journeys + 1`],
  ...['segment_drilldown', 'language_drilldown'].map((view) => [
    wholes,
    `a part of ${view} is missing`,
    `alter view gold_1.${view} rename to whole;
     create view gold_1.${view} as select * from gold_1.whole where segment <> (select min(segment) from gold_1.whole)`,
  ]),
  [
    'silver: digital_call_leakage as people read it',
    'the view says something else than the facts',
    `update silver_1.call_fact set time_to_call_ms = time_to_call_ms + 6000 where attribution = 'leakage'`,
  ],
] as [string, string, string][])('%s: %s', async (name, _says, sql) => {
  const check = checkNamed(name);
  const before = await compare(snapshot.query, check, 3);
  expect(before.differences).toBe(0);
  expect(before.compared).toBeGreaterThan(0);
  expect((await planted(check, sql)).differences).toBeGreaterThan(0);
});
