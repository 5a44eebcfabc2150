import { createLogger, Metrics, sleep } from '@leakage/runtime';
import { freshPrefix, testStack } from '@leakage/testing';
import type { Admin } from 'kafkajs';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { createKafkaClient, kafkaOf } from './client.ts';
import { startConsumer } from './consumer.ts';
import { LogLostError, LogReplacedError, OtherClusterError } from './errors.ts';
import { startPublisher } from './publisher.ts';
import { type Prepared, TestPipeline, until } from './test-pipeline.ts';
import { ensureTopics, topicOffsets } from './topics.ts';
import type { ConsumerOptions, KafkaConsumer, Publisher } from './types.ts';

// What may happen to a log between and during two looks at it: transactions, retention, deletion, another cluster.

const log = createLogger({ service: 'test', level: 'silent' });
const client = createKafkaClient({ brokers: (await testStack()).brokers, clientId: 'kafka-test', log });

let admin: Admin;
let publisher: Publisher;
let topic: string;
let pipeline: TestPipeline;
let started: KafkaConsumer[];

beforeAll(async () => {
  admin = kafkaOf(client).admin();
  await admin.connect();
  publisher = await startPublisher(client, { log });
});

afterAll(async () => {
  await admin.disconnect();
  await publisher.stop();
});

beforeEach(async () => {
  topic = `${freshPrefix()}.calls`;
  await create();
  pipeline = new TestPipeline();
  started = [];
});

afterEach(() => Promise.all(started.map((consumer) => consumer.stop())));

async function create(): Promise<void> {
  await ensureTopics(client, [{ name: topic, partitions: 1, config: {} }]);
}

async function consume(
  options: Partial<ConsumerOptions<Prepared>> = {},
): Promise<KafkaConsumer & { readonly failure: Promise<unknown> }> {
  const consumer = await startConsumer({
    kafka: client,
    groupId: topic,
    topics: [topic],
    positions: pipeline.store,
    stage: pipeline.stage(),
    log,
    metrics: new Metrics(),
    endsMs: 200,
    ...options,
  });
  started.push(consumer);
  return Object.assign(consumer, { failure: consumer.failed.catch((error: unknown) => error) });
}

async function removeBelow(offset: number): Promise<void> {
  // deleteTopicRecords knows only topics that this client has asked for before.
  await admin.fetchTopicOffsets(topic);
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: String(offset) }] });
}

async function publish(...values: string[]): Promise<void> {
  await publisher.publish(values.map((value) => ({ topic, key: 'M1', value: Buffer.from(value) })));
}

/** Reads everything that is there, then stops. */
async function readAll(count: number): Promise<void> {
  const consumer = await consume();
  await until('all is applied', () => pipeline.total === count);
  await until('caught up', () => consumer.caughtUp());
  await consumer.stop();
}

async function inTransaction(
  values: readonly string[],
  end: 'commit' | 'abort' | 'leave open',
): Promise<() => Promise<void>> {
  const producer = kafkaOf(client).producer({
    transactionalId: `${topic}.${values[0]}`,
    maxInFlightRequests: 1,
    idempotent: true,
    transactionTimeout: 30_000,
    createPartitioner: () => () => 0,
  });
  await producer.connect();
  const transaction = await producer.transaction();
  await transaction.send({ topic, messages: values.map((value) => ({ key: 'M1', value })) });
  if (end === 'commit') await transaction.commit();
  if (end === 'abort') await transaction.abort();
  return async () => {
    if (end === 'leave open') await transaction.commit();
    await producer.disconnect();
  };
}

test('markers and aborted records are holes: counted, passed, and never a reason to stand still', async () => {
  await publish('a');
  await (await inTransaction(['b', 'c'], 'commit'))();
  await (await inTransaction(['x', 'y'], 'abort'))();
  await (await inTransaction(['z'], 'abort'))();
  const consumer = await consume();
  await until('all is applied', () => pipeline.total === 3);
  await until('the tail of markers is passed', () => consumer.caughtUp());
  expect(pipeline.valuesOf(topic)).toEqual(['a', 'b', 'c']);
  const [{ high } = { high: 0 }] = await topicOffsets(client, [topic]);
  expect(pipeline.positions.get(`${topic}/0`)?.nextOffset).toBe(high);
  // Two records aborted and their marker, one and its marker, and the marker of the commit.
  expect(pipeline.holes).toBe(6);
  await publish('d');
  await until('reading goes on', () => pipeline.total === 4);
});

test('a transaction aborted while reading gives nothing but holes, and the position follows them', async () => {
  await publish('a');
  const consumer = await consume();
  await until('all is applied', () => pipeline.total === 1);
  await (await inTransaction(['x', 'y'], 'abort'))();
  await until('the position passes what nobody may read', () => pipeline.holes === 3);
  await until('caught up', () => consumer.caughtUp());
  expect(pipeline.loads).toBe(1);
});

test('a restart right after a marker finds its last record below the holes', async () => {
  await publish('a');
  await (await inTransaction(['b'], 'commit'))();
  await (await inTransaction(['x'], 'abort'))();
  await readAll(2);
  await publish('c');
  await readAll(3);
  expect(pipeline.valuesOf(topic)).toEqual(['a', 'b', 'c']);
});

test('an open transaction hides what is behind it; that is no lag, and nothing of it is skipped', async () => {
  const commit = await inTransaction(['a', 'b'], 'leave open');
  await publish('c');
  const consumer = await consume();
  await consumer.ready;
  await until('caught up', () => consumer.caughtUp());
  expect(pipeline.total).toBe(0);
  await commit();
  await until('all is applied', () => pipeline.total === 3);
  expect(pipeline.valuesOf(topic)).toEqual(['a', 'b', 'c']);
});

test('records removed before they were read: a loud stop at the start', async () => {
  await publish('a', 'b', 'c');
  await readAll(3);
  await publish('d', 'e', 'f');
  await removeBelow(5);
  const consumer = await consume();
  const error = await consumer.failure;
  expect(error).toBeInstanceOf(LogLostError);
  expect(String(error)).toContain(`${topic}/0 continues at offset 3, but Kafka has removed everything below 5`);
  await expect(consumer.ready).rejects.toBe(error);
  expect(pipeline.total).toBe(3);
});

test('records removed up to the position: reading goes on, although the last record read is gone', async () => {
  await publish('a', 'b', 'c');
  await readAll(3);
  await publish('d');
  await removeBelow(3);
  await readAll(4);
  expect(pipeline.valuesOf(topic)).toEqual(['a', 'b', 'c', 'd']);
});

test('records removed while reading: kafkajs resets its offset silently, we stop loudly', async () => {
  for (const value of ['a', 'b', 'c', 'd', 'e']) await publish(value);
  const gate = Promise.withResolvers<void>();
  const applying = Promise.withResolvers<void>();
  // One record at a time, so that the last ones are not fetched yet when the log loses them.
  const consumer = await consume({
    fetchBytesPerPartition: 1,
    bufferRecordsPerPartition: 1,
    stage: pipeline.stage(async (commit) => {
      applying.resolve();
      await gate.promise;
      return commit();
    }),
  });
  await applying.promise;
  await removeBelow(5);
  gate.resolve();
  await publish('f');
  expect(await consumer.failure).toBeInstanceOf(LogLostError);
  expect(pipeline.valuesOf(topic)).not.toContain('f');
});

test('a topic deleted and created anew with fewer records is another log: its end is below the position', async () => {
  await publish('a', 'b', 'c');
  await readAll(3);
  await recreate();
  await publish('d');
  const error = await (await consume()).failure;
  expect(error).toBeInstanceOf(LogReplacedError);
  expect(String(error)).toContain('continues at offset 3, but its log ends at 1');
});

test('a topic created anew with as many records is another log: the last record read is not there', async () => {
  await publish('a', 'b', 'c');
  await readAll(3);
  await recreate();
  await publish('a', 'b', 'c', 'd', 'e');
  const error = await (await consume()).failure;
  expect(error).toBeInstanceOf(LogReplacedError);
  expect(String(error)).toContain(`${topic}/0 no longer holds the record that was read at offset 2`);
  expect(pipeline.total).toBe(3);
});

test('a topic created anew while it is read is noticed, too', async () => {
  await publish('a', 'b', 'c');
  const consumer = await consume();
  await until('all is applied', () => pipeline.total === 3);
  await recreate();
  await publish('x');
  const error = await consumer.failure;
  expect(error).toBeInstanceOf(LogReplacedError);
}, 90_000);

test('the position of another cluster is refused', async () => {
  await publish('a');
  await readAll(1);
  for (const [key, position] of pipeline.positions) pipeline.positions.set(key, { ...position, clusterId: 'another' });
  const error = await (await consume()).failure;
  expect(error).toBeInstanceOf(OtherClusterError);
  expect(String(error)).toContain('belongs to Kafka cluster another');
});

async function recreate(): Promise<void> {
  await admin.deleteTopics({ topics: [topic] });
  while ((await admin.listTopics()).includes(topic)) await sleep(50);
  await create();
}
