import { createKafkaClient, offsetsSince, topicOffsets } from '@leakage/kafka';
import { createLogger } from '@leakage/runtime';
import { SOURCES, type Source, topicName } from '@leakage/schemas';
import { eventually } from '@leakage/testing';
import { type Admin, Kafka, logLevel } from 'kafkajs';
import { type Begun, beginRebuild, type RebuildOrder } from '../../cli/src/rebuild/begin.ts';
import type { Pipeline } from './pipeline.ts';

const log = createLogger({ service: 'tests', level: 'error' });
const schemas = { bronze: 'bronze', silver: 'silver', gold: 'gold' };
const usual: RebuildOrder = {
  rules: {},
  source: 'auto',
  purpose: 'candidate',
  part: null,
  sharePercent: 100,
  recordsPerSecond: null,
  note: null,
};

const topicsOf = (pipeline: Pipeline) => SOURCES.map((source) => topicName(pipeline.prefix, source));

/** What `leakage rebuild` does before anything is read. */
export async function beginOn(pipeline: Pipeline, order: Partial<RebuildOrder> = {}): Promise<Begun> {
  const kafka = createKafkaClient({ brokers: [...pipeline.brokers], clientId: 'tests', log });
  const topics = topicsOf(pipeline);
  return await beginRebuild({
    pool: pipeline.pool,
    environment: pipeline.env,
    schemas,
    rolePrefix: 'nobody_here',
    logs: {
      topicPrefix: pipeline.prefix,
      ends: () => topicOffsets(kafka, topics),
      since: (ms) => offsetsSince(kafka, topics, ms),
    },
    order: { ...usual, ...order },
  });
}

/** Silver has read what bronze has, up to where it is to end, and gold has folded it. */
export async function untilBuilt({ pool }: Pipeline, generation: number): Promise<void> {
  const behind = async () => {
    const { rows } = await pool.query<{ records: number; changes: number }>(
      `select (select sum(abs(coalesce(p.until_offset, b.next_offset) - p.next_offset))::bigint from ops.position b
                 join ops.position p on p.pipeline = 'silver_' || $1 and p.topic = b.topic and p.partition = b.partition
                where b.pipeline = 'bronze') as records,
              (select sum(s.change_seq + 1 - coalesce(r.next_seq, 0))::bigint from ops.shard s
                 left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
                where s.generation = $1::int) as changes`,
      [generation],
    );
    return rows[0]?.records === 0 && rows[0].changes === 0;
  };
  await eventually(behind, { withinMs: 120_000, what: `generation ${generation} to be built` });
}

/** Offsets that the silver of a generation has read. */
export async function offsetsRead({ pool }: Pipeline, generation: number): Promise<number> {
  const { rows } = await pool.query<{ read: number }>(
    'select coalesce(sum(next_offset - first_offset), 0)::bigint as read from ops.position where pipeline = $1',
    [`silver_${generation}`],
  );
  return rows[0]?.read ?? 0;
}

/** Has Kafka remove the first half of every partition. */
export async function forget(pipeline: Pipeline): Promise<void> {
  await withAdmin(pipeline, async (admin) => {
    for (const topic of topicsOf(pipeline)) {
      const ends = await admin.fetchTopicOffsets(topic);
      const partitions = ends.map(({ partition, high }) => ({
        partition,
        offset: String(Math.ceil(Number(high) / 2)),
      }));
      await admin.deleteTopicRecords({ topic, partitions });
    }
  });
}

/** Gives a topic one partition more than it has. */
export async function addPartition(pipeline: Pipeline, source: Source): Promise<void> {
  await withAdmin(pipeline, async (admin) => {
    const topic = topicName(pipeline.prefix, source);
    const count = (await admin.fetchTopicOffsets(topic)).length + 1;
    await admin.createPartitions({ topicPartitions: [{ topic, count }] });
    const isThere = async () => (await admin.fetchTopicOffsets(topic)).length === count;
    await eventually(isThere, { what: 'the partition to be there' });
  });
}

async function withAdmin(pipeline: Pipeline, work: (admin: Admin) => Promise<void>): Promise<void> {
  const client = new Kafka({ brokers: [...pipeline.brokers], clientId: 'tests', logLevel: logLevel.NOTHING });
  const admin = client.admin();
  await admin.connect();
  try {
    await work(admin);
  } finally {
    await admin.disconnect();
  }
}
