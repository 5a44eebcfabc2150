/** How far a shard of a generation has been told. */
export interface Told {
  readonly generation: number;
  readonly shard: number;
  /** The lowest goes first. */
  readonly turn: number;
  readonly nextSeq: number;
  /** The last one to be told; null: for ever. */
  readonly untilSeq: number | null;
  /** The last one that there is. */
  readonly changeSeq: number;
}

/** The changes from `fromSeq` to before `toSeq`. */
export interface SeqRange {
  readonly shard: number;
  readonly fromSeq: number;
  readonly toSeq: number;
}

export type Turn =
  /** The active generation has no place in the stream, or not in all of its shards. */
  | { readonly kind: 'register' }
  | { readonly kind: 'tell'; readonly generation: number; readonly ranges: readonly SeqRange[] }
  /** A generation was told to its end. */
  | { readonly kind: 'told'; readonly generation: number }
  | { readonly kind: 'nothing' };

export interface TurnOptions {
  readonly active: number;
  readonly shards: number;
  /** Of one shard. */
  readonly changesMax: number;
}

/** Whose turn it is: a generation that has ended is told to its end in every shard before the next one begins. */
export function nextTurn(told: readonly Told[], o: TurnOptions): Turn {
  for (const [generation, rows] of Map.groupBy(told.toSorted(byTurn), (row) => row.generation)) {
    const ended = rows.filter(({ untilSeq }) => untilSeq !== null);
    if (ended.length === 0) continue;
    const ranges = rangesOf(ended, o.changesMax);
    return ranges.length > 0 ? { kind: 'tell', generation, ranges } : { kind: 'told', generation };
  }
  const speaking = told.filter(({ generation }) => generation === o.active);
  if (speaking.length < o.shards) return { kind: 'register' };
  const ranges = rangesOf(speaking, o.changesMax);
  return ranges.length > 0 ? { kind: 'tell', generation: o.active, ranges } : { kind: 'nothing' };
}

/** Changes that are still to be told, over all generations. */
export function untold(told: readonly Told[]): number {
  return told.reduce((sum, row) => sum + Math.max(0, endOf(row) - row.nextSeq), 0);
}

function rangesOf(rows: readonly Told[], changesMax: number): SeqRange[] {
  return rows
    .filter((row) => row.nextSeq < endOf(row))
    .map((row) => ({
      shard: row.shard,
      fromSeq: row.nextSeq,
      toSeq: Math.min(endOf(row), row.nextSeq + changesMax),
    }));
}

const endOf = ({ untilSeq, changeSeq }: Told): number => (untilSeq ?? changeSeq) + 1;
const byTurn = (a: Told, b: Told): number => a.turn - b.turn || a.generation - b.generation || a.shard - b.shard;
