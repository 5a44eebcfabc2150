import { sleep } from '@leakage/runtime';
import type { Queryable } from './connection.ts';
import { CommitUnknownError, isTransient, sqlState } from './errors.ts';
import { activeGeneration, lockShards } from './generations.ts';
import { assertIdentifier } from './migrate.ts';
import type { Pool } from './pool.ts';
import {
  behindWords,
  neverPromoted,
  neverRolledBackTo,
  notVerified,
  PromotionRefusedError,
  wouldLoseDays,
} from './promotion-checks.ts';
import {
  type Behind,
  blockersOf,
  type Candidate,
  changeActive,
  deadlockTimeoutMs,
  handOverChanges,
  holdersOfViews,
  limitStatements,
  lockPositions,
  type Pair,
  publishAll,
  readBehind,
  readCandidate,
  recordPromotion,
  shardsOf,
  wayBack,
} from './promotion-store.ts';
import { inTransaction } from './transaction.ts';

/** On this channel every process hears that generations have changed their state. */
export const generationsChannel = 'leakage_generations';

export interface PromotionOptions {
  /** The stable schemas: silver, gold. */
  readonly layers: readonly string[];
  /** Promotes what is not verified, or behind, all the same; null: it is refused. */
  readonly force: { readonly reason: string } | null;
  /** Of a rollback that is not forced. */
  readonly reason?: string;
  /** How long the generation may take to be nowhere behind, and readers of the stable views to end. */
  readonly waitMs: number;
  /** Run within the transaction when the views are made: rights on them. */
  readonly published?: (tx: Queryable) => Promise<void>;
  /** Told what is waited for. */
  readonly say: (line: string) => void;
}

export interface Promotion extends Pair {
  readonly kind: 'promote' | 'rollback';
  readonly forced: boolean;
  readonly reason: string | null;
  /** Epoch milliseconds. */
  readonly promotedAt: number;
  /** How far the generation was behind when it was promoted: nothing, unless forced. */
  readonly behind: Behind;
  /** Transactions that it took. */
  readonly attempts: number;
  /** How long silver of both generations stood still in the last of them. */
  readonly heldMs: number;
}

/** Any longer than the joiner waits for a lock (10 s), and its batches would begin anew; in the order of the steps. */
const hold = { shardsMs: 1_500, recordsMs: 3_000, changesMs: 1_500, publishMs: 800, allMs: 9_500 } as const;
/** A process that is stopped in the middle holds nothing for longer. */
const IDLE_MS = 5_000;
const POLL_MS = 50;
const LOOK_MS = 250;
/** Records and changes that are done in less than a second: not worth letting silver go on for. */
const CLOSE_ENOUGH = 20_000;
/** The pause after a transaction that was in somebody's way, so that they get ahead; it doubles, up to the second figure. */
const pause = { firstMs: 500, longestMs: 4_000 } as const;
/** Transactions that are tried when the time is up already. */
const TRIES_AT_LAST = 3;

/**
 * Makes another generation the active one: all of it, for every reader at once, or nothing. Refuses (PromotionRefusedError)
 * what is not a candidate, is not verified or stays behind. Safe to run again whatever became of an earlier run.
 */
export async function promote(pool: Pool, to: number, o: PromotionOptions): Promise<Promotion> {
  const from = await mustBeActive(pool);
  const mayBecomeActive = (one: Candidate) => {
    const never = neverPromoted(one);
    if (never !== null) throw new PromotionRefusedError(never);
    const problem = o.force === null ? (wouldLoseDays(one) ?? notVerified(one)) : null;
    if (problem !== null)
      throw new PromotionRefusedError(`${problem}, or promote it all the same: --force --reason "...".`);
  };
  return await new Switch(pool, { ...o, kind: 'promote', from, to, mayBecomeActive }).run();
}

/** Back to the generation that the active one was promoted over. Like promote, but that one was verified in its time. */
export async function rollback(pool: Pool, o: PromotionOptions): Promise<Promotion> {
  const from = await mustBeActive(pool);
  const to = await wayBack(pool, from);
  if (to === undefined) {
    throw new PromotionRefusedError(
      `Generation ${from} was promoted over no other one: there is nothing to go back to. npx leakage generations shows what there is to promote.`,
    );
  }
  const mayBecomeActive = (one: Candidate) => {
    const never = neverRolledBackTo(one);
    if (never !== null) throw new PromotionRefusedError(never);
  };
  return await new Switch(pool, { ...o, kind: 'rollback', from, to, mayBecomeActive }).run();
}

async function mustBeActive(pool: Pool): Promise<number> {
  const active = await activeGeneration(pool);
  if (active === null)
    throw new PromotionRefusedError('No generation is active yet: start the pipeline with npm start.');
  return active;
}

/** Somebody was in the way for as long as was to be waited. Nothing was changed. */
export class PromotionHeldUpError extends Error {
  constructor(obstacle: Error) {
    super(`Nothing was changed: ${obstacle.message}. Try again, or wait longer with --wait.`, { cause: obstacle });
    this.name = 'PromotionHeldUpError';
  }
}

interface SwitchOptions extends PromotionOptions, Pair {
  readonly kind: Promotion['kind'];
  /** Throws PromotionRefusedError. */
  readonly mayBecomeActive: (candidate: Candidate) => void;
}

/** What stands in the way of a promotion now and may be gone in a moment. */
class ObstacleError extends Error {
  override readonly name = 'ObstacleError';
}

/** The obstacle is the generation itself. */
class StillBehindError extends ObstacleError {
  readonly behind: string;

  constructor(generation: number, behind: string) {
    super(`generation ${generation} is still behind (${behind})`);
    this.behind = behind;
  }
}

function refusedAsBehind(generation: number, behind: string): PromotionRefusedError {
  return new PromotionRefusedError(
    `Generation ${generation} is behind the active one (${behind}): look whether its silver-joiner and its gold-aggregator run, and try again; or promote it all the same, and figures go back in time until it has caught up: --force --reason "...".`,
  );
}

/** One promotion or rollback: waiting without any lock, then one transaction, again if somebody was in its way. */
class Switch {
  readonly #pool: Pool;
  readonly #o: SwitchOptions;
  readonly #until: number;
  #blockers: readonly string[] = [];

  constructor(pool: Pool, o: SwitchOptions) {
    for (const layer of o.layers) assertIdentifier(layer);
    this.#pool = pool;
    this.#o = o;
    this.#until = performance.now() + o.waitMs;
  }

  async run(): Promise<Promotion> {
    await this.#mustBeAllowed(this.#pool);
    let atLast = 0;
    for (let attempts = 1; ; attempts += 1) {
      await this.#comeClose();
      const late = performance.now() >= this.#until;
      if (late) atLast += 1;
      try {
        const done = { ...(await this.#attempt(late)), attempts };
        await this.#pool.query('select pg_notify($1, $2)', [generationsChannel, '']);
        return done;
      } catch (error) {
        if (!(error instanceof ObstacleError)) throw error;
        if (atLast >= TRIES_AT_LAST) {
          throw error instanceof StillBehindError
            ? refusedAsBehind(this.#o.to, error.behind)
            : new PromotionHeldUpError(error);
        }
        this.#o.say(`${error.message}; trying again`);
        await sleep(Math.min(pause.longestMs, pause.firstMs * 2 ** (attempts - 1)));
      }
    }
  }

  async #mustBeAllowed(db: Queryable): Promise<void> {
    const { to, layers, mayBecomeActive } = this.#o;
    const candidate = await readCandidate(db, to, layers);
    if (candidate === undefined) {
      throw new PromotionRefusedError(
        `There is no generation ${to}: npx leakage generations shows those that there are.`,
      );
    }
    mayBecomeActive(candidate);
    // What can never be promoted, forced or not: there would be nothing to read.
    if (!(await readBehind(db, this.#o)).begun) {
      throw new PromotionRefusedError(
        `Gold of generation ${to} has not begun: start its gold-aggregator (GENERATION=${to}).`,
      );
    }
    if (candidate.paused && this.#o.force === null) {
      const behind = behindWords(await readBehind(db, this.#o));
      if (behind !== null)
        throw new PromotionRefusedError(`Generation ${to} rests and is behind (${behind}): let it go on first.`);
    }
  }

  /** Without a lock: what is held still should be held for a moment only. */
  async #comeClose(): Promise<void> {
    const { to, layers, force, say } = this.#o;
    let held = new Set<string>();
    for (;;) {
      const behind = await readBehind(this.#pool, this.#o);
      const holders = await holdersOfViews(this.#pool, layers);
      // Who has come and gone within a look is in nobody's way.
      const slow = holders.filter(({ id }) => held.has(id));
      const close = behind.begun && behind.records <= CLOSE_ENOUGH && behind.changes <= CLOSE_ENOUGH;
      if (close && slow.length === 0 && (held.size > 0 || holders.length === 0)) return;
      if (performance.now() >= this.#until) {
        if (close || force !== null) return;
        throw refusedAsBehind(to, behindWords(behind) ?? 'nothing');
      }
      if (!close) say(`waiting until generation ${to} has caught up: ${behindWords(behind)}`);
      else if (slow.length > 0) say(`waiting for who reads the views: ${slow.map(({ who }) => who).join(', ')}`);
      held = new Set(holders.map(({ id }) => id));
      await sleep(LOOK_MS);
    }
  }

  async #attempt(mayBeBehind: boolean): Promise<Omit<Promotion, 'attempts'>> {
    const watching = new AbortController();
    let watch: Promise<void> = Promise.resolve();
    this.#blockers = [];
    try {
      return await inTransaction(
        this.#pool,
        async (tx) => {
          watch = this.#watch(await backendOf(tx), watching.signal);
          return await this.#steps(tx, mayBeBehind && this.#o.force !== null);
        },
        { retries: 0 },
      );
    } catch (error) {
      if (error instanceof CommitUnknownError && error.commitSent) return await this.#lookUp(error);
      throw this.#obstacle(error);
    } finally {
      watching.abort();
      await watch;
    }
  }

  async #steps(tx: Queryable, mayBeBehind: boolean): Promise<Omit<Promotion, 'attempts'>> {
    const { kind, from, to, layers, force } = this.#o;
    // However this process ends, or stops in the middle, nobody waits for long.
    await tx.query(
      `select set_config('transaction_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $2, true)`,
      [String(hold.allMs), String(IDLE_MS)],
    );

    // 1. One promotion, rollback or drop at a time; what was true before is looked at again.
    await limitStatements(tx, hold.shardsMs);
    await tx.query(`select pg_advisory_xact_lock(hashtextextended('ops.publish', 0))`);
    const active = await activeGeneration(tx);
    if (active !== from)
      throw new PromotionRefusedError(`Generation ${active} was promoted meanwhile, and nothing was changed.`);
    await this.#mustBeAllowed(tx);

    // 2. The old generation stands still, and the new one reaches it.
    const began = performance.now();
    await lockShards(tx, from, await shardsOf(tx, from));
    if (!mayBeBehind) await this.#reached(tx, ({ records }) => records === 0, hold.recordsMs);

    // 3. The new one stands still too, and its gold, which needs no lock, folds what it has written.
    await lockShards(tx, to, await shardsOf(tx, to));
    if (!mayBeBehind) await this.#reached(tx, ({ changes }) => changes === 0, hold.changesMs);
    await lockPositions(tx, this.#o);
    const behind = await readBehind(tx, this.#o);
    if (!mayBeBehind && behindWords(behind) !== null) throw this.#stillBehind(behind);

    // 4. Who speaks, to readers of the change stream and of the views. From here on readers of the views wait.
    await changeActive(tx, this.#o);
    await handOverChanges(tx, this.#o);
    const reason = force?.reason ?? this.#o.reason ?? null;
    const forced = force !== null;
    const promotedAt = await recordPromotion(tx, { kind, from, to, forced, reason });
    await limitStatements(tx, await this.#publishMs(tx));
    await publishAll(tx, layers, to);
    await limitStatements(tx, hold.shardsMs);
    await this.#o.published?.(tx);
    return { kind, from, to, forced, reason, promotedAt, behind, heldMs: performance.now() - began };
  }

  /**
   * Less than Postgres waits before it looks for a deadlock: a reader that holds one view and wants the next one, while this
   * holds that and wants the first, must never be the one that is ended.
   */
  async #publishMs(tx: Queryable): Promise<number> {
    return Math.min(hold.publishMs, 0.8 * (await deadlockTimeoutMs(tx)));
  }

  async #reached(tx: Queryable, enough: (behind: Behind) => boolean, withinMs: number): Promise<void> {
    const until = performance.now() + withinMs;
    for (;;) {
      const behind = await readBehind(tx, this.#o);
      if (enough(behind)) return;
      if (performance.now() >= until) throw this.#stillBehind(behind);
      await sleep(POLL_MS);
    }
  }

  #stillBehind(behind: Behind): ObstacleError {
    return new StillBehindError(this.#o.to, behindWords(behind) ?? 'nothing');
  }

  /** Keeps in mind who makes the transaction wait, as long as it lasts. */
  async #watch(pid: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(LOOK_MS, signal).catch(() => undefined);
      if (!signal.aborted) this.#blockers = await blockersOf(this.#pool, pid).catch(() => []);
    }
  }

  #obstacle(error: unknown): unknown {
    const state = sqlState(error);
    // 57014: a statement took longer than it may; 25P04: the transaction did.
    const inTheWay = isTransient(error) || state === '57014' || state === '25P04';
    const lost = error instanceof CommitUnknownError;
    if (lost)
      return new ObstacleError('the connection to Postgres was lost, and nothing was applied', { cause: error });
    if (!inTheWay) return error;
    const who = this.#blockers.length > 0 ? this.#blockers.join(', ') : 'somebody who has gone meanwhile';
    return new ObstacleError(`held up by ${who}`, { cause: error });
  }

  /** The answer to COMMIT was lost: the database says what became of it. */
  async #lookUp(error: CommitUnknownError): Promise<Omit<Promotion, 'attempts'>> {
    const { kind, from, to, force } = this.#o;
    if ((await activeGeneration(this.#pool)) !== to) {
      throw new ObstacleError('the connection to Postgres was lost, and nothing was applied', { cause: error });
    }
    const behind = await readBehind(this.#pool, this.#o);
    const reason = force?.reason ?? this.#o.reason ?? null;
    return { kind, from, to, forced: force !== null, reason, promotedAt: Date.now(), behind, heldMs: 0 };
  }
}

async function backendOf(tx: Queryable): Promise<number> {
  const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
  return rows[0]?.pid ?? 0;
}
