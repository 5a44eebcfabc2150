import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Calls `probe` until it returns something that is neither null, undefined nor false, and gives that back.
 * After the deadline it throws, with the last error of the probe if it threw.
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  o: { withinMs?: number; everyMs?: number; what?: string } = {},
): Promise<NonNullable<T>> {
  const { withinMs = 30_000, everyMs = 100, what = 'what was waited for' } = o;
  let last: unknown;
  for (const until = performance.now() + withinMs; performance.now() < until; await sleep(everyMs)) {
    try {
      const value = await probe();
      if (value !== null && value !== undefined && value !== false) return value;
      last = undefined;
    } catch (error) {
      last = error;
    }
  }
  throw new Error(`${what} did not happen within ${withinMs} ms`, { cause: last });
}
