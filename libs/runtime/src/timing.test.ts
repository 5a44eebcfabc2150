import { describe, expect, test, vi } from 'vitest';
import { retry, sleep, withDeadline } from './timing.ts';

describe('retry', () => {
  const quick = { attempts: 3, baseMs: 1, maxMs: 2 };

  test('calls again until it succeeds', async () => {
    const seen: number[] = [];
    const result = await retry(async (attempt) => {
      seen.push(attempt);
      if (attempt < 3) throw new Error('not yet');
      return 'done';
    }, quick);
    expect(result).toBe('done');
    expect(seen).toEqual([1, 2, 3]);
  });

  test('gives up after the last attempt with the last error', async () => {
    const fn = vi.fn(async (attempt: number) => Promise.reject(new Error(`failure ${attempt}`)));
    await expect(retry(fn, quick)).rejects.toThrow('failure 3');
    expect(fn).toHaveBeenCalledTimes(3);
  });

  test('does not try again what cannot get better', async () => {
    const fn = vi.fn(async () => Promise.reject(new Error('wrong password')));
    await expect(retry(fn, { ...quick, retryable: () => false })).rejects.toThrow('wrong password');
    expect(fn).toHaveBeenCalledTimes(1);
  });

  test('waits longer each time, never longer than the cap', async () => {
    const waits: number[] = [];
    const options = {
      attempts: 5,
      baseMs: 2,
      maxMs: 6,
      onRetry: (_error: unknown, _attempt: number, waitMs: number) => void waits.push(waitMs),
    };
    await expect(retry(async () => Promise.reject(new Error('no')), options)).rejects.toThrow('no');
    const caps = [2, 4, 6, 6];
    expect(waits).toHaveLength(4);
    for (const [index, cap] of caps.entries()) {
      expect(waits[index]).toBeLessThanOrEqual(cap);
      expect(waits[index]).toBeGreaterThanOrEqual(cap / 2);
    }
  });

  test('stops waiting when the signal is aborted', async () => {
    const abort = new AbortController();
    const work = retry(async () => Promise.reject(new Error('no')), {
      attempts: 10,
      baseMs: 60_000,
      maxMs: 60_000,
      signal: abort.signal,
    });
    setTimeout(() => abort.abort(), 10);
    await expect(work).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }) as Error);
  });
});

test('sleep is cut short by its signal', async () => {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 5);
  await expect(sleep(60_000, abort.signal)).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }) as Error);
});

test('a deadline says what took too long, and leaves quick work and its errors alone', async () => {
  await expect(withDeadline(sleep(60_000, AbortSignal.timeout(100)), 5, 'waiting for Postgres')).rejects.toThrow(
    'waiting for Postgres took more than 5 ms',
  );
  await expect(withDeadline(Promise.resolve(7), 1_000, 'x')).resolves.toBe(7);
  await expect(withDeadline(Promise.reject(new Error('broken')), 1_000, 'x')).rejects.toThrow('broken');
});
