import { expect, it } from 'vitest';
import { restMs } from './pace.ts';

it.each([
  ['everything: no rest', { records: 100, ms: 40 }, { sharePercent: 100, recordsPerSecond: null }, 0],
  [
    'half of the time: as long as it worked',
    { records: 100, ms: 40 },
    { sharePercent: 50, recordsPerSecond: null },
    40,
  ],
  ['a fifth: four times as long', { records: 100, ms: 40 }, { sharePercent: 20, recordsPerSecond: null }, 160],
  ['a rate: what is left of the time', { records: 100, ms: 40 }, { sharePercent: 100, recordsPerSecond: 1_000 }, 60],
  ['a rate that it cannot reach: no rest', { records: 10, ms: 40 }, { sharePercent: 100, recordsPerSecond: 1_000 }, 0],
  ['both: the longer one', { records: 100, ms: 40 }, { sharePercent: 50, recordsPerSecond: 1_000 }, 60],
  ['never longer than five seconds', { records: 10_000, ms: 40 }, { sharePercent: 1, recordsPerSecond: 1 }, 5_000],
])('%s', (_, work, limits, ms) => {
  expect(restMs(work, limits)).toBe(ms);
});
