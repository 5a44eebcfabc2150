import { createKafkaClient, ensureTopics, startPublisher, topicOffsets } from '@leakage/kafka';
import { createLogger } from '@leakage/runtime';
import { topicName, topicTable } from '@leakage/schemas';
import {
  type CodeEdit,
  type Ended,
  eventually,
  type FaultServers,
  freshPrefix,
  startFaultServers,
} from '@leakage/testing';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FaultPipeline, type Stage } from './support/fault-pipeline.ts';
import { endured } from './support/feeding.ts';
import { History } from './support/history.ts';
import { anyOf, lastWords } from './support/last-words.ts';
import { report } from './support/report.ts';

const log = createLogger({ service: 'tests', level: 'error' });
const readers = ['bronze-sink', 'silver-joiner'] as const satisfies readonly Stage[];
const limits = 'libs/kafka/src/limits.ts';
/** Partitions that were added are noticed in a second instead of half a minute, and so are the ends of logs. */
const soon: readonly CodeEdit[] = [
  { file: limits, right: 'metadataMs: 30_000', wrong: 'metadataMs: 1_000' },
  { file: limits, right: 'endsMs: 5_000', wrong: 'endsMs: 1_000' },
];
const tampering = { 'bronze-sink': { edits: soon }, 'silver-joiner': { edits: soon } };
const lost = / (\S+) continues at offset \d+, but Kafka has removed everything below .* run in Postgres: (select .*;)$/;
const otherCluster =
  /belongs to Kafka cluster \S+, but the brokers are of cluster \S+: point KAFKA_BROKERS at the first/;
const replaced = /the topic was deleted and created anew, or was cut; restore the log, or go on with new topics/;
/** What a consumer may say when its brokers or its topic go away under it. */

let servers: FaultServers;
let pipeline: FaultPipeline;

beforeAll(async () => {
  servers = await startFaultServers();
});

afterAll(async () => {
  await servers?.stop();
});

const differencesAfter = (fault: string, hurt: () => Promise<unknown>, mayEnd?: RegExp): Promise<string[]> =>
  endured(pipeline, { kind: 'log', fault, hurt, ...(mayEnd === undefined ? {} : { mayEnd }) });
const topicOf = (source: 'journeys' | 'calls' | 'members'): string => topicName(pipeline.pipeline.prefix, source);
const client = () => createKafkaClient({ brokers: [servers.brokers], clientId: 'tests', log });

/** Waits until both readers of Kafka have ended with such words, after the first `since` ends. */
async function bothEnd(words: RegExp, since = 0): Promise<Ended[]> {
  const lastOf = (stage: Stage) =>
    pipeline.ends.slice(since).findLast((end) => end.service === stage && words.test(end.lastWords));
  const both = (): Ended[] | null => {
    const found = readers.flatMap((stage) => lastOf(stage) ?? []);
    return found.length === readers.length ? found : null;
  };
  return await eventually(both, { withinMs: 120_000, what: `${readers.join(' and ')} to end with ${words}` });
}

async function administer<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = new Kafka({ brokers: [servers.brokers], logLevel: logLevel.NOTHING }).admin({ retry: { retries: 10 } });
  await admin.connect();
  try {
    return await work(admin);
  } finally {
    await admin.disconnect();
  }
}

async function removeBelow(parts: readonly { topic: string; partition: number; offset: number }[]): Promise<void> {
  await administer(async (admin) => {
    for (const [topic, those] of Map.groupBy(parts, (part) => part.topic)) {
      await admin.fetchTopicOffsets(topic); // deleteTopicRecords knows only topics that were asked for before
      const partitions = those.map(({ partition, offset }) => ({ partition, offset: String(offset) }));
      await admin.deleteTopicRecords({ topic, partitions });
    }
  });
}

/** Records of which no truth speaks; the end of the partition after them. */
async function publishGarbage(topic: string, partition: number): Promise<number> {
  const records = Array.from({ length: 40 }, () => ({ topic, partition, key: null, value: Buffer.from('nothing') }));
  await pipeline.pipeline.publisher.publish(records);
  return (await topicOffsets(client(), [topic])).find((end) => end.partition === partition)?.high ?? 0;
}

/** Where both pipelines are, or one of them. */
async function positions(of: string[] = ['bronze', 'silver_1']) {
  const { rows } = await pipeline.pipeline.pool.query<{ topic: string; partition: number; offset: number }>(
    `select topic, partition, min(next_offset) as "offset" from ops.position
      where pipeline = any ($1) group by topic, partition having min(next_offset) > 0 order by topic, partition`,
    [of],
  );
  return rows;
}

describe('a log that changes while it is read', { timeout: 300_000 }, () => {
  beforeAll(async () => {
    pipeline = await FaultPipeline.start({ servers, seed: 4, tampering });
  });
  afterAll(async () => {
    await pipeline?.stop();
  });

  it('partitions added: read from their beginning', async () => {
    const topics = [topicOf('journeys'), topicOf('calls'), topicOf('members')];
    // A producer of its own: the one of the pipeline does not know them yet.
    const histories: History[] = [];
    const add = async () => {
      const count = (await topicOffsets(client(), topics)).length / topics.length + 3;
      await administer((admin) =>
        admin.createPartitions({ topicPartitions: topics.map((topic) => ({ topic, count })) }),
      );
      await eventually(async () => (await topicOffsets(client(), topics)).length === count * topics.length);
      const publisher = await startPublisher(client(), { log });
      const history = new History(publisher);
      histories.push(history);
      await history.publish(pipeline.workload.tell(12).map((record, nr) => ({ ...record, partition: nr % count })));
      await publisher.stop();
    };
    expect(await differencesAfter('partitions added', add)).toEqual([]);
    for (const history of histories) expect(await history.differences(pipeline.pipeline.pool)).toEqual([]);
    const { rows } = await pipeline.pipeline.pool.query(
      `select pipeline, count(*) > 36 as more, max(first_offset) as first from ops.position group by 1 order by 1`,
    );
    expect(rows).toEqual([
      { pipeline: 'bronze', more: true, first: 0 },
      { pipeline: 'silver_1', more: true, first: 0 },
    ]);
  });

  it('records removed that had been read: nothing happens, also when the processes start anew', async () => {
    const remove = async () => {
      await removeBelow(await positions());
      for (const stage of readers) pipeline.member(stage).kill();
      await pipeline.ready();
    };
    expect(await differencesAfter('records removed below the position', remove)).toEqual([]);
  });

  it('records removed before they were read: a loud stop that names the way out, which works', async () => {
    const topic = topicOf('calls');
    await pipeline.pipeline.drained();
    // Stopped, not paused: whoever is paused still has an answer of the broker on its way.
    for (const stage of readers) await pipeline.leave(pipeline.member(stage));
    await removeBelow([{ topic, partition: 7, offset: await publishGarbage(topic, 7) }]);
    for (const stage of readers) pipeline.join(stage);
    let given = false;
    const giveUp = async () => {
      if (given) return; // a long run comes by again
      given = true;
      for (const { lastWords } of await bothEnd(lost)) {
        const [, where, statement] = lost.exec(lastWords) ?? [];
        expect(where).toBe(`${topic}/7`);
        await pipeline.pipeline.pool.query(statement ?? '');
      }
    };
    expect(await differencesAfter('records lost, and given up', giveUp, lost)).toEqual([]);
    const { rows } = await pipeline.pipeline.pool.query(
      `select pipeline, sum(next_offset - from_offset)::int as lost from ops.loss group by 1 order by 1`,
    );
    expect(rows).toEqual([
      { pipeline: 'bronze', lost: 40 },
      { pipeline: 'silver_1', lost: 40 },
    ]);
  });

  it('another cluster at the same address: a loud stop; the old one back: everything goes on by itself', async () => {
    await pipeline.pipeline.drained();
    await servers.kafka.replace();
    await bothEnd(otherCluster);
    await servers.kafka.bringBack();
    const mayEnd = anyOf(otherCluster, lastWords.brokerGone);
    expect(await differencesAfter('another cluster, and back', () => pipeline.ready(), mayEnd)).toEqual([]);
  });

  it('records that only silver has lost: verify does not call that equal', async () => {
    const topic = topicOf('calls');
    await pipeline.pipeline.drained();
    await pipeline.leave(pipeline.member('silver-joiner'));
    const offset = await publishGarbage(topic, 7);
    const read = async () =>
      (await positions(['bronze'])).some((p) => p.topic === topic && p.partition === 7 && p.offset === offset);
    await eventually(read, { what: 'bronze to read them' });
    await removeBelow([{ topic, partition: 7, offset }]);
    const silver = pipeline.join('silver-joiner');
    const ended = () => silver.ends.find(({ lastWords }) => lost.test(lastWords));
    const { lastWords } = await eventually(ended, { what: 'silver-joiner to end' });
    await pipeline.pipeline.pool.query(lost.exec(lastWords)?.[2] ?? '');
    const wrong = await pipeline.differences({ mayEnd: lost });
    expect(wrong.map((what) => what.split(',')[0])).toEqual([
      'oracle: conservation: every record had one outcome',
      'oracle: quarantine: the records and the named reasons',
    ]);
    report({ kind: 'log', fault: 'records lost by silver alone', times: 1 });
  });
});

describe('a topic that is deleted and created anew', { timeout: 300_000 }, () => {
  beforeAll(async () => {
    pipeline = await FaultPipeline.start({ servers, seed: 5, tampering });
    await pipeline.feed(6);
    await pipeline.pipeline.drained();
  });
  afterAll(async () => {
    await pipeline?.stop();
  });

  it('shorter or longer than before: a loud stop', async () => {
    const topic = topicOf('calls');
    await administer(async (admin) => {
      await admin.deleteTopics({ topics: [topic] });
      await eventually(async () => !(await admin.listTopics()).includes(topic), { what: 'the topic to be gone' });
    });
    await ensureTopics(client(), topicTable(pipeline.pipeline.prefix));
    const shorter = await bothEnd(replaced);
    for (const { lastWords } of shorter) expect(lastWords).toContain('but its log ends at 0');
    const longer = await positions();
    const more = longer
      .filter((at) => at.topic === topic)
      .flatMap(({ partition, offset }) =>
        Array.from({ length: offset + 5 }, () => ({ topic, partition, key: null, value: Buffer.from('other') })),
      );
    const publisher = await startPublisher(client(), { log });
    await publisher.publish(more);
    await publisher.stop();
    const again = await bothEnd(/no longer holds the record that was read at offset/, pipeline.ends.length);
    for (const { lastWords } of again) expect(lastWords).toMatch(replaced);
    report({ kind: 'log', fault: 'topic deleted and created anew', times: 2 });
  });

  it('new topics in the same database are a way to go on', async () => {
    const env = { TOPIC_PREFIX: freshPrefix() };
    for (const stage of readers) await pipeline.leave(pipeline.member(stage));
    for (const stage of readers) await pipeline.pipeline.start(stage, { env });
    const publisher = await startPublisher(client(), { log });
    const topic = topicName(env.TOPIC_PREFIX, 'calls');
    await publisher.publish([{ topic, key: null, value: Buffer.from('of the new topics') }]);
    await publisher.stop();
    const read = async () => (await positions()).some((at) => at.topic === topic && at.offset === 1);
    expect(await eventually(read, { what: 'both to read the new topics' })).toBe(true);
    const { rows } = await pipeline.pipeline.pool.query(
      'select count(distinct kafka_topic) as topics from bronze.call_logs_raw',
    );
    expect(rows).toEqual([{ topics: 2 }]);
  });
});
