import { stripVTControlCharacters } from 'node:util';
import { expect, test } from 'vitest';
import { progressLine, summaryTable } from './screen.ts';

const progress = {
  bronzeEvents: 12_000,
  bronzeBehind: 0,
  silverBehind: 0,
  goldBehind: 0,
  calls: 1_500,
  leakageCalls: 123,
  leakageCents: 98_400,
};

test('progress is one line: history, events and rate, calls, leakage and its cost, who is behind', () => {
  const look = { progress: { ...progress, silverBehind: 2_000 }, before: { ...progress, bronzeEvents: 10_000 } };
  expect(progressLine({ ...look, seconds: 4, history: 0.259 })).toBe(
    'history 25 %  |  12,000 events (500/s)  |  1,500 calls joined  |  123 leakage = $984  |  behind: silver 2,000',
  );
  expect(progressLine({ progress, before: null, seconds: 0, history: 1 })).toBe(
    '12,000 events  |  1,500 calls joined  |  123 leakage = $984  |  up to date',
  );
});

test('nothing is up to date while the history has not begun', () => {
  expect(progressLine({ progress, before: null, seconds: 0, history: null })).toContain('history 0 %');
  expect(progressLine({ progress, before: null, seconds: 0, history: null })).not.toContain('up to date');
});

test('the summary is a table whose columns line up; what cannot be given is a dash', () => {
  const lines = summaryTable([
    { journey: 'billing', daily_calls: '1226.0', daily_cost: '9808.00', primary_segment: 'MAPD New', trend: '14.04' },
    { journey: 'id_card', daily_calls: null, daily_cost: null, primary_segment: null, trend: null },
    { journey: 'pharmacy', daily_calls: '9.0', daily_cost: '72.00', primary_segment: 'Mixed', trend: '-3' },
  ]).map(stripVTControlCharacters);
  expect(lines).toEqual([
    '  journey    calls a day   cost a day   primary segment     trend',
    '  billing         1226.0    $9,808.00   MAPD New          +14.0 %',
    '  id_card              -            -   -                       -',
    '  pharmacy           9.0       $72.00   Mixed              -3.0 %',
  ]);
});
