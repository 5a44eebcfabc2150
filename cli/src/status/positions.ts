import type { Queryable } from '@leakage/postgres';
import type { BrokenPartition, Outcomes } from './types.ts';

export interface PositionRow extends Outcomes {
  pipeline: string;
  topic: string;
  partition: number;
  first: number;
  next: number;
  holes: number;
  updatedAt: number;
}

export async function readPositions(db: Queryable, generation: number): Promise<PositionRow[]> {
  const { rows } = await db.query<PositionRow>(
    `select pipeline, topic, partition, first_offset as first, next_offset as next, holes, accepted, superseded, duplicates,
            conflicts, quarantined, updated_at as "updatedAt"
       from ops.position
      where pipeline in ('bronze', $1)
      order by pipeline, topic, partition`,
    [`silver_${generation}`],
  );
  return rows;
}

export const ofPipeline = (positions: readonly PositionRow[], pipeline: 'bronze' | 'silver') =>
  positions.filter((one) => (one.pipeline === 'bronze') === (pipeline === 'bronze'));

/** Offsets read that carried a record. */
export const recordsOf = (positions: readonly PositionRow[]) =>
  positions.reduce((sum, one) => sum + one.next - one.first - one.holes, 0);

export const outcomesOf = (one: PositionRow) =>
  one.accepted + one.superseded + one.duplicates + one.conflicts + one.quarantined;

/** Partitions in which offsets read and outcomes do not add up (law 3). */
export function brokenPartitions(positions: readonly PositionRow[]): BrokenPartition[] {
  return positions
    .filter((one) => one.next - one.first !== outcomesOf(one) + one.holes)
    .map((one) => ({
      pipeline: one.pipeline,
      topic: one.topic,
      partition: one.partition,
      offsets: one.next - one.first,
      outcomes: outcomesOf(one) + one.holes,
    }));
}

export function totalOutcomes(positions: readonly PositionRow[]): Outcomes & { holes: number; records: number } {
  const sum = (of: (one: PositionRow) => number) => positions.reduce((total, one) => total + of(one), 0);
  return {
    accepted: sum((one) => one.accepted),
    superseded: sum((one) => one.superseded),
    duplicates: sum((one) => one.duplicates),
    conflicts: sum((one) => one.conflicts),
    quarantined: sum((one) => one.quarantined),
    holes: sum((one) => one.holes),
    records: recordsOf(positions),
  };
}

export interface End {
  topic: string;
  partition: number;
  low: number;
  high: number;
}

/** Records of a topic that a pipeline has not read yet: from its position, or from the beginning of the log. */
export function behind(ends: readonly End[], positions: readonly PositionRow[]): number {
  const next = new Map(positions.map((one) => [`${one.topic}/${one.partition}`, one.next]));
  return ends.reduce(
    (sum, end) => sum + Math.max(0, end.high - (next.get(`${end.topic}/${end.partition}`) ?? end.low)),
    0,
  );
}
