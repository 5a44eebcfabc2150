import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createKafkaClient, topicOffsets } from '@leakage/kafka';
import { createPool, migrate, type Pool, sqlState } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { freshDatabase, startServiceProcess, temporaryFolder, testStack } from '@leakage/testing';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { policies } from '../init/rights.ts';
import { type RoleName, roleNames } from '../init/role-table.ts';
import { type Installation, newInstallation } from '../testing/installation.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 });

const log = createLogger({ service: 'test', level: 'silent' });
const roles: readonly RoleName[] = ['bronze', 'silver', 'gold', 'api', 'reader'];

/** Everything that init decides about, as the server has it. */
async function everything(pool: Pool, prefix: string): Promise<string[]> {
  const { rows } = await pool.query<{ line: string }>(
    `select 'role ' || rolname || ' ' || coalesce(rolpassword, '') || ' ' || rolconnlimit as line
       from pg_authid where rolname like $1 || '\\_%'
     union all select 'database ' || coalesce(datacl::text, '') from pg_database where datname = current_database()
     union all select 'schema ' || nspname || ' ' || coalesce(nspacl::text, '') from pg_namespace where nspname !~ '^pg_(temp|toast)'
     union all select 'relation ' || oid::regclass || ' ' || xmin || ' ' || coalesce(relacl::text, '') from pg_class
                where relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
     union all select 'column ' || attrelid::regclass || ' ' || attname || ' ' || attacl::text from pg_attribute
                where attacl is not null and attrelid::regclass::text !~ '^pg_'
     union all select 'function ' || oid::regprocedure || ' ' || xmin || ' ' || coalesce(proacl::text, '') from pg_proc
                where pronamespace::regnamespace::text !~ '^(pg_|information_schema)'
     union all select 'policy ' || p::text from pg_policy p
     union all select 'setting ' || s::text from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where d.datname = current_database()
     union all select 'generation ' || g::text from ops.generation g
     union all select 'parameter ' || p::text from ops.parameter p
     order by 1`,
    [prefix],
  );
  return rows.map(({ line }) => line);
}

async function stateOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    return sqlState(error) ?? String(error);
  }
}

describe('on an empty database', () => {
  let it: Installation;
  let first: string;
  beforeAll(async () => {
    it = await newInstallation();
    first = (await it.init()).out;
  });
  afterAll(async () => await it.stop());

  test('it makes topics, schemas, the generation, its views and the logins', async () => {
    for (const source of ['journeys', 'calls', 'members'])
      expect(first).toContain(`${it.topicPrefix}.${source} created`);
    for (const schema of ['ops', 'bronze', 'silver_1', 'gold_1', 'app']) expect(first).toContain(`${schema}: 0001_`);
    for (const name of Object.values(roleNames(it.rolePrefix))) expect(first).toContain(name);
    const kafka = createKafkaClient({ brokers: (await testStack()).brokers, clientId: 'test', log });
    expect(await topicOffsets(kafka, [`${it.topicPrefix}.calls`])).toHaveLength(12);
    const { rows } = await it.owner.query(
      `select id, state, (select count(*) from ops.shard) as shards, (select count(*) from gold.daily_leakage_summary) as days
         from ops.generation`,
    );
    expect(rows).toEqual([{ id: 1, state: 'active', shards: 12, days: 0 }]);
  });

  test('passwords that it invents are in a file for its owner only, and nowhere else', () => {
    const file = join(it.env.LEAKAGE_DATA_DIR ?? '', 'database-urls.env');
    expect(first).toContain(file);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    for (const role of roles) {
      const { password, username } = new URL(it.urlOf(role));
      expect(username).toBe(roleNames(it.rolePrefix)[role]);
      expect(password.length).toBeGreaterThan(30);
      expect(first).not.toContain(password);
    }
  });

  test('it does not know a wrong prefix, and says so with code 2', async () => {
    const { code, problems } = await it.leakage(['init', '--role-prefix', 'x"; drop role y']);
    expect(code).toBe(2);
    expect(problems).toContain('lower-case letters');
  });

  test('a second one changes nothing, and --json says what it found', async () => {
    const before = await everything(it.owner, it.rolePrefix);
    expect(before.filter((line) => line.startsWith('role '))).toHaveLength(5);
    expect(before.filter((line) => line.startsWith('policy ')).length).toBe(policies.length + 3);
    const text = await it.init();
    expect(text.out).toMatch(/topics +were there\nschemas +were in their newest form\n/);
    expect(text.out).toMatch(/rights +were as they should be\n$/);
    const report = JSON.parse((await it.init(['--json'])).out) as Record<string, unknown>;
    expect(report).toMatchObject({
      migrated: [],
      created: [],
      passwordsSet: [],
      urlsFile: null,
      rights: { granted: 0, revoked: 0, policies: 0 },
      notes: [],
    });
    expect(await everything(it.owner, it.rolePrefix)).toEqual(before);
  });

  test('a topic that differs is told of and left as it is', async () => {
    const { brokers } = await testStack();
    const topicPrefix = `${it.topicPrefix}.odd`;
    const { Kafka, logLevel } = await import('kafkajs');
    const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    await admin.createTopics({ topics: [{ topic: `${topicPrefix}.calls`, numPartitions: 3 }], waitForLeaders: true });
    const { out } = await it.init([], { TOPIC_PREFIX: topicPrefix });
    expect(out).toContain(`topic ${topicPrefix}.calls has 3 partitions, expected 12 (not changed)`);
    const [topic] = (await admin.fetchTopicMetadata({ topics: [`${topicPrefix}.calls`] })).topics;
    expect(topic?.partitions).toHaveLength(3);
    await admin.disconnect();
  });

  // Whole table: a capital letter. Some columns: a small one. What is not here, nobody may: S select, I insert, U update,
  // D delete, T truncate, R references, G trigger, M maintain.
  const expectedTables: Record<string, string> = {
    'app.audit': 'api:i',
    'app.migrations': 'api:S',
    'bronze.call_logs_raw': 'bronze:sI silver:s',
    'bronze.call_logs_raw_default': '',
    'bronze.digital_journeys_raw': 'bronze:sI silver:s',
    'bronze.digital_journeys_raw_default': '',
    'bronze.member_profiles_raw': 'bronze:sI silver:s',
    'bronze.member_profiles_raw_default': '',
    'bronze.migrations': 'bronze:S',
    'gold.action_recommendations': 'reader:S',
    'gold.daily_leakage_summary': 'reader:S',
    'gold.daily_leakage_history': 'reader:S',
    'gold.journey_timeline': '',
    'gold.language_drilldown': 'reader:S',
    'gold.repeat_followups': 'reader:S',
    'gold.root_cause_analysis': 'reader:S',
    'gold.savings_model': 'reader:S',
    'gold.segment_drilldown': 'reader:S',
    'gold_1.action_recommendations': 'api:S',
    'gold_1.call_cube': 'gold:SIUD api:S reader:S',
    'gold_1.closed_day': 'gold:SI',
    'gold_1.daily_leakage_summary': 'api:S',
    'gold_1.daily_leakage_history': 'api:S',
    'gold_1.error_message_cube': 'gold:SIUD',
    'gold_1.journey_cube': 'gold:SIUD api:S reader:S',
    'gold_1.journey_timeline': 'api:S',
    'gold_1.language_drilldown': 'api:S',
    'gold_1.member_cube': 'gold:SIUD api:S reader:S',
    'gold_1.migrations': 'gold:S',
    'gold_1.repeat_followups': 'api:S',
    'gold_1.root_cause_analysis': 'api:S',
    'gold_1.savings_model': 'api:S',
    'gold_1.segment_drilldown': 'api:S',
    'gold_1.this_generation': 'gold:su api:S reader:S',
    'ops.bronze_dropped': 'bronze:S silver:S',
    'ops.disclosure': '',
    'ops.erased': 'bronze:S silver:S',
    'ops.erasure': '',
    'ops.generation': 'silver:Su gold:S api:S reader:S',
    'ops.horizon': 'silver:S gold:S api:S',
    'ops.left_out_verification': 'api:S',
    'ops.loss': 'bronze:S silver:S',
    'ops.migrations': 'bronze:S silver:S gold:S api:S',
    'ops.parameter': 'gold:SIU api:S reader:S',
    'ops.policy': 'bronze:S silver:S',
    'ops.position': 'bronze:Siu silver:Siu api:S',
    'ops.promotion': 'api:S',
    'ops.reader': 'silver:SiuD gold:SIuD api:S reader:S',
    'ops.repair': '',
    'ops.repair_run': '',
    'ops.replay': 'bronze:S silver:S',
    'ops.retention_run': 'api:S',
    'ops.shard': 'silver:Su gold:Su api:S reader:S',
    'ops.verification': 'api:S',
    'ops.writer_schema': 'bronze:SIU silver:SIU',
    'silver.call_logs_cleaned': '',
    'silver.conflicts': '',
    'silver.digital_call_leakage': '',
    'silver.digital_journeys_cleaned': '',
    'silver.journey_outcomes': '',
    'silver.member_profiles_enriched': '',
    'silver.quarantine': '',
    'silver_1.call': 'silver:SIU api:s',
    'silver_1.call_fact': 'silver:SIUD gold:S api:s',
    'silver_1.call_logs_cleaned': '',
    'silver_1.change_log': 'silver:SID gold:S',
    'silver_1.conflict_record': 'silver:SID',
    'silver_1.conflicts': '',
    'silver_1.digital_call_leakage': '',
    'silver_1.digital_journeys_cleaned': '',
    'silver_1.journey_event': 'silver:SIU api:s',
    'silver_1.journey_outcome': 'silver:SIUD gold:S',
    'silver_1.journey_outcomes': '',
    'silver_1.member_profile': 'silver:SIU gold:S',
    'silver_1.member_profiles_enriched': '',
    'silver_1.migrations': 'silver:S',
    'silver_1.quarantine': '',
    'silver_1.quarantine_record': 'silver:I',
  };

  async function tableRights(): Promise<Record<string, string>> {
    const { rows } = await it.owner.query<{ name: string; who: string; letters: string }>(
      `select n.nspname || '.' || c.relname as name, m.role as who,
              string_agg(case when has_table_privilege(m.name, c.oid, p.privilege) then p.letter
                              when p.letter in ('S', 'I', 'U', 'R') and has_any_column_privilege(m.name, c.oid, p.privilege) then lower(p.letter)
                              else '' end, '' order by p.nr) as letters
         from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
        cross join unnest($1::text[], $2::text[]) with ordinality as m (role, name, nr)
        cross join (values (1, 'S', 'select'), (2, 'I', 'insert'), (3, 'U', 'update'), (4, 'D', 'delete'), (5, 'T', 'truncate'),
                           (6, 'R', 'references'), (7, 'G', 'trigger'), (8, 'M', 'maintain')) as p (nr, letter, privilege)
        where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^(pg_|information_schema)'
        group by 1, 2, m.nr order by 1, m.nr`,
      [
        [...roles, 'public'],
        [...Object.values(roleNames(it.rolePrefix)), 'public'],
      ],
    );
    const found: Record<string, string> = {};
    for (const { name, who, letters } of rows) {
      const before = found[name] ?? '';
      found[name] = letters === '' ? before : `${before} ${who}:${letters}`.trim();
    }
    return found;
  }

  test('of every table, each login may do exactly what is decided here', async () => {
    expect(await tableRights()).toEqual(expectedTables);
  });

  // A diff compares call by call; whose calls they are it is not to know.
  const expectedColumns = [
    'call api call_id call_reason call_timestamp deleted ivr_path revision source_offset source_partition source_topic',
    'call_fact api alignment_strength assisted_completion attribution call_id call_reason call_timestamp device_type ' +
      'digital_event_id digital_session_id digital_timestamp error_code error_message handle_time_seconds is_primary ' +
      'is_repeat_call issue_family language_preference leakage_type local_date local_hour member_category plan_type segment ' +
      'sentiment_e4 shard time_to_call_ms',
    'journey_event api action deleted device_type event_id journey_type revision source_offset source_partition source_topic timestamp',
  ];

  test('of single calls and events, the api may read the columns that a diff compares, and no member', async () => {
    const { rows } = await it.owner.query<{ line: string }>(
      `select c.relname || ' api ' || string_agg(a.attname, ' ' order by a.attname) as line
         from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'silver_1'::regnamespace and c.relkind = 'r' and has_column_privilege($1, c.oid, a.attnum, 'SELECT')
        group by c.relname order by 1`,
      [roleNames(it.rolePrefix).api],
    );
    expect(rows.map(({ line }) => line)).toEqual(expectedColumns);
  });

  async function otherRights(): Promise<string[]> {
    const names = roleNames(it.rolePrefix);
    const { rows } = await it.owner.query<{ line: string }>(
      `with m as (select * from unnest($1::text[], $2::text[]) as m (role, name))
       select m.role || ' ' || lower(p) || ' database' as line from m cross join unnest(array['CONNECT', 'CREATE', 'TEMPORARY']) as p
        where has_database_privilege(m.name, current_database(), p)
       union all
       select m.role || ' ' || lower(p) || ' ' || n.nspname from m cross join unnest(array['USAGE', 'CREATE']) as p cross join pg_namespace n
        where n.nspname !~ '^(pg_|information_schema)' and has_schema_privilege(m.name, n.oid, p)
       union all
       select distinct m.role || ' executes ' || case when n.nspname ~ '^gold_' then n.nspname || '.*' else n.nspname || '.' || f.proname end
         from m cross join pg_proc f join pg_namespace n on n.oid = f.pronamespace
        where n.nspname !~ '^(pg_|information_schema)' and has_function_privilege(m.name, f.oid, 'EXECUTE')
       union all
       select m.role || ' uses ' || c.oid::regclass from m cross join pg_class c
        where c.relkind = 'S' and has_sequence_privilege(m.name, c.oid, 'USAGE, SELECT, UPDATE')
       order by 1`,
      [
        [...roles, 'public'],
        [...Object.values(names), 'public'],
      ],
    );
    return rows.map(({ line }) => line);
  }

  const expectedOthers = [
    'api connect database',
    'api executes gold_1.*',
    'api usage app',
    'api usage gold',
    'api usage gold_1',
    'api usage ops',
    'api usage silver_1',
    'bronze connect database',
    'bronze executes bronze.make_partition',
    'bronze executes bronze.missing_days',
    'bronze executes ops.advance',
    'bronze executes ops.mend_loss',
    'bronze executes ops.trim_loss',
    'bronze usage bronze',
    'bronze usage ops',
    'gold connect database',
    'gold executes ops.publish',
    'gold executes ops.view_columns',
    'gold usage gold_1',
    'gold usage ops',
    'gold usage silver_1',
    'reader connect database',
    'reader executes gold_1.*',
    'reader usage gold',
    'silver connect database',
    'silver executes bronze.summarise',
    'silver executes ops.advance',
    'silver executes ops.mend_loss',
    'silver executes ops.publish',
    'silver executes ops.trim_loss',
    'silver executes ops.view_columns',
    'silver temporary database',
    'silver usage bronze',
    'silver usage ops',
    'silver usage silver_1',
  ];

  test('of every schema, function, sequence and the database as well', async () => {
    expect(await otherRights()).toEqual(expectedOthers);
  });

  test('a function that runs as the owner has a search_path that nobody can change', async () => {
    const { rows } = await it.owner.query<{ name: string; settings: string[] }>(
      `select p.oid::regproc::text as name, p.proconfig as settings from pg_proc p
        where p.prosecdef and p.pronamespace::regnamespace::text !~ '^(pg_|information_schema)' order by 1`,
    );
    const bronze = ['TimeZone=UTC', 'search_path=bronze, pg_temp'];
    expect(rows).toEqual([
      { name: 'bronze.make_partition', settings: bronze },
      { name: 'bronze.missing_days', settings: bronze },
      { name: 'bronze.summarise', settings: ['search_path=bronze, pg_temp'] },
      { name: 'ops.trim_loss', settings: ['search_path=ops, pg_temp'] },
    ]);
  });

  describe('what a login may not do, it cannot', () => {
    const position = (pipeline: string) =>
      `insert into ops.position (pipeline, topic, partition, first_offset, next_offset, cluster_id) values ('${pipeline}', 't', 0, 5, 5, 'c')`;
    const refused: Readonly<Record<RoleName, readonly string[]>> = {
      bronze: [
        'select payload from bronze.call_logs_raw',
        'select member_id from bronze.call_logs_raw',
        'select from bronze.call_logs_raw_default',
        'update bronze.call_logs_raw set payload = null',
        'delete from bronze.call_logs_raw',
        'truncate bronze.call_logs_raw',
        'drop table bronze.call_logs_raw_default',
        'alter table bronze.call_logs_raw add column spy text',
        'create table bronze.mine (id int)',
        'create schema mine',
        'create temporary table mine (id int)',
        'create table public.mine (id int)',
        position('silver_1'),
        position('bronze2'),
        `update ops.position set cluster_id = 'other'`,
        `update ops.position set first_offset = 0`,
        `update ops.position set pipeline = 'silver_1'`,
        'delete from ops.position',
        position('bronze_replay'),
        position('silver_1_replay_1'),
        `select ops.accept_loss('bronze', 't', 0, 0, 1)`,
        `select ops.trim_loss('bronze', 'kept', 0, 0, 1)`,
        `select ops.mend_loss('silver_1', 'kept', 0, 0, 1, 0, 0, 0, 0, 0)`,
        'delete from ops.loss',
        'update ops.policy set version = 2',
        'delete from ops.horizon',
        `update ops.replay set state = 'done'`,
        `insert into ops.replay (service, begins) values ('bronze-sink', 'earliest')`,
        `select ops.end_replay(1, 'cancelled')`,
        `insert into ops.loss (pipeline, topic, partition, from_offset, next_offset) values ('bronze', 't', 0, 0, 1)`,
        'alter table ops.position disable row level security',
        'select from silver_1.call',
        'select from silver_1.change_log',
        'select from gold_1.call_cube',
        'select from gold.daily_leakage_summary',
        'select from app.audit',
        'select from ops.shard',
        'select from ops.generation',
        `select ops.publish('gold', 1)`,
        'select rolpassword from pg_authid',
        `copy bronze.call_logs_raw to program 'id'`,
        `select pg_read_file('/etc/passwd')`,
        'set role postgres',
      ],
      silver: [
        'select member_id from bronze.call_logs_raw',
        `insert into bronze.call_logs_raw (kafka_topic, kafka_partition, kafka_offset, kafka_timestamp) values ('t', 0, 0, now())`,
        `select bronze.make_partition('call_logs_raw', current_date)`,
        position('bronze'),
        position('silver'),
        'delete from ops.position',
        "insert into ops.generation (id, state, rules, rules_hash) values (9, 'building', '{}', '')",
        `update ops.generation set state = 'retired'`,
        'insert into ops.shard (generation, shard) values (1, 99)',
        'update ops.shard set shard = 99',
        'delete from ops.shard',
        `insert into ops.reader (reader, generation, shard, next_seq) values ('gold', 1, 0, 1)`,
        'update ops.reader set until_seq = null',
        'update ops.reader set turn = 0',
        'update ops.parameter set value = 0',
        'select from ops.parameter',
        'select from gold_1.call_cube',
        'delete from gold_1.call_cube',
        'select from gold.daily_leakage_summary',
        'select from app.audit',
        'delete from silver_1.journey_event',
        'delete from silver_1.call',
        'delete from silver_1.member_profile',
        'update silver_1.change_log set changes = null',
        'truncate silver_1.change_log',
        'select from silver_1.quarantine_record',
        'update silver_1.quarantine_record set reasons = null',
        'select from silver_1.quarantine',
        "insert into ops.repair (kafka_topic, kafka_partition, kafka_offset) values ('t', 0, 0)",
        'select from ops.disclosure',
        'delete from silver_1.quarantine_record',
        'select from silver.digital_call_leakage',
        'create table silver_1.mine (id int)',
        'drop view silver.quarantine',
        `select ops.accept_loss('silver_1', 't', 0, 0, 1)`,
        `select ops.mend_loss('bronze', 'kept', 0, 0, 1, 0, 0, 0, 0, 0)`,
        'delete from ops.loss',
        'update ops.policy set version = 2',
        'delete from ops.horizon',
        `update ops.replay set paused = false`,
        position('bronze_replay_1'),
      ],
      gold: [
        'select from bronze.call_logs_raw',
        'select from ops.position',
        position('silver_1'),
        'update ops.shard set change_seq = 0',
        'update ops.shard set state_version = 0',
        'insert into ops.shard (generation, shard) values (1, 99)',
        "insert into silver_1.change_log (shard, seq, last_seq, changes) values (0, 1, 1, '[]')",
        'delete from silver_1.change_log',
        'update silver_1.call_fact set is_primary = true',
        'delete from silver_1.call_fact',
        'select from silver_1.journey_event',
        'select from silver_1.call',
        'select from silver_1.quarantine_record',
        'select from silver_1.digital_call_leakage',
        'select from gold_1.journey_timeline',
        'update gold_1.this_generation set id = 2',
        'delete from gold_1.this_generation',
        'delete from ops.parameter',
        `update ops.generation set state = 'retired'`,
        "update ops.reader set reader = 'other'",
        `insert into ops.reader (reader, generation, shard, next_seq) values ('changes', 1, 0, 1)`,
        'create temporary table mine (id int)',
        'create table gold_1.mine (id int)',
        'create or replace view gold.savings_model as select 1',
        'select from app.audit',
      ],
      api: [
        'select from bronze.call_logs_raw',
        'select member_id from silver_1.call',
        'select member_id from silver_1.call_fact',
        'select member_id from silver_1.journey_event',
        'select * from silver_1.call_fact',
        'select agent_id from silver_1.call',
        'select session_id from silver_1.journey_event',
        'select from silver_1.member_profile',
        'select from silver_1.journey_outcome',
        'select from silver_1.quarantine_record',
        'select from silver_1.change_log',
        'select from silver_1.digital_call_leakage',
        'select from silver.digital_call_leakage',
        'delete from ops.verification',
        'update ops.promotion set forced = false',
        'insert into gold_1.call_cube select * from gold_1.call_cube',
        'delete from gold_1.member_cube',
        'select from gold_1.error_message_cube',
        'select from app.audit',
        `update app.audit set actor = 'nobody'`,
        'delete from app.audit',
        'truncate app.audit',
        `insert into app.audit (occurred_at, action, actor, remote_address, member_pid, key_id, purpose, fields, request_id)
         values ('2000-01-01', 'read_timeline', 'a', 'b', 'c', 'd', 'e', '{}', 'f')`,
        'alter table app.audit disable trigger audit_append_only',
        'drop trigger audit_append_only on app.audit',
        'update ops.position set next_offset = 0',
        'update ops.parameter set value = 0',
        'delete from ops.reader',
        'create temporary table mine (id int)',
        'create table app.mine (id int)',
      ],
      reader: [
        'select from gold.journey_timeline',
        'select from gold_1.journey_timeline',
        'select from gold_1.call_cube',
        'select from silver.digital_call_leakage',
        'select member_id from silver_1.call_fact',
        'select from silver.member_profiles_enriched',
        'select from bronze.digital_journeys_raw',
        'select from app.audit',
        'select from ops.position',
        'select from ops.parameter',
        'create temporary table mine (id int)',
        'update ops.parameter set value = 0',
        'create table gold.mine (id int)',
        "create function gold.f() returns int language sql as 'select 1'",
      ],
    };

    beforeAll(async () => {
      // Something for each policy to hide.
      for (const pipeline of ['bronze', 'silver_1']) {
        await it.owner.query(
          `insert into ops.position (pipeline, topic, partition, first_offset, next_offset, cluster_id) values ($1, 'kept', 0, 0, 0, 'c')`,
          [pipeline],
        );
      }
    });

    test.each(roles)('%s', async (role) => {
      await it.as(it.urlOf(role), async (pool) => {
        // The reader's own setting is a convenience; what refuses is what he may do.
        await pool.query('set default_transaction_read_only = off');
        const answers: string[] = [];
        for (const statement of refused[role]) answers.push(`${await stateOf(pool.query(statement))} ${statement}`);
        expect(answers).toEqual(refused[role].map((statement) => `42501 ${statement}`));
      });
    });

    test('a position of another pipeline stays where it is, whoever would move it', async () => {
      const moved = (pipeline: string) =>
        `select ops.advance('${pipeline}', '{kept}', '{0}', '{0}', '{1}', '{0}', '{1}', '{1}')`;
      await it.as(it.urlOf('bronze'), async (pool) => {
        expect((await pool.query(`update ops.position set next_offset = 7 where pipeline = 'silver_1'`)).rowCount).toBe(
          0,
        );
        expect(await stateOf(pool.query(moved('silver_1')))).toBe('LK001');
        expect(await stateOf(pool.query(moved('bronze')))).toBe('done');
      });
      await it.as(it.urlOf('silver'), async (pool) => {
        expect((await pool.query(`update ops.position set next_offset = 7 where pipeline = 'bronze'`)).rowCount).toBe(
          0,
        );
        expect(await stateOf(pool.query(moved('bronze')))).toBe('LK001');
        expect(await stateOf(pool.query(moved('silver_1')))).toBe('done');
      });
      const { rows } = await it.owner.query(
        `select pipeline, next_offset from ops.position where topic = 'kept' order by 1`,
      );
      expect(rows).toEqual([
        { pipeline: 'bronze', next_offset: 1 },
        { pipeline: 'silver_1', next_offset: 1 },
      ]);
    });

    test('gold locks shards and changes none', async () => {
      await it.as(it.urlOf('gold'), async (pool) => {
        expect((await pool.query('select from ops.shard where generation = 1 for update')).rowCount).toBe(12);
      });
    });

    test('a partition is made of the days that are wanted, of the tables that there are, and of nothing else', async () => {
      await it.as(it.urlOf('bronze'), async (pool) => {
        const make = (table: string, day: string) =>
          stateOf(pool.query(`select bronze.make_partition(${table}, ${day})`));
        expect(await make(`'call_logs_raw'`, 'current_date + 2')).toBe('done');
        expect(await make(`'call_logs_raw'`, 'current_date + 31')).toBe('22023');
        expect(await make(`'call_logs_raw'`, 'current_date - 1')).toBe('22023');
        expect(await make(`'call_logs_raw'`, 'null')).toBe('22023');
        expect(await make(`'call_logs_raw'`, `'infinity'`)).toBe('22023');
        expect(await make(`'migrations'`, 'current_date')).toBe('22023');
        expect(await make(`'x; drop table bronze.call_logs_raw'`, 'current_date')).toBe('22023');
        expect(await make('null', 'current_date')).toBe('22023');
        expect(await stateOf(pool.query(`select * from bronze.missing_days('migrations', 1, 1, 1)`))).toBe('22023');
        const { rows } = await pool.query(`select * from bronze.missing_days('call_logs_raw', 1000000, 31, 500000)`);
        expect(rows).toHaveLength(30);
      });
      const { rows } = await it.owner.query<{ owner: string }>(
        `select pg_get_userbyid(relowner) = current_user as owner from pg_class
          where oid = to_regclass('bronze.call_logs_raw_p' || to_char(current_date + 2, 'YYYYMMDD'))`,
      );
      expect(rows).toEqual([{ owner: true }]);
      await it.owner.query(
        `do $$ begin execute 'drop table bronze.call_logs_raw_p' || to_char(current_date + 2, 'YYYYMMDD'); end $$`,
      );
    });

    test('the reader asks what people ask, and is read-only unless he says otherwise', async () => {
      await it.as(it.urlOf('reader'), async (pool) => {
        for (const view of Object.keys(expectedTables).filter((name) => expectedTables[name] === 'reader:S')) {
          expect(await stateOf(pool.query(`select * from ${view}`)), view).toBe('done');
        }
        const { rows } = await pool.query<{ value: string }>(
          `select current_setting('default_transaction_read_only') as value`,
        );
        expect(rows).toEqual([{ value: 'on' }]);
      });
    });
  });

  describe('roles and passwords', () => {
    test('a password that is given is set, works, and is never part of a statement', async () => {
      const password = 'a-new-Password:/?#%@1';
      await it.owner.query(`alter database ${new URL(it.url).pathname.slice(1)} set log_statement = 'all'`);
      const { out, problems } = await it.init([], { LEAKAGE_API_PASSWORD: password });
      expect(out).toContain(`new password: ${it.rolePrefix}_api`);
      expect(out + problems).not.toContain(password);
      const url = new URL(it.url);
      url.username = `${it.rolePrefix}_api`;
      url.password = encodeURIComponent(password);
      expect(await it.as(url.href, (pool) => stateOf(pool.query('select 1')))).toBe('done');
      expect(await it.as(it.urlOf('api'), (pool) => stateOf(pool.query('select 1')))).toContain(
        'password authentication failed',
      );
      const again = await it.init([], { LEAKAGE_API_PASSWORD: password });
      expect(again.out).not.toContain('new password');
      const { rows } = await it.owner.query<{ verifier: string }>(
        'select rolpassword as verifier from pg_authid where rolname = $1',
        [`${it.rolePrefix}_api`],
      );
      expect(rows[0]?.verifier).toMatch(/^SCRAM-SHA-256\$4096:/);
    });

    test('rights that somebody gave or took are put right', async () => {
      const { bronze, reader } = roleNames(it.rolePrefix);
      const written = async () =>
        (
          await it.owner.query(
            'select tablename, policyname, cmd, roles, qual, with_check from pg_policies order by 1, 2',
          )
        ).rows;
      const before = await written();
      await it.owner.query(`grant select on all tables in schema bronze, silver_1 to ${bronze};
        grant create on schema ops to ${reader};
        revoke insert on bronze.call_logs_raw from ${bronze};
        grant update on ops.position to ${bronze};
        grant all on app.audit to public;
        drop policy ${bronze} on ops.position;
        create policy ${bronze} on ops.position to ${bronze} using (true)`);
      const { out } = await it.init();
      expect(out).toMatch(/rights +\d+ granted, \d+ revoked, 2 policies/);
      expect(await tableRights()).toEqual(expectedTables);
      expect(await otherRights()).toEqual(expectedOthers);
      expect(await written()).toEqual(before);
    });

    test('a role that can do more than any grant could say is refused', async () => {
      const { gold } = roleNames(it.rolePrefix);
      for (const [power, weaker, words] of [
        ['superuser', 'nosuperuser', 'is superuser'],
        ['bypassrls', 'nobypassrls', 'is bypassrls'],
      ]) {
        await it.owner.query(`alter role ${gold} ${power}`);
        const { code, problems } = await it.leakage(['init', '--role-prefix', it.rolePrefix]);
        await it.owner.query(`alter role ${gold} ${weaker}`);
        expect(code).toBe(1);
        expect(problems).toContain(`Role ${gold} ${words}, so its rights cannot be limited`);
      }
      await it.owner.query(`grant pg_read_all_data to ${gold}`);
      expect((await it.leakage(['init', '--role-prefix', it.rolePrefix])).problems).toContain(
        'is member of pg_read_all_data',
      );
      await it.owner.query(`revoke pg_read_all_data from ${gold}; alter table app.audit owner to ${gold}`);
      expect((await it.leakage(['init', '--role-prefix', it.rolePrefix])).problems).toContain('owns app.audit');
      await it.owner.query('alter table app.audit owner to current_user');
      await it.init();
    });

    test('a login that is no owner cannot run it, and learns what it needs', async () => {
      const { code, problems } = await it.leakage(['init', '--role-prefix', it.rolePrefix], {
        DATABASE_URL: it.urlOf('bronze'),
      });
      expect(code).toBe(1);
      expect(problems).toMatch(/DATABASE_URL is the login of a service .*: init is run by the owner of the database/);
    });
  });

  test('a later generation is prepared beside the first, with its rights', async () => {
    const { out } = await it.init([], { GENERATION: '2', LEAKAGE_WINDOW_MINUTES: '45' });
    expect(out).toContain('silver_2: 0001_silver');
    await it.as(it.urlOf('gold'), async (pool) => {
      for (const generation of [1, 2]) {
        expect(await stateOf(pool.query(`select from silver_${generation}.change_log`))).toBe('done');
        expect(await stateOf(pool.query(`select from silver_${generation}.journey_event`))).toBe('42501');
      }
    });
    const { rows } = await it.owner.query(
      `select id, state, rules -> 'windowMs' as "windowMs" from ops.generation order by id`,
    );
    expect(rows).toEqual([
      { id: 1, state: 'active', windowMs: 1_800_000 },
      { id: 2, state: 'building', windowMs: 2_700_000 },
    ]);
    const wrong = await it.leakage(['init', '--role-prefix', it.rolePrefix], { LEAKAGE_WINDOW_MINUTES: '60' });
    expect(wrong.code).toBe(2);
    expect(wrong.problems).toContain('generation 1 was made with other rules');
  });
});

describe('where somebody else makes the roles', () => {
  let it: Installation;
  afterEach(async () => await it.stop());

  test('--no-roles makes none, and takes nothing from anybody where there are none', async () => {
    it = await newInstallation();
    const { out } = await it.init(['--no-roles']);
    expect(out).toMatch(/logins +none: nothing was granted/);
    const { rows } =
      await it.owner.query(`select has_schema_privilege('public', 'public', 'usage') as open, datacl as acl
      from pg_database where datname = current_database()`);
    expect(rows).toEqual([{ open: true, acl: null }]);
  });

  test('--no-roles gives those that exist their rights, and leaves them as they are', async () => {
    it = await newInstallation();
    const { gold } = roleNames(it.rolePrefix);
    await it.owner.query(`create role ${gold} login connection limit 3 password 'made-elsewhere'`);
    const { out } = await it.init(['--no-roles'], { LEAKAGE_GOLD_PASSWORD: 'not-this-one' });
    expect(out).toContain(`logins    ${gold}\n`);
    const url = new URL(it.url);
    url.username = gold;
    url.password = 'made-elsewhere';
    await it.as(url.href, async (pool) => {
      expect(await stateOf(pool.query('select from silver_1.change_log'))).toBe('done');
      expect(await stateOf(pool.query('select member_id from bronze.call_logs_raw'))).toBe('42501');
    });
  });
});

test('an owner who is no superuser can do it, and do it again', async () => {
  const { adminUrl } = await testStack();
  const fresh = await freshDatabase();
  const admin = createPool({ url: adminUrl, applicationName: 'test', max: 1, log });
  const owner = `owner_${new URL(fresh.url).pathname.slice(-8)}`;
  await admin.query(`create role ${owner} login createrole password 'owner-password'`);
  await admin.query(`alter database ${new URL(fresh.url).pathname.slice(1)} owner to ${owner}`);
  const url = new URL(fresh.url);
  url.username = owner;
  url.password = 'owner-password';
  const it = await newInstallation({ url: url.href });
  try {
    expect((await it.init()).out).toContain('created: ');
    expect((await it.init()).out).toMatch(/rights +were as they should be/);
    await it.as(it.urlOf('bronze'), async (pool) => {
      expect(await stateOf(pool.query("select * from bronze.missing_days('call_logs_raw', 3, 3, 3)"))).toBe('done');
      expect(await stateOf(pool.query('select payload from bronze.call_logs_raw'))).toBe('42501');
    });
  } finally {
    await fresh.drop();
    await it.stop();
    await admin.query(`drop role ${owner}`);
    await admin.stop();
  }
});

describe('an upgrade', () => {
  let it: Installation;
  beforeAll(async () => {
    it = await newInstallation();
  });
  afterAll(async () => await it.stop());

  /** The migrations that an earlier release had. */
  function earlier(directory: string, count: number): string {
    const from = join(import.meta.dirname, '../../..', directory);
    const to = join(temporaryFolder(), 'migrations');
    mkdirSync(to);
    for (const file of readdirSync(from).sort().slice(0, count))
      writeFileSync(join(to, file), readFileSync(join(from, file)));
    return to;
  }

  test('a database of an earlier release, made by the services, is brought up, and then the services need no owner', async () => {
    await migrate({ url: it.url, schemas: ['ops'], directory: earlier('libs/postgres/migrations', 2), log });
    await migrate({ url: it.url, schemas: ['bronze'], directory: earlier('services/bronze-sink/migrations', 1), log });
    await it.owner.query(
      `insert into bronze.call_logs_raw (kafka_topic, kafka_partition, kafka_offset, kafka_timestamp) values ('t', 0, 0, now())`,
    );
    const { out } = await it.init();
    expect(out).toMatch(/ops: 0003_roles/);
    expect(out).toMatch(/bronze: 0002_\S+ 0003_partition_functions/);
    expect((await it.owner.query('select from bronze.call_logs_raw')).rowCount).toBe(1);
  });

  test('a service whose migrations are pending and whose login may not make them says so in one sentence', async () => {
    await it.owner.query(`delete from bronze.migrations where name = '0003_partition_functions'`);
    const process = startServiceProcess('bronze-sink', { ...it.env, DATABASE_URL: it.urlOf('bronze') });
    expect(await process.exited).toBe(1);
    const name = new URL(it.url).pathname.slice(1);
    expect(process.output()).toContain(
      `schema bronze of database ${name} lacks its migrations 0003_partition_functions, and login ${it.rolePrefix}_bronze ` +
        'may not make them: run \\"leakage init\\" with the DATABASE_URL of the owner',
    );
    await it.owner.query(`insert into bronze.migrations (name, run_on) values ('0003_partition_functions', now())`);
  });

  test('a service whose generation or whose views are missing says so too', async () => {
    const silver = startServiceProcess('silver-joiner', {
      ...it.env,
      DATABASE_URL: it.urlOf('silver'),
      GENERATION: '7',
    });
    expect(await silver.exited).toBe(1);
    expect(silver.output()).toContain('schema silver_7 of database');
    await it.owner.query('drop view silver.quarantine');
    const views = startServiceProcess('silver-joiner', { ...it.env, DATABASE_URL: it.urlOf('silver') });
    expect(await views.exited).toBe(1);
    expect(views.output()).toContain(
      'the views of schema silver are not those of generation 1, and this login may not make them',
    );
    await it.init();
  });
});
