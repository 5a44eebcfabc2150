import { retry } from '@leakage/runtime';
import type { TopicSpec } from '@leakage/schemas';
import kafkajs, { type Admin } from 'kafkajs';
import { type KafkaClient, withAdmin } from './client.ts';
import { isForbidden } from './refusals.ts';
import type { PartitionEnds } from './types.ts';

const createTimeoutMs = 15_000;
/** How long a broker may need to hear of a topic that its controller has just created: about 15 s. */
const leaderRetry = { attempts: 10, baseMs: 25, maxMs: 1_000 } as const;
/** How long a partition may be without a leader when its ends are asked for: about 5 s. */
const endsRetry = { attempts: 9, baseMs: 50, maxMs: 1_000 } as const;

/**
 * Creates the topics that are missing and alters none: what differs in an existing one comes back as sentences.
 * Any number of processes may do this at once.
 */
export async function ensureTopics(
  client: KafkaClient,
  table: readonly TopicSpec[],
): Promise<{ created: string[]; differences: string[] }> {
  return withAdmin(client, async (admin) => {
    const existing = new Set(await admin.listTopics());
    const created: string[] = [];
    for (const spec of table) {
      if (existing.has(spec.name)) continue;
      if (await create(admin, spec)) created.push(spec.name);
    }
    // Every partition has a leader that answers for it; a producer that came earlier would be refused, and double its records.
    await retry(
      () =>
        endsOf(
          admin,
          table.map(({ name }) => name),
        ),
      leaderRetry,
    );
    const differences: string[] = [];
    for (const spec of table) {
      if (!created.includes(spec.name)) differences.push(...(await differencesOf(admin, spec)));
    }
    return { created, differences };
  });
}

/** What is missing of the topics, and what differs in those that are there, as sentences. Creates and alters nothing. */
export async function compareTopics(
  client: KafkaClient,
  table: readonly TopicSpec[],
): Promise<{ missing: string[]; differences: string[] }> {
  return withAdmin(client, async (admin) => {
    const existing = new Set(await admin.listTopics());
    const differences: string[] = [];
    for (const spec of table) if (existing.has(spec.name)) differences.push(...(await differencesOf(admin, spec)));
    return { missing: table.map(({ name }) => name).filter((name) => !existing.has(name)), differences };
  });
}

/** False when somebody else was faster. */
async function create(admin: Admin, { name, partitions, config }: TopicSpec): Promise<boolean> {
  return admin.createTopics({
    timeout: createTimeoutMs,
    // kafkajs' own waiting fails when the broker that it asks has not heard of the topic yet.
    waitForLeaders: false,
    topics: [
      {
        topic: name,
        numPartitions: partitions,
        // The broker's default: one on a single node, as many as its operator wants elsewhere.
        replicationFactor: -1,
        configEntries: Object.entries(config).map(([key, value]) => ({ name: key, value })),
      },
    ],
  });
}

async function differencesOf(admin: Admin, { name, partitions, config }: TopicSpec): Promise<string[]> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [name] });
  const count = topics.find((topic) => topic.name === name)?.partitions.length ?? 0;
  const found = count === partitions ? [] : [`topic ${name} has ${count} partitions, expected ${partitions}`];
  const entries = await configOf(admin, name, Object.keys(config));
  if (entries === null) return [...found, `topic ${name} may not be checked: allow us DescribeConfigs on it`];
  for (const [key, expected] of Object.entries(config)) {
    const actual = entries.get(key);
    if (actual !== expected) found.push(`topic ${name} has ${key}=${actual ?? '(unset)'}, expected ${expected}`);
  }
  return found;
}

/** Null where a rule of the cluster forbids to ask. */
async function configOf(admin: Admin, name: string, configNames: string[]): Promise<Map<string, string> | null> {
  try {
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name, configNames }],
    });
    return new Map(resources[0]?.configEntries.map((entry) => [entry.configName, entry.configValue]));
  } catch (error) {
    if (isForbidden(error)) return null;
    throw error;
  }
}

/** The ends of every partition: `high` ends before the first record of a transaction that is still open. */
export async function topicOffsets(client: KafkaClient, topics: readonly string[]): Promise<PartitionEnds[]> {
  return withAdmin(client, (admin) => endsOf(admin, topics));
}

export async function endsOf(admin: Admin, topics: readonly string[]): Promise<PartitionEnds[]> {
  const ends: PartitionEnds[] = [];
  for (const topic of topics) {
    // kafkajs gives up at once when a leader has just moved; every attempt reads the metadata anew.
    const offsets = await retry(() => admin.fetchTopicOffsets(topic), { ...endsRetry, retryable: isRetriable }).catch(
      (error: unknown) => {
        throw isUnknownTopic(error)
          ? new Error(`topic ${topic} does not exist: check TOPIC_PREFIX, or start the service that creates it`, {
              cause: error,
            })
          : error;
      },
    );
    for (const { partition, low, high } of offsets.toSorted((a, b) => a.partition - b.partition)) {
      ends.push({ topic, partition, low: Number(low), high: Number(high) });
    }
  }
  return ends;
}

/** The first record of every partition that Kafka got at `timeMs` or later; the end of the partition where there is none. */
export async function offsetsSince(
  client: KafkaClient,
  topics: readonly string[],
  timeMs: number,
): Promise<{ topic: string; partition: number; offset: number }[]> {
  return withAdmin(client, async (admin) => {
    const offsets: { topic: string; partition: number; offset: number }[] = [];
    for (const topic of topics) {
      const ask = () => admin.fetchTopicOffsetsByTimestamp(topic, timeMs);
      for (const { partition, offset } of await retry(ask, { ...endsRetry, retryable: isRetriable })) {
        offsets.push({ topic, partition, offset: Number(offset) });
      }
    }
    return offsets;
  });
}

/** Which cluster answers at the brokers of a client. */
export async function clusterIdOf(client: KafkaClient): Promise<string> {
  return withAdmin(client, async (admin) => (await admin.describeCluster()).clusterId);
}

function isRetriable(error: unknown): boolean {
  return error instanceof kafkajs.KafkaJSError && error.retriable && !isUnknownTopic(error);
}

/** kafkajs has tried an unknown topic again by itself; its last word may be wrapped. */
function isUnknownTopic(error: unknown): boolean {
  const type: unknown = error instanceof Error && 'type' in error ? error.type : undefined;
  return type === 'UNKNOWN_TOPIC_OR_PARTITION' || (error instanceof Error && isUnknownTopic(error.cause));
}
