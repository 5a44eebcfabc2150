import { createKafkaClient, ensureTopics, startPublisher } from '@leakage/kafka';
import {
  createPool,
  ensureGeneration,
  inTransaction,
  migrate,
  migrateOps,
  type Pool,
  publishViews,
} from '@leakage/postgres';
import { createLogger, HealthState, Metrics } from '@leakage/runtime';
import { PARTITIONS, topicTable } from '@leakage/schemas';
import {
  eventually,
  freePort,
  freshDatabase,
  freshPrefix,
  startServiceProcess,
  type TestDatabase,
  testStack,
} from '@leakage/testing';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from './app.ts';
import { auditStore } from './audit-store.ts';
import { generationStore } from './generation-store.ts';
import { goldStore } from './gold-store.ts';
import { pipelineStore } from './pipeline-store.ts';
import { pseudonyms } from './pseudonym.ts';
import { resources } from './resources.ts';
import { inSnapshot } from './snapshot.ts';

const log = createLogger({ service: 'test', level: 'error' });
const rules = {
  windowMs: 1_800_000,
  timeZone: 'America/New_York',
  repeatScope: 'same_issue',
  reasons: { journeyTypes: ['billing', 'id_card'], reasons: {}, tokens: {} },
} as const;

/** Silver and gold of one generation, made by their owners' migrations. */
async function makeGeneration(url: string, pool: Pool, id: number): Promise<void> {
  await migrateOps({ url, log });
  const of = (service: string) => new URL(`../../${service}/migrations/`, import.meta.url);
  await migrate({ url, schemas: [`silver_${id}`], directory: of('silver-joiner'), log });
  await migrate({ url, schemas: [`gold_${id}`, `silver_${id}`], directory: of('gold-aggregator'), log });
  const reasons = { ...rules.reasons, journeyTypes: [...rules.reasons.journeyTypes] };
  await ensureGeneration(pool, id, { rules: { ...rules, reasons }, rulesVersion: 1, shards: PARTITIONS });
  await pool.query(`insert into gold_${id}.this_generation (id) values ($1) on conflict do nothing`, [id]);
}

/** Fourteen days of billing leakage, ten calls a day, and what the views need to call them complete. */
async function fillGold(pool: Pool, id: number, callsPerDay: number): Promise<void> {
  const statements = [
    `update ops.shard set wm_digital = '2026-11-20 12:00-05', wm_calls = '2026-11-20 11:00-05' where generation = ${id}`,
    `insert into ops.reader (reader, generation, shard, next_seq) select 'gold', generation, shard, 1 from ops.shard where generation = ${id}`,
    `insert into ops.parameter (name, value, source, set_by) values ('cost_per_call', 8.00, 'test', 'test'), ('avoidable_share', 1, 'test', 'test')
       on conflict do nothing`,
    `insert into gold_${id}.call_cube
       select day::date, 9, 'leakage', 'billing', 'MAPD New', 'English', 'mobile', 'ERR_BILLING_TIMEOUT',
              ${callsPerDay}, 2, 5, 0, -65000, 10, 6000, 10, 60000
         from generate_series(timestamp '2026-11-06', timestamp '2026-11-19', interval '1 day') as s (day)`,
    `insert into gold_${id}.journey_cube
       select day::date, 9, 'billing', 'failed_error', 'MAPD New', 'English', 'mobile', 'ERR_BILLING_TIMEOUT', 20, 20, 10, 10
         from generate_series(timestamp '2026-11-06', timestamp '2026-11-19', interval '1 day') as s (day)`,
    `insert into gold_${id}.member_cube values ('MAPD New', 'English', 30), ('Commercial', 'English', 40), ('Commercial', 'Spanish', 30)`,
    `insert into silver_${id}.journey_event (event_id, event_day, member_id, session_id, "timestamp", journey_type, action, device_type,
       error_code, error_message, revision, deleted, emitted_at, shard, ingestion_timestamp, source_topic, source_partition, source_offset)
     values ('e1', 20776, 'M-104382', 'SES-B-17', '2026-11-19 15:00Z', 'billing', 'error', 'mobile', 'ERR_BILLING_TIMEOUT', 'Session timeout',
       0, false, '2026-11-19 15:00Z', 3, '2026-11-19 15:00Z', 't', 0, 0)`,
    `insert into silver_${id}.call (call_id, member_id, call_timestamp, call_reason, sentiment_e4, revision, deleted, emitted_at, shard,
       ingestion_timestamp, source_topic, source_partition, source_offset)
     values ('CALL-B-17', 'M-104382', '2026-11-19 15:10Z', 'billing_question', -6500, 0, false, '2026-11-19 15:10Z', 3,
       '2026-11-19 15:10Z', 't', 0, 0)`,
  ];
  await inTransaction(pool, async (tx) => {
    for (const statement of statements) await tx.query(statement);
  });
  await publishViews(pool, 'silver', id);
  await publishViews(pool, 'gold', id);
}

async function activate(pool: Pool, id: number): Promise<void> {
  await inTransaction(pool, async (tx) => {
    await tx.query(`update ops.generation set state = 'retired' where state = 'active'`);
    await tx.query(`update ops.generation set state = 'active' where id = $1`, [id]);
    await tx.query(`select ops.publish('gold', $1)`, [id]);
  });
}

describe('answers from real gold', () => {
  let database: TestDatabase;
  let pool: Pool;
  let app: FastifyInstance;
  const topics = ['t.journeys', 't.calls', 't.members'];

  beforeAll(async () => {
    database = await freshDatabase();
    pool = createPool({ url: database.url, applicationName: 'api-test', log });
    await makeGeneration(database.url, pool, 1);
    await fillGold(pool, 1, 10);
    await migrate({ url: database.url, schemas: ['app'], directory: new URL('../migrations/', import.meta.url), log });
    app = await createApp({
      log,
      metrics: new Metrics(),
      health: new HealthState(),
      gold: goldStore(pool, 'gold'),
      audit: auditStore(pool),
      pseudonyms: pseudonyms('k'.repeat(32)),
      pipeline: pipelineStore(pool),
      generations: generationStore(pool, { silver: 'silver', gold: 'gold' }),
      topicEnds: async () => topics.map((topic) => ({ topic, partition: 0, low: 0, high: 100 })),
      topics,
    });
  });
  afterAll(async () => {
    await app.close();
    await pool.stop();
    await database.drop();
  });

  test.each(resources.map(({ table }) => table))(
    'every column of %s exists in the view, and no other',
    async (table) => {
      const { rows } = await pool.query<{ name: string }>(
        `select column_name as name from information_schema.columns where table_schema = 'gold_1' and table_name = $1`,
        [table],
      );
      const declared =
        resources.find((resource) => resource.table === table)?.columns.map((column) => column.name) ?? [];
      expect(rows.map((row) => row.name).sort()).toEqual([...declared].sort());
      expect((await app.inject(`/v1/${table.replaceAll('_', '-')}`)).statusCode).toBe(200);
    },
  );

  test('figures are JSON numbers, dates and instants ISO 8601', async () => {
    const answer = (await app.inject('/v1/daily-leakage-summary?leakage_type=billing')).json<{ rows: unknown[] }>();
    expect(answer).toMatchObject({
      table: 'daily_leakage_summary',
      generation: 1,
      as_of: '2026-11-20T16:00:00.000Z',
      truncated: false,
    });
    expect(answer.rows).toEqual([
      expect.objectContaining({
        leakage_type: 'billing',
        summary_date: '2026-11-19',
        daily_calls: 10,
        daily_cost: 80,
        segment: 'MAPD New',
        trend_pct: 0,
        days: 7,
        failed_journeys: 140,
        repeat_calls: 14,
        status: 'provisional',
        as_of: '2026-11-20T16:00:00.000Z',
      }),
    ]);
  });

  test('filters and the limit are applied by the database, in a fixed order', async () => {
    const days = (
      await app.inject('/v1/daily-leakage-history?leakage_type=billing&from=2026-11-10&to=2026-11-12')
    ).json<{
      rows: { local_date: string; daily_calls: number }[];
    }>();
    expect(days.rows.map((row) => [row.local_date, row.daily_calls])).toEqual([
      ['2026-11-12', 10],
      ['2026-11-11', 10],
      ['2026-11-10', 10],
    ]);
    const two = (await app.inject('/v1/daily-leakage-history?leakage_type=billing&limit=2')).json<{
      truncated: boolean;
      rows: unknown[];
    }>();
    expect(two.rows).toHaveLength(2);
    expect(two.truncated).toBe(true);
    const none = (await app.inject(`/v1/segment-drilldown?leakage_type=${encodeURIComponent(`x' or '1'='1`)}`)).json<{
      rows: unknown[];
    }>();
    expect(none.rows).toEqual([]);
    const causes = (
      await app.inject('/v1/root-cause-analysis?error_code=ERR_BILLING_TIMEOUT&device_type=mobile&limit=1')
    ).json<{ rows: unknown[] }>();
    expect(causes.rows).toMatchObject([
      { trend_date: '2026-11-19', leakage_count: 10, leakage_pct: 100, failed_journeys: 20, leak_rate_pct: 50 },
    ]);
  });

  test('a timeline shows what silver holds, and leaves a committed audit row that does not name the member', async () => {
    const answer = await app.inject({
      url: '/v1/members/M-104382/timeline?purpose=review',
      headers: { 'x-actor': 'ann' },
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.json<{ rows: unknown[] }>().rows).toMatchObject([
      {
        event_sequence: 1,
        event_timestamp: '2026-11-19T15:00:00.000Z',
        event_type: 'digital',
        action: 'error',
        device_type: 'mobile',
      },
      {
        event_sequence: 2,
        event_timestamp: '2026-11-19T15:10:00.000Z',
        event_type: 'call',
        call_id: 'CALL-B-17',
        sentiment_score: -0.65,
      },
    ]);
    const { rows } = await pool.query(
      `select action, actor, remote_address, member_pid, purpose, fields, a::text as whole from app.audit a`,
    );
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({
      actor: 'claimed:ann',
      member_pid: pseudonyms('k'.repeat(32)).pid('M-104382'),
      purpose: 'review',
    });
    expect(String(rows[0]?.whole)).not.toContain('104382');
  });

  test('nobody changes the audit, and without it nothing is read', async () => {
    await expect(pool.query(`update app.audit set actor = 'nobody'`)).rejects.toThrow('never changed');
    await expect(pool.query('delete from app.audit')).rejects.toThrow('never changed');
    await expect(pool.query('truncate app.audit')).rejects.toThrow('never changed');
    await pool.query('alter table app.audit rename to audit_away');
    const refused = await app.inject('/v1/members/M-104382/timeline');
    await pool.query('alter table app.audit_away rename to audit');
    expect(refused.statusCode).toBe(503);
    expect(refused.body).not.toContain('CALL-B-17');
  });

  test('the pipeline: watermarks, lag of each service, outcomes that add up', async () => {
    await pool.query(
      `insert into ops.position (pipeline, topic, partition, first_offset, next_offset, cluster_id, accepted, superseded, duplicates,
         conflicts, quarantined, holes)
       values ('bronze', 't.calls', 0, 0, 100, 'c', 99, 0, 0, 0, 0, 1), ('silver_1', 't.calls', 0, 0, 90, 'c', 80, 1, 5, 1, 2, 1),
              ('silver_2', 't.calls', 0, 0, 7, 'c', 7, 0, 0, 0, 0, 0)`,
    );
    await pool.query(`update ops.shard set change_seq = 3 where generation = 1 and shard = 0`);
    const answer = (await app.inject('/v1/pipeline')).json<Record<string, unknown>>();
    expect(answer).toMatchObject({
      generation: 1,
      as_of: '2026-11-20T16:00:00.000Z',
      watermarks: { digital: '2026-11-20T17:00:00.000Z', calls: '2026-11-20T16:00:00.000Z' },
      caught_up: false,
      services: {
        'bronze-sink': { lag_records: 200, lag_by_topic: { 't.calls': 0, 't.journeys': 100, 't.members': 100 } },
        'silver-joiner': { lag_records: 210, lag_by_topic: { 't.calls': 10 } },
        'gold-aggregator': { lag_changes: 3 },
      },
      change_stream: null,
      outcomes: {
        't.calls': { records: 89, accepted: 80, superseded: 1, duplicates: 5, conflicts: 1, quarantined: 2 },
        't.journeys': { records: 0, accepted: 0 },
      },
    });
    await pool.query(`insert into ops.reader (reader, generation, shard, next_seq) values ('changes', 1, 0, 2)`);
    expect((await app.inject('/v1/pipeline')).json()).toMatchObject({ change_stream: { untold_changes: 2 } });
    await pool.query(`delete from ops.reader where reader = 'changes'`);
    await pool.query(`update ops.shard set change_seq = 0 where generation = 1 and shard = 0`);
  });

  test('the pipeline says what was verified, and why the last scheduled verification was left out', async () => {
    const verification = async () =>
      (await app.inject('/v1/pipeline')).json<{ verification: Record<string, unknown> }>().verification;
    expect(await verification()).toEqual({ newest: null, newest_full: null, left_out: null });
    await pool.query(
      `insert into ops.verification (generation, rules_hash, from_day, begun_at, records, ok, differing, trigger)
       values (1, 'x', '2026-11-18', now(), 7, false, '[{"check": "gold: cells", "differences": 2}]', 'schedule')`,
    );
    await pool.query(
      `insert into ops.left_out_verification (generation, kind, reason, first_at, last_at, times)
       values (1, 'skipped', 'silver goes first', '2026-11-20 10:00Z', '2026-11-20 11:00Z', 2)`,
    );
    expect(await verification()).toMatchObject({
      newest: { generation: 1, ok: false, scope: { from_day: '2026-11-18', to_day: null }, differing: ['gold: cells'] },
      newest_full: null,
      left_out: {
        kind: 'skipped',
        reason: 'silver goes first',
        times: 2,
        first_at: '2026-11-20T10:00:00.000Z',
        last_at: '2026-11-20T11:00:00.000Z',
      },
    });
  });

  test('neither a fold nor a promotion during an answer shows in it; after a drop the answer comes from the new generation', async () => {
    await makeGeneration(database.url, pool, 2);
    await fillGold(pool, 2, 30);
    let attempts = 0;
    const calls = async (meanwhile: () => Promise<void>) =>
      inSnapshot(pool, async ({ tx, generation }) => {
        attempts += 1;
        if (attempts === 1) await meanwhile();
        const { rows } = await tx.query<{ daily_calls: number }>(
          `select daily_calls from gold_${generation}.daily_leakage_history where leakage_type = 'billing' and daily_calls > 0`,
        );
        return [generation, rows.reduce((sum, row) => sum + row.daily_calls, 0)];
      });
    const promoteAndFold = async () => {
      await activate(pool, 2);
      await pool.query('update gold_1.call_cube set calls = calls * 2');
    };
    expect(await calls(promoteAndFold)).toEqual([1, 140]);

    await activate(pool, 1);
    attempts = 0;
    const dropped = calls(async () => {
      await activate(pool, 2);
      await pool.query('drop schema gold_1 cascade');
    });
    expect(await dropped).toEqual([2, 420]);
    expect(attempts).toBe(2);
  });
});

describe('the service as a process', () => {
  test('waits for gold, then is ready, says how far it lags behind Kafka, and stops on SIGTERM', async () => {
    const { brokers } = await testStack();
    const database = await freshDatabase();
    const prefix = freshPrefix();
    const pool = createPool({ url: database.url, applicationName: 'api-test', log });
    const kafka = createKafkaClient({ brokers, clientId: 'api-test', log });
    await ensureTopics(kafka, topicTable(prefix));
    const port = await freePort();
    const api = startServiceProcess('api', {
      DATABASE_URL: database.url,
      KAFKA_BROKERS: brokers.join(','),
      TOPIC_PREFIX: prefix,
      API_PORT: String(port),
      PSEUDONYM_KEY: 'k'.repeat(32),
    });
    const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`);
    try {
      await eventually(async () =>
        (await (await get('/readyz')).text()).includes('waiting until gold.daily_leakage_summary exists'),
      );
      expect((await get('/v1/savings-model')).status).toBe(503);
      await makeGeneration(database.url, pool, 1);
      await fillGold(pool, 1, 10);
      await api.ready;
      expect((await get('/readyz')).status).toBe(200);
      expect((await get('/v1/savings-model')).status).toBe(200);

      const publisher = await startPublisher(kafka, { log });
      await publisher.publish([
        { topic: `${prefix}.calls`, key: 'M-1', value: Buffer.from('{}') },
        { topic: `${prefix}.calls`, key: 'M-2', value: Buffer.from('{}') },
      ]);
      await publisher.stop();
      await eventually(async () => {
        const state = (await (await get('/v1/pipeline')).json()) as {
          caught_up: boolean;
          services: Record<string, { lag_records: number }>;
        };
        return state.caught_up === false && state.services['silver-joiner']?.lag_records === 2;
      });
      expect(
        (
          await fetch(`http://127.0.0.1:${port}/v1/members/M-104382/timeline`, {
            headers: { 'sec-fetch-site': 'cross-site' },
          })
        ).status,
      ).toBe(403);
      expect((await get('/v1/members/M-104382/timeline')).status).toBe(200);
      expect(api.output()).not.toContain('104382');
      expect(await api.stop()).toBe(0);
    } finally {
      await api.stop('SIGKILL').catch(() => undefined);
      await pool.stop();
      await database.drop();
    }
  });
});
