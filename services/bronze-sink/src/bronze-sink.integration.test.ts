import {
  createKafkaClient,
  ensureTopics,
  type OutgoingRecord,
  type Publisher,
  startPublisher,
  topicOffsets,
} from '@leakage/kafka';
import { createPool, inTransaction, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { contracts, SOURCES, topicName, topicTable } from '@leakage/schemas';
import {
  call,
  eventually,
  freshDatabase,
  freshPrefix,
  journey,
  profile,
  type ServiceProcess,
  startServiceProcess,
  testStack,
} from '@leakage/testing';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

const log = createLogger({ service: 'test', level: 'silent' });
const prefix = freshPrefix();
const topics = SOURCES.map((source) => topicName(prefix, source));
const running: ServiceProcess[] = [];
let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;
let brokers: string[];
let publisher: Publisher;

beforeAll(async () => {
  ({ brokers } = await testStack());
  database = await freshDatabase();
  pool = createPool({ url: database.url, applicationName: 'test', log });
  const kafka = createKafkaClient({ brokers, clientId: 'test', log });
  await ensureTopics(kafka, topicTable(prefix));
  publisher = await startPublisher(kafka, { log });
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((service) => service.stop()));
});

afterAll(async () => {
  await publisher.stop();
  await pool.stop();
  await database.drop();
});

function startSink(env: Record<string, string> = {}): ServiceProcess {
  const service = startServiceProcess('bronze-sink', {
    DATABASE_URL: database.url,
    KAFKA_BROKERS: brokers.join(','),
    TOPIC_PREFIX: prefix,
    KAFKA_SESSION_TIMEOUT_MS: '2000',
    ...env,
  });
  running.push(service);
  return service;
}

const ALL = `
  select kafka_topic, kafka_partition, kafka_offset, kafka_key, payload, headers, decode_error, source_file from (
    select kafka_topic, kafka_partition, kafka_offset, kafka_key, payload, headers, decode_error, source_file
      from bronze.digital_journeys_raw
    union all
    select kafka_topic, kafka_partition, kafka_offset, kafka_key, payload, headers, decode_error, source_file
      from bronze.call_logs_raw
    union all
    select kafka_topic, kafka_partition, kafka_offset, kafka_key, payload, headers, decode_error, source_file
      from bronze.member_profiles_raw) as everything`;

interface StoredRow {
  kafka_topic: string;
  kafka_partition: number;
  kafka_offset: number;
  headers: unknown;
}

interface Totals {
  rows: number;
  places: number;
  accepted: number;
  offsets: number;
}

async function totals(): Promise<Totals> {
  const { rows } = await pool.query<Totals>(
    `select count(*) as rows, count(distinct (kafka_topic, kafka_partition, kafka_offset)) as places,
            (select sum(accepted)::bigint from ops.position where pipeline = 'bronze') as accepted,
            (select sum(next_offset - first_offset)::bigint from ops.position where pipeline = 'bronze') as offsets
       from (${ALL}) as everything`,
  );
  const [found] = rows;
  if (found === undefined) throw new Error('no totals');
  return found;
}

async function published(): Promise<number> {
  const kafka = createKafkaClient({ brokers, clientId: 'test', log });
  return (await topicOffsets(kafka, topics)).reduce((sum, end) => sum + end.high - end.low, 0);
}

/** Every record of the log is in bronze exactly once, and the positions say so (laws 3 and 4). */
async function expectEverythingOnce(): Promise<void> {
  const records = await published();
  await eventually(async () => (await totals()).accepted >= records, {
    withinMs: 60_000,
    what: `${records} records in bronze`,
  });
  expect(await totals()).toEqual({ rows: records, places: records, accepted: records, offsets: records });
}

function calls(count: number): OutgoingRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    topic: topicName(prefix, 'calls'),
    key: `member-${i % 500}`,
    value: contracts.calls.encode(call({ member_id: `member-${i % 500}` })),
  }));
}

test('every record of a mixed batch is kept once, with exactly its bytes', async () => {
  const big = Buffer.from(JSON.stringify({ error_message: 'm'.repeat(980_000) }));
  const batch: readonly (Omit<OutgoingRecord, 'topic'> & { source: (typeof SOURCES)[number]; error: string | null })[] =
    [
      { source: 'journeys', key: 'member-1', value: contracts.journeys.encode(journey()), error: null },
      { source: 'journeys', key: 'member-1', value: contracts.journeys.encodeJson(journey()), error: null },
      { source: 'journeys', key: null, value: contracts.journeys.encode(journey({ member_id: null })), error: null },
      { source: 'journeys', key: Buffer.from([0xff, 0x00]), value: Buffer.from('garbage'), error: 'unknown_format' },
      {
        source: 'journeys',
        key: 'member-1',
        value: contracts.journeys.encode(journey({ action: 'a\0b' })),
        error: 'nul:action',
      },
      { source: 'journeys', key: 'member-1', value: big, error: null },
      { source: 'calls', key: 'member-1', value: null, error: 'null_value' },
      { source: 'calls', key: 'member-1', value: Buffer.alloc(0), error: 'empty' },
      {
        source: 'calls',
        key: 'member-1',
        value: contracts.calls.encode(call({ sentiment_score: Number.NaN })),
        error: null,
      },
      { source: 'calls', key: 'member-1', value: contracts.journeys.encode(journey()), error: 'unknown_schema_id:5' },
      { source: 'calls', key: 'member-1', value: contracts.calls.encode(call()).subarray(0, 20), error: 'truncated' },
      {
        source: 'members',
        key: 'member-1',
        value: contracts.members.encode(profile()),
        headers: { source_file: 'member_profiles.csv', odd: Buffer.from([0xc3]) },
        error: null,
      },
      {
        source: 'members',
        key: 'member-1',
        value: contracts.members.encode(profile({ valid_from: 1e15 })),
        error: 'timestamp_range:valid_from',
      },
      { source: 'members', key: 'member-1', value: Buffer.from('{"tenure_months": "3"}'), error: 'type:tenure_months' },
    ];
  const places: string[] = [];
  for (const [i, { source, error: _, ...content }] of batch.entries()) {
    const [range] = await publisher.publish([{ ...content, topic: topicName(prefix, source), partition: i % 3 }]);
    places.push(`${range?.topic} ${range?.partition} ${range?.firstOffset}`);
  }
  const service = startSink();
  await service.ready;
  await expectEverythingOnce();

  const { rows } = await pool.query<StoredRow>(ALL);
  const stored = new Map(rows.map((row) => [`${row.kafka_topic} ${row.kafka_partition} ${row.kafka_offset}`, row]));
  for (const [i, { key, value, error }] of batch.entries()) {
    expect(stored.get(places[i] ?? '')).toMatchObject({
      kafka_key: typeof key === 'string' ? Buffer.from(key) : key,
      payload: value,
      decode_error: error,
    });
  }
  const withHeaders = rows.filter((row) => row.headers !== null);
  expect(withHeaders).toMatchObject([
    { headers: { source_file: 'member_profiles.csv', odd: { base64: 'ww==' } }, source_file: 'member_profiles.csv' },
  ]);
  const metrics = await (await fetch(`http://127.0.0.1:${service.port}/metrics`)).text();
  expect(metrics).toContain('leakage_bronze_undecoded_total{source="calls"} 4');
  expect(await service.stop()).toBe(0);
});

test('a restart, and a second process beside the first, double nothing', async () => {
  const first = startSink();
  await first.ready;
  const second = startSink();
  await publisher.publish(calls(3000));
  await second.ready;
  await publisher.publish(calls(3000));
  await expectEverythingOnce();
  expect(await first.stop()).toBe(0);
  await publisher.publish(calls(3000));
  await expectEverythingOnce();
  expect(await second.stop()).toBe(0);
  const third = startSink();
  await third.ready;
  await publisher.publish(calls(100));
  await expectEverythingOnce();
});

/** Publishes, and runs `cut` when the sink has copied a batch and waits for the positions: the middle of its transaction. */
async function inTheMiddle(cut: () => Promise<unknown>): Promise<void> {
  await inTransaction(pool, async (holder) => {
    await holder.query('select from ops.position for update');
    await publisher.publish(calls(2000));
    await eventually(async () => {
      const { rows } = await pool.query(
        `select from pg_stat_activity
          where application_name = 'bronze-sink' and wait_event_type = 'Lock' and query like '%ops.advance%'`,
      );
      return rows.length > 0;
    });
    await cut();
  });
}

test('a process killed between COPY and COMMIT leaves nothing of its batch, and the next one everything once', async () => {
  for (let kills = 0; kills < 2; kills++) {
    const before = await totals();
    const victim = startSink();
    await victim.ready;
    await inTheMiddle(async () => {
      await victim.stop('SIGKILL');
      expect(await totals()).toEqual(before);
    });
  }
  const survivor = startSink();
  await survivor.ready;
  await expectEverythingOnce();
});

test('a connection terminated in the middle of a batch costs nothing but time', async () => {
  const service = startSink();
  await service.ready;
  for (let cuts = 0; cuts < 2; cuts++) {
    await inTheMiddle(() =>
      pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bronze-sink'`),
    );
    await expectEverythingOnce();
  }
  expect(await service.stop()).toBe(0);
});
