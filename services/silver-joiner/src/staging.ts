import { CopyEncoder, type CopySource, type CopyType } from '@leakage/postgres';
import type { Source } from '@leakage/schemas';
import { CALL_FACT_COLUMNS, OUTCOME_COLUMNS } from './domain/writes.ts';
import { FACT_STAGE, factType, OUTCOME_STAGE } from './fact-copies.ts';
import { type Arrival, CALLS, JOURNEYS, MEMBERS, type SourceTable, type Version } from './sources.ts';

/** Columns that every staged record has behind its own. */
const PROVENANCE: readonly { readonly name: string; readonly type: CopyType }[] = [
  { name: 'shard', type: 'int2' },
  { name: 'ingestion_timestamp', type: 'timestamptz' },
  { name: 'source_topic', type: 'text' },
  { name: 'source_partition', type: 'int4' },
  { name: 'source_offset', type: 'int8' },
];

export const QUARANTINE_STAGE = 'stage_quarantine';
const QUARANTINE_COLUMNS: readonly { readonly name: string; readonly type: CopyType }[] = [
  { name: 'source', type: 'text' },
  { name: 'kafka_topic', type: 'text' },
  { name: 'kafka_partition', type: 'int4' },
  { name: 'kafka_offset', type: 'int8' },
  { name: 'received_at', type: 'timestamptz' },
  { name: 'payload', type: 'bytea' },
  { name: 'record_id', type: 'text' },
  { name: 'reasons', type: 'text[]' },
];

export interface QuarantinedRecord {
  readonly source: Source;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly receivedAt: number;
  readonly payload: Buffer | null;
  readonly recordId: string | null;
  readonly reasons: readonly string[];
}

/** The columns of a staged source, in the order of COPY and of the merge. */
export function stageColumns<R extends Version>(table: SourceTable<R>): string[] {
  return [...table.columns, ...PROVENANCE].map(({ name }) => name);
}

export const quarantineColumns: readonly string[] = QUARANTINE_COLUMNS.map(({ name }) => name);

// Text in byte order, as in silver: staged rows are sorted by their key.
const SQL_TYPES: Readonly<Partial<Record<CopyType, string>>> = {
  text: 'text collate "C"',
  int2: 'smallint',
  int4: 'int',
  int8: 'bigint',
};

function temporaryTable(name: string, columns: readonly { readonly name: string; readonly type: CopyType }[]): string {
  const list = columns.map((column) => `"${column.name}" ${SQL_TYPES[column.type] ?? column.type}`);
  return `create temporary table if not exists ${name} (${list.join(', ')}) on commit delete rows`;
}

const typed = (names: readonly string[]) => names.map((name) => ({ name, type: factType(name) }));

/** Staged rows are sorted by their key: a whole batch, without touching a disk. */
export const sortInMemory = `set work_mem = '32MB'`;

/** The session's temporary tables; typed by hand, because a copied one would also copy constraints. */
export const stagingTables: readonly string[] = [
  temporaryTable(JOURNEYS.stage, [...JOURNEYS.columns, ...PROVENANCE]),
  temporaryTable(CALLS.stage, [...CALLS.columns, ...PROVENANCE]),
  temporaryTable(MEMBERS.stage, [...MEMBERS.columns, ...PROVENANCE]),
  temporaryTable(QUARANTINE_STAGE, QUARANTINE_COLUMNS),
  temporaryTable(FACT_STAGE, typed(CALL_FACT_COLUMNS)),
  temporaryTable(OUTCOME_STAGE, typed(OUTCOME_COLUMNS)),
];

export class TableEncoder<R extends Version> {
  readonly #table: SourceTable<R>;
  readonly #encoder: CopyEncoder;
  readonly #columns: readonly string[];

  constructor(table: SourceTable<R>) {
    this.#table = table;
    this.#encoder = new CopyEncoder([...table.columns, ...PROVENANCE].map(({ type }) => type));
    this.#columns = stageColumns(table);
  }

  /** For the staging table, or for another one that has its columns. */
  encode(arrivals: Iterable<Arrival<R>>, target = this.#table.stage): CopySource[] {
    this.#encoder.reset();
    for (const { row, shard, receivedAt, topic, partition, offset } of arrivals) {
      const values = this.#table.columns.map((column) => column.value(row));
      values.push(shard, receivedAt, topic, partition, offset);
      this.#encoder.row(values);
    }
    if (this.#encoder.rows === 0) return [];
    return [{ table: target, columns: this.#columns, data: this.#encoder.finish() }];
  }
}

/** The COPY buffers of one batch. They are used again, so one set serves one batch until that is applied. */
export class BatchEncoder {
  readonly journeys = new TableEncoder(JOURNEYS);
  readonly calls = new TableEncoder(CALLS);
  readonly members = new TableEncoder(MEMBERS);
  readonly #quarantine = new CopyEncoder(QUARANTINE_COLUMNS.map(({ type }) => type));

  quarantine(records: readonly QuarantinedRecord[]): CopySource[] {
    if (records.length === 0) return [];
    this.#quarantine.reset();
    for (const r of records) {
      this.#quarantine.row([r.source, r.topic, r.partition, r.offset, r.receivedAt, r.payload, r.recordId, r.reasons]);
    }
    return [{ table: QUARANTINE_STAGE, columns: quarantineColumns, data: this.#quarantine.finish() }];
  }
}
