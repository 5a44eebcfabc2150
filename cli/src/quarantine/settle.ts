import { type KafkaClient, topicOffsets } from '@leakage/kafka';
import type { Pool } from '@leakage/postgres';
import { sleep } from '@leakage/runtime';
import { type Source, sourceOfTopic } from '@leakage/schemas';
import { CommandError } from '../command-error.ts';
import { BronzeStore } from './bronze-store.ts';
import type { Position } from './position.ts';
import { positionText } from './position.ts';
import { type Acknowledged, RepairStore, type Unacknowledged } from './repair-store.ts';

/** Looked up in bronze at a time. */
const batchRecords = 1_000;
const pollMs = 200;
/** By so much a clock that was put right may have moved between an attempt and what bronze wrote down. */
const clockMs = 3_600_000;

export interface SettleOptions {
  readonly pool: Pool;
  readonly kafka: KafkaClient;
  readonly topicPrefix: string;
  readonly bronzeSchema: string;
  /** How long bronze may take to read what Kafka has. */
  readonly waitMs: number;
  readonly onWait: (sentence: string) => void;
}

/**
 * Finds out what became of records of which an interrupted run has not heard whether Kafka took them: bronze has their copies
 * or does not. Returns how many it had. Afterwards an open record is one that was not sent. Throws CommandError when bronze
 * has not read the topics to where they end now.
 */
export async function settle(o: SettleOptions): Promise<number> {
  const repairs = new RepairStore(o.pool);
  const bronze = new BronzeStore(o.pool, o.bronzeSchema);
  let found = 0;
  let after: Position = { topic: '', partition: -1, offset: -1 };
  for (;;) {
    const open = await repairs.unacknowledged(after, batchRecords);
    const last = open.at(-1);
    if (last === undefined) return found;
    await awaitBronze(o, [...new Set(open.map(({ topic }) => topic))]);
    const copies = await copiesOf(bronze, open, o.topicPrefix);
    if (copies.length > 0) await repairs.acknowledge(copies);
    found += copies.length;
    after = last;
  }
}

async function copiesOf(
  bronze: BronzeStore,
  open: readonly Unacknowledged[],
  topicPrefix: string,
): Promise<Acknowledged[]> {
  const records = new Map(open.map((record) => [positionText(record), record]));
  const since = Math.min(...open.map(({ attemptedAt }) => attemptedAt)) - clockMs;
  const found: Acknowledged[] = [];
  for (const [source, ofSource] of Map.groupBy(open, ({ topic }) => sourceOf(topicPrefix, topic))) {
    for (const { of, at } of await bronze.copies(source, ofSource, since)) {
      const record = records.get(of);
      if (record !== undefined) found.push({ record, at });
    }
  }
  return found;
}

function sourceOf(topicPrefix: string, topic: string): Source {
  const source = sourceOfTopic(topicPrefix, topic);
  if (source !== null) return source;
  throw new CommandError(
    `A record of topic ${topic} was about to be repaired, and that is none of ours: set TOPIC_PREFIX to what it was then.`,
  );
}

async function awaitBronze({ pool, kafka, waitMs, onWait }: SettleOptions, topics: readonly string[]): Promise<void> {
  const ends = (await topicOffsets(kafka, topics)).filter(({ low, high }) => high > low);
  for (const deadline = performance.now() + waitMs; ; await sleep(pollMs)) {
    const { rows } = await pool.query<{ behind: number }>(
      `select coalesce(sum(e.high - coalesce(p.next_offset, 0)), 0)::bigint as behind
         from unnest($1::text[], $2::int[], $3::bigint[]) as e (topic, partition, high)
         left join ops.position p on p.pipeline = 'bronze' and p.topic = e.topic and p.partition = e.partition
        where coalesce(p.next_offset, 0) < e.high`,
      [ends.map((end) => end.topic), ends.map((end) => end.partition), ends.map((end) => end.high)],
    );
    const behind = rows[0]?.behind ?? 0;
    if (behind === 0) return;
    if (performance.now() > deadline) {
      throw new CommandError(
        'An earlier run was interrupted before it heard whether Kafka took its records. Bronze would know, but has ' +
          `${behind} records of ${topics.join(', ')} left to read: start bronze-sink, and then try again.`,
      );
    }
    onWait(`an earlier run was interrupted: waiting for bronze-sink, which has ${behind} records left to read`);
  }
}
