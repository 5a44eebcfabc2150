import type { ApplyResult, PartitionChunk, Stage } from '@leakage/kafka';
import {
  CommitUnknownError,
  PolicyChangedError,
  type PolicyInForce,
  PositionMovedError,
  type Session,
  type SinkTx,
} from '@leakage/postgres';
import type { Logger } from '@leakage/runtime';
import type { JoinerMetrics } from './joiner-metrics.ts';
import { AddedMeanwhileError } from './merge.ts';
import { type PreparedBatch, type PrepareOptions, prepareBatch } from './prepare.ts';
import { type Applied, type SilverStore, UnlockedShardError } from './silver-store.ts';
import { BatchEncoder } from './staging.ts';

/** How often a batch is run again: there are no more shards than that, and nobody stores the same records so often. */
const RERUNS_MAX = 12;
/** The change log is trimmed after so many batches. */
const TRIM_EVERY = 50;
/** One set of buffers is in use per batch in flight: one batch is applied while the next is prepared. */
const ENCODERS_KEPT = 2;

export interface JoinerOptions {
  readonly prepare: Omit<PrepareOptions, 'policy'>;
  readonly policy: Pick<PolicyInForce, 'now' | 'reload'>;
  readonly session: Pick<Session, 'transaction'>;
  readonly store: SilverStore;
  readonly metrics: JoinerMetrics;
  /** Told after a commit that appended to the change log. */
  readonly onChanges: () => void;
  readonly log: Logger;
}

/** The joiner between Kafka and silver: prepares batches, and applies each exactly once or not at all. */
export class Joiner implements Stage<PreparedBatch> {
  readonly #options: JoinerOptions;
  /** Buffers of applied batches. */
  readonly #encoders: BatchEncoder[] = [];
  #batches = 0;
  #warnedMisrouted = false;

  constructor(options: JoinerOptions) {
    this.#options = options;
  }

  async prepare(chunks: readonly PartitionChunk[]): Promise<PreparedBatch> {
    const began = performance.now();
    const { prepare, policy } = this.#options;
    const options = { ...prepare, policy: policy.now };
    const batch = await prepareBatch(chunks, options, this.#encoders.pop() ?? new BatchEncoder());
    this.#options.metrics.prepared(batch, performance.now() - began);
    return batch;
  }

  async apply(batch: PreparedBatch): Promise<ApplyResult> {
    try {
      const applied = await this.#applyLocked(batch);
      this.#report(batch, applied);
      return 'applied';
    } catch (error) {
      if (error instanceof PositionMovedError) return 'moved';
      if (error instanceof PolicyChangedError) return await this.#judgeAgain();
      if (error instanceof CommitUnknownError) return 'unknown';
      throw error;
    } finally {
      // Every answer to the COPY was read, or its connection is gone: the buffers are free.
      if (this.#encoders.length < ENCODERS_KEPT) this.#encoders.push(batch.encoder);
    }
  }

  /** The batch is read again from the positions, which have not moved. */
  async #judgeAgain(): Promise<'moved'> {
    const { policy, log } = this.#options;
    await policy.reload();
    log.info({ policy: policy.now.version }, 'what is refused has changed: the batch is judged again');
    return 'moved';
  }

  /**
   * Runs the batch, and again with the shard of any member that turns out to lose a row to a correction, or where another
   * process has stored one of its records meanwhile.
   */
  async #applyLocked(batch: PreparedBatch): Promise<Applied> {
    const { session, store, metrics } = this.#options;
    const shards = new Set(batch.shards.keys());
    const trim = this.#batches % TRIM_EVERY === TRIM_EVERY - 1;
    for (let run = 0; ; run++) {
      try {
        const applied = await session.transaction((tx: SinkTx) =>
          store.apply(tx, batch, { shards: [...shards], trim }),
        );
        store.committed();
        return applied;
      } catch (error) {
        if (run === RERUNS_MAX) throw error;
        if (error instanceof UnlockedShardError) for (const shard of error.shards) shards.add(shard);
        else if (!(error instanceof AddedMeanwhileError)) throw error;
        metrics.rerun();
      }
    }
  }

  #report(batch: PreparedBatch, applied: Applied): void {
    const { metrics, onChanges, log } = this.#options;
    this.#batches += 1;
    metrics.applied(batch, applied);
    if (applied.changes > 0) onChanges();
    if (batch.misrouted > 0 && !this.#warnedMisrouted) {
      this.#warnedMisrouted = true;
      log.warn(
        { records: batch.misrouted },
        'records lie in other partitions than their members: a producer uses another partitioner or null keys; results are right, only slower',
      );
    }
  }
}
