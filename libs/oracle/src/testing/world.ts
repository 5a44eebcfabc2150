/** A database with hand-made bronze records, and silver and gold filled as a pipeline without mistakes would fill them. */
import { createPool, migrate, migrateOps } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { freshDatabase } from '@leakage/testing';
import { cubes } from '../gold.ts';
import { type OracleQuery, type OracleReport, type OracleRules, recompute, runOracle } from '../index.ts';

export type Source = 'journeys' | 'calls' | 'members';

export interface Delivered {
  source: Source;
  /** A value of the topic as JSON: instants as ISO 8601. */
  event: Record<string, unknown>;
  partition?: number;
  kafkaTimestamp?: string;
  decodeError?: string;
}

/** The reason table as leakage-rules.md section 4 prints it, turned around. */
function byType(lists: Record<string, string>): Record<string, string> {
  const pairs = Object.entries(lists).flatMap(([type, list]) => list.split(' ').map((word) => [word, type] as const));
  return Object.fromEntries(pairs);
}

export const defaultRules: OracleRules = {
  windowMs: 30 * 60_000,
  timeZone: 'America/New_York',
  repeatScope: 'same_issue',
  reasons: {
    journeyTypes: ['billing', 'id_card', 'pharmacy'],
    reasons: byType({
      billing: 'billing_question billing_dispute payment_issue premium_question autopay_issue plan_eligibility',
      id_card: 'id_card_request id_card_replacement member_id_lookup',
      pharmacy: 'pharmacy_refill pharmacy_prior_auth rx_coverage pharmacy_network',
      any: 'app_technical_support login_help',
    }),
    tokens: byType({
      billing: 'billing payment premium',
      id_card: 'id_card idcard',
      pharmacy: 'pharmacy rx',
      any: 'tech_support',
    }),
  },
};

const tables = {
  journeys: {
    name: 'digital_journeys_raw',
    columns:
      'event_id, member_id, session_id, "timestamp", journey_type, action, device_type, error_code, error_message, revision, deleted, emitted_at, app_version',
  },
  calls: {
    name: 'call_logs_raw',
    columns:
      'call_id, member_id, call_timestamp, ivr_path, handle_time_seconds, agent_id, call_reason, sentiment_score, resolution_status, revision, deleted, emitted_at',
  },
  members: {
    name: 'member_profiles_raw',
    columns:
      'member_id, plan_type, segment, language_preference, tenure_months, enrollment_date, valid_from, revision, emitted_at',
  },
};

export const options = {
  generation: 1,
  schemas: { bronze: 'bronze', silver: 'silver_1', gold: 'gold_1' },
  pipelines: { bronze: 'bronze', silver: 'silver_1' },
};

const log = createLogger({ service: 'oracle-test', level: 'silent' });

export type World = Awaited<ReturnType<typeof createWorld>>;

export async function createWorld() {
  const database = await freshDatabase();
  await migrateOps({ url: database.url, log });
  for (const [service, schemas] of [
    ['bronze-sink', ['bronze']],
    ['silver-joiner', ['silver_1']],
    ['gold-aggregator', ['gold_1', 'silver_1']],
  ] as const) {
    const directory = new URL(`../../../../services/${service}/migrations/`, import.meta.url);
    await migrate({ url: database.url, schemas, directory, log });
  }
  const pool = createPool({ url: database.url, applicationName: 'oracle-test', log });
  const offsets = new Map<string, number>();

  const run = async (sql: string, values?: unknown[]) => (await pool.query(sql, values)).rows;

  /** Empties everything and starts generation 1 with these rules. */
  async function reset(rules: OracleRules = defaultRules): Promise<void> {
    offsets.clear();
    const { rows } = await pool.query<{ name: string }>(
      `select format('%I.%I', schemaname, tablename) as name from pg_tables
        where schemaname in ('bronze', 'silver_1', 'gold_1', 'ops') and tablename not in ('migrations', 'disclosure')`,
    );
    await run(`truncate ${rows.map((row) => row.name).join(', ')}`);
    await run(`insert into ops.generation (id, state, rules, rules_hash) values (1, 'active', $1, 'test')`, [
      JSON.stringify(rules),
    ]);
    await run('insert into ops.shard (generation, shard) select 1, shard from generate_series(0, 11) s (shard)');
    await run(`insert into ops.reader (reader, generation, shard, next_seq) select 'gold', 1, shard, 1 from ops.shard`);
    await run(`insert into ops.parameter (name, value, source, set_by) values ('cost_per_call', 8, 'test', 'test')
               on conflict (name) do update set value = excluded.value`);
    await run('insert into gold_1.this_generation (id) values (1)');
  }

  /** Appends records to bronze and moves the positions of both pipelines, all of them counted as accepted. */
  async function deliver(records: readonly Delivered[]): Promise<void> {
    const numbered = records.map(({ source, event, partition = 0, kafkaTimestamp, decodeError = null }) => {
      const topic = `leakage.${source}`;
      const offset = offsets.get(`${topic}/${partition}`) ?? 0;
      offsets.set(`${topic}/${partition}`, offset + 1);
      const received =
        kafkaTimestamp ?? event.emitted_at ?? event.timestamp ?? event.call_timestamp ?? '2026-03-02T15:00:00Z';
      return { source, topic, partition, offset, received, decodeError, event };
    });
    for (const [source, { name, columns }] of Object.entries(tables)) {
      await run(
        `insert into bronze.${name} (kafka_topic, kafka_partition, kafka_offset, kafka_timestamp, decode_error, ${columns})
         select x ->> 'topic', (x ->> 'partition')::int, (x ->> 'offset')::bigint, (x ->> 'received')::timestamptz,
                x ->> 'decodeError', ${columns}
           from jsonb_array_elements($1) x, jsonb_populate_record(null::bronze.${name}, x -> 'event')`,
        [JSON.stringify(numbered.filter((record) => record.source === source))],
      );
    }
    await run(
      `insert into ops.position (pipeline, topic, partition, first_offset, next_offset, accepted, cluster_id)
       select pipeline, x ->> 'topic', (x ->> 'partition')::int, 0, count(*), count(*), 'test'
         from jsonb_array_elements($1) x, (values ('bronze'), ('silver_1')) v (pipeline)
        group by 1, 2, 3
       on conflict (pipeline, topic, partition)
       do update set next_offset = position.next_offset + excluded.next_offset,
                     accepted = position.accepted + excluded.accepted`,
      [JSON.stringify(numbered)],
    );
  }

  /** A snapshot of its own, for the time of `fn`. */
  async function snapshot<T>(
    fn: (query: OracleQuery) => Promise<T>,
    end: 'rollback' | 'commit' = 'rollback',
  ): Promise<T> {
    return await pool.withConnection(async (connection) => {
      const query: OracleQuery = (sql, params) => connection.query<Record<string, unknown>>(sql, params);
      await query('begin isolation level repeatable read');
      try {
        const result = await fn(query);
        await query(end);
        return result;
      } catch (error) {
        await query('rollback');
        throw error;
      }
    });
  }

  /** A snapshot that stays open until `close`, which rolls it back. */
  async function openSnapshot(): Promise<{ query: OracleQuery; close(): Promise<void> }> {
    const opened = Promise.withResolvers<OracleQuery>();
    const closed = Promise.withResolvers<void>();
    const done = snapshot(async (query) => {
      opened.resolve(query);
      await closed.promise;
    });
    return {
      query: await opened.promise,
      close: () => {
        closed.resolve();
        return done;
      },
    };
  }

  const facts = <R>(sql: string): Promise<R[]> =>
    snapshot(async (query) => {
      await recompute(query, options);
      return (await query(sql)).rows as R[];
    });

  /** Fills silver, gold and the outcomes, emptied first, with what the oracle says. */
  async function adopt(): Promise<void> {
    await snapshot(async (query) => {
      await recompute(query, options);
      for (const sql of adoption) await query(sql);
    }, 'commit');
  }

  const verify = (): Promise<OracleReport> => snapshot((query) => runOracle(query, options));

  await reset();
  return {
    url: database.url,
    run,
    reset,
    deliver,
    facts,
    snapshot,
    openSnapshot,
    adopt,
    verify,
    async close() {
      await pool.stop();
      await database.drop();
    },
  };
}

const provenance = (topic: string) =>
  `m.shard, now() as ingestion_timestamp, '${topic}' as source_topic, p.partition as source_partition, r.kafka_offset as source_offset`;

function cleaned(o: { table: string; from: string; topic: string; columns: string; values?: string }): string {
  return `insert into silver_1.${o.table} (${o.columns}, revision, emitted_at, shard, ingestion_timestamp, source_topic,
      source_partition, source_offset)
    select ${o.values ?? o.columns}, revision, emitted_at, ${provenance(o.topic)}
      from ${o.from} r join oracle_member m using (member_id) join oracle_position p using (position_no)`;
}

function fact(table: string, from: string, columns: string): string {
  return `insert into silver_1.${table} (${columns}, shard) select ${columns}, shard from ${from} join oracle_member using (member_id)`;
}

const call = `call_id, member_id, call_timestamp, ivr_path, handle_time_seconds, agent_id, call_reason, sentiment_e4,
  resolution_status, deleted`;

const adoption = [
  `truncate silver_1.journey_event, silver_1.call, silver_1.member_profile, silver_1.call_fact, silver_1.journey_outcome,
     silver_1.quarantine_record, silver_1.conflict_record, ${Object.keys(cubes)
       .map((name) => `gold_1.${name}`)
       .join(', ')}`,
  `update ops.position set quarantined = 0, accepted = accepted + quarantined where pipeline = 'silver_1'`,
  cleaned({
    table: 'journey_event',
    from: 'oracle_journey',
    topic: 'leakage.journeys',
    columns: `event_id, event_day, member_id, session_id, "timestamp", journey_type, action, device_type, error_code,
      error_message, deleted, app_version`,
    values: `identity, floor(extract(epoch from "timestamp") / 86400)::int, member_id, session_id, "timestamp",
      journey_type, action, device_type, error_code, error_message, deleted, app_version`,
  }),
  cleaned({ table: 'call', from: 'oracle_call', topic: 'leakage.calls', columns: call }),
  cleaned({
    table: 'member_profile',
    from: 'oracle_profile',
    topic: 'leakage.members',
    columns:
      'member_id, valid_from, plan_type, segment, language_preference, tenure_months, enrollment_date, member_category',
    values: `member_id, valid_from, plan_type, segment, language_preference, tenure_months, enrollment_date,
      case when plan_type = 'Commercial' then 'Commercial' when segment = 'new' then 'MAPD New' else 'MAPD Tenured' end`,
  }),
  fact(
    'call_fact',
    'oracle_call_fact',
    `call_id, member_id, call_timestamp, call_reason, issue_family, attribution, is_repeat_call, is_primary,
     assisted_completion, leakage_type, digital_session_id, digital_event_id, digital_timestamp, time_to_call_ms,
     alignment_strength, error_code, error_message, device_type, member_category, plan_type, segment, language_preference,
     sentiment_e4, handle_time_seconds, local_date, local_hour`,
  ),
  fact(
    'journey_outcome',
    'oracle_outcome',
    `member_id, session_id, journey_type, outcome, first_decisive_at, last_decisive_at, last_decisive_event_id, device_type,
     error_code, member_category, plan_type, segment, language_preference, local_date, local_hour, leaked, leakage_calls`,
  ),
  `insert into silver_1.quarantine_record (source, kafka_topic, kafka_partition, kafka_offset, received_at, record_id, reasons)
   select source, kafka_topic, kafka_partition, kafka_offset, now(), unidentified_call, reasons from oracle_quarantine`,
  ...Object.entries({ journeys: 'journey', calls: 'call', members: 'profile' }).map(
    ([source, kind]) => `
   insert into silver_1.conflict_record (source, identity, revision, content_hash, content, kafka_topic, kafka_partition, kafka_offset)
   select distinct on (c.identity, c.content) '${source}', c.identity, c.revision, sha256(c.content::text::bytea),
          to_jsonb(c.content), p.topic, p.partition, r.kafka_offset
     from oracle_${kind}_conflict c
     join oracle_${kind}_rival r on r.identity = c.identity and r.revision = c.revision and r.content = c.content
     join oracle_position p using (position_no)`,
  ),
  `update ops.position p set quarantined = q.records, accepted = accepted - q.records
     from (select kafka_topic, kafka_partition, count(*) as records from oracle_quarantine group by 1, 2) q
    where p.pipeline = 'silver_1' and p.topic = q.kafka_topic and p.partition = q.kafka_partition`,
  `update ops.shard set wm_digital = (select max(watermark) from oracle_partition where kind = 'journey'),
                        wm_calls = (select max(watermark) from oracle_partition where kind = 'call')`,
  ...Object.entries(cubes).map(
    ([name, cube]) => `insert into gold_1.${name} (${[...cube.key, ...cube.measures].join(', ')}) ${cube.expected}`,
  ),
];
