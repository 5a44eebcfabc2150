// What is too old goes, while everything goes on; figures stay, and what is verified, replayed and rebuilt stays right.

import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { OutgoingRecord } from '@leakage/kafka';
import { contracts, type Source, topicName } from '@leakage/schemas';
import { type CodeEdit, call, editedCode, eventually, journey, profile, type ServiceProcess } from '@leakage/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { verifyPipeline } from '../cli/src/verify.ts';
import { leakage, startLeakage } from './support/leakage.ts';
import { emptyPipeline, type Pipeline } from './support/pipeline.ts';
import { randomOf } from './support/random.ts';
import { beginOn } from './support/rebuilding.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const asOf = '2026-06-20';
/** Midnight in New York, where daylight saving has begun within the world. */
const today = Date.parse(`${asOf}T04:00:00Z`);
const keptDays = 40;
const horizon = today - keptDays * day;
const horizonDay = new Date(horizon).toISOString().slice(0, 10);
/** Seven days of repeats, one of journeys, two windows; in whole days. */
const keptFrom = horizon - 9 * day;
const worldDays = 110;

let pipeline: Pipeline;
let silver: ServiceProcess;
beforeAll(async () => {
  pipeline = await emptyPipeline();
  // They stay with the first generation, whichever is the active one.
  const env = { env: { GENERATION: '1' } };
  const started = await Promise.all([
    pipeline.start('bronze-sink'),
    pipeline.start('silver-joiner', env),
    pipeline.start('gold-aggregator', env),
  ]);
  silver = started[1];
  await pipeline.feed(world());
  await receiveThen();
});
afterAll(async () => await pipeline.stop());

const record = (source: Source, key: string, value: Buffer): OutgoingRecord => ({
  topic: topicName(pipeline.prefix, source),
  key,
  value,
});
const send = {
  member: (fields: Parameters<typeof profile>[0]) =>
    record('members', fields?.member_id ?? '', contracts.members.encode(profile(fields))),
  journey: (fields: Parameters<typeof journey>[0]) =>
    record('journeys', fields?.member_id ?? '', contracts.journeys.encode(journey(fields))),
  call: (fields: Parameters<typeof call>[0]) =>
    record('calls', fields?.member_id ?? '', contracts.calls.encode(call(fields))),
};

/** Members who fail and call, call again within days, correct themselves, and use a session for weeks. */
function world(): OutgoingRecord[] {
  const random = randomOf(20_260_620);
  const members = Array.from({ length: 60 }, (_, nr) => `member ${nr}`);
  const reasons = ['billing_question', 'pharmacy_refill', 'id_card_request', 'login_help', 'claims_status'];
  const types = ['billing', 'pharmacy', 'id_card'];
  const one = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const records = members.map((member_id, nr) =>
    send.member({ member_id, segment: nr % 3 === 0 ? 'new' : 'tenured', tenure_months: nr % 3 === 0 ? 3 : 40 }),
  );
  for (let nr = worldDays; nr > 0; nr--) {
    for (let story = 0; story < 18; story++) {
      const member_id = one(members);
      const timestamp = today - nr * day + Math.floor(random() * day);
      const id = `${nr}.${story}`;
      const long = random() < 0.1;
      const session_id = long ? `long session of ${member_id}` : `session ${id}`;
      const failed = { member_id, session_id, timestamp, journey_type: one(types), event_id: `event ${id}` };
      records.push(send.journey({ ...failed, action: one(['error', 'abandon', 'error']) }));
      if (random() < 0.3) {
        const later = { ...failed, event_id: `done ${id}`, timestamp: timestamp + 20 * minute, action: 'complete' };
        records.push(send.journey({ ...later, error_code: null, error_message: null }));
      }
      const called = {
        member_id,
        call_id: `call ${id}`,
        call_timestamp: timestamp + Math.floor(random() * 40) * minute,
      };
      const call_reason = one(reasons);
      if (random() < 0.8) records.push(send.call({ ...called, call_reason }));
      // Corrected some hours, or some weeks later; or withdrawn; or moved.
      if (random() < 0.1) {
        const emitted_at = called.call_timestamp + one([2 * hour, 20 * day]);
        const moved = random() < 0.3 ? called.call_timestamp - 12 * hour : called.call_timestamp;
        const correction = { ...called, call_reason, call_timestamp: moved, revision: 1, emitted_at };
        if (emitted_at < today) records.push(send.call({ ...correction, deleted: random() < 0.3 }));
      }
      if (random() < 0.05) records.push(send.call({ ...called, call_reason: 'billing_dispute' }));
      if (random() < 0.02) records.push(record('calls', member_id, Buffer.from('nothing that anybody could read')));
    }
  }
  return records;
}

/** As if every record had been received within a minute of being sent: its day's partition of bronze has it. */
async function receiveThen(): Promise<void> {
  const { pool } = pipeline;
  for (const table of ['digital_journeys_raw', 'call_logs_raw', 'member_profiles_raw']) {
    await pool.query(
      `update bronze.${table} set ingestion_timestamp = emitted_at + interval '1 minute' where emitted_at is not null`,
    );
    for (let moved = 1; moved > 0; ) {
      const { rows } = await pool.query<{ day: string }>(
        `select d.day::text as day from bronze.missing_days($1, 0, 400, 0) d (day)`,
        [table],
      );
      moved = rows.length;
      for (const row of rows) await pool.query('select bronze.make_partition($1, $2)', [table, row.day]);
    }
  }
}

const retain = (...words: string[]) => leakage(['retain', '--keep', `${keptDays}d`, ...words], pipeline.env);

interface Retained {
  readonly generations: readonly {
    readonly generation: number;
    readonly horizon: string;
    readonly moved: boolean;
    readonly removed: Readonly<Record<string, number>>;
  }[];
  readonly bronze: {
    readonly partitions: readonly string[];
    readonly records: number;
    readonly left: readonly string[];
  };
}

async function retained(on: string, ...words: string[]): Promise<Retained> {
  const { code, out, problems } = await retain('--as-of', on, '--yes', '--json', ...words);
  if (code !== 0) throw new Error(`it ended with ${code}: ${problems}`);
  return JSON.parse(out) as Retained;
}

async function lines(from: string): Promise<string[]> {
  const { rows } = await pipeline.pool.query<{ line: string }>(
    `select to_jsonb(r)::text collate "C" as line from (${from}) r order by 1`,
  );
  return rows.map(({ line }) => line);
}

async function one<T>(statement: string, ...values: unknown[]): Promise<T | undefined> {
  return (await pipeline.pool.query<{ value: T }>(statement, values)).rows[0]?.value;
}

/** What gold says of the days up to one: cubes and views, but for when they were made. */
async function figures(generation = 1, until = asOf): Promise<string[]> {
  const gold = `gold_${generation}`;
  return [
    ...(await lines(`select * from ${gold}.call_cube where local_date < '${until}'`)),
    ...(await lines(`select * from ${gold}.journey_cube where local_date < '${until}'`)),
    ...(await lines(`select * from ${gold}.member_cube`)),
    ...(await lines(
      `select local_date, leakage_type, daily_calls, daily_cost, segment, trend_pct, leaked_journeys, leaked_members,
              failed_journeys, decided_journeys, all_calls, repeat_calls
         from ${gold}.daily_leakage_history where local_date < '${until}'`,
    )),
    ...(await lines(
      `select trend_date, leakage_type, error_code, device_type, leakage_count, leakage_pct, failed_journeys, leak_rate_pct
         from ${gold}.root_cause_analysis where trend_date < '${until}'`,
    )),
  ];
}

/** What can be seen of silver, gold and the protocol, with all times of processing. */
async function everything(): Promise<string[]> {
  const { rows } = await pipeline.pool.query<{ name: string }>(
    `select schemaname || '.' || tablename as name from pg_tables
      where schemaname in ('silver_1', 'gold_1') and tablename <> 'migrations'
     union all select 'ops.shard' union all select 'ops.horizon' union all select 'ops.policy'
     union all select 'ops.bronze_dropped' order by 1`,
  );
  const all: string[] = [];
  for (const { name } of rows) all.push(...(await lines(`select '${name}' as name, t.* from ${name} t`)));
  return [
    ...all,
    ...(await lines(`select * from ops.position where pipeline in ('bronze', 'silver_1')`)),
    // The relay tells outsiders in its own time.
    ...(await lines(`select * from ops.reader where reader <> 'changes'`)),
  ];
}

async function archive(): Promise<string[]> {
  const all: string[] = [];
  for (const table of ['digital_journeys_raw', 'call_logs_raw', 'member_profiles_raw'])
    all.push(...(await lines(`select '${table}' as name, t.* from bronze.${table} t`)));
  return all;
}

async function verified(generation = 1): Promise<string | null> {
  const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl, generation, record: 'command' });
  expect(report.checks.filter((check) => check.differences > 0)).toEqual([]);
  return report.horizon;
}

const partitions = async (table: string) =>
  await lines(
    `select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid where i.inhparent = 'bronze.${table}'::regclass`,
  );

test('a dry run says what there is to be removed and changes nothing; nobody is asked who cannot answer', async () => {
  expect(await verified()).toBeNull();
  const before = [await everything(), await archive()];
  const { code, out } = await retain('--as-of', asOf, '--dry-run');
  expect(code).toBe(0);
  expect(out).toContain(`the horizon moves to ${horizonDay}`);
  expect(out).toMatch(/[\d,]+ journey events, about .*\n +[\d,]+ calls, about /);
  expect(out).toMatch(/Bronze: \d+ daily partitions, /);
  const asked = await retain('--as-of', asOf);
  expect([asked.code, asked.problems]).toEqual([2, expect.stringContaining('add --yes')]);
  expect((await retain('--as-of', '2100-01-01', '--dry-run')).code).toBe(2);
  expect((await leakage(['retain', '--keep', '10d', '--dry-run'], pipeline.env)).code).toBe(2);
  expect([await everything(), await archive()]).toEqual(before);
});

test('while records arrive: single events go, figures stay, and everything is verified from the horizon on', async () => {
  const before = await figures();
  // Of a journey that goes on, everything stays.
  const oldCalls = `select count(*) as value from silver_1.call c left join silver_1.call_fact f using (call_id)
     where c.call_timestamp < $1 and c.emitted_at < $1 and f.digital_session_id is distinct from 'long session of ' || f.member_id`;
  expect(await one(oldCalls, new Date(keptFrom).toISOString())).toBeGreaterThan(500);
  const members = await partitions('member_profiles_raw');
  await pipeline.pool.query(
    `update silver_1.quarantine_record set received_at = '2026-04-01' where kafka_offset % 2 = 0`,
  );
  const quarantined = () =>
    lines('select count(*), kafka_offset % 2 as odd from silver_1.quarantine_record group by 2');
  const [, odd] = await quarantined();
  let over = false;
  const arriving = (async () => {
    for (let nr = 0; !over; nr++) {
      const member_id = `member ${nr % 60}`;
      const timestamp = today + nr * 1_000;
      const failed = send.journey({ member_id, session_id: `now ${nr}`, event_id: `now ${nr}`, timestamp });
      await pipeline.publisher.publish([
        failed,
        send.call({
          member_id,
          call_id: `now ${nr}`,
          call_timestamp: timestamp + minute,
          call_reason: 'billing_question',
        }),
      ]);
      await sleep(20);
    }
  })();
  const { generations, bronze } = await retained(asOf);
  over = true;
  await arriving;
  await pipeline.drained();

  expect(generations).toMatchObject([{ generation: 1, horizon: horizonDay, moved: true }]);
  for (const table of ['journey_event', 'call', 'journey_outcome', 'conflict_record', 'quarantine_record'])
    expect(generations[0]?.removed[table], table).toBeGreaterThan(0);
  expect(generations[0]?.removed.gold_cells).toBe(0);
  expect(await quarantined()).toEqual([odd]);
  expect(await one(oldCalls, new Date(keptFrom).toISOString())).toBe(0);
  expect(
    await one(
      'select count(*) as value from silver_1.call where call_timestamp between $1 and $2',
      ...[keptFrom, horizon].map((ms) => new Date(ms).toISOString()),
    ),
  ).toBeGreaterThan(50);
  expect(await figures()).toEqual(before);

  // Bronze: every day before, and no other; no profile.
  expect(bronze.left).toEqual([]);
  expect(bronze.partitions.length).toBeGreaterThan(80);
  const last = `p${new Date(keptFrom - day).toISOString().slice(0, 10).replaceAll('-', '')}`;
  for (const table of ['digital_journeys_raw', 'call_logs_raw']) {
    const names = (await partitions(table)).join(' ');
    expect(names).not.toContain(last);
    expect(names).toContain(`p${new Date(keptFrom).toISOString().slice(0, 10).replaceAll('-', '')}`);
  }
  expect(await partitions('member_profiles_raw')).toEqual(members);
  expect(await one('select sum(records)::bigint as value from ops.bronze_dropped')).toBe(bronze.records);
  expect(await verified()).toBe(horizonDay);
  expect(
    await one(`select count(*) as value from ops.retention_run where ended_at is not null and removed ? 'bronze'`),
  ).toBe(1);
});

test('a second run has nothing to do', async () => {
  const before = [await everything(), await archive()];
  const { generations, bronze } = await retained(asOf);
  expect(generations[0]?.moved).toBe(false);
  expect(Object.values(generations[0]?.removed ?? {}).every((rows) => rows === 0)).toBe(true);
  expect(bronze.partitions).toEqual([]);
  expect([await everything(), await archive()]).toEqual(before);
});

test('status says where the horizon is, and its quick checks hold', async () => {
  const status = JSON.parse((await leakage(['status', '--json'], pipeline.env)).out) as {
    validation: { name: string; ok: boolean }[];
    retention: object;
  };
  expect(status.retention).toMatchObject({
    horizon: horizonDay,
    wholeFrom: new Date(keptFrom).toISOString().slice(0, 10),
    lastRun: { endedAt: expect.any(String) as string },
  });
  expect(status.validation).toHaveLength(6);
  expect(status.validation.filter(({ ok }) => !ok)).toEqual([]);
  const { out } = await leakage(['status'], pipeline.env);
  expect(out).toMatch(new RegExp(`horizon +${horizonDay}; last run`));
});

test('late records and corrections of what is before the horizon are quarantined as such and change nothing', async () => {
  const told = `select count(*) as value from silver_1.quarantine_record where reasons = '{beyond_retention}'`;
  const [before, calls] = [await figures(), await one('select count(*) as value from silver_1.call')];
  expect(await one(told)).toBe(0);
  const late = { member_id: 'member 1', emitted_at: today };
  const recent = await one<string>(
    `select call_id as value from silver_1.call where call_timestamp > $1 and not deleted and revision = 0 order by 1 limit 1`,
    new Date(horizon + 5 * day).toISOString(),
  );
  await pipeline.feed([
    send.call({ ...late, member_id: 'nobody else', call_id: 'late', call_timestamp: horizon - 1 }),
    send.journey({ ...late, event_id: 'late', timestamp: horizon - 30 * day }),
    // Of a call that silver has let go of, and of one that it has: it is not moved to where nothing is any more.
    send.call({ ...late, call_id: `call ${worldDays}.1`, call_timestamp: horizon - 60 * day, revision: 3 }),
    send.call({ ...late, call_id: recent ?? '', call_timestamp: keptFrom - 2 * day, revision: 3 }),
  ]);
  expect(await one(told)).toBe(4);
  expect(await one('select count(*) as value from silver_1.call')).toBe(calls);
  expect(await figures()).toEqual(before);
  expect(await verified()).toBe(horizonDay);
});

test('what lies behind the horizon and was kept still counts: a call after it repeats one before it', async () => {
  const member_id = await one<string>(
    `select member_id as value from silver_1.call_fact f
      where call_timestamp between $1 and $2 and issue_family is not null
        and not exists (select from silver_1.call_fact n where n.member_id = f.member_id and n.issue_family = f.issue_family
                           and n.call_timestamp between $2 and $2::timestamptz + interval '4 days')
      order by 1 limit 1`,
    ...[horizon - 3 * day, horizon].map((ms) => new Date(ms).toISOString()),
  );
  const reason = await one<string>(
    `select call_reason as value from silver_1.call_fact where member_id = $1 and call_timestamp between $2 and $3
        and issue_family is not null order by call_timestamp desc limit 1`,
    member_id,
    ...[horizon - 3 * day, horizon].map((ms) => new Date(ms).toISOString()),
  );
  const called = { member_id: member_id ?? '', call_timestamp: horizon + 2 * day, call_reason: reason ?? null };
  await pipeline.feed([send.call({ ...called, call_id: 'across', emitted_at: today })]);
  expect(await one(`select is_repeat_call as value from silver_1.call_fact where call_id = 'across'`)).toBe(true);
  expect(await verified()).toBe(horizonDay);
});

test('replays from the earliest record change nothing: neither silver, nor what is quarantined, nor bronze', async () => {
  // But for those that only this test says to have come long ago.
  const state = async () => [(await everything()).filter((line) => !line.includes('unknown_format')), await archive()];
  const before = await state();
  for (const service of ['silver-joiner', 'bronze-sink']) {
    const words = ['replay', '--service', service, '--from', 'earliest', '--json'];
    const { code, out, problems } = await leakage(words, pipeline.env);
    expect([code, problems]).toEqual([0, expect.any(String)]);
    expect(JSON.parse(out)).toMatchObject({ state: 'done', changed: 0 });
  }
  expect(await state()).toEqual(before);
  expect(await verified()).toBe(horizonDay);
});

test('gold that counts everything anew keeps what silver has no longer', async () => {
  const before = [await figures(), await lines('select * from gold_1.error_message_cube')];
  await pipeline.pool.query(`delete from ops.reader where reader = 'gold' and generation = 1`);
  await pipeline.drained();
  expect([await figures(), await lines('select * from gold_1.error_message_cube')]).toEqual(before);
});

test('generations that are built afterwards, from the topics and from bronze, are what live is from the horizon on', async () => {
  const built: number[] = [];
  for (const source of ['topics', 'bronze'] as const) {
    const begun = await beginOn(pipeline, { source });
    expect(begun).toMatchObject({ source, closedBefore: horizonDay, takenFrom: 1 });
    built.push(begun.generation);
    // It still needs what a run would remove.
    const refused = await retain('--as-of', asOf, '--yes');
    expect([refused.code, refused.problems]).toEqual([3, expect.stringContaining('is being built and still needs')]);
    const env = { env: { GENERATION: String(begun.generation) } };
    await Promise.all([pipeline.start('silver-joiner', env), pipeline.start('gold-aggregator', env)]);
  }
  await pipeline.drained(120_000, [1, ...built]);
  // A journey that began before it has, in a generation that began later, had fewer calls.
  const facts = (generation: number) =>
    lines(`select call_id, attribution, is_repeat_call, digital_session_id like 'long %' or is_primary as is_primary, leakage_type,
                  digital_event_id, error_code, member_category, local_date
             from silver_${generation}.call_fact where local_date >= '${horizonDay}'`);
  const counted = async (generation: number) => [
    ...(await lines(`select local_date, local_hour, attribution, leakage_type, member_category, device_type, error_code, calls, repeat_calls
                       from gold_${generation}.call_cube where local_date >= '${horizonDay}'`)),
    ...(await lines(`select local_date, leakage_type, daily_calls, daily_cost, segment, trend_pct, leaked_members, decided_journeys,
                            all_calls, repeat_calls from gold_${generation}.daily_leakage_history`)),
  ];
  for (const generation of built) {
    await eventually(
      () => one('select caught_up_at is not null as value from ops.generation where id = $1', generation),
      {
        what: 'it to catch up',
      },
    );
    expect(await facts(generation)).toEqual(await facts(1));
    expect(await figures(generation, horizonDay)).toEqual(await figures(1, horizonDay));
    expect(await counted(generation)).toEqual(await counted(1));
    expect(await verified(generation)).toBe(horizonDay);
    // What live had taken in long ago, and the new one is too young for, is nobody's fault.
    expect(
      await one(
        `select count(*) as value from silver_${generation}.quarantine_record where 'beyond_retention' = any (reasons)`,
      ),
    ).toBe(0);
  }
  const [second = 0, third = 0] = built;
  const promoted = await leakage(['promote', String(second), '--wait', '60'], pipeline.env);
  expect([promoted.code, promoted.problems]).toEqual([0, expect.any(String)]);
  expect((await leakage(['rollback', '--wait', '60'], pipeline.env)).code).toBe(0);
  for (const generation of [third, second]) {
    const dropped = await leakage(['drop', String(generation), '--yes', '--force'], pipeline.env);
    expect([dropped.code, dropped.problems]).toEqual([0, expect.any(String)]);
  }
});

const bin = fileURLToPath(new URL('../cli/bin/leakage.mjs', import.meta.url));
const places: readonly (readonly [name: string, file: string, before: string])[] = [
  ['before the horizon', 'run.ts', 'await moveHorizon(pool, plan);'],
  ['horizon locked', 'horizon-store.ts', "if (rowCount > 0) await tx.query('update ops.policy"],
  ['horizon moved', 'run.ts', 'await keepFigures(pool, plan);'],
  ['figures kept', 'run.ts', 'const fromSilver = await removeFromSilver('],
  ['rows removed', 'silver-store.ts', "await tx.query('update ops.shard set state_version"],
  ['window removed', 'silver-store.ts', '// As long for silver as for this'],
  ['silver done', 'run.ts', 'const cells = await removeFromGold('],
  ['partition noted', 'bronze-store.ts', 'await tx.query(`alter table'],
  ['partition dropped', 'bronze-store.ts', 'return { records: rows[0]?.records ?? 0 };'],
  ['before the end', 'run.ts', 'await endRun(pool, run, retained);'],
];

test.each(places.map((place, nr) => [nr + 1, ...place] as const))(
  'killed (%i: %s), it is run again, and all is as it should be',
  async (nr, name, file, before) => {
    const day_ = new Date(today + nr * day).toISOString().slice(0, 10);
    const edits: CodeEdit[] = [
      { file: `cli/src/retain/${file}`, right: before, wrong: `leakageFailPoint('${name}');\n${before}` },
    ];
    const { execArgv, env } = editedCode(edits, {
      LEAKAGE_FAIL_POINT: JSON.stringify({ name, pass: 1, signal: 'SIGKILL' }),
    });
    const figuresBefore = await figures();
    const words = ['retain', '--keep', `${keptDays}d`, '--as-of', day_, '--yes'];
    const { PATH = '', HOME = '' } = process.env;
    const signal = await new Promise((resolve) => {
      const options = { env: { PATH, HOME, ...pipeline.env, ...env } };
      execFile(process.execPath, [...execArgv, bin, ...words], options, (error) => resolve(error?.signal ?? null));
    });
    expect(signal).toBe('SIGKILL');
    // Also in between nothing is wrong, wherever it ended.
    await verified();
    const { generations } = await retained(day_);
    expect(generations[0]?.horizon).toBe(new Date(horizon + nr * day).toISOString().slice(0, 10));
    expect(await figures()).toEqual(figuresBefore);
    await verified();
    expect(Object.values((await retained(day_)).generations[0]?.removed ?? {}).every((rows) => rows === 0)).toBe(true);
  },
);

test('a batch that is under way when the horizon moves is judged again', async () => {
  const moved = horizon + 15 * day;
  const member_id = 'member 7';
  const waits = async (name: string) =>
    (await one<number>(
      `select count(*) as value from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'`,
      name,
    )) ?? 0;
  const run = await pipeline.pool.withConnection(async (holder) => {
    await holder.query('begin; select from ops.shard where generation = 1 order by shard for update');
    const words = [
      'retain',
      '--keep',
      `${keptDays}d`,
      '--as-of',
      new Date(today + 15 * day).toISOString().slice(0, 10),
      '--yes',
    ];
    const running = startLeakage(words, pipeline.env);
    await eventually(async () => (await waits('leakage-retain')) > 0, { what: 'the run to wait for its locks' });
    // Taken in by the horizon that holds when it is prepared; refused by the one that holds when it is stored.
    await pipeline.publisher.publish([
      send.call({ member_id, call_id: 'under way', call_timestamp: moved - hour, emitted_at: today }),
      send.call({ member_id, call_id: 'after it', call_timestamp: moved + hour, emitted_at: today }),
    ]);
    await eventually(async () => (await waits('silver-joiner')) > 0, { what: 'the batch to wait for its locks' });
    await holder.query('rollback');
    return running;
  });
  expect((await run.ended).code).toBe(0);
  await pipeline.drained();
  expect(await lines(`select call_id from silver_1.call where call_id in ('under way', 'after it')`)).toEqual([
    '{"call_id": "after it"}',
  ]);
  expect(await one(`select reasons as value from silver_1.quarantine_record where record_id = 'under way'`)).toEqual([
    'beyond_retention',
  ]);
  expect(silver.output()).toContain('the batch is judged again');
  await verified();
});
