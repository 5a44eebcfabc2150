import { expect, test } from 'vitest';
import type { ReplayState } from './replay-store.ts';
import { duration, listLines, progressLine, replayDocument, summaryLines } from './report.ts';

const replay: ReplayState = {
  id: 3,
  service: 'silver-joiner',
  generation: 1,
  begins: 'earliest',
  state: 'running',
  paused: false,
  recordsPerSecond: null,
  askedBy: 'ann',
  createdAt: Date.parse('2026-11-29T08:00:00Z'),
  endedAt: null,
  total: 120_000,
  offsets: 50_400,
  holes: 400,
  accepted: 0,
  superseded: 900,
  duplicates: 49_000,
  conflicts: 0,
  quarantined: 100,
};
const done: ReplayState = {
  ...replay,
  state: 'done',
  endedAt: replay.createdAt + 14_200,
  total: null,
  offsets: 120_400,
};

test('progress says how much, how fast, how long still, and what became of the records', () => {
  expect(progressLine({ replay, perSecond: 11_600 })).toBe(
    '42 %  50,400 of 120,000 records  |  11,600/s  |  6 s left  |  49,000 duplicates, 900 superseded, 100 quarantined',
  );
  expect(
    progressLine({ replay: { ...replay, offsets: 0, duplicates: 0, superseded: 0, quarantined: 0 }, perSecond: 0 }),
  ).toBe('0 %  0 of 120,000 records  |  starting');
  expect(progressLine({ replay: { ...replay, total: 50_400 }, perSecond: 100 })).not.toContain('left');
});

test('a replay that changed nothing says so', () => {
  expect(summaryLines(done)).toEqual([
    'Replay 3 of silver-joiner, generation 1: done, 120,000 records in 15 s (49,000 duplicates, 900 superseded, 100 quarantined).',
    'Nothing changed: 120,000 records, all known.',
  ]);
});

test('a replay that changed something says how much, in the words of its service', () => {
  expect(summaryLines({ ...done, accepted: 25 })[1]).toMatch(/^25 records were accepted that silver lacked/);
  expect(summaryLines({ ...done, service: 'bronze-sink', generation: null, accepted: 37 })).toEqual([
    'Replay 3 of bronze-sink: done, 120,000 records in 15 s (37 added, 49,000 there already).',
    '37 rows were added that bronze lacked.',
  ]);
});

test('as a document it has the same figures', () => {
  expect(replayDocument(done)).toMatchObject({
    id: 3,
    from: 'earliest',
    state: 'done',
    createdAt: '2026-11-29T08:00:00.000Z',
    endedAt: '2026-11-29T08:00:14.200Z',
    offsets: { total: 120_400, read: 120_400, holes: 400 },
    records: 120_000,
    outcomes: { accepted: 0, duplicates: 49_000, superseded: 900, conflicts: 0, quarantined: 100 },
    changed: 0,
  });
  expect(replayDocument(replay).offsets.total).toBe(120_000);
});

test('the list shows each in a line, and a paused one as such', () => {
  const [header, first, second] = listLines([
    { ...replay, paused: true, begins: 'leakage.calls/3@1200,leakage.calls/4@980' },
    done,
  ]);
  expect(header).toMatch(/^id {2}service +generation +from +state/);
  expect(first).toMatch(
    /^3 +silver-joiner +1 +leakage.calls\/3@1200,le… +paused +50,400 of 120,000 +0 +2026-11-29 08:00 +ann$/,
  );
  expect(second).toMatch(/done +120,400 +0/);
  expect(listLines([])).toEqual(['There has been no replay.']);
});

test.each([
  [0.2, '1 s'],
  [89, '89 s'],
  [200, '4 min'],
  [9_000, '2.5 h'],
])('%d seconds are %s', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});
