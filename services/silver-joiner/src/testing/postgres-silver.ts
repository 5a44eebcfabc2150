import type { ApplyResult, PartitionChunk } from '@leakage/kafka';
import {
  createPool,
  ensureGeneration,
  indexedPlansOnly,
  migrate,
  migrateOps,
  type Pool,
  positionStore,
  Session,
} from '@leakage/postgres';
import { createLogger, Metrics } from '@leakage/runtime';
import { PARTITIONS, shardOf, topicTable } from '@leakage/schemas';
import { DEFAULT_RULES, openRuleBook, RULES_VERSION } from '../domain/rules.ts';
import type { CallFact, JourneyOutcome } from '../domain/types.ts';
import { CALL_FACT_COLUMNS, OUTCOME_COLUMNS } from '../domain/writes.ts';
import { Joiner } from '../joiner.ts';
import { joinerMetrics } from '../joiner-metrics.ts';
import { SilverStore } from '../silver-store.ts';
import { sortInMemory, stagingTables } from '../staging.ts';
import { NO_POLICY, PREFIX, prepareOptions } from './delivery.ts';

export const SCHEMA = 'silver_1';
/** What the sessions of joiners are called, so that a test can end them. */
export const JOINER = 'silver-joiner-under-test';
const PIPELINE = 'silver_1';
/** Reads nothing: silver writes its change log for it. */
export const TEST_READER = 'test';
export const testLog = createLogger({ service: 'silver-test', level: 'error' });

/** The joiner as the service assembles it, on a session of its own: one process, but for Kafka. */
export class JoinerProcess {
  readonly joiner: Joiner;
  readonly metrics = new Metrics();
  readonly session: Session;
  woken = 0;

  /** `building`: as of a generation that has not caught up, what is new goes straight into its table. */
  constructor(url: string, building: () => boolean) {
    const book = openRuleBook(DEFAULT_RULES, shardOf);
    this.session = new Session({
      url,
      applicationName: JOINER,
      setup: [...indexedPlansOnly, sortInMemory, ...stagingTables],
      log: testLog,
    });
    this.joiner = new Joiner({
      prepare: { ...prepareOptions(), book, building },
      policy: { now: NO_POLICY, reload: async () => undefined },
      session: this.session,
      store: new SilverStore({ schema: SCHEMA, generation: 1, pipeline: PIPELINE, book }),
      metrics: joinerMetrics(this.metrics),
      onChanges: () => {
        this.woken += 1;
      },
      log: testLog,
    });
  }

  async take(chunks: readonly PartitionChunk[]): Promise<ApplyResult> {
    return await this.joiner.apply(await this.joiner.prepare(chunks));
  }

  async stop(): Promise<void> {
    await this.session.stop();
  }
}

const TABLES = [
  'journey_event',
  'call',
  'member_profile',
  'call_fact',
  'journey_outcome',
  'quarantine_record',
  'conflict_record',
  'change_log',
];

export interface ChangeRow {
  readonly shard: number;
  readonly seq: number;
  readonly kind: 'call' | 'journey' | 'member';
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
}

/** A database with an empty silver, and what a test asks of it. */
export class SilverDatabase {
  readonly url: string;
  readonly pool: Pool;

  private constructor(url: string, pool: Pool) {
    this.url = url;
    this.pool = pool;
  }

  static async open(url: string): Promise<SilverDatabase> {
    await migrateOps({ url, log: testLog });
    await migrate({ url, schemas: [SCHEMA], directory: new URL('../../migrations/', import.meta.url), log: testLog });
    const pool = createPool({ url, applicationName: 'silver-test', log: testLog });
    const { reasons } = DEFAULT_RULES;
    await ensureGeneration(pool, 1, {
      rules: { ...DEFAULT_RULES, reasons: { ...reasons, journeyTypes: [...reasons.journeyTypes] } },
      rulesVersion: RULES_VERSION,
      shards: PARTITIONS,
    });
    const database = new SilverDatabase(url, pool);
    await database.clear();
    return database;
  }

  /** As if nothing had ever been read. */
  async clear(): Promise<void> {
    const emptied = TABLES.map((table) => `delete from ${SCHEMA}.${table}`);
    await this.pool.query(
      [
        ...emptied,
        'delete from ops.position',
        'delete from ops.reader',
        // A version never comes again: processes go by it.
        'update ops.shard set state_version = state_version + 1, change_seq = 0, wm_digital = null, wm_calls = null',
        // What nobody reads is not logged, and tests want to see what is.
        `insert into ops.reader (reader, generation, shard, next_seq) select '${TEST_READER}', generation, shard, 1 from ops.shard`,
      ].join(';'),
    );
    const parts = topicTable(PREFIX).flatMap(({ name, partitions }) =>
      Array.from({ length: partitions }, (_, partition) => ({ topic: name, partition, lowOffset: 0 })),
    );
    await positionStore(this.pool, PIPELINE).load(parts, 'test-cluster');
  }

  async facts(): Promise<CallFact[]> {
    return await this.#rows<CallFact>(`select ${CALL_FACT_COLUMNS.join(', ')} from ${SCHEMA}.call_fact`);
  }

  async outcomes(): Promise<JourneyOutcome[]> {
    return await this.#rows<JourneyOutcome>(`select ${OUTCOME_COLUMNS.join(', ')} from ${SCHEMA}.journey_outcome`);
  }

  async changes(): Promise<ChangeRow[]> {
    return await this.#rows<ChangeRow>(
      `select l.shard, l.seq + e.nr - 1 as seq, e.change ->> 0 as kind, e.change -> 1 as before, e.change -> 2 as after
         from ${SCHEMA}.change_log l
        cross join lateral json_array_elements(l.changes::json) with ordinality as e (change, nr)
        order by 1, 2`,
    );
  }

  /** Distinct contents per identity in conflict. */
  async conflicts(): Promise<Record<string, number>> {
    const rows = await this.#rows<{ identity: string; contents: number }>(
      `select identity, count(*) as contents from ${SCHEMA}.conflict_record group by identity`,
    );
    return Object.fromEntries(rows.map(({ identity, contents }) => [identity, contents]));
  }

  async #rows<R>(text: string): Promise<R[]> {
    return (await this.pool.query<R>(text)).rows;
  }
}

/** The rows that a change log leaves when it is folded: what gold would count. */
export function fold(changes: readonly ChangeRow[]): { left: string[]; negative: string[] } {
  const rows = new Map<string, number>();
  const negative: string[] = [];
  const text = (kind: string, row: object) => `${kind} ${JSON.stringify(Object.entries(row).sort())}`;
  for (const { kind, before, after } of changes) {
    if (before !== null) {
      const key = text(kind, before);
      const count = (rows.get(key) ?? 0) - 1;
      if (count < 0) negative.push(key);
      rows.set(key, count);
    }
    if (after !== null) rows.set(text(kind, after), (rows.get(text(kind, after)) ?? 0) + 1);
  }
  return { left: [...rows].flatMap(([row, count]) => Array<string>(Math.max(0, count)).fill(row)).sort(), negative };
}

export function foldedRows(kind: 'call' | 'journey', rows: readonly object[]): string[] {
  return rows.map((row) => `${kind} ${JSON.stringify(Object.entries(row).sort())}`);
}

/** Seqs of each shard must be 1, 2, 3, ... */
export function gaps(changes: readonly ChangeRow[]): string[] {
  const last = new Map<number, number>();
  return changes.flatMap(({ shard, seq }) => {
    const expected = (last.get(shard) ?? 0) + 1;
    last.set(shard, seq);
    return seq === expected ? [] : [`shard ${shard}: ${seq} where ${expected} was due`];
  });
}
