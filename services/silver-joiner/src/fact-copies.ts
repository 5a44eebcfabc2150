import { CopyEncoder, type CopySource, type CopyType } from '@leakage/postgres';
import { CALL_FACT_COLUMNS, type LoggedChange, OUTCOME_COLUMNS, type Writes } from './domain/writes.ts';

/** What the columns of facts, outcomes and their keys are, but for text. */
const TYPES: Readonly<Record<string, CopyType>> = {
  shard: 'int2',
  call_timestamp: 'timestamptz',
  digital_timestamp: 'timestamptz',
  first_decisive_at: 'timestamptz',
  last_decisive_at: 'timestamptz',
  is_repeat_call: 'bool',
  is_primary: 'bool',
  assisted_completion: 'bool',
  leaked: 'bool',
  time_to_call_ms: 'int8',
  alignment_strength: 'int2',
  sentiment_e4: 'int4',
  handle_time_seconds: 'int4',
  leakage_calls: 'int4',
  local_date: 'date',
  local_hour: 'int2',
};

export const factType = (column: string): CopyType => TYPES[column] ?? 'text';

/** Rows that take the place of stored ones wait here, in temporary tables. */
export const FACT_STAGE = 'stage_fact';
export const OUTCOME_STAGE = 'stage_outcome';

const LOG_COLUMNS = ['shard', 'seq', 'last_seq', 'changes'] as const;
/** Changes in one row of the log: few enough for its text to fit a buffer, enough for the row itself not to matter. */
const LOG_ROW_CHANGES_MAX = 100;

/** A change with its place in the log of its shard. */
export interface NumberedChange {
  readonly change: LoggedChange;
  readonly seq: number;
}

/** Rows of one kind on their way into one table. */
class Rows<T extends object> {
  readonly #table: string;
  readonly #columns: readonly (keyof T & string)[];
  readonly #encoder: CopyEncoder;

  constructor(table: string, columns: readonly (keyof T & string)[]) {
    this.#table = table;
    this.#columns = columns;
    this.#encoder = new CopyEncoder(columns.map(factType));
  }

  encode(rows: readonly T[]): CopySource[] {
    if (rows.length === 0) return [];
    this.#encoder.reset();
    for (const row of rows) this.#encoder.row(this.#columns.map((name) => row[name]));
    return [{ table: this.#table, columns: this.#columns, data: this.#encoder.finish() }];
  }
}

/** The COPY data of what follows from a batch. Used again for every batch, one at a time. */
export class FactCopies {
  readonly #newFacts;
  readonly #changedFacts;
  readonly #newOutcomes;
  readonly #changedOutcomes;
  readonly #changes = new CopyEncoder(['int2', 'int8', 'int8', 'text']);
  readonly #changeLog: string;

  /** `schema` is quoted. */
  constructor(schema: string) {
    this.#newFacts = new Rows(`${schema}.call_fact`, CALL_FACT_COLUMNS);
    this.#changedFacts = new Rows(FACT_STAGE, CALL_FACT_COLUMNS);
    this.#newOutcomes = new Rows(`${schema}.journey_outcome`, OUTCOME_COLUMNS);
    this.#changedOutcomes = new Rows(OUTCOME_STAGE, OUTCOME_COLUMNS);
    this.#changeLog = `${schema}.change_log`;
  }

  /**
   * What is known to be new goes straight into its table: under its shard's lock nobody else can have written it. The data
   * must have been taken before this is called again.
   */
  encode(writes: Writes, changes: readonly NumberedChange[]): CopySource[] {
    return [
      ...this.#newFacts.encode(writes.newFacts),
      ...this.#changedFacts.encode(writes.changedFacts),
      ...this.#newOutcomes.encode(writes.newOutcomes),
      ...this.#changedOutcomes.encode(writes.changedOutcomes),
      ...this.#encodeChanges(changes),
    ];
  }

  #encodeChanges(changes: readonly NumberedChange[]): CopySource[] {
    if (changes.length === 0) return [];
    this.#changes.reset();
    for (const [shard, ofShard] of Map.groupBy(changes, ({ change }) => change.shard)) {
      for (let from = 0; from < ofShard.length; from += LOG_ROW_CHANGES_MAX) {
        const row = ofShard.slice(from, from + LOG_ROW_CHANGES_MAX);
        const entries = row.map(({ change: { kind, before, after } }) => [kind, before, after]);
        this.#changes.row([shard, row[0]?.seq, row.at(-1)?.seq, JSON.stringify(entries)]);
      }
    }
    return [{ table: this.#changeLog, columns: LOG_COLUMNS, data: this.#changes.finish() }];
  }
}
