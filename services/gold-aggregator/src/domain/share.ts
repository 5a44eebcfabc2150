export interface Backlog {
  readonly shard: number;
  readonly nextSeq: number;
  /** The last seq that silver has written. */
  readonly changeSeq: number;
}

/** The rows [fromSeq, toSeq) of a shard. */
export interface SeqRange {
  readonly shard: number;
  readonly fromSeq: number;
  readonly toSeq: number;
}

/**
 * Which rows one fold takes: at most `rowsMax` over all shards (law 10), from each shard the same part of what waits
 * there, so that no shard's days run ahead of another's. Only shards that have something. `rowsMax` >= number of shards.
 */
export function shareOut(backlogs: readonly Backlog[], rowsMax: number): SeqRange[] {
  const waiting = backlogs.filter((b) => b.changeSeq >= b.nextSeq);
  const total = waiting.reduce((sum, b) => sum + rowsOf(b), 0);
  const part = Math.min(1, (rowsMax - waiting.length) / total);
  return waiting.map((b) => {
    // Rounded up by less than one row a shard, which is what was held back above.
    const rows = total <= rowsMax ? rowsOf(b) : Math.max(1, Math.ceil(rowsOf(b) * part));
    return { shard: b.shard, fromSeq: b.nextSeq, toSeq: b.nextSeq + Math.min(rows, rowsOf(b)) };
  });
}

export function rowsOf(b: Backlog): number {
  return b.changeSeq + 1 - b.nextSeq;
}
