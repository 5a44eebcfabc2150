import { setTimeout as delay } from 'node:timers/promises';

/** Where a time comes from, so that tests can hold it. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** Waits; rejects with an AbortError as soon as the signal is aborted. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  await delay(ms, undefined, signal === undefined ? {} : { signal });
}

export interface RetryOptions {
  /** How often `fn` is called at most (law 10: no retry without a limit). */
  readonly attempts: number;
  /** The wait after the first failure; it doubles each time, up to `maxMs`, less a random part of up to a half. */
  readonly baseMs: number;
  readonly maxMs: number;
  readonly signal?: AbortSignal;
  /** Whether another attempt can help; default: always. */
  readonly retryable?: (error: unknown) => boolean;
  /** Told before each wait. */
  readonly onRetry?: (error: unknown, attempt: number, waitMs: number) => void;
}

/** Calls `fn(attempt)` (1, 2, ...) until it succeeds; throws the last error. */
export async function retry<T>(fn: (attempt: number) => Promise<T>, options: RetryOptions): Promise<T> {
  const { attempts, baseMs, maxMs, signal, retryable = () => true, onRetry } = options;
  for (let attempt = 1; ; attempt += 1) {
    signal?.throwIfAborted();
    try {
      return await fn(attempt);
    } catch (error) {
      if (attempt >= attempts || signal?.aborted === true || !retryable(error)) throw error;
      const waitMs = Math.min(maxMs, baseMs * 2 ** (attempt - 1)) * (1 - Math.random() / 2);
      onRetry?.(error, attempt, waitMs);
      await sleep(waitMs, signal);
    }
  }
}

/** Something took longer than it may. */
export class DeadlineError extends Error {
  constructor(what: string, ms: number) {
    super(`${what} took more than ${ms} ms`);
    this.name = 'DeadlineError';
  }
}

/** `work`, or a DeadlineError after `ms`. The work itself goes on. */
export async function withDeadline<T>(work: Promise<T>, ms: number, what: string): Promise<T> {
  const timer = new AbortController();
  const late = delay(ms, undefined, { signal: timer.signal }).then(() => {
    throw new DeadlineError(what, ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
}
