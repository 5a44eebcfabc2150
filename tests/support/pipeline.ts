import {
  createKafkaClient,
  ensureTopics,
  type OutgoingRecord,
  type Publisher,
  startPublisher,
  topicOffsets,
} from '@leakage/kafka';
import { createPool, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { topicName, topicTable } from '@leakage/schemas';
import {
  eventually,
  freshDatabase,
  freshPrefix,
  type ServiceName,
  type ServiceProcess,
  startServiceProcess,
  type Tampering,
  testStack,
} from '@leakage/testing';

const log = createLogger({ service: 'tests', level: 'error' });

/** The three services of the pipeline as processes, on topics and a database of their own. */
export interface Pipeline {
  readonly pool: Pool;
  readonly databaseUrl: string;
  readonly prefix: string;
  readonly brokers: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Sends the records in the order given and waits until gold has folded everything that came of them. */
  feed(records: readonly OutgoingRecord[], generations?: readonly number[]): Promise<void>;
  readonly publisher: Publisher;
  /** Waits until bronze and silver have read every topic to its end and gold the change log to its; generation 1 if no other is named. */
  drained(withinMs?: number, generations?: readonly number[]): Promise<void>;
  start(name: ServiceName, o?: StartOptions): Promise<ServiceProcess>;
  stop(): Promise<void>;
}

export interface StartOptions extends Tampering {
  readonly env?: Readonly<Record<string, string>>;
}

const pipelineServices = ['bronze-sink', 'silver-joiner', 'gold-aggregator'] as const;
const drainWithinMs = 90_000;

/** Other servers than those of the run. */
export interface OtherServers {
  readonly brokers: string;
  readonly adminUrl: string;
}

/** An empty pipeline without any process: topics, database and nothing else. */
export async function emptyPipeline(servers?: OtherServers): Promise<Pipeline> {
  const database = await freshDatabase(servers?.adminUrl);
  const brokers = servers === undefined ? {} : { brokers: servers.brokers.split(',') };
  return await pipelineOn({ ...database, ...brokers, prefix: freshPrefix() });
}

/** The same on a database that is there already; `drop` is called at the end. */
export async function pipelineOn(o: {
  readonly url: string;
  readonly drop: () => Promise<void>;
  readonly prefix: string;
  readonly brokers?: readonly string[];
}): Promise<Pipeline> {
  const { prefix } = o;
  const brokers = [...(o.brokers ?? (await testStack()).brokers)];
  const env = { DATABASE_URL: o.url, KAFKA_BROKERS: brokers.join(','), TOPIC_PREFIX: prefix };
  const kafka = createKafkaClient({ brokers, clientId: 'tests', log });
  await ensureTopics(kafka, topicTable(prefix));
  const topics = (['journeys', 'calls', 'members'] as const).map((source) => topicName(prefix, source));
  const pool = createPool({ url: o.url, applicationName: 'tests', max: 2, log });
  const publisher = await startPublisher(kafka, { log });
  const processes: ServiceProcess[] = [];

  const drained = async (withinMs = drainWithinMs, generations: readonly number[] = [1]): Promise<void> => {
    const ends = (await topicOffsets(kafka, topics)).filter((end) => end.high > end.low);
    const isDone = () => isDrained(pool, ends, generations);
    await eventually(isDone, { withinMs, everyMs: 50, what: 'draining' });
  };
  return {
    pool,
    databaseUrl: o.url,
    prefix,
    brokers,
    env,
    drained,
    publisher,
    feed: async (records, generations) => {
      if (records.length > 0) await publisher.publish(records);
      await drained(drainWithinMs, generations);
    },
    start: async (name, o = {}) => {
      const started = startServiceProcess(name, { ...env, ...o.env }, o);
      processes.push(started);
      await started.ready;
      return started;
    },
    stop: async () => {
      await Promise.all(processes.map((one) => one.stop()));
      await publisher.stop();
      await pool.stop();
      await o.drop();
    },
  };
}

/** An empty pipeline with bronze-sink, silver-joiner and gold-aggregator running. */
export async function startPipeline(o: Partial<Record<ServiceName, StartOptions>> = {}): Promise<Pipeline> {
  const pipeline = await emptyPipeline();
  await Promise.all(pipelineServices.map((name) => pipeline.start(name, o[name])));
  return pipeline;
}

async function isDrained(
  pool: Pool,
  ends: readonly { topic: string; partition: number; high: number }[],
  generations: readonly number[],
) {
  const { rows } = await pool.query<{ behind: number }>(
    `select count(*) as behind
       from unnest($1::text[], $2::int[], $3::bigint[]) as e (topic, partition, high)
      cross join unnest($4::text[]) as needed (pipeline)
       left join ops.position p on p.pipeline = needed.pipeline and p.topic = e.topic and p.partition = e.partition
      where coalesce(p.next_offset, 0) < e.high`,
    [
      ends.map((e) => e.topic),
      ends.map((e) => e.partition),
      ends.map((e) => e.high),
      ['bronze', ...generations.map((generation) => `silver_${generation}`)],
    ],
  );
  if (rows[0]?.behind !== 0) return false;
  const gold = await pool.query<{ behind: number }>(
    `select count(*) as behind
       from ops.shard s left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
      where s.generation = any ($1) and coalesce(r.next_seq, 0) <> s.change_seq + 1`,
    [generations],
  );
  return gold.rows[0]?.behind === 0;
}
