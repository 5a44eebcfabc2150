import type { Queryable } from './connection.ts';
import { PolicyChangedError, PositionMovedError, sqlState } from './errors.ts';
import type { Pool } from './pool.ts';
import { inTransaction } from './transaction.ts';

export interface StoredPosition {
  topic: string;
  partition: number;
  nextOffset: number;
  lastOffset: number | null;
  lastFingerprint: number | null;
  clusterId: string;
  /** Where the pipeline ends; null: it reads for ever. */
  untilOffset: number | null;
}

export interface PositionStore {
  /** The positions of these partitions, in their order; missing ones are created at `lowOffset`. */
  load(
    parts: readonly { topic: string; partition: number; lowOffset: number }[],
    clusterId: string,
  ): Promise<StoredPosition[]>;
  /** The SQL by which a person gives these offsets up; what then happens is written at ops.accept_loss. */
  acceptLoss(lost: readonly LostRange[]): string;
}

/** Offsets `fromOffset` (inclusive, the position) to `nextOffset` (exclusive) that Kafka no longer has. */
export interface LostRange {
  topic: string;
  partition: number;
  fromOffset: number;
  nextOffset: number;
}

export interface Move {
  topic: string;
  partition: number;
  expectedOffset: number;
  nextOffset: number;
  lastOffset: number | null;
  lastFingerprint: number | null;
  holes: number;
}

export interface Outcomes {
  topic: string;
  partition: number;
  accepted: number;
  superseded: number;
  duplicates: number;
  conflicts: number;
  quarantined: number;
}

const CREATE = `
  insert into ops.position (pipeline, topic, partition, first_offset, next_offset, cluster_id)
  select $1, topic, partition, low_offset, low_offset, $5
    from unnest($2::text[], $3::int[], $4::bigint[]) as m (topic, partition, low_offset)
   order by topic collate "C", partition
  on conflict do nothing`;

const LOAD = `
  select p.topic, p.partition, p.next_offset, p.last_offset, p.last_fingerprint, p.cluster_id, p.until_offset
    from unnest($2::text[], $3::int[]) with ordinality as m (topic, partition, nr)
    join ops.position p on p.pipeline = $1 and p.topic = m.topic and p.partition = m.partition
   order by m.nr`;

interface PositionRow {
  topic: string;
  partition: number;
  next_offset: number;
  last_offset: number | null;
  last_fingerprint: number | null;
  cluster_id: string;
  until_offset: number | null;
}

export function positionStore(pool: Pool, pipeline: string): PositionStore {
  return {
    async load(parts, clusterId) {
      const topics = parts.map((p) => p.topic);
      const partitions = parts.map((p) => p.partition);
      const { rows } = await inTransaction(pool, async (tx) => {
        await tx.query(CREATE, [pipeline, topics, partitions, parts.map((p) => p.lowOffset), clusterId]);
        return await tx.query<PositionRow>(LOAD, [pipeline, topics, partitions]);
      });
      return rows.map(positionOf);
    },
    acceptLoss: (lost) => acceptLoss(pipeline, lost),
  };
}

/**
 * The positions of a pipeline that reads what it was given when it was made, and nothing else: where it has no position (a
 * partition that came later, a replay that is over) there is nothing to read.
 */
export function givenPositions(pool: Pool, pipeline: string): PositionStore {
  return {
    async load(parts, clusterId) {
      const topics = parts.map((p) => p.topic);
      const { rows } = await pool.query<PositionRow>(LOAD, [pipeline, topics, parts.map((p) => p.partition)]);
      const given = new Map(rows.map((row) => [`${row.topic}/${row.partition}`, positionOf(row)]));
      return parts.map(({ topic, partition, lowOffset }) => {
        const nothing = { nextOffset: lowOffset, untilOffset: lowOffset, lastOffset: null, lastFingerprint: null };
        return given.get(`${topic}/${partition}`) ?? { topic, partition, ...nothing, clusterId };
      });
    },
    acceptLoss: (lost) => acceptLoss(pipeline, lost),
  };
}

function positionOf(row: PositionRow): StoredPosition {
  return {
    topic: row.topic,
    partition: row.partition,
    nextOffset: row.next_offset,
    lastOffset: row.last_offset,
    lastFingerprint: row.last_fingerprint,
    clusterId: row.cluster_id,
    untilOffset: row.until_offset,
  };
}

function acceptLoss(pipeline: string, lost: readonly LostRange[]): string {
  return lost
    .map(({ topic, partition, fromOffset, nextOffset }) => {
      const place = `${literal(pipeline)}, ${literal(topic)}, ${partition}`;
      return `select ops.accept_loss(${place}, ${fromOffset}, ${nextOffset});`;
    })
    .join(' ');
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/**
 * Moves positions by compare-and-set inside the caller's transaction (law 1): the only check and the only fence. Throws
 * PositionMovedError when any position is not where it was expected; the transaction can then only be rolled back.
 */
export async function advance(tx: Queryable, pipeline: string, moves: readonly Move[]): Promise<void> {
  if (moves.length === 0) return;
  try {
    await tx.query('select ops.advance($1, $2, $3, $4, $5, $6, $7, $8)', [
      pipeline,
      moves.map((m) => m.topic),
      moves.map((m) => m.partition),
      moves.map((m) => m.expectedOffset),
      moves.map((m) => m.nextOffset),
      moves.map((m) => m.lastOffset),
      moves.map((m) => m.lastFingerprint),
      moves.map((m) => m.holes),
    ]);
  } catch (error) {
    if (sqlState(error) === 'LK001') throw new PositionMovedError(pipeline, error);
    throw error;
  }
}

const ADD_OUTCOMES = `
  update ops.position p
     set accepted = p.accepted + m.accepted,
         superseded = p.superseded + m.superseded,
         duplicates = p.duplicates + m.duplicates,
         conflicts = p.conflicts + m.conflicts,
         quarantined = p.quarantined + m.quarantined
    from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
      as m (topic, partition, accepted, superseded, duplicates, conflicts, quarantined)
   where p.pipeline = $1 and p.topic = m.topic and p.partition = m.partition
  returning (select version from ops.policy) as policy`;

/**
 * Counts what became of the records below the new positions, in the transaction that moves them. Per partition, outcomes
 * plus holes must equal the offsets moved: the database checks that at COMMIT and refuses it with LK002 (law 3). Throws
 * PolicyChangedError where `judgedBy`, the version of the policy, is another one by now: it changes only under locks that the
 * caller has from `advance` on.
 */
export async function addOutcomes(
  tx: Queryable,
  pipeline: string,
  { counts, judgedBy }: { readonly counts: readonly Outcomes[]; readonly judgedBy: number },
): Promise<void> {
  if (counts.length === 0) return;
  const { rows, rowCount } = await tx.query<{ policy: number }>(ADD_OUTCOMES, [
    pipeline,
    counts.map((c) => c.topic),
    counts.map((c) => c.partition),
    counts.map((c) => c.accepted),
    counts.map((c) => c.superseded),
    counts.map((c) => c.duplicates),
    counts.map((c) => c.conflicts),
    counts.map((c) => c.quarantined),
  ]);
  if (rowCount !== counts.length) {
    throw new Error(`outcomes of ${counts.length} partitions were given, ${rowCount} positions of ${pipeline} exist`);
  }
  if (rows.some(({ policy }) => policy !== judgedBy)) throw new PolicyChangedError();
}
