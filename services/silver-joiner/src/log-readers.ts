import type { Queryable } from '@leakage/postgres';

const READ_SHARDS = 'select distinct shard from ops.reader where generation = $1 and shard = any ($2::smallint[])';

/**
 * Of which shards somebody reads the change log. What nobody reads is not written: who registers as a reader does so under the
 * shard's lock, and begins with a snapshot of the facts.
 */
export class LogReaders {
  readonly #generation: number;
  /** Once read, always written: where a reader has gone, what is written for nobody does no harm. */
  readonly #read = new Set<number>();

  constructor(generation: number) {
    this.#generation = generation;
  }

  /** Those of the shards that have a reader. They must be locked, by a statement before this one. */
  async among(tx: Queryable, shards: ReadonlySet<number>): Promise<ReadonlySet<number>> {
    const unsure = [...shards].filter((shard) => !this.#read.has(shard));
    if (unsure.length > 0) {
      const { rows } = await tx.query<{ shard: number }>(READ_SHARDS, [this.#generation, unsure]);
      for (const { shard } of rows) this.#read.add(shard);
    }
    return this.#read;
  }
}
