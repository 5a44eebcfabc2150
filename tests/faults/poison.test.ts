import { readFileSync } from 'node:fs';
import { createKafkaClient, topicOffsets } from '@leakage/kafka';
import { createLogger } from '@leakage/runtime';
import { contracts, SOURCES, type Source, topicName } from '@leakage/schemas';
import { call, journey, profile, type ServiceName, type ServiceProcess } from '@leakage/testing';
import { CompressionTypes, ConfigResourceTypes, Kafka, logLevel, type Message, type Producer } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyPipeline } from '../../cli/src/verify.ts';
import { emptyPipeline, type Pipeline } from '../support/pipeline.ts';
import { goodPair, type Poison, poison } from './poison.ts';
import { report } from './support/report.ts';

interface Place {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

interface Kept {
  readonly kafka_key: Buffer | null;
  readonly payload: Buffer | null;
  readonly headers: unknown;
  readonly decode_error: string | null;
}

const services: readonly ServiceName[] = ['bronze-sink', 'silver-joiner', 'gold-aggregator'];
const bronzeTables: Readonly<Record<Source, string>> = {
  journeys: 'bronze.digital_journeys_raw',
  calls: 'bronze.call_logs_raw',
  members: 'bronze.member_profiles_raw',
};
const silverTables: Readonly<Record<Source, string>> = {
  journeys: 'silver_1.journey_event',
  calls: 'silver_1.call',
  members: 'silver_1.member_profile',
};

/**
 * Reasons that no record alone can bring about: one needs a retention run, one is there for what nobody has thought of, and
 * one needs a schema registry (tests/schemas.e2e.test.ts).
 */
const notFromRecords = ['beyond_retention', 'avro:invalid', 'incompatible_schema:<id>'];

it('has every reason that the documents list, and no other', () => {
  const chapter = readFileSync(new URL('../../docs/semantics.md', import.meta.url), 'utf8')
    .split('## Why a record is refused')[1]
    ?.matchAll(/^\| (`.*?) \|/gm);
  const listed = [...(chapter ?? [])].flatMap(([, reasons = '']) => reasons.replaceAll('`', '').split(', '));
  const general = (reason: string) =>
    listed.includes(reason)
      ? reason
      : reason.replace(/^unknown_schema_id:.*/, 'unknown_schema_id:<id>').replace(/:[a-z_]+$/, ':<field>');
  const given = poison.flatMap(({ reasons, undecoded }) => [
    ...(reasons ?? []),
    ...(undecoded === null ? [] : [undecoded]),
  ]);
  expect([...new Set([...given.map(general), ...notFromRecords])].sort()).toEqual([...listed].sort());
});

describe('poison', () => {
  let pipeline: Pipeline;
  let processes: ServiceProcess[];
  let kafka: Kafka;
  let producer: Producer;
  let pairs = 0;
  let holes = 0;
  const places = new Map<string, Place>();

  beforeAll(async () => {
    pipeline = await emptyPipeline();
    processes = await Promise.all(services.map((name) => pipeline.start(name)));
    kafka = new Kafka({ brokers: [...pipeline.brokers], clientId: 'poisoner', logLevel: logLevel.NOTHING });
    producer = kafka.producer({ maxInFlightRequests: 1 });
    await producer.connect();
  });
  afterAll(async () => {
    await producer.disconnect();
    await pipeline.stop();
  });

  async function send(source: Source, message: Message, compression = CompressionTypes.None): Promise<Place> {
    const topic = topicName(pipeline.prefix, source);
    const [range] = await producer.send({ topic, messages: [message], compression });
    return { topic, partition: range?.partition ?? -1, offset: Number(range?.baseOffset ?? -1) };
  }

  async function sendGoodPair(compression?: CompressionTypes): Promise<void> {
    const pair = goodPair(pairs++);
    await send('journeys', { key: pair.member, value: pair.journey }, compression);
    await send('calls', { key: pair.member, value: pair.call }, compression);
  }

  async function inTransaction(nr: number, commit: boolean): Promise<void> {
    const transactional = kafka.producer({
      transactionalId: `${pipeline.prefix}-${nr}`,
      maxInFlightRequests: 1,
      idempotent: true,
    });
    await transactional.connect();
    const transaction = await transactional.transaction();
    const pair = commit ? goodPair(pairs++) : goodPair(100_000 + nr);
    for (const source of ['journeys', 'calls'] as const) {
      const value = source === 'calls' ? pair.call : pair.journey;
      await transaction.send({ topic: topicName(pipeline.prefix, source), messages: [{ key: pair.member, value }] });
    }
    await (commit ? transaction.commit() : transaction.abort());
    await transactional.disconnect();
    // One marker for each of the two partitions; of an aborted transaction the two records are holes as well.
    holes += commit ? 2 : 4;
  }

  /** kafkajs takes any record with this key for the end of an aborted transaction. */
  async function abortWithMarkerKeys(): Promise<void> {
    const transactional = kafka.producer({
      transactionalId: `${pipeline.prefix}-key`,
      maxInFlightRequests: 1,
      idempotent: true,
    });
    await transactional.connect();
    const transaction = await transactional.transaction();
    const keys = ['M-aborted', Buffer.alloc(4), 'M-aborted'];
    const messages = keys.map((key) => ({ key, partition: 0, value: contracts.journeys.encode(journey()) }));
    await transaction.send({ topic: topicName(pipeline.prefix, 'journeys'), messages });
    await transaction.abort();
    await transactional.disconnect();
    holes += messages.length + 1;
  }

  async function kept(source: Source, { topic, partition, offset }: Place): Promise<Kept[]> {
    const { rows } = await pipeline.pool.query<Kept>(
      `select kafka_key, payload, headers, decode_error from ${bronzeTables[source]}
        where kafka_topic = $1 and kafka_partition = $2 and kafka_offset = $3 order by ingestion_timestamp`,
      [topic, partition, offset],
    );
    return rows;
  }

  /** The reasons of the quarantine; null where silver has stored the record. */
  async function outcome(source: Source, { topic, partition, offset }: Place): Promise<readonly string[] | null> {
    const place = [topic, partition, offset];
    const refused = await pipeline.pool.query<{ reasons: string[]; payload: Buffer | null }>(
      `select reasons, payload from silver.quarantine
        where kafka_topic = $1 and kafka_partition = $2 and kafka_offset = $3 order by kafka_offset`,
      place,
    );
    if (refused.rows[0] !== undefined) return refused.rows[0].reasons;
    const stored = await pipeline.pool.query<{ rows: number }>(
      `select count(*) as rows from ${silverTables[source]}
        where source_topic = $1 and source_partition = $2 and source_offset = $3`,
      place,
    );
    expect(stored.rows).toEqual([{ rows: 1 }]);
    return null;
  }

  async function expectNoProcessEnded(): Promise<void> {
    for (const one of processes) {
      expect(await Promise.race([one.exited, Promise.resolve('runs')]), one.output()).toBe('runs');
      expect(process.kill(one.pid, 0)).toBe(true);
    }
  }

  it('of every kind is sent between good records, and everything is read to the end', async () => {
    for (const one of poison) {
      const { source, value, key = 'nobody', headers } = one;
      const message: Message = { key: typeof key === 'string' ? Buffer.from(key) : key, value };
      if (headers !== undefined) message.headers = headers;
      places.set(one.name, await send(source, message));
      await sendGoodPair();
    }
    for (const type of [CompressionTypes.GZIP, CompressionTypes.Snappy, CompressionTypes.LZ4, CompressionTypes.ZSTD]) {
      await sendGoodPair(type);
    }
    await inTransaction(1, true);
    await inTransaction(2, false);
    await abortWithMarkerKeys();
    await inTransaction(3, true);
    await sendGoodPair();
    await pipeline.drained();
    await expectNoProcessEnded();
    report({ kind: 'poison', fault: 'kinds of poisoned records', times: poison.length });
  });

  const table = poison.map((one): [string, Poison] => [one.name, one]);
  it.each(table)('%s', async (name, { source, key = 'nobody', value, described = null, undecoded, reasons }) => {
    const place = places.get(name);
    if (place === undefined) throw new Error('it was not sent');
    const bytes = typeof key === 'string' ? Buffer.from(key) : key;
    const [row, ...others] = await kept(source, place);
    expect(others).toEqual([]);
    expect(row?.payload === null ? null : row?.payload?.equals(value ?? Buffer.alloc(0))).toBe(
      value === null ? null : true,
    );
    expect({ key: row?.kafka_key, headers: row?.headers, error: row?.decode_error }).toEqual({
      key: bytes,
      headers: described,
      error: undecoded,
    });
    expect(await outcome(source, place)).toEqual(reasons);
  });

  it('leaves every good record joined as if it were not there', async () => {
    const { rows } = await pipeline.pool.query<{ call_id: string; attribution: string }>(
      `select call_id, attribution from silver.digital_call_leakage where call_id like 'C-good-%' order by call_id`,
    );
    const expected = Array.from({ length: pairs }, (_, nr) => ({
      call_id: goodPair(nr).callId,
      attribution: 'leakage',
    }));
    expect(rows).toEqual(expected);
  });

  it('is counted: per partition every offset has an outcome or is a hole', async () => {
    await expectConservation();
    const { rows } = await pipeline.pool.query<{ pipeline: string; holes: number }>(
      'select pipeline, sum(holes)::bigint as holes from ops.position group by pipeline order by pipeline',
    );
    expect(rows).toEqual([
      { pipeline: 'bronze', holes },
      { pipeline: 'silver_1', holes },
    ]);
  });

  async function expectConservation(): Promise<void> {
    const client = createKafkaClient({
      brokers: pipeline.brokers,
      clientId: 'tests',
      log: createLogger({ service: 'tests', level: 'error' }),
    });
    const ends = await topicOffsets(
      client,
      SOURCES.map((source) => topicName(pipeline.prefix, source)),
    );
    const { rows } = await pipeline.pool.query<{ place: string; offsets: number; outcomes: number }>(
      `select pipeline || ' ' || topic || ' ' || partition as place, next_offset - first_offset as offsets,
              accepted + superseded + duplicates + conflicts + quarantined + holes as outcomes
         from ops.position order by pipeline, topic, partition`,
    );
    const stored = new Map(rows.map((row) => [row.place, row]));
    for (const { topic, partition, low, high } of ends) {
      if (high === low) continue;
      const both = { offsets: high - low, outcomes: high - low };
      expect(stored.get(`bronze ${topic} ${partition}`)).toMatchObject(both);
      expect(stored.get(`silver_1 ${topic} ${partition}`)).toMatchObject(both);
    }
  }

  it('does not keep the oracle from agreeing', async () => {
    const verified = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
    expect(verified.checks.filter((check) => check.differences > 0)).toEqual([]);
    expect(verified.ok).toBe(true);
  });

  it('of one long text, repeated by every call about it, does not outgrow what a statement may hold', async () => {
    const member = 'M-multiplied';
    const topic = topicName(pipeline.prefix, 'calls');
    const messages = Array.from({ length: 600 }, () => ({
      key: member,
      value: contracts.calls.encode(call({ member_id: member })),
    }));
    await producer.send({ topic, messages });
    const event = journey({ member_id: member, session_id: member, error_message: 'm'.repeat(950_000) });
    await send('journeys', { key: member, value: contracts.journeys.encode(event) });
    await pipeline.drained();
    await expectNoProcessEnded();
    const { rows } = await pipeline.pool.query(
      `select attribution, length(error_message) as characters, count(*) as calls
         from silver.digital_call_leakage where member_id = $1 group by 1, 2 order by 1, 2`,
      [member],
    );
    expect(rows).toEqual([{ attribution: 'leakage', characters: 1000, calls: 600 }]);
  });

  it('in the timestamps of records, where a topic takes them from producers, stops nothing either', async () => {
    const admin = kafka.admin();
    await admin.connect();
    await admin.alterConfigs({
      validateOnly: false,
      resources: SOURCES.map((source) => ({
        type: ConfigResourceTypes.TOPIC,
        name: topicName(pipeline.prefix, source),
        configEntries: [
          { name: 'message.timestamp.type', value: 'CreateTime' },
          { name: 'message.timestamp.after.max.ms', value: '9223372036854775807' },
        ],
      })),
    });
    await admin.disconnect();
    for (const timestamp of ['-8000000000000000000', '8000000000000000000', '0']) {
      const member = `M-clock${timestamp}`;
      const value = contracts.members.encode(profile({ member_id: member, emitted_at: null }));
      await send('members', { key: member, value, timestamp });
      const at = { member_id: member, session_id: member, emitted_at: null };
      await send('journeys', { key: member, value: contracts.journeys.encode(journey(at)), timestamp });
      await send('journeys', { key: member, value: Buffer.from('hello'), timestamp });
    }
    await sendGoodPair();
    await pipeline.drained();
    await expectNoProcessEnded();
    await expectConservation();
    const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
    expect(report.checks.filter((check) => check.differences > 0)).toEqual([]);
  });
});
