import { CommitUnknownError, inTransaction, type Pool } from '@leakage/postgres';
import type { Health, Logger, Metrics, Part } from '@leakage/runtime';
import { sleep } from '@leakage/runtime';
import { fold } from './domain/fold.ts';
import { rowsOf, shareOut } from './domain/share.ts';
import {
  addDeltas,
  closedBefore,
  type GoldSchemas,
  moveReader,
  noteFold,
  type Progress,
  progress,
  ReaderMovedError,
  readFacts,
  recount,
  tryFoldLock,
} from './gold-store.ts';
import { goldMetrics } from './metrics.ts';

/** Folds in a row that were rolled back or not answered, before the process ends: restarting, it says what is wrong. */
const AGAIN_MAX = 20;

export type FoldOutcome =
  /** `left`: rows that waited already when the fold began and were too many for it. */
  | { readonly kind: 'folded'; readonly rows: number; readonly cells: number; readonly left: number }
  /** Nothing to fold. */
  | { readonly kind: 'idle' }
  /** Another process is folding this generation, or counting it for the first time (then nothing is `registered`). */
  | { readonly kind: 'busy'; readonly registered: boolean; readonly left: number }
  /** Silver is being built: it is cheaper to count it once, when all is there, than every change on the way. */
  | { readonly kind: 'waiting' }
  /** No reader, or a log that does not reach back to it: everything was counted anew from silver. */
  | { readonly kind: 'recounted'; readonly cells: number }
  /** Rolled back, or whether it was applied is not known: the reader says where to go on. */
  | { readonly kind: 'again' };

export interface FoldOptions extends GoldSchemas {
  readonly foldRowsMax: number;
}

/** One fold: all of it or nothing (law 1). Safe to call from any number of processes at once. */
export async function foldOnce(pool: Pool, o: FoldOptions): Promise<FoldOutcome> {
  const seen = await inTransaction(pool, (tx) => progress(tx, o.generation), { readOnly: true });
  if (seen.registered && waiting(seen) === 0) return { kind: 'idle' };
  if (!seen.registered && seen.building) return { kind: 'waiting' };
  try {
    return await inTransaction(pool, async (tx): Promise<FoldOutcome> => {
      // 1. One process at a time; the lock ends with the transaction, however that ends.
      if (!(await tryFoldLock(tx, o.generation)))
        return { kind: 'busy', registered: seen.registered, left: waiting(seen) };
      // 2. What is visible as written here stays: later statements see at least as much.
      const now = await progress(tx, o.generation);
      if (!now.registered) return { kind: 'recounted', cells: await recount(tx, o) };
      const wanted = shareOut(now.backlogs, o.foldRowsMax);
      if (wanted.length === 0) return { kind: 'idle' };
      // 3. Every number of the ranges, or none of them counts.
      const read = await readFacts(tx, o.silver, wanted);
      if (read === null) return { kind: 'recounted', cells: await recount(tx, o) };
      const { facts, ranges } = read;
      // 4. Cells, 5. reader: together or not at all.
      const cells = await addDeltas(tx, o, fold(facts, await closedBefore(tx, o.gold)));
      await moveReader(tx, o.generation, ranges);
      const rows = ranges.reduce((sum, r) => sum + r.toSeq - r.fromSeq, 0);
      const left = waiting(now) - rows;
      await noteFold(tx, o.gold, left === 0 ? now : null);
      return { kind: 'folded', rows, cells, left };
    });
  } catch (error) {
    if (error instanceof CommitUnknownError || error instanceof ReaderMovedError) return { kind: 'again' };
    throw error;
  }
}

function waiting(p: Progress): number {
  return p.backlogs.reduce((sum, backlog) => sum + rowsOf(backlog), 0);
}

export interface AggregatorOptions extends FoldOptions {
  readonly pool: Pool;
  readonly pollMs: number;
  readonly pauseMs: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
}

/** The loop around the fold. Woken by `wake`, and by itself after `pollMs`. */
export class Aggregator implements Part {
  readonly name = 'fold';
  readonly failed: Promise<never>;
  readonly #o: AggregatorOptions;
  readonly #metrics: ReturnType<typeof goldMetrics>;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #waking = new AbortController();
  #again = 0;
  #summary = { sinceMs: performance.now(), folds: 0, rows: 0 };

  constructor(o: AggregatorOptions) {
    this.#o = o;
    this.#metrics = goldMetrics(o.metrics);
    o.health.setReady('fold', false, 'nothing has been folded yet');
    const failure = Promise.withResolvers<never>();
    this.failed = failure.promise;
    this.failed.catch(() => undefined);
    this.#done = this.#run().catch(failure.reject);
  }

  /** Something was written. */
  wake(): void {
    this.#waking.abort();
  }

  /** Ends after the fold under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // Renewed before looking: what is written from here on ends the wait below.
      this.#waking = new AbortController();
      const outcome = await this.#step();
      if (outcome.kind === 'folded' && outcome.left > 0) continue;
      if (outcome.kind === 'folded') await pause(this.#o.pauseMs, signal);
      await pause(this.#o.pollMs, this.#waking.signal);
    }
  }

  async #step(): Promise<FoldOutcome> {
    const began = performance.now();
    const outcome = await foldOnce(this.#o.pool, this.#o);
    this.#metrics.folds.inc({ outcome: outcome.kind });
    switch (outcome.kind) {
      case 'folded':
        this.#metrics.rows.inc(outcome.rows);
        this.#metrics.cells.inc(outcome.cells);
        this.#metrics.seconds.observe((performance.now() - began) / 1000);
        this.#summarise(outcome.rows);
        break;
      case 'recounted':
        this.#o.log.info(
          { cells: outcome.cells, ms: Math.round(performance.now() - began) },
          'no position that the change log reaches back to: counted everything anew from silver',
        );
        break;
      case 'again':
        this.#o.log.warn('a fold was rolled back, or its COMMIT was not answered: going on from the stored position');
        break;
      case 'idle':
      case 'busy':
      case 'waiting':
        break;
    }
    this.#again = outcome.kind === 'again' ? this.#again + 1 : 0;
    if (this.#again > AGAIN_MAX) {
      throw new Error(
        `${this.#again} folds in a row were rolled back or not answered: look at the log of Postgres, and at who else moves the reader "gold"`,
      );
    }
    if (outcome.kind !== 'again') this.#metrics.lag.set('left' in outcome ? outcome.left : 0);
    // While another process folds, this one is as good as ready, once there is something to fold from.
    const ready = outcome.kind === 'busy' ? outcome.registered : outcome.kind !== 'again';
    if (ready) this.#o.health.setReady('fold', true);
    return outcome;
  }

  #summarise(rows: number): void {
    this.#summary.folds += 1;
    this.#summary.rows += rows;
    const ms = performance.now() - this.#summary.sinceMs;
    if (ms < 60_000) return;
    this.#o.log.info(
      { folds: this.#summary.folds, rows: this.#summary.rows, seconds: Math.round(ms / 1000) },
      'folded',
    );
    this.#summary = { sinceMs: performance.now(), folds: 0, rows: 0 };
  }
}

/** Waits, or less when the signal comes. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
