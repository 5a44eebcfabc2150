import type { Queryable } from './connection.ts';
import type { LostRange, Outcomes } from './positions.ts';

/** What a pipeline has given up for lost (ops.accept_loss), and has not found since. */
export async function readLosses(db: Queryable, pipeline: string): Promise<LostRange[]> {
  const { rows } = await db.query<LostRange>(
    `select topic, partition, from_offset as "fromOffset", next_offset as "nextOffset"
       from ops.loss where pipeline = $1
      order by topic collate "C", partition, from_offset`,
    [pipeline],
  );
  return rows;
}

/** The parts of losses that lie within what was read of a partition, in order. */
export function lostWithin(
  losses: readonly LostRange[],
  read: {
    readonly topic: string;
    readonly partition: number;
    readonly expectedOffset: number;
    readonly nextOffset: number;
  },
): LostRange[] {
  const { topic, partition, expectedOffset, nextOffset } = read;
  return losses.flatMap((loss) => {
    if (loss.topic !== topic || loss.partition !== partition) return [];
    const from = Math.max(loss.fromOffset, expectedOffset);
    const next = Math.min(loss.nextOffset, nextOffset);
    return from < next ? [{ topic, partition, fromOffset: from, nextOffset: next }] : [];
  });
}

/** Offsets that were lost, and what became of the records that were found there. */
export interface MendedRange extends LostRange, Omit<Outcomes, 'topic' | 'partition'> {}

/**
 * Takes offsets that have been read after all off a pipeline's losses, and counts their records there. Belongs into the
 * transaction that stores these records (law 1): refused where they are lost no longer.
 */
export async function mendLosses(tx: Queryable, pipeline: string, mended: readonly MendedRange[]): Promise<void> {
  if (mended.length === 0) return;
  await tx.query(
    `select ops.mend_loss($1, m.topic, m.partition, m.from_offset, m.next_offset,
                          m.accepted, m.superseded, m.duplicates, m.conflicts, m.quarantined)
       from (select * from unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[],
                                  $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[])
               as u (topic, partition, from_offset, next_offset, accepted, superseded, duplicates, conflicts, quarantined)
              order by topic collate "C", partition, from_offset) m`,
    [
      pipeline,
      mended.map((m) => m.topic),
      mended.map((m) => m.partition),
      mended.map((m) => m.fromOffset),
      mended.map((m) => m.nextOffset),
      mended.map((m) => m.accepted),
      mended.map((m) => m.superseded),
      mended.map((m) => m.duplicates),
      mended.map((m) => m.conflicts),
      mended.map((m) => m.quarantined),
    ],
  );
}
