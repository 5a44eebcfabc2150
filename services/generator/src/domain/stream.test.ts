import { expect, test } from 'vitest';
import { dayOfDate } from './calendar.ts';
import type { Emission } from './emission.ts';
import { Feed } from './feed.ts';
import { DEFAULT_RATES } from './noise.ts';
import { DEFAULT_PARAMETERS } from './parameters.ts';
import { advance, BEGINNING, type StreamPosition } from './stream.ts';
import { World } from './world.ts';

const newWorld = () =>
  new World({
    seed: 5,
    timeZone: 'America/New_York',
    anchorDay: dayOfDate('2026-03-10'),
    firstDay: dayOfDate('2026-02-10'),
    members: 1_000,
    eventsPerDay: 1_285,
    callsPerDay: 30,
    parity: false,
    rates: { ...DEFAULT_RATES, duplicates: 0.2, lateBeyondTwoDays: 0.05 },
    parameters: DEFAULT_PARAMETERS,
  });

function take(count: number, from: StreamPosition): Emission[] {
  return new Feed(newWorld(), from).take(Number.POSITIVE_INFINITY, count);
}

test('a stream taken up anywhere goes on exactly where it was left', () => {
  const all = take(22_000, BEGINNING);
  // Within the profiles, at their end, and between two copies that are sent in the same millisecond.
  const twin = all.findIndex((record, i) => i > 15_000 && record.at === all[i + 1]?.at) + 1;
  let position = BEGINNING;
  const stops = new Set([1, 999, 1_000, 1_001, twin, 19_000]);
  const resumed = all.flatMap((record, i) => {
    position = advance(position, record);
    return stops.has(i + 1) ? [{ after: i + 1, records: take(2_000, position) }] : [];
  });
  expect(resumed).toEqual([...stops].map((n) => ({ after: n, records: all.slice(n, n + 2_000) })));
});
