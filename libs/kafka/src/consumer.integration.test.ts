import { createLogger, Metrics, sleep } from '@leakage/runtime';
import { freshPrefix, testStack } from '@leakage/testing';
import kafkajs from 'kafkajs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createKafkaClient, kafkaOf } from './client.ts';
import { startConsumer } from './consumer.ts';
import { ConsumerError } from './errors.ts';
import { startPublisher } from './publisher.ts';
import { type Prepared, TestPipeline, until } from './test-pipeline.ts';
import { ensureTopics } from './topics.ts';
import type { ApplyResult, ConsumerOptions, KafkaConsumer, Publisher } from './types.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const client = createKafkaClient({ brokers: (await testStack()).brokers, clientId: 'kafka-test', log });

let topics: string[];
let group: string;
let pipeline: TestPipeline;
let publisher: Publisher;
let started: KafkaConsumer[];

beforeEach(async () => {
  group = freshPrefix();
  topics = ['journeys', 'calls'].map((name) => `${group}.${name}`);
  await ensureTopics(
    client,
    topics.map((name) => ({ name, partitions: 4, config: { 'message.timestamp.type': 'LogAppendTime' } })),
  );
  pipeline = new TestPipeline();
  publisher = await startPublisher(client, { log });
  started = [];
});

afterEach(async () => {
  await Promise.all(started.map((consumer) => consumer.stop()));
  await publisher.stop();
});

async function consume(options: Partial<ConsumerOptions<Prepared>> = {}): Promise<KafkaConsumer> {
  const consumer = await startConsumer({
    kafka: client,
    groupId: group,
    topics,
    positions: pipeline.store,
    stage: pipeline.stage(),
    log,
    metrics: new Metrics(),
    endsMs: 200,
    ...options,
  });
  started.push(consumer);
  return consumer;
}

let published = 0;

/** Publishes `count` records with values 'n' that nobody else uses, over both topics; gives the values back. */
async function publish(count: number, size = 0): Promise<string[]> {
  const values = Array.from({ length: count }, () => String(published++).padEnd(size, '.'));
  await publisher.publish(
    values.map((value, at) => ({
      topic: topics[at % 2] ?? '',
      key: `M${at % 97}`,
      value: Buffer.from(value),
      headers: { source_file: 'a.csv' },
    })),
  );
  return values;
}

function allValues(): string[] {
  return topics.flatMap((topic) => pipeline.valuesOf(topic)).toSorted();
}

test('everything is applied once, in batches over all partitions, and then the consumer is caught up', async () => {
  const values = await publish(3_000);
  const consumer = await consume({ maxBatchRecords: 1_000 });
  await consumer.ready;
  await until('all is applied', () => pipeline.total === 3_000);
  expect(allValues()).toEqual(values.toSorted());
  expect(Math.max(...pipeline.batches.map(({ records }) => records))).toBeLessThanOrEqual(1_000);
  expect(pipeline.batches[0]?.partitions).toBe(8);
  await until('caught up', () => consumer.caughtUp());
});

test('records arrive with key, value, headers and the time of the broker', async () => {
  const before = Date.now();
  await publish(1);
  let seen: unknown;
  await consume({
    stage: {
      prepare: (chunks) => ({ chunks, records: 1 }),
      apply: async ({ chunks }) => {
        seen ??= chunks[0]?.records[0];
        return 'applied';
      },
    },
  });
  await until('a record', () => seen !== undefined);
  expect(seen).toMatchObject({
    offset: 0,
    key: Buffer.from('M0'),
    headers: { source_file: Buffer.from('a.csv') },
  });
  const { timestampMs } = seen as { timestampMs: number };
  expect(Math.abs(timestampMs - before)).toBeLessThan(60_000);
});

test('a restart continues at the stored positions, not at the offsets in Kafka, which are a hint only', async () => {
  await publish(500);
  const first = await consume();
  await until('all is applied', () => pipeline.total === 500);
  await first.stop();
  const admin = kafkaOf(client).admin();
  await admin.connect();
  const [topic = ''] = topics;
  const offsets = await admin.fetchOffsets({ groupId: group, topics });
  expect(offsets.flatMap(({ partitions }) => partitions).reduce((sum, { offset }) => sum + Number(offset), 0)).toBe(
    500,
  );
  await admin.setOffsets({
    groupId: group,
    topic,
    partitions: [0, 1, 2, 3].map((partition) => ({ partition, offset: '0' })),
  });
  await admin.disconnect();

  await publish(100);
  await consume();
  await until('the rest is applied', () => pipeline.total === 600);
  expect(new Set(allValues()).size).toBe(600);
});

test('an unanswered commit, a failed one and a moved position change nothing: each record is applied once', async () => {
  const values = await publish(2_000);
  const answers: (ApplyResult | 'lost' | 'throw')[] = ['applied', 'unknown', 'applied', 'lost', 'throw', 'applied'];
  let turn = 0;
  await consume({
    maxBatchRecords: 100,
    stage: pipeline.stage(async (commit) => {
      const answer = answers[turn++ % answers.length];
      if (answer === 'throw') throw new Error('connection reset');
      if (answer === 'unknown') return 'unknown';
      const result = commit();
      return answer === 'lost' ? 'unknown' : result;
    }),
  });
  await until('all is applied', () => pipeline.total >= 2_000, 60_000);
  expect(allValues()).toEqual(values.toSorted());
  expect(turn).toBeGreaterThan(20);
});

test('two groups on one pipeline: what the other one has applied is passed over, nothing twice, nothing left out', async () => {
  const slowly = pipeline.stage(async (commit) => {
    await sleep(5 + Math.random() * 20);
    return commit();
  });
  await Promise.all([consume({ stage: slowly }), consume({ stage: slowly, groupId: `${group}.other` })]);
  let values: string[] = [];
  for (let round = 0; round < 20; round += 1) values = values.concat(await publish(100));
  await until('all is applied', () => pipeline.total >= 2_000);
  await until('both are caught up', () => started.every((consumer) => consumer.caughtUp()));
  expect(allValues()).toEqual(values.toSorted());
  expect(pipeline.moved).toBeGreaterThan(0);
});

test('a slow database bounds what is held, and the member stays in the group: heartbeats go on while handlers wait', async () => {
  const limits = {
    maxBatchRecords: 50,
    bufferRecordsPerPartition: 100,
    bufferBytes: 200_000,
    fetchBytesPerPartition: 20_000,
  };
  const metrics = new Metrics();
  const sessionTimeoutMs = 6_000;
  const applying = Promise.withResolvers<void>();
  let slow = true;
  const values = await publish(6_000, 100);
  const consumer = await consume({
    ...limits,
    metrics,
    sessionTimeoutMs,
    heartbeatMs: 500,
    stage: pipeline.stage(async (commit) => {
      applying.resolve();
      if (slow) await sleep(sessionTimeoutMs + 3_000);
      slow = false;
      return commit();
    }),
  });
  const failed = consumer.failed.catch((error: unknown) => error);
  await applying.promise;
  await sleep(3_000);
  const buffered = await figure(metrics, 'leakage_kafka_buffered_bytes');
  // At least what one partition may hold: its handler may wait before the others have had a delivery.
  expect(buffered).toBeGreaterThan(10_000);
  // At most the limit, and one delivery for each partition that had room when it came.
  expect(buffered).toBeLessThan(limits.bufferBytes + 8 * 4 * limits.fetchBytesPerPartition);
  await until('all is applied', () => pipeline.total === 6_000, 30_000);
  expect(allValues()).toEqual(values.toSorted());
  expect(await figure(metrics, 'leakage_kafka_drops_total{reason="assignment"}')).toBe(1);
  expect(await Promise.race([failed, Promise.resolve('alive')])).toBe('alive');
});

test('a stop lets the running batch end, applies nothing after it, and leaves within the deadline', async () => {
  await publish(1_000);
  const running = Promise.withResolvers<void>();
  let applies = 0;
  const consumer = await consume({
    maxBatchRecords: 100,
    stage: pipeline.stage(async (commit) => {
      applies += 1;
      running.resolve();
      await sleep(300);
      return commit();
    }),
  });
  await running.promise;
  const began = performance.now();
  await consumer.stop();
  expect(performance.now() - began).toBeLessThan(5_000);
  expect([applies, pipeline.total]).toEqual([1, 100]);
});

test('who is asked to stop does not have to wait for the first assignment', async () => {
  const abort = new AbortController();
  const consumer = await consume({ signal: abort.signal });
  abort.abort();
  await expect(consumer.ready).rejects.toThrow('before it was ready');
});

test('a stop while the group is being joined is clean, too', async () => {
  const consumer = await consume();
  await consumer.stop();
  await expect(consumer.ready).rejects.toThrow('stopped');
});

test('a topic that does not exist is said in one sentence', async () => {
  await expect(consume({ topics: [`${group}.nowhere`] })).rejects.toThrow(/nowhere.*does not exist: /);
}, 60_000);

test('what kafkajs cannot read ends the consumer loudly: it would stop for good while the process lives', async () => {
  const working = kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD];
  const zstd = await startPublisher(client, { log, compression: 'zstd' });
  await zstd.publish([{ topic: topics[0] ?? '', key: 'a', value: Buffer.from('a') }]);
  await zstd.stop();
  const broken = {
    decompress: async () => {
      throw new RangeError('offset is out of bounds');
    },
  };
  Object.assign(kafkajs.CompressionCodecs, { [kafkajs.CompressionTypes.ZSTD]: () => broken });
  try {
    const consumer = await consume();
    const error = await consumer.failed.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConsumerError);
    expect(String(error)).toMatch(/the Kafka consumer of group .* ended: .*offset is out of bounds.*restarted/);
  } finally {
    Object.assign(kafkajs.CompressionCodecs, { [kafkajs.CompressionTypes.ZSTD]: working });
  }
});

test('up to an end: nothing beyond it is applied, and then it is done, while the log goes on', async () => {
  await publish(800);
  pipeline.until = 60;
  const consumer = await consume({ maxBatchRecords: 70 });
  let done = false;
  void consumer.done.then(() => {
    done = true;
  });
  await until('it is done', () => done);
  expect([...pipeline.positions.values()].map(({ nextOffset }) => nextOffset)).toEqual(Array(8).fill(60));
  expect(pipeline.total).toBe(8 * 60);
  await publish(200);
  await until('caught up with what is to be read', () => consumer.caughtUp());
  await sleep(1_000);
  expect(pipeline.total).toBe(8 * 60);
  await consumer.stop();
  // Started again there is nothing to do, which is said at once.
  const again = await consume();
  await again.done;
  expect(pipeline.total).toBe(8 * 60);
});

test('a partition that has reached its end is not fetched: what waits there is not taken for a stall', async () => {
  await publish(800);
  pipeline.until = 10;
  const consumer = await consume({ stallMs: 1_500 });
  await consumer.done;
  const outcome = await Promise.race([consumer.failed.catch((error: unknown) => error), sleep(4_000)]);
  expect(outcome).toBeUndefined();
});

test('a consumer without an end is never done', async () => {
  await publish(10);
  const consumer = await consume();
  await until('caught up', () => consumer.caughtUp());
  expect(await Promise.race([consumer.done.then(() => 'done'), sleep(500)])).toBeUndefined();
});

test('the lag is reported by partition and is zero when all is applied', async () => {
  const metrics = new Metrics();
  await publish(100);
  const consumer = await consume({ metrics });
  await until('caught up', () => consumer.caughtUp());
  const text = await metrics.text();
  const lags = text.split('\n').filter((line) => line.startsWith('kafka_consumergroup_lag{'));
  expect(lags).toHaveLength(8);
  expect(lags.every((line) => line.endsWith(' 0'))).toBe(true);
  expect(text).toContain(`leakage_kafka_records_total{topic="${topics[0]}"} 50`);
});

async function figure(metrics: Metrics, name: string): Promise<number> {
  const line = (await metrics.text()).split('\n').find((text) => text.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1) ?? 0);
}
