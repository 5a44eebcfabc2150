import { DeadlineError, type Logger, sleep, withDeadline } from '@leakage/runtime';
import type { BatchMetrics, DropReason } from './consumer-metrics.ts';
import { ConsumerError, messageOf, StalledError } from './errors.ts';
import type { Intake, TakenBatch } from './intake.ts';
import type { ApplyResult, ConsumerLimits, ConsumerOptions, Pace, Stage } from './types.ts';

export interface WriterOptions<P> {
  readonly intake: Intake;
  readonly stage: Stage<P>;
  readonly limits: Pick<ConsumerLimits, 'lingerMs' | 'applyMs' | 'failuresMax' | 'movedMax' | 'maxBatchRecords'>;
  readonly metrics: BatchMetrics;
  readonly log: Logger;
  /** Reads the positions of all owned partitions again and opens their lanes. */
  reposition(): Promise<void>;
  /** Drops everything held; the lanes stay closed until `reposition`. */
  drop(reason: DropReason): void;
  /** After each commit; for hints only, it decides nothing (law 2). */
  onApplied(): void;
  readonly pace?: Pace;
}

/** The option, where it is given. */
export function paceOf({ pace }: Pick<ConsumerOptions<unknown>, 'pace'>): { readonly pace?: Pace } {
  return pace === undefined ? {} : { pace };
}

interface PreparedBatch<P> {
  readonly batch: TakenBatch;
  readonly prepared: Promise<P>;
}

type Outcome = ApplyResult | { readonly error: unknown };

const backoffBaseMs = 100;
const backoffMaxMs = 5_000;
// A bug stays a bug however often it is tried.
const programmingErrors = new Set(['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'AssertionError']);

/**
 * The only one who prepares, applies and repositions, one thing after the other; preparing batch n+1 may overlap applying
 * batch n, nothing else overlaps. So whatever reads state begins after the commit before it was confirmed (law 1).
 */
export class Writer<P> {
  readonly #o: WriterOptions<P>;
  readonly #stop = new AbortController();
  #failures = 0;
  #moved = 0;
  #applying = false;

  constructor(options: WriterOptions<P>) {
    this.#o = options;
  }

  /** A batch is being applied right now. */
  get applying(): boolean {
    return this.#applying;
  }

  /** The running apply ends, nothing begins any more; then `run` returns. */
  stop(): void {
    this.#stop.abort();
    this.#o.intake.changed.ring();
  }

  /** Returns after `stop`; throws when the consumer cannot go on. */
  async run(): Promise<void> {
    let ahead: PreparedBatch<P> | null = null;
    while (!this.stopped) {
      if (!this.#o.intake.positioned) {
        ahead = null;
        await this.#o.reposition();
        continue;
      }
      const next: PreparedBatch<P> | null = ahead ?? (await this.#nextBatch());
      ahead = null;
      if (next === null || this.#isVoid(next.batch)) continue;
      const prepared = await this.#prepared(next);
      if (this.stopped || this.#isVoid(next.batch)) continue;
      const began = performance.now();
      ahead = await this.#applyAndPrepareAhead(next.batch, prepared);
      await this.#rest({ records: next.batch.records, ms: performance.now() - began });
    }
  }

  async #rest(work: Parameters<Pace>[0]): Promise<void> {
    try {
      await this.#o.pace?.(work, this.#stop.signal);
    } catch (error) {
      if (!this.stopped) throw error;
    }
  }

  get stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  #isVoid(batch: TakenBatch): boolean {
    return batch.drop !== this.#o.intake.drop;
  }

  /** Waits for something to arrive; null when there is something else to do. */
  async #nextBatch(): Promise<PreparedBatch<P> | null> {
    const { intake, limits } = this.#o;
    while (!this.stopped && intake.positioned && !intake.pending) await intake.changed.heard();
    if (this.stopped || !intake.positioned) return null;
    await this.#linger(limits.lingerMs);
    return this.#takeAndPrepare();
  }

  /** One turn of the event loop, in which the other partitions of the same fetch arrive; then up to `lingerMs` for more. */
  async #linger(lingerMs: number): Promise<void> {
    const { intake } = this.#o;
    await new Promise((resolve) => setImmediate(resolve));
    const end = performance.now() + lingerMs;
    for (let left = lingerMs; left > 0; left = end - performance.now()) {
      if (this.stopped || !intake.positioned || intake.full) return;
      await intake.changed.heard(left);
    }
  }

  #takeAndPrepare(): PreparedBatch<P> | null {
    const batch = this.#o.intake.take();
    if (batch === null) return null;
    const began = performance.now();
    const prepared = (async () => this.#o.stage.prepare(batch.chunks))();
    // Its failure is met where it is awaited; a void batch is awaited by nobody.
    prepared.then(
      () => this.#o.metrics.prepared((performance.now() - began) / 1000),
      (error: unknown) => this.#o.log.debug({ err: error }, 'preparing a batch failed'),
    );
    return { batch, prepared };
  }

  async #prepared({ prepared }: PreparedBatch<P>): Promise<P> {
    try {
      return await within(prepared, this.#o.limits.applyMs, 'preparing a batch');
    } catch (error) {
      if (error instanceof StalledError) throw error;
      const defect = error instanceof Error && programmingErrors.has(error.name);
      throw new ConsumerError(
        `a batch could not be prepared: ${messageOf(error)}${defect ? '; that is a defect of the stage, the cause says where' : ''}`,
        { cause: error },
      );
    }
  }

  async #applyAndPrepareAhead(batch: TakenBatch, prepared: P): Promise<PreparedBatch<P> | null> {
    const began = performance.now();
    let settled = false;
    this.#applying = true;
    const applying = this.#apply(prepared).finally(() => {
      settled = true;
      this.#applying = false;
    });
    let ahead: PreparedBatch<P> | null = null;
    // Only a full batch is worth taking early: a smaller one would keep what arrives meanwhile waiting for the one after.
    while (!settled && ahead === null && !this.stopped && !this.#isVoid(batch)) {
      if (this.#o.intake.full) ahead = this.#takeAndPrepare();
      if (ahead === null) await Promise.race([applying, this.#o.intake.changed.heard()]);
    }
    const outcome = await applying;
    if (outcome === 'applied') {
      this.#failures = 0;
      this.#moved = 0;
      this.#o.intake.confirm(batch);
      this.#o.metrics.applied(batch, (performance.now() - began) / 1000);
      this.#o.onApplied();
      return ahead;
    }
    await this.#recover(outcome);
    return null;
  }

  /** Rejects only with what ends the consumer. */
  async #apply(prepared: P): Promise<Outcome> {
    const { stage, limits } = this.#o;
    const applying: Promise<Outcome> = (async () => stage.apply(prepared))().catch((error: unknown) => ({ error }));
    return within(applying, limits.applyMs, 'applying a batch');
  }

  /** Not applied, as far as anybody knows: forget everything, ask the positions. */
  async #recover(outcome: Exclude<Outcome, 'applied'>): Promise<void> {
    const { log, limits } = this.#o;
    if (outcome === 'moved') {
      this.#moved += 1;
      this.#o.drop('moved');
      if (this.#moved > limits.movedMax) {
        throw new ConsumerError(
          `another process moved the positions ${this.#moved} times in a row: two consumers of different groups run on one pipeline; stop one of them`,
        );
      }
      return this.#pause(this.#moved - 1);
    }
    this.#failures += 1;
    this.#o.drop(outcome === 'unknown' ? 'unknown' : 'failed');
    const error = outcome === 'unknown' ? new Error('the commit was not answered') : outcome.error;
    log.warn(
      { err: error, attempt: this.#failures },
      'a batch was not applied; reading the positions and trying again',
    );
    if (this.#failures > limits.failuresMax || (error instanceof Error && programmingErrors.has(error.name))) {
      throw new ConsumerError(
        `a batch could not be applied (${this.#failures} attempts): ${messageOf(error)}; nothing of it was kept, and it is read again at the next start: mend what the cause says`,
        { cause: error },
      );
    }
    return this.#pause(this.#failures);
  }

  async #pause(failures: number): Promise<void> {
    if (failures === 0) return;
    const waitMs = Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.min(failures - 1, 10)) * (1 - Math.random() / 2);
    await sleep(waitMs, this.#stop.signal).catch((error: unknown) => {
      if (!this.stopped) throw error;
    });
  }
}

async function within<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  try {
    return await withDeadline(work, ms, what);
  } catch (error) {
    if (!(error instanceof DeadlineError)) throw error;
    throw new StalledError(
      `${error.message}: the database does not answer or the stage hangs; the process has to be restarted`,
    );
  }
}
