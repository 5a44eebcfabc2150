import {
  addOutcomes,
  advance,
  type CopySource,
  type LostRange,
  type Move,
  mendLosses,
  type SinkTx,
} from '@leakage/postgres';

/** The name under which the archive's positions are kept. */
export const pipeline = 'bronze';

/** What was read of a partition, and how many of its records bronze did not have. */
export interface ArchivedPart extends Move {
  readonly records: { readonly length: number };
  readonly added: number;
}

/**
 * The whole of a batch, in the caller's transaction. 1. The rows: nothing else can see them yet. 2. The positions by
 * compare-and-set: whoever loses rolls its rows back (laws 1 and 3). 3. Every record is accepted: bronze judges nothing; or, in
 * a replay, it was there.
 */
export async function archive(
  tx: SinkTx,
  batch: {
    readonly pipeline: string;
    readonly judgedBy: number;
    readonly copies: readonly CopySource[];
    readonly parts: readonly ArchivedPart[];
  },
): Promise<void> {
  const copied = batch.copies.length === 0 ? [] : await tx.copyAll(batch.copies);
  const records = batch.parts.reduce((sum, part) => sum + part.added, 0);
  const rows = copied.reduce((sum, count) => sum + count, 0);
  if (rows !== records) throw new Error(`Postgres took ${rows} rows of ${records} records`);
  await advance(tx, batch.pipeline, batch.parts);
  const counts = batch.parts.map(({ topic, partition, records: { length }, added }) => ({
    topic,
    partition,
    accepted: added,
    superseded: 0,
    duplicates: length - added,
    conflicts: 0,
    quarantined: 0,
  }));
  await addOutcomes(tx, batch.pipeline, { counts, judgedBy: batch.judgedBy });
}

/** Offsets `expectedOffset` (inclusive) to `nextOffset` (exclusive) of a partition. */
type Range = Pick<Move, 'topic' | 'partition' | 'expectedOffset' | 'nextOffset'>;

/** The offsets that a table has within each of these ranges, in their order. At most one row comes back for each range. */
export async function archivedOffsets(tx: SinkTx, table: string, ranges: readonly Range[]): Promise<Set<number>[]> {
  const { rows } = await tx.query<{ nr: number; offsets: number[] }>(
    `select m.nr::int as nr, json_agg(distinct r.kafka_offset) as offsets
       from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) with ordinality
              as m (topic, partition, from_offset, next_offset, nr)
       join ${table} r on r.kafka_topic = m.topic and r.kafka_partition = m.partition
                      and r.kafka_offset >= m.from_offset and r.kafka_offset < m.next_offset
      group by m.nr`,
    [
      ranges.map((range) => range.topic),
      ranges.map((range) => range.partition),
      ranges.map((range) => range.expectedOffset),
      ranges.map((range) => range.nextOffset),
    ],
  );
  const found = new Map(rows.map((row) => [row.nr, row.offsets]));
  return ranges.map((_, at) => new Set(found.get(at + 1)));
}

/** What retention has removed within each of these ranges, in their order: offsets from (inclusive) and to (exclusive). */
export async function droppedRanges(tx: SinkTx, ranges: readonly Range[]): Promise<[number, number][][]> {
  const { rows } = await tx.query<{ nr: number; dropped: [number, number][] }>(
    `select m.nr::int as nr, json_agg(json_build_array(d.from_offset, d.next_offset)) as dropped
       from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) with ordinality
              as m (topic, partition, from_offset, next_offset, nr)
       join ops.bronze_dropped d on d.topic = m.topic and d.partition = m.partition
                                and d.next_offset > m.from_offset and d.from_offset < m.next_offset
      group by m.nr`,
    [
      ranges.map((range) => range.topic),
      ranges.map((range) => range.partition),
      ranges.map((range) => range.expectedOffset),
      ranges.map((range) => range.nextOffset),
    ],
  );
  const found = new Map(rows.map((row) => [row.nr, row.dropped]));
  return ranges.map((_, at) => found.get(at + 1) ?? []);
}

/** Offsets that had been given up for lost were read after all, and bronze has their records now: `accepted` of them. */
export async function mendArchive(
  tx: SinkTx,
  found: readonly (LostRange & { readonly accepted: number })[],
): Promise<void> {
  const nothingElse = { superseded: 0, duplicates: 0, conflicts: 0, quarantined: 0 };
  await mendLosses(
    tx,
    pipeline,
    found.map((range) => ({ ...range, ...nothingElse })),
  );
}
