import {
  type ArchivedPartition,
  ArchiveLacksError,
  type KafkaRecord,
  type OffsetRange,
  type RecordArchive,
} from '@leakage/kafka';
import type { Queryable } from '@leakage/postgres';
import type { Source } from '@leakage/schemas';

const TABLES: Readonly<Record<Source, string>> = {
  journeys: 'digital_journeys_raw',
  calls: 'call_logs_raw',
  members: 'member_profiles_raw',
};

export interface BronzeArchiveOptions {
  readonly db: Queryable;
  /** Bronze's schema. */
  readonly schema: string;
  readonly topics: readonly string[];
  readonly sourceOf: (topic: string) => Source | null;
  /** Of the generation that is being built. */
  readonly pipeline: string;
}

const ENDS = `
select topic, partition, first_offset as low, next_offset as high, holes, cluster_id as "clusterId"
  from ops.position
 where pipeline = 'bronze' and topic = any ($1)
 order by topic, partition`;

/** One scan of the part of the table in which these offsets lie, however many partitions they are of: the index is a coarse one. */
function readStatement(table: string): string {
  return `
select r.kafka_partition as partition, r.kafka_offset as "offset", r.kafka_timestamp as "timestampMs", r.kafka_key as key,
       r.payload as value,
       case when r.decode_error = 'erased' then 'everything' when r.kafka_key = '' then 'key' end as erased
  from ${table} r
 where r.kafka_topic = $1 and r.kafka_offset >= $2 and r.kafka_offset < $3
   and r.kafka_offset >= ($4::bigint[])[r.kafka_partition + 1] and r.kafka_offset < ($5::bigint[])[r.kafka_partition + 1]`;
}

// What retention has removed from bronze is a hole for whoever had not read it by then, and none for whoever had.
const LACKING = `
select e.topic, e.partition, case when p.holes < e.holes then p.holes - e.holes else p.holes - e.holes - d.records end as lacking
  from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[]) as e (topic, partition, low, high, holes)
  join ops.position p on p.pipeline = $1 and p.topic = e.topic and p.partition = e.partition
 cross join lateral (select coalesce(sum(x.records), 0)::bigint as records from ops.bronze_dropped x
                      where x.topic = e.topic and x.partition = e.partition) d
 where p.first_offset >= e.low and p.next_offset <= e.high
   and (p.holes > e.holes + d.records or (p.first_offset = e.low and p.next_offset = e.high and p.holes < e.holes))
 order by e.topic, e.partition`;

/** Bronze as a log: the records that it keeps, under the offsets that they had in Kafka (laws 3 and 4). */
export function bronzeArchive(o: BronzeArchiveOptions): RecordArchive {
  return {
    ends: async () => (await o.db.query<ArchivedPartition>(ENDS, [o.topics])).rows,
    read: (ranges) => read(o, ranges),
    mustBeWhole: (ends) => mustBeWhole(o, ends),
  };
}

async function read(o: BronzeArchiveOptions, ranges: readonly OffsetRange[]): Promise<KafkaRecord[]> {
  const [first] = ranges;
  const source = first === undefined ? null : o.sourceOf(first.topic);
  if (first === undefined || source === null) return [];
  const { topic } = first;
  // By partition number, from 0; what is not asked for is an empty range.
  const size = Math.max(...ranges.map(({ partition }) => partition)) + 1;
  const from = Array.from({ length: size }, () => 0);
  const next = Array.from({ length: size }, () => 0);
  for (const { partition, fromOffset, nextOffset } of ranges) {
    from[partition] = fromOffset;
    next[partition] = nextOffset;
  }
  const { rows } = await o.db.query<Omit<KafkaRecord, 'topic' | 'headers'>>(
    readStatement(`"${o.schema}".${TABLES[source]}`),
    [topic, Math.min(...ranges.map((range) => range.fromOffset)), Math.max(...next), from, next],
  );
  const records = rows.map((row) => ({ ...row, topic, headers: null }));
  return records.sort((a, b) => a.offset - b.offset);
}

/**
 * Bronze has counted its holes: where silver met more, rows are missing; where it met fewer, there are rows too many. A generation
 * that reads a part of the offsets must not meet more than there are in all of them.
 */
async function mustBeWhole({ db, pipeline }: BronzeArchiveOptions, ends: readonly ArchivedPartition[]): Promise<void> {
  const { rows } = await db.query<{ topic: string; partition: number; lacking: number }>(LACKING, [
    pipeline,
    ends.map((end) => end.topic),
    ends.map((end) => end.partition),
    ends.map((end) => end.low),
    ends.map((end) => end.high),
    ends.map((end) => end.holes),
  ]);
  const [wrong] = rows;
  if (wrong === undefined) return;
  const what = wrong.lacking > 0 ? 'fewer records than it has taken' : 'more records than it has taken';
  throw new ArchiveLacksError(
    `bronze holds ${what} of ${wrong.topic}/${wrong.partition} (${Math.abs(wrong.lacking)}; ${rows.length} partitions in all): ` +
      'run leakage verify, and leakage replay --service bronze-sink to fill what Kafka still has',
  );
}
