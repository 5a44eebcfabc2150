import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { type MemorySample, memoryReport, residentBytes, sampleMemory } from './memory.ts';

const MB = 1_000_000;
const series = (...megabytes: readonly number[]): MemorySample[] =>
  megabytes.map((mb, i) => ({ atMs: i * 1_000, bytes: mb * MB }));

describe('the judgement', () => {
  test('a level that swings is flat', () => {
    expect(memoryReport('a', series(150, 190, 160, 185, 155, 190, 160, 190, 170)).flat).toBe(true);
  });

  test('a warm-up that ends is flat', () => {
    expect(memoryReport('a', series(80, 120, 160, 190, 200, 200, 200, 201, 200)).flat).toBe(true);
  });

  test('a level that was left for a while and comes back is flat', () => {
    expect(memoryReport('a', series(330, 350, 340, 220, 230, 220, 330, 340, 330)).flat).toBe(true);
  });

  test('one peak in the end is no growth', () => {
    expect(memoryReport('a', series(200, 200, 200, 200, 200, 200, 200, 900, 200)).flat).toBe(true);
  });

  test('a level that goes on rising grows', () => {
    const report = memoryReport('a', series(100, 150, 200, 250, 300, 350, 400, 450, 500));
    expect(report).toMatchObject({
      flat: false,
      maxBytes: 500 * MB,
      firstThirdBytes: 150 * MB,
      middleThirdBytes: 300 * MB,
      lastThirdBytes: 450 * MB,
      maxFirstThirdBytes: 200 * MB,
      maxLastThirdBytes: 500 * MB,
    });
    expect(report.slopeBytesPerMinute).toBeCloseTo(3_000 * MB, 0);
    expect(report.sentence).toBe(
      'a grows: 150 MB in the beginning, 300 MB in the middle, 450 MB in the end (at most 412 MB counts as flat), 500 MB at most, 3000 MB a minute, 9 samples',
    );
  });

  test('two samples are no judgement', () => {
    expect(() => memoryReport('a', series(1, 2))).toThrow('2 samples of a say nothing');
  });
});

describe('sampling', () => {
  const samplers: ReturnType<typeof sampleMemory>[] = [];
  afterEach(() => {
    for (const sampler of samplers.splice(0)) sampler.stop();
  });

  test('this process has memory, one that does not exist has none', () => {
    expect(residentBytes(process.pid)).toBeGreaterThan(10 * MB);
    expect(residentBytes(2 ** 22 + 1)).toBeNull();
  });

  test('however long it samples, it keeps no more than it may', async () => {
    const sampler = sampleMemory({ me: process.pid }, { everyMs: 1, samplesMax: 10 });
    samplers.push(sampler);
    for (let waits = 0; sampler.max('me') === 0 || waits < 30; waits += 1) await sleep(5);
    const { samples, maxBytes } = sampler.report('me');
    expect(samples).toBeLessThan(10);
    expect(maxBytes).toBeGreaterThan(10 * MB);
  });

  test('a name that is not watched is an error', () => {
    const sampler = sampleMemory();
    samplers.push(sampler);
    expect(() => sampler.report('nobody')).toThrow('the memory of nobody is not watched');
  });
});
