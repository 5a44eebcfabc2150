import { createLogger, Metrics } from '@leakage/runtime';
import { PARTITIONS, shardOf } from '@leakage/schemas';
import { freshPrefix, testStack } from '@leakage/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createKafkaClient } from './client.ts';
import { startConsumer } from './consumer.ts';
import { startPublisher } from './publisher.ts';
import { TestPipeline, until } from './test-pipeline.ts';
import { ensureTopics, topicOffsets } from './topics.ts';
import type { Compression, KafkaRecord, Publisher } from './types.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const client = createKafkaClient({ brokers: (await testStack()).brokers, clientId: 'kafka-test', log });

let topic: string;
let publishers: Publisher[];

beforeEach(async () => {
  topic = `${freshPrefix()}.journeys`;
  await ensureTopics(client, [{ name: topic, partitions: PARTITIONS, config: {} }]);
  publishers = [];
});

afterEach(() => Promise.all(publishers.map((publisher) => publisher.stop())));

async function publisherWith(compression: Compression = 'none'): Promise<Publisher> {
  const publisher = await startPublisher(client, { log, compression });
  publishers.push(publisher);
  return publisher;
}

async function read(count: number): Promise<KafkaRecord[]> {
  const pipeline = new TestPipeline();
  const records: KafkaRecord[] = [];
  const stage = pipeline.stage();
  const consumer = await startConsumer({
    kafka: client,
    groupId: topic,
    topics: [topic],
    positions: pipeline.store,
    stage: {
      prepare: (chunks) => stage.prepare(chunks),
      apply: (prepared) => {
        records.push(...prepared.chunks.flatMap((chunk) => chunk.records));
        return stage.apply(prepared);
      },
    },
    log,
    metrics: new Metrics(),
  });
  try {
    await until('all is applied', () => pipeline.total >= count);
  } finally {
    await consumer.stop();
  }
  return records;
}

test.each(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)(
  '%s: the broker accepts what is sent, and it is read back',
  async (compression) => {
    const publisher = await publisherWith(compression);
    const values = Array.from({ length: 600 }, (_, at) => `${at} ${'leakage '.repeat(at % 200)}`);
    await publisher.publish(values.map((value) => ({ topic, key: 'M1', value: Buffer.from(value) })));
    const records = await read(600);
    expect(records.map(({ value }) => value?.toString())).toEqual(values);
  },
);

test('records go where shardOf says: the murmur2 of kafkajs and ours agree', async () => {
  const publisher = await publisherWith();
  const keys = Array.from({ length: 500 }, (_, at) => `M${at * 7919}${at % 3 === 0 ? 'ü€😀' : ''}`);
  await publisher.publish(keys.map((key) => ({ topic, key, value: Buffer.from(key) })));
  const records = await read(500);
  const misplaced = records.filter(({ partition, key }) => partition !== shardOf(key?.toString() ?? ''));
  expect(misplaced).toEqual([]);
  expect(new Set(records.map(({ partition }) => partition)).size).toBe(PARTITIONS);
});

test('a partition can be named, keys and values can be null, and the answer says where everything is', async () => {
  const publisher = await publisherWith();
  await publisher.publish([{ topic, key: 'M1', value: null, partition: 7 }]);
  const ranges = await publisher.publish([
    { topic, key: null, value: Buffer.from('a'), partition: 7 },
    { topic, key: Buffer.from('k'), value: Buffer.alloc(0), partition: 7, headers: { source_file: 'x' } },
    { topic, key: 'b', value: Buffer.from('b'), partition: 8 },
  ]);
  expect(ranges.toSorted((a, b) => a.partition - b.partition)).toEqual([
    { topic, partition: 7, firstOffset: 1, lastOffset: 2 },
    { topic, partition: 8, firstOffset: 0, lastOffset: 0 },
  ]);
  const records = (await read(4)).filter(({ partition }) => partition === 7);
  expect(records).toMatchObject([
    { offset: 0, key: Buffer.from('M1'), value: null, headers: null },
    { offset: 1, key: null, value: Buffer.from('a') },
    { offset: 2, value: Buffer.alloc(0), headers: { source_file: Buffer.from('x') } },
  ]);
});

test('records without a key are spread, and a batch larger than a broker takes at once is sent in parts, in order', async () => {
  const publisher = await publisherWith();
  await publisher.publish(Array.from({ length: 60 }, () => ({ topic, key: null, value: Buffer.alloc(1) })));
  const used = (await topicOffsets(client, [topic])).filter(({ high }) => high > 0);
  expect(used.length).toBe(PARTITIONS);

  const [before] = (await topicOffsets(client, [topic])).filter(({ partition }) => partition === 3);
  const large = Array.from({ length: 40 }, (_, at) => ({
    topic,
    key: null,
    value: Buffer.alloc(100_000, at),
    partition: 3,
  }));
  const ranges = await publisher.publish(large);
  const firstOffset = before?.high ?? 0;
  expect(ranges).toEqual([{ topic, partition: 3, firstOffset, lastOffset: firstOffset + 39 }]);
});

test('concurrent publishes take turns and lose nothing', async () => {
  const publisher = await publisherWith();
  const batches = Array.from({ length: 20 }, (_, at) =>
    publisher.publish(
      Array.from({ length: 50 }, (__, n) => ({ topic, key: `${n}`, value: Buffer.from(`${at}/${n}`) })),
    ),
  );
  await Promise.all(batches);
  const records = await read(1_000);
  expect(new Set(records.map(({ value }) => value?.toString())).size).toBe(1_000);
});

test('a record that the broker refuses rejects its publish and not the next one', async () => {
  const publisher = await publisherWith();
  await expect(publisher.publish([{ topic, key: 'a', value: Buffer.alloc(3_000_000) }])).rejects.toThrow(
    /too large|larger than/i,
  );
  await publisher.publish([{ topic, key: 'a', value: Buffer.alloc(10) }]);
  expect(await read(1)).toHaveLength(1);
});

test('topics are created once, however many processes do it at a time, and an existing one is reported, never altered', async () => {
  const name = `${freshPrefix()}.calls`;
  const table = [
    { name, partitions: 3, config: { 'cleanup.policy': 'delete', 'message.timestamp.type': 'LogAppendTime' } },
  ];
  const results = await Promise.all([1, 2, 3].map(() => ensureTopics(client, table)));
  expect(results.flatMap(({ created }) => created)).toEqual([name]);
  expect(results.flatMap(({ differences }) => differences)).toEqual([]);
  const other = [
    { name, partitions: 12, config: { 'cleanup.policy': 'compact', 'message.timestamp.type': 'LogAppendTime' } },
  ];
  expect((await ensureTopics(client, other)).differences).toEqual([
    `topic ${name} has 3 partitions, expected 12`,
    `topic ${name} has cleanup.policy=delete, expected compact`,
  ]);
  expect(await topicOffsets(client, [name])).toEqual(
    [0, 1, 2].map((partition) => ({ topic: name, partition, low: 0, high: 0 })),
  );
});
