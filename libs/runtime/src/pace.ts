import { sleep } from './timing.ts';

/** One rest lasts no longer, however much was done at once (law 10). */
const restMaxMs = 5_000;

export interface PaceOptions {
  /** Records a second at most, on average. */
  readonly perSecond: number;
  /** Aborted: nobody rests any more. */
  readonly signal: AbortSignal;
}

/** Keeps work to a rate: whoever has done `records` rests until so many were due since the start. What was slow is not caught up. */
export function keepPace({ perSecond, signal }: PaceOptions): (effort: { readonly records: number }) => Promise<void> {
  let dueAt = performance.now();
  return async ({ records }) => {
    const now = performance.now();
    dueAt = Math.max(now, dueAt + (records / perSecond) * 1000);
    await sleep(Math.min(restMaxMs, dueAt - now), signal).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  };
}
