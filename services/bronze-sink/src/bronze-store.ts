import { addOutcomes, advance, type CopySource, type Move, type SinkTx } from '@leakage/postgres';

/** The name under which the archive's positions are kept. */
export const pipeline = 'bronze';

/**
 * The whole of a batch, in the caller's transaction. 1. The rows: nothing else can see them yet. 2. The positions by
 * compare-and-set: whoever loses rolls its rows back (laws 1 and 3). 3. Every record is accepted: bronze judges nothing.
 */
export async function archive(
  tx: SinkTx,
  batch: { copies: readonly CopySource[]; chunks: readonly (Move & { records: { readonly length: number } })[] },
): Promise<void> {
  const copied = batch.copies.length === 0 ? [] : await tx.copyAll(batch.copies);
  const records = batch.chunks.reduce((sum, chunk) => sum + chunk.records.length, 0);
  const rows = copied.reduce((sum, count) => sum + count, 0);
  if (rows !== records) throw new Error(`Postgres took ${rows} rows of ${records} records`);
  await advance(tx, pipeline, batch.chunks);
  await addOutcomes(
    tx,
    pipeline,
    batch.chunks.map(({ topic, partition, records: { length } }) => ({
      topic,
      partition,
      accepted: length,
      superseded: 0,
      duplicates: 0,
      conflicts: 0,
      quarantined: 0,
    })),
  );
}
