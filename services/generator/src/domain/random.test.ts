import { describe, expect, test } from 'vitest';
import { Random } from './random.ts';

const draw = (random: Random, n: number): number[] => Array.from({ length: n }, () => random.uint32());
const sample = (n: number, f: () => number): { mean: number; sd: number } => {
  const values = Array.from({ length: n }, f);
  const mean = values.reduce((a, b) => a + b, 0) / n;
  return { mean, sd: Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / n) };
};

describe('streams', () => {
  test('the same seed and labels give the same numbers', () => {
    expect(draw(new Random(7, 'leak', 3), 5)).toEqual(draw(new Random(7, 'leak', 3), 5));
  });

  test('any other seed or label gives others', () => {
    const streams = [
      [7, 'leak', 3],
      [8, 'leak', 3],
      [7, 'leak', 4],
      [7, 'leal', 3],
      [7, 3, 'leak'],
      [7, 'l', 'eak', 3],
      [2 ** 33 + 7, 'leak', 3],
    ];
    const first = streams.map(([seed, ...labels]) => draw(new Random(Number(seed), ...labels), 3).join());
    expect(new Set(first).size).toBe(streams.length);
  });

  test('the numbers of a seed never change: every published world depends on them', () => {
    expect(draw(new Random(42, 'golden'), 4)).toMatchInlineSnapshot(`
      [
        598134496,
        1242552119,
        2490995630,
        3470208371,
      ]
    `);
  });

  test('streams of neighbouring labels are not correlated', () => {
    const pairs = Array.from(
      { length: 20_000 },
      (_, i) => [new Random(1, i).next(), new Random(1, i + 1).next()] as const,
    );
    const covariance = pairs.reduce((sum, [x, y]) => sum + (x - 0.5) * (y - 0.5), 0) / pairs.length;
    expect(Math.abs(covariance * 12)).toBeLessThan(0.03);
  });
});

describe('distributions', () => {
  const random = new Random(1, 'test');
  test.each<[string, () => number, number, number]>([
    ['uniform', () => random.next(), 0.5, 0.2887],
    ['exponential', () => random.exponential(2), 2, 2],
    ['normal', () => random.normal(), 0, 1],
    ['gamma above 1', () => random.gamma(4), 4, 2],
    ['gamma below 1', () => random.gamma(0.5), 0.5, Math.SQRT1_2],
    ['gamma factor', () => random.gammaFactor(0.05), 1, 0.05],
    ['beta', () => random.beta(1.4, 6.6), 0.175, 0.1267],
    ['small Poisson', () => random.poisson(0.7), 0.7, 0.8367],
    ['large Poisson', () => random.poisson(100), 100, 10],
    ['lognormal', () => random.lognormal(0, 0.5), 1.1331, 0.6039],
  ])('%s has its mean and deviation', (_name, f, mean, sd) => {
    const got = sample(60_000, f);
    expect(Math.abs(got.mean - mean)).toBeLessThan(sd * 0.02);
    expect(Math.abs(got.sd - sd)).toBeLessThan(sd * 0.04);
  });

  test('weights decide how often', () => {
    const counts: Record<string, number> = { a: 0, b: 0, c: 0 };
    for (let i = 0; i < 10_000; i++) {
      const got = random.weighted([
        ['a', 5],
        ['b', 3],
        ['c', 2],
      ]);
      counts[got] = (counts[got] ?? 0) + 1;
    }
    expect((counts.a ?? 0) / 10_000).toBeCloseTo(0.5, 1);
    expect((counts.c ?? 0) / 10_000).toBeCloseTo(0.2, 1);
  });
});
