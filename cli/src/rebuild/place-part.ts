import type { PartitionEnds } from '@leakage/kafka';
import { type Queryable, withPool } from '@leakage/postgres';
import { type Source, sourceOfTopic } from '@leakage/schemas';
import { CommandError } from '../command-error.ts';
import { quietLogger } from '../connect.ts';
import {
  type FirstSince,
  forgottenPartitions,
  mustBeThere,
  type Part,
  type PartPosition,
  partPositions,
} from './part.ts';
import { bronzeSince, oldestInBronze } from './part-store.ts';
import type { BronzePosition } from './source.ts';

/** What Kafka says of its logs. */
export interface KafkaLogs {
  readonly topicPrefix: string;
  readonly ends: () => Promise<PartitionEnds[]>;
  /** The first record of each partition from an instant on, the end of the partition where there is none. */
  readonly since: (ms: number) => Promise<FirstSince[]>;
}

/** One question to bronze, which may have to read a part of a large table. */
const STATEMENT_MS = 10 * 60_000;

export interface PlacePartOptions {
  readonly databaseUrl: string;
  /** Bronze's schema. */
  readonly schema: string;
  readonly bronze: readonly BronzePosition[];
  /** Null: Kafka does not answer. */
  readonly logs: KafkaLogs | null;
}

/**
 * Where a part lies in the logs. A time is where Kafka finds it; of what Kafka has removed, where bronze does. Both are parts of
 * one log, so the first record of either is the first of the whole. Throws CommandError where that cannot be said, or is nowhere.
 */
export async function placePart(
  part: Part,
  { databaseUrl, schema, bronze, logs }: PlacePartOptions,
): Promise<PartPosition[]> {
  if (logs === null) {
    throw new CommandError('Kafka does not answer, and only it knows where a time lies in its log: start it first.');
  }
  const { topicPrefix } = logs;
  const sourceOf = (topic: string) => sourceOfTopic(topicPrefix, topic);
  const topicsOf = new Map(bronze.flatMap(({ topic }) => withSource(topic, sourceOf(topic))));
  const known = bronze.filter(({ topic }) => topicsOf.has(topic));
  const inKafka = {
    from: part.from === null ? [] : await logs.since(part.from),
    to: part.to === null ? [] : await logs.since(part.to),
  };
  // Asked afterwards: what Kafka has removed by now, it may have removed before it was asked for the times.
  const ends = await logs.ends();
  const forgotten = new Set(forgottenPartitions(known, ends).map(({ topic }) => topic));
  const inBronze = async (db: Queryable, ms: number | null): Promise<FirstSince[]> => {
    const found: FirstSince[] = [];
    if (ms === null) return found;
    for (const [topic, source] of topicsOf) {
      if (forgotten.has(topic)) found.push(...(await bronzeSince(db, { schema, topic, source, ms })));
    }
    return found;
  };
  const pooled = {
    url: databaseUrl,
    applicationName: 'leakage-rebuild bronze',
    max: 1,
    statementTimeoutMs: STATEMENT_MS,
  };
  return await withPool({ ...pooled, log: quietLogger('rebuild') }, async (db) => {
    const oldest: number[] = [];
    for (const [topic, source] of topicsOf) {
      if (source === 'members') continue;
      const at = await oldestInBronze(db, { schema, topic, source, positions: known });
      if (at !== null) oldest.push(at);
    }
    mustBeThere(part, oldest.length === 0 ? null : Math.min(...oldest));
    return partPositions(part, {
      bronze: known,
      ends,
      from: [...inKafka.from, ...(await inBronze(db, part.from))],
      to: [...inKafka.to, ...(await inBronze(db, part.to))],
      ofProfiles: (topic) => sourceOf(topic) === 'members',
    });
  });
}

function withSource(topic: string, source: Source | null): [string, Source][] {
  return source === null ? [] : [[topic, source]];
}
