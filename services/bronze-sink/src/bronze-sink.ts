import type { ApplyResult, PartitionChunk, Stage } from '@leakage/kafka';
import {
  CommitUnknownError,
  type CopySource,
  PolicyChangedError,
  type PolicyInForce,
  PositionMovedError,
  type Session,
} from '@leakage/postgres';
import type { Reading } from '@leakage/registry';
import type { Logger, Metrics } from '@leakage/runtime';
import { type Readers, SOURCES, type Source, sourceOfTopic } from '@leakage/schemas';
import { archive, pipeline } from './bronze-store.ts';
import { SourceRows } from './source-rows.ts';

export interface BronzeSinkOptions {
  session: Session;
  policy: Pick<PolicyInForce, 'now' | 'reload'>;
  topicPrefix: string;
  schema: string;
  reading: Reading;
  log: Logger;
  metrics: Metrics;
}

type Rows = { readonly [S in Source]: SourceRows<S> };

/** Rows of one batch, encoded, and the parts of the log that they are. */
export interface ArchiveBatch {
  readonly chunks: readonly PartitionChunk[];
  /** The version of the policy that its records were judged by. */
  readonly judgedBy: number;
  readonly copies: readonly CopySource[];
  readonly rows: Rows;
}

/** One batch is applied while the next is prepared. */
const ROWS_KEPT = 2;
/** Heartbeats and health checks get a turn at least this often. */
const RECORDS_PER_TURN = 500;

/**
 * Keeps every record as received (law 4). `prepare` decodes and encodes; `apply` is one transaction: COPY into the
 * partitioned tables, then the positions by compare-and-set (law 1).
 */
export class BronzeSink implements Stage<ArchiveBatch> {
  readonly #o: BronzeSinkOptions;
  readonly #idle: Rows[] = [];
  readonly #undecoded;

  constructor(o: BronzeSinkOptions) {
    this.#o = o;
    this.#undecoded = o.metrics.counter({
      name: 'leakage_bronze_undecoded_total',
      help: 'Records kept whose value did not decode',
      labels: ['source'],
    });
  }

  async prepare(chunks: readonly PartitionChunk[]): Promise<ArchiveBatch> {
    await this.learn(chunks);
    return await this.encode(chunks);
  }

  /** Waits until the schemas of these records are known, or a registry that has to be asked has been silent for too long. */
  async learn(chunks: readonly PartitionChunk[]): Promise<void> {
    await this.#o.reading.learn(chunks.map(({ topic, records }) => ({ source: this.sourceOf(topic), records })));
  }

  /** The rows of records whose schemas are known, in buffers that somebody has to `recycle`. */
  async encode(chunks: readonly PartitionChunk[]): Promise<ArchiveBatch> {
    const { reading, policy, log } = this.#o;
    const { version: judgedBy, erased } = policy.now;
    const rows = this.#idle.pop() ?? newRows(reading.readers, log);
    for (const source of SOURCES) rows[source].reset();
    let records = 0;
    for (const chunk of chunks) {
      const target = rows[this.sourceOf(chunk.topic)];
      for (const record of chunk.records) {
        target.add(record, erased);
        records += 1;
        if (records % RECORDS_PER_TURN === 0) await nextTurn();
      }
    }
    const filled = SOURCES.filter((source) => rows[source].rows > 0);
    return { chunks, judgedBy, copies: filled.map((source) => rows[source].finish(this.#o.schema)), rows };
  }

  async apply(batch: ArchiveBatch): Promise<ApplyResult> {
    try {
      const { copies, judgedBy } = batch;
      const parts = batch.chunks.map((chunk) => ({ ...chunk, added: chunk.records.length }));
      await this.#o.session.transaction((tx) => archive(tx, { pipeline, judgedBy, copies, parts }));
      this.count(batch);
      return 'applied';
    } catch (error) {
      return await this.failed(error);
    } finally {
      this.recycle(batch);
    }
  }

  /** What a transaction that threw means for its batch; throws what is no answer. */
  async failed(error: unknown): Promise<'moved' | 'unknown'> {
    if (error instanceof CommitUnknownError) return 'unknown';
    if (error instanceof PositionMovedError) return 'moved';
    if (!(error instanceof PolicyChangedError)) throw error;
    await this.#o.policy.reload();
    return 'moved';
  }

  /** The rows are committed. */
  count({ rows }: ArchiveBatch): void {
    for (const source of SOURCES) this.#undecoded.inc({ source }, rows[source].undecoded);
  }

  /** The COPY has answered or its connection is gone: nobody reads these buffers any more. */
  recycle({ rows }: ArchiveBatch): void {
    if (this.#idle.length < ROWS_KEPT) this.#idle.push(rows);
  }

  sourceOf(topic: string): Source {
    const source = sourceOfTopic(this.#o.topicPrefix, topic);
    if (source === null) throw new Error(`topic ${topic} was not subscribed to`);
    return source;
  }
}

function newRows(readers: Readers, log: Logger): Rows {
  return {
    journeys: new SourceRows('journeys', readers.journeys, log),
    calls: new SourceRows('calls', readers.calls, log),
    members: new SourceRows('members', readers.members, log),
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
