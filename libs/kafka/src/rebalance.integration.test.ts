import { createLogger, Metrics, sleep } from '@leakage/runtime';
import { freshPrefix, testStack } from '@leakage/testing';
import { expect, test } from 'vitest';
import { createKafkaClient } from './client.ts';
import { startConsumer } from './consumer.ts';
import { startPublisher } from './publisher.ts';
import { TestPipeline, until } from './test-pipeline.ts';
import { ensureTopics, topicOffsets } from './topics.ts';
import type { ApplyResult, KafkaConsumer } from './types.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const client = createKafkaClient({ brokers: (await testStack()).brokers, clientId: 'kafka-test', log });

const partitions = 6;

/** Commits, but now and then late, not at all, or without saying so. */
async function unreliable(commit: () => ApplyResult): Promise<ApplyResult> {
  await sleep(Math.random() * 20);
  const dice = Math.random();
  if (dice < 0.05) return 'unknown';
  if (dice < 0.08) throw new Error('connection reset');
  const result = commit();
  return dice < 0.15 ? 'unknown' : result;
}

test('members come and go while records arrive and commits get lost: every record is applied once', async () => {
  const group = freshPrefix();
  const topics = ['journeys', 'calls'].map((name) => `${group}.${name}`);
  await ensureTopics(
    client,
    topics.map((name) => ({ name, partitions, config: {} })),
  );
  const pipeline = new TestPipeline();
  const errors: unknown[] = [];
  const members = new Set<KafkaConsumer>();
  const join = async (): Promise<KafkaConsumer> => {
    const consumer = await startConsumer({
      kafka: client,
      groupId: group,
      topics,
      positions: pipeline.store,
      stage: pipeline.stage(unreliable),
      log,
      metrics: new Metrics(),
      maxBatchRecords: 200,
      heartbeatMs: 200,
      sessionTimeoutMs: 6_000,
      failuresMax: 50,
      endsMs: 500,
    });
    consumer.failed.catch((error: unknown) => errors.push(error));
    members.add(consumer);
    return consumer;
  };
  const leave = async (consumer: KafkaConsumer): Promise<void> => {
    members.delete(consumer);
    await consumer.stop();
  };

  const publisher = await startPublisher(client, { log });
  const values: string[] = [];
  let publishing = true;
  const publish = async (): Promise<void> => {
    while (publishing) {
      const batch = Array.from({ length: 150 }, (_, at) => `${values.length + at}`);
      await publisher.publish(
        batch.map((value, at) => ({ topic: topics[at % 2] ?? '', key: value, value: Buffer.from(value) })),
      );
      values.push(...batch);
      await sleep(20);
    }
  };
  const published = publish();
  try {
    const first = await join();
    await first.ready;
    await sleep(700);
    const second = await join();
    await sleep(1_500);
    await join();
    await sleep(1_500);
    await leave(first);
    await sleep(1_000);
    await leave(second);
    await join();
    await sleep(1_500);
    publishing = false;
    await published;
    const ends = (await topicOffsets(client, topics)).reduce((sum, { high }) => sum + high, 0);
    await until('everything is applied', () => pipeline.total >= ends, 60_000);
    await until('all members are caught up', () => [...members].every((member) => member.caughtUp()));
  } finally {
    publishing = false;
    await Promise.all([...members].map(leave));
    await publisher.stop();
  }
  expect(errors).toEqual([]);
  // The pipeline refuses offsets that come twice or out of order, so as many as the log has means each of them once.
  const ends = (await topicOffsets(client, topics)).reduce((sum, { high }) => sum + high, 0);
  expect([pipeline.total, pipeline.holes]).toEqual([ends, 0]);
  expect(new Set(topics.flatMap((topic) => pipeline.valuesOf(topic)))).toEqual(new Set(values));
}, 120_000);

test('members own the same partition numbers of every topic, and a member without partitions is ready, too', async () => {
  const group = freshPrefix();
  const topics = ['journeys', 'calls', 'members'].map((name) => `${group}.${name}`);
  await ensureTopics(
    client,
    topics.map((name) => ({ name, partitions: 2, config: {} })),
  );
  const metrics = [new Metrics(), new Metrics(), new Metrics()];
  const pipeline = new TestPipeline();
  const members: KafkaConsumer[] = [];
  for (const own of metrics) {
    const member = await startConsumer({
      kafka: client,
      groupId: group,
      topics,
      positions: pipeline.store,
      stage: pipeline.stage(),
      log,
      metrics: own,
      heartbeatMs: 200,
      endsMs: 100,
    });
    members.push(member);
    await member.ready;
  }
  try {
    await until('all three are settled', () => members.every((member) => member.caughtUp()), 30_000);
    const owned = await Promise.all(metrics.map(ownedPartitions));
    for (const byTopic of owned) expect(new Set(byTopic.values()).size).toBeLessThanOrEqual(1);
    const numbers = owned.flatMap((byTopic) => (byTopic.get(topics[0] ?? '') ?? '').split(',').filter(Boolean));
    expect(numbers.toSorted()).toEqual(['0', '1']);
  } finally {
    await Promise.all(members.map((member) => member.stop()));
  }
}, 60_000);

/** By topic, the owned partitions, as the lag metric lists them. */
async function ownedPartitions(metrics: Metrics): Promise<Map<string, string>> {
  const owned = new Map<string, string>();
  for (const line of (await metrics.text()).split('\n')) {
    const match = /^kafka_consumergroup_lag\{.*topic="([^"]+)",partition="(\d+)"/.exec(line);
    if (match !== null) owned.set(match[1] ?? '', [owned.get(match[1] ?? ''), match[2]].filter(Boolean).join(','));
  }
  return owned;
}
