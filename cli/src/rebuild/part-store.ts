import type { Queryable } from '@leakage/postgres';
import type { Source } from '@leakage/schemas';
import type { FirstSince } from './part.ts';
import type { BronzePosition } from './source.ts';

const TABLES: Readonly<Record<Source, string>> = {
  journeys: 'digital_journeys_raw',
  calls: 'call_logs_raw',
  members: 'member_profiles_raw',
};

/** Offsets from the beginning of a partition on in which its oldest record is looked for. */
const WINDOW_OFFSETS = 1_000;

export interface BronzeTopic {
  /** Bronze's schema. */
  readonly schema: string;
  readonly source: Source;
  readonly topic: string;
}

/**
 * The first record of each partition that Kafka got at `ms` or later, of those that bronze has. No index knows when Kafka got a
 * record, but a row is ingested after that: days of bronze that had ended before are left out, and one day more is read, because
 * the clocks of Kafka and Postgres are not one.
 */
export async function bronzeSince(db: Queryable, o: BronzeTopic & { readonly ms: number }): Promise<FirstSince[]> {
  const { rows } = await db.query<FirstSince>(
    `select r.kafka_topic as topic, r.kafka_partition as partition, min(r.kafka_offset) as "offset"
       from "${o.schema}".${TABLES[o.source]} r
      where r.kafka_topic = $1 and r.kafka_timestamp >= $2::timestamptz
        and r.ingestion_timestamp >= $2::timestamptz - interval '1 day'
      group by 1, 2`,
    [o.topic, new Date(o.ms).toISOString()],
  );
  return rows;
}

/** When Kafka got the oldest record of a topic that bronze has, in epoch milliseconds; null: bronze has none. */
export async function oldestInBronze(
  db: Queryable,
  o: BronzeTopic & { readonly positions: readonly BronzePosition[] },
): Promise<number | null> {
  const table = `"${o.schema}".${TABLES[o.source]}`;
  const positions = o.positions.filter(({ topic }) => topic === o.topic);
  const firsts = positions.map(({ firstOffset }) => firstOffset);
  const near = await db.query<{ at: number | null }>(
    `select min(r.kafka_timestamp) as at
       from ${table} r
       join unnest($2::int[], $3::bigint[]) as f (partition, first) on f.partition = r.kafka_partition
      where r.kafka_topic = $1 and r.kafka_offset >= $4 and r.kafka_offset < $5
        and r.kafka_offset >= f.first and r.kafka_offset < f.first + $6`,
    [
      o.topic,
      positions.map(({ partition }) => partition),
      firsts,
      Math.min(...firsts, Number.MAX_SAFE_INTEGER),
      Math.max(...firsts, 0) + WINDOW_OFFSETS,
      WINDOW_OFFSETS,
    ],
  );
  const at = near.rows[0]?.at ?? null;
  if (at !== null) return at;
  // The first records of bronze were removed: it has to be read until one is found.
  const all = await db.query<{ at: number | null }>(
    `select min(r.kafka_timestamp) as at from ${table} r where r.kafka_topic = $1`,
    [o.topic],
  );
  return all.rows[0]?.at ?? null;
}
