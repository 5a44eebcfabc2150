import { expect, test } from 'vitest';
import { isNothing, planLines, retainedLines } from './report.ts';
import type { RetentionPlan } from './run.ts';

const nothing = { rows: 0, bytes: 0 };
const generation: RetentionPlan['generations'][number] = {
  generation: 1,
  silver: 'silver_1',
  gold: 'gold_1',
  today: '2026-06-20',
  refusedBefore: '2026-03-22 04:00:00+00',
  keptFrom: '2026-03-13 04:00:00+00',
  horizonDay: '2026-03-22',
  moves: true,
  quarantineKeptFrom: '2026-05-21T00:00:00Z',
  goldKeptFrom: '2024-05-01',
  removable: {
    journey_event: { rows: 12_345, bytes: 3 * 1024 ** 2 },
    call: { rows: 1, bytes: 1024 },
    quarantine_record: nothing,
  },
};
const day = {
  table: 'call_logs_raw',
  partition: 'call_logs_raw_p20260312',
  day: '2026-03-12',
  bytes: 2 * 1024 ** 3,
} as const;

test('what would be removed is said by generation and table, with its size', () => {
  expect(planLines({ generations: [generation], bronze: [day] })).toEqual([
    'Generation 1: the horizon moves to 2026-03-22; what is before 2026-03-13 04:00:00+00 is removed from silver',
    '  12,345 journey events, about 3.0 MiB',
    '  1 call, about 0.0 MiB',
    'Bronze: 1 daily partition, 2.0 GiB, received up to 2026-03-12',
  ]);
});

test('there is nothing to do only where no horizon moves, no row goes and no partition', () => {
  const idle = { ...generation, moves: false, removable: { call: nothing } };
  expect(isNothing({ generations: [idle], bronze: [] })).toBe(true);
  expect(isNothing({ generations: [{ ...idle, moves: true }], bronze: [] })).toBe(false);
  expect(isNothing({ generations: [generation], bronze: [] })).toBe(false);
  expect(isNothing({ generations: [idle], bronze: [day] })).toBe(false);
  expect(planLines({ generations: [idle], bronze: [] })).toEqual([
    expect.stringContaining('the horizon stays at 2026-03-22') as string,
    'Bronze: nothing',
  ]);
});

test('what was removed is said the same way', () => {
  const removed = { journey_event: 2, call: 0, gold_cells: 1 };
  const bronze = { partitions: ['a', 'b'], records: 1_000, bytes: 1024 ** 2, left: [] };
  expect(
    retainedLines({ generations: [{ generation: 1, horizon: '2026-03-22', moved: true, removed }], bronze }),
  ).toEqual([
    'Generation 1: horizon 2026-03-22, removed 2 journey events, 1 cell of gold',
    'Bronze: 2 partitions dropped, 1,000 records, 1.0 MiB',
  ]);
});
