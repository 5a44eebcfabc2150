import type { CopySource, Queryable } from '@leakage/postgres';
import type { Reduced } from './domain/reduce.ts';
import { type Lanes, type Merged, type MergeStatements, mergeSource, mergeStatements, storedWinners } from './merge.ts';
import type { Arrival, SourceTable, Version } from './sources.ts';
import { TableEncoder } from './staging.ts';

/** The winners of a batch on their two ways into silver. */
export interface Split<R extends Version> extends Lanes<R> {
  readonly copies: readonly CopySource[];
}

/** One source's versions in silver. */
export class SourceStore<R extends Version, K extends keyof R & string> {
  readonly #table: SourceTable<R, K>;
  readonly #target: string;
  readonly #statements: MergeStatements;
  /** Rows that are staged: used again for every batch, one at a time. */
  readonly #stage: TableEncoder<R>;

  constructor(schema: string, table: SourceTable<R, K>) {
    this.#table = table;
    this.#target = `"${schema}"."${table.table}"`;
    this.#statements = mergeStatements(schema, table);
    this.#stage = new TableEncoder(table);
  }

  /**
   * Looks up which winners silver has: these are staged, all others are copied into their table as they are. Where another
   * process adds one of them meanwhile, the unique key refuses the COPY.
   */
  async split(
    tx: Queryable,
    o: { readonly reduced: Reduced<Arrival<R>>; readonly encoded: TableEncoder<R>; readonly stageAll: boolean },
  ): Promise<Split<R>> {
    const { reduced, encoded } = o;
    const winners = [...reduced.winners.values()];
    if (o.stageAll) return { reduced, staged: new Set(winners), copies: encoded.rows(this.#table.stage) };
    const numbers = await storedWinners(tx, { table: this.#table, statements: this.#statements }, winners);
    const staged = new Set(numbers.flatMap((nr) => winners[nr] ?? []));
    this.#stage.encode(staged);
    return {
      reduced,
      staged,
      copies: [...encoded.rows(this.#target, numbers), ...this.#stage.rows(this.#table.stage)],
    };
  }

  async merge(tx: Queryable, lanes: Lanes<R>): Promise<Merged<R>> {
    return await mergeSource(tx, { table: this.#table, statements: this.#statements, ...lanes });
  }
}
