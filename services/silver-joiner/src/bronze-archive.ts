import {
  type ArchivedPartition,
  ArchiveLacksError,
  type KafkaRecord,
  type OffsetRange,
  type RecordArchive,
} from '@leakage/kafka';
import type { Pool } from '@leakage/postgres';
import type { Source } from '@leakage/schemas';

const TABLES: Readonly<Record<Source, string>> = {
  journeys: 'digital_journeys_raw',
  calls: 'call_logs_raw',
  members: 'member_profiles_raw',
};

export interface BronzeArchiveOptions {
  readonly db: Pool;
  /** Bronze's schema. */
  readonly schema: string;
  readonly topics: readonly string[];
  readonly sourceOf: (topic: string) => Source | null;
  /** Of the generation that is being built. */
  readonly pipeline: string;
  /** Only the partitions whose numbers, divided by `parts`, leave `part`. */
  readonly part: number;
  readonly parts: number;
}

const ENDS = `
select topic, partition, first_offset as low, next_offset as high, holes, cluster_id as "clusterId"
  from ops.position
 where pipeline = 'bronze' and topic = any ($1) and partition % $2 = $3
 order by topic, partition`;

/** What of a record was erased, as the statement numbers it. */
const ERASED: readonly KafkaRecord['erased'][] = [null, 'key', 'everything'];

/** COPY takes no parameters: what is asked for stands in settings of the session. */
const ASK = `
select set_config('leakage.archive_topic', $1, false), set_config('leakage.archive_first', $2, false),
       set_config('leakage.archive_next', $3, false), set_config('leakage.archive_from', $4::bigint[]::text, false),
       set_config('leakage.archive_until', $5::bigint[]::text, false)`;

/**
 * One scan of the part of the table in which these offsets lie, however many partitions they are of: the index is a coarse one.
 * In binary: as text, a record cost several microseconds more on either side.
 */
function readStatement(table: string): string {
  return `
copy (
select r.kafka_partition, r.kafka_offset, r.kafka_timestamp, r.kafka_key, r.payload,
       case when r.decode_error = 'erased' then 2 when r.kafka_key = '' then 1 else 0 end
  from ${table} r
 where r.kafka_topic = current_setting('leakage.archive_topic')
   and r.kafka_offset >= current_setting('leakage.archive_first')::bigint
   and r.kafka_offset < current_setting('leakage.archive_next')::bigint
   and r.kafka_offset >= ((select current_setting('leakage.archive_from')::bigint[]))[r.kafka_partition + 1]
   and r.kafka_offset < ((select current_setting('leakage.archive_until')::bigint[]))[r.kafka_partition + 1]
) to stdout (format binary)`;
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
    ends: async () => (await o.db.query<ArchivedPartition>(ENDS, [o.topics, o.parts, o.part])).rows,
    read: (ranges) => read(o, ranges),
    mustBeWhole: (ends) => mustBeWhole(o, ends),
  };
}

async function read(o: BronzeArchiveOptions, ranges: readonly OffsetRange[]): Promise<KafkaRecord[]> {
  const topic = ranges[0]?.topic ?? '';
  const source = o.sourceOf(topic);
  if (source === null) return [];
  // By partition number, from 0; what is not asked for is an empty range.
  const size = Math.max(...ranges.map(({ partition }) => partition)) + 1;
  const from = Array.from({ length: size }, () => 0);
  const next = Array.from({ length: size }, () => 0);
  for (const { partition, fromOffset, nextOffset } of ranges) {
    from[partition] = fromOffset;
    next[partition] = nextOffset;
  }
  const first = Math.min(...ranges.map((range) => range.fromOffset));
  const rows = await o.db.withConnection(async (connection) => {
    await connection.query(ASK, [topic, String(first), String(Math.max(...next)), from, next]);
    return await connection.copyOut(readStatement(`"${o.schema}".${TABLES[source]}`));
  });
  const records: KafkaRecord[] = [];
  while (rows.next()) {
    const [partition, offset, timestampMs] = [rows.int4(), rows.int8(), rows.instant()];
    const [key, value, erased] = [rows.bytea(), rows.bytea(), ERASED[rows.int4()] ?? null];
    records.push({ topic, partition, offset, timestampMs, key, value, headers: null, erased });
  }
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
