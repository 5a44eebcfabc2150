import { expect, test } from 'vitest';
import { keepPace } from './pace.ts';
import { sleep } from './timing.ts';

const never = new AbortController().signal;

async function elapsed(work: () => Promise<void>): Promise<number> {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

test('so many records take so long, however they are spread over batches', async () => {
  const pace = keepPace({ perSecond: 1_000, signal: never });
  const took = await elapsed(async () => {
    for (const records of [100, 1, 50, 149]) await pace({ records });
  });
  expect(took).toBeGreaterThan(290);
});

test('who was slow rests no more than who was quick, and does not catch up', async () => {
  const pace = keepPace({ perSecond: 1_000, signal: never });
  await sleep(200);
  await pace({ records: 10 });
  expect(await elapsed(() => pace({ records: 150 }))).toBeGreaterThan(140);
});

test('a rest is cut short when everything is to end', async () => {
  const abort = new AbortController();
  const pace = keepPace({ perSecond: 1, signal: abort.signal });
  setTimeout(() => abort.abort(), 20);
  expect(await elapsed(() => pace({ records: 3 }))).toBeLessThan(1_500);
  expect(await elapsed(() => pace({ records: 3 }))).toBeLessThan(1_500);
});
