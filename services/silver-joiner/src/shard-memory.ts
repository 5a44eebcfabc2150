import type { ShardRow } from '@leakage/postgres';

interface Kept<T> {
  /** The state_version that the shard had when this was all there is; null while a batch is being applied. */
  version: number | null;
  readonly memory: T;
}

/**
 * What this process remembers of silver, by shard. It holds as long as nobody else has written to the shard: whoever does raises
 * the shard's state_version, so under the shard's lock one comparison tells. A batch that failed leaves nothing to be trusted,
 * and neither does a lost connection: the server that answers next may have been restored from a backup, where versions come again.
 */
export class ShardMemory<T> {
  readonly #shards = new Map<number, Kept<T>>();
  readonly #nothing: (row: ShardRow) => T;
  #locked: readonly ShardRow[] = [];
  /** Of the locked shards; of another one nothing is certain. */
  #open = new Map<number, T>();
  #connection: object | null = null;

  /** `nothing` makes what is remembered of a shard of which nothing is known but its row. */
  constructor(nothing: (row: ShardRow) => T) {
    this.#nothing = nothing;
  }

  /** A batch begins, or begins again, on this connection and under these locks. */
  begin(connection: object, locked: readonly ShardRow[]): void {
    if (connection !== this.#connection) {
      this.#connection = connection;
      this.#shards.clear();
    }
    this.#locked = locked;
    this.#open = new Map(locked.map((row) => [row.shard, this.#at(row)]));
  }

  /** What is remembered of a shard; undefined unless the batch has locked it. */
  of(shard: number): T | undefined {
    return this.#open.get(shard);
  }

  /** Of all shards, locked or not. */
  *all(): Iterable<T> {
    for (const { memory } of this.#shards.values()) yield memory;
  }

  /** The batch is committed: the shards that it has `raised` have the next version, the others that were locked the one they had. */
  confirm(raised: ReadonlySet<number>): void {
    for (const { shard, stateVersion } of this.#locked) {
      const known = this.#shards.get(shard);
      if (known !== undefined) known.version = raised.has(shard) ? stateVersion + 1 : stateVersion;
    }
    this.#locked = [];
  }

  #at(row: ShardRow): T {
    const known = this.#shards.get(row.shard);
    if (known !== undefined && known.version === row.stateVersion) {
      known.version = null;
      return known.memory;
    }
    const memory = this.#nothing(row);
    this.#shards.set(row.shard, { version: null, memory });
    return memory;
  }
}
