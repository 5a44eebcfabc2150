import type { KafkaRecord, PartitionChunk } from '@leakage/kafka';
import { createPool, migrate, migrateOps, PolicyInForce, type Pool, positionStore, Session } from '@leakage/postgres';
import { contractReading } from '@leakage/registry';
import { createLogger, Metrics } from '@leakage/runtime';
import { contracts, SOURCES, type Source, topicName } from '@leakage/schemas';
import { call, freshDatabase, journey, profile } from '@leakage/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { BronzeSink } from './bronze-sink.ts';
import { pipeline } from './bronze-store.ts';
import { layouts } from './domain/layout.ts';

const log = createLogger({ service: 'test', level: 'silent' });
let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;
let session: Session;
let sink: BronzeSink;
const next = new Map<string, number>();

beforeAll(async () => {
  database = await freshDatabase();
  const { url } = database;
  await migrateOps({ url, log });
  await migrate({ url, schemas: ['bronze'], directory: new URL('../migrations/', import.meta.url), log });
  pool = createPool({ url, applicationName: 'test', log });
  session = new Session({ url, applicationName: 'test', log });
  sink = new BronzeSink({
    session,
    policy: await PolicyInForce.open(pool, null),
    topicPrefix: 'p',
    schema: 'bronze',
    reading: contractReading,
    log,
    metrics: new Metrics(),
  });
  const parts = SOURCES.map((source) => ({ topic: topicName('p', source), partition: 0, lowOffset: 0 }));
  await positionStore(pool, pipeline).load(parts, 'cluster');
});

afterAll(async () => {
  await session.stop();
  await pool.stop();
  await database.drop();
});

type Content = Pick<KafkaRecord, 'key' | 'value' | 'headers' | 'timestampMs'>;

function chunkOf(source: Source, contents: readonly Content[]): PartitionChunk {
  const topic = topicName('p', source);
  const from = next.get(topic) ?? 0;
  const to = from + contents.length;
  next.set(topic, to);
  const records = contents.map((content, i) => ({ topic, partition: 0, offset: from + i, ...content }));
  return {
    topic,
    partition: 0,
    expectedOffset: from,
    nextOffset: to,
    lastOffset: contents.length === 0 ? null : to - 1,
    lastFingerprint: contents.length === 0 ? null : 1,
    holes: 0,
    records,
  };
}

async function archived(source: Source, from: number): Promise<Record<string, unknown>[]> {
  const { rows } = await pool.query(
    `select * from bronze.${layouts[source].table} where kafka_offset >= $1 order by kafka_offset`,
    [from],
  );
  return rows;
}

const bytes = fc.uint8Array({ maxLength: 60 }).map((some) => Buffer.from(some));
const nasty = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('', '\0', 'a\0b', '\ud800', 'é', '\u{1f600}', '\ufeff', '"\\', 'x'.repeat(3000)),
);
const instant = fc.oneof(
  fc.integer({ min: -(2 ** 52), max: 2 ** 52 }),
  fc.constantFrom(0, -1, 253_402_300_799_999, 253_402_300_800_000, -62_135_596_800_000),
);
const double = fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, -0));
const int = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const orNull = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: null });

const avro = {
  journeys: fc
    .record({
      event_id: orNull(nasty),
      error_message: orNull(nasty),
      timestamp: orNull(instant),
      revision: int,
      emitted_at: orNull(instant),
    })
    .map((fields) => contracts.journeys.encode(journey(fields))),
  calls: fc
    .record({
      call_id: orNull(nasty),
      ivr_path: orNull(nasty),
      sentiment_score: orNull(double),
      handle_time_seconds: orNull(int),
      call_timestamp: orNull(instant),
    })
    .map((fields) => contracts.calls.encode(call(fields))),
  members: fc
    .record({
      member_id: orNull(nasty),
      segment: orNull(nasty),
      tenure_months: orNull(int),
      valid_from: orNull(instant),
    })
    .map((fields) => contracts.members.encode(profile(fields))),
};
const damaged = (value: fc.Arbitrary<Buffer>) =>
  fc.tuple(value, fc.nat(), fc.nat(255), fc.boolean()).map(([whole, at, byte, cut]) => {
    const copy = Buffer.from(whole);
    copy[at % copy.length] = byte;
    return cut ? copy.subarray(0, at % copy.length) : copy;
  });
const names = Object.keys({ ...journey(), ...call(), ...profile() });
const json = fc
  .dictionary(
    fc.constantFrom(...names),
    fc.oneof(nasty, double, instant, int, fc.boolean(), fc.jsonValue({ maxDepth: 1 })),
    { maxKeys: 12 },
  )
  .map((fields) => Buffer.from(JSON.stringify(fields).replace('null', '1e999')));

const contentOf = (source: Source) =>
  fc.record<Content>({
    key: orNull(bytes),
    value: orNull(fc.oneof(avro[source], damaged(avro[source]), json, bytes)),
    headers: orNull(fc.dictionary(nasty, fc.oneof(bytes, nasty, fc.array(bytes, { maxLength: 3 })), { maxKeys: 4 })),
    timestampMs: fc.oneof(instant, fc.constantFrom(-1, 2 ** 63)),
  });
const batch = fc.record({
  journeys: fc.array(contentOf('journeys'), { maxLength: 25 }),
  calls: fc.array(contentOf('calls'), { maxLength: 25 }),
  members: fc.array(contentOf('members'), { maxLength: 25 }),
});

test('whatever a record holds, it becomes one row with exactly its bytes', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(batch, async (contents) => {
      const chunks = SOURCES.map((source) => chunkOf(source, contents[source]));
      expect(await sink.apply(await sink.prepare(chunks))).toBe('applied');
      for (const [i, source] of SOURCES.entries()) {
        const chunk = chunks[i];
        const rows = await archived(source, chunk?.expectedOffset ?? 0);
        expect(rows.map((row) => row.payload)).toEqual(contents[source].map((content) => content.value));
        expect(rows.map((row) => row.kafka_key)).toEqual(contents[source].map((content) => content.key));
        const decoded = contents[source].map((content) => contracts[source].decode(content.value));
        expect(rows.map((row) => row.decode_error)).toEqual(decoded.map((d) => (d.ok ? null : d.error)));
        expect(rows.map((row) => row.schema_id)).toEqual(decoded.map((d) => d.schemaId));
        for (const [j, { event }] of decoded.entries()) if (event !== null) expect(rows[j]).toMatchObject(event);
      }
    }),
    { numRuns: 120 },
  );
});

test('the columns of a row are those of the table', async () => {
  const headers = { source_file: Buffer.from('calls.csv'), trace: Buffer.from([1, 255]) };
  const event = call({
    call_id: 'c',
    sentiment_score: 0.125,
    handle_time_seconds: null,
    call_timestamp: 1_772_000_000_123,
  });
  const chunk = chunkOf('calls', [
    { key: Buffer.from('member-1'), value: contracts.calls.encode(event), headers, timestampMs: 1_772_000_000_500 },
  ]);
  const before = Date.now();
  await sink.apply(await sink.prepare([chunk]));
  const [row] = await archived('calls', chunk.expectedOffset);
  expect(row).toEqual({
    kafka_topic: 'p.calls',
    kafka_partition: 0,
    kafka_offset: chunk.expectedOffset,
    kafka_timestamp: 1_772_000_000_500,
    kafka_key: Buffer.from('member-1'),
    headers: { source_file: 'calls.csv', trace: { base64: 'Af8=' } },
    payload: contracts.calls.encode(event),
    schema_id: 3 - 1,
    ...event,
    decode_error: null,
    source_file: 'calls.csv',
    ingestion_timestamp: row?.ingestion_timestamp,
  });
  expect(Math.abs(Number(row?.ingestion_timestamp) - before)).toBeLessThan(10_000);
});

test('should a contract ever let through what no column holds, the record is kept all the same', async () => {
  const value = contracts.calls.encode(call());
  const decoded = {
    ok: true,
    event: call({ handle_time_seconds: 2 ** 40 }),
    schemaId: 2,
    unknownFields: 0,
    emptied: [],
  } as const;
  vi.spyOn(contracts.calls, 'decode').mockReturnValueOnce(decoded);
  const content = { key: null, value, headers: null, timestampMs: 0 };
  const chunk = chunkOf('calls', [content, content]);
  expect(await sink.apply(await sink.prepare([chunk]))).toBe('applied');
  const [odd, plain] = await archived('calls', chunk.expectedOffset);
  expect(odd).toMatchObject({ payload: value, decode_error: 'unstorable', call_id: null, schema_id: 2 });
  expect(plain).toMatchObject({ payload: value, decode_error: null, handle_time_seconds: 300 });
});

test('a batch that another process has applied already is moved, and leaves no row', async () => {
  const chunk = chunkOf('calls', [{ key: null, value: null, headers: null, timestampMs: 0 }]);
  const [first, again] = [await sink.prepare([chunk]), await sink.prepare([chunk])];
  expect(await sink.apply(first)).toBe('applied');
  expect(await sink.apply(again)).toBe('moved');
  expect(await archived('calls', chunk.expectedOffset)).toHaveLength(1);
});

test('holes move the position without a row', async () => {
  const chunk = { ...chunkOf('members', []), nextOffset: (next.get('p.members') ?? 0) + 3, holes: 3 };
  next.set('p.members', chunk.nextOffset);
  expect(await sink.apply(await sink.prepare([chunk]))).toBe('applied');
  const { rows } = await pool.query(
    `select next_offset, holes, accepted + holes - next_offset as difference from ops.position where topic = 'p.members'`,
  );
  expect(rows).toEqual([{ next_offset: chunk.nextOffset, holes: 3, difference: 0 }]);
});
