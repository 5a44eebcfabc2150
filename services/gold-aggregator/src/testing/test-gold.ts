import type { Pool } from '@leakage/postgres';
import type { Logger } from '@leakage/runtime';
import { foldOnce } from '../aggregator.ts';
import { makeGold } from '../gold-schema.ts';
import { storeParameters } from '../parameters.ts';
import { callFact, type Row, SilverWriter } from './silver-writer.ts';

/** 2025-03-16 is the last complete local day then. */
export const MONDAY_MORNING = '2025-03-17T12:00:00Z';

/** Dates from 2025-03-16, the day 0. */
export const day = (n: number): string =>
  new Date(Date.parse('2025-03-16') + n * 86_400_000).toISOString().slice(0, 10);
export const days = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => day(from + i));

/** A generation of its own with gold's tables, filled without a process. */
export class TestGold {
  readonly silver: SilverWriter;
  readonly #pool: Pool;

  private constructor(pool: Pool, silver: SilverWriter) {
    this.#pool = pool;
    this.silver = silver;
  }

  static async create(pool: Pool, o: { url: string; log: Logger; generation: number }): Promise<TestGold> {
    const silver = await SilverWriter.create(pool, o);
    await makeGold({ ...o, silver: silver.silver, gold: silver.gold });
    await storeParameters(pool, { costPerCall: 8, explicit: true });
    return new TestGold(pool, silver);
  }

  /** Leakage calls, the same number on each date. */
  async calls(perDay: number, dates: readonly string[], columns: Row = {}): Promise<void> {
    for (const local_date of dates) await this.silver.many('call', perDay, callFact({ ...columns, local_date }));
  }

  /** The same for many calls: one cell a date, as if that many had been folded. To be called after `countAnew`. */
  async callCells(perDay: number, dates: readonly string[]): Promise<void> {
    await this.#pool.query(
      `insert into ${this.silver.gold}.call_cube
       select d, 12, 'leakage', 'billing', 'Unknown', '', 'mobile', '', $1, 0, 0, 0, 0, 0, 0, 0, 0 from unnest($2::date[]) as d`,
      [perDay, dates],
    );
  }

  /** Counts everything that `many` has written; `heardUntil`: both watermarks. */
  async countAnew(heardUntil?: string): Promise<void> {
    if (heardUntil !== undefined) await this.silver.hear(heardUntil);
    await this.#pool.query(`delete from ops.reader where generation = $1`, [this.silver.generation]);
    const kind = await this.fold();
    if (kind !== 'recounted') throw new Error(`the fold was ${kind}`);
  }

  async fold(): Promise<string> {
    const { generation, silver, gold } = this.silver;
    return (await foldOnce(this.#pool, { generation, silver, gold, foldRowsMax: 20_000 })).kind;
  }

  /** Rows of a query over `gold.<view>`, of this generation. */
  async read(query: string): Promise<Row[]> {
    return (await this.#pool.query<Row>(query.replaceAll('gold.', `${this.silver.gold}.`))).rows;
  }
}
