import { expect, test, vi } from 'vitest';
import { dayOfDate, HOUR_MS } from './calendar.ts';
import type { Change } from './changes.ts';
import type { Emission } from './emission.ts';
import { DEFAULT_RATES } from './noise.ts';
import { type CellOverride, DEFAULT_PARAMETERS, PRESETS } from './parameters.ts';
import { streamFrom } from './stream.ts';
import { type Shape, World } from './world.ts';

const ANCHOR = dayOfDate('2026-11-21');
const shape: Shape = {
  seed: 42,
  timeZone: 'America/New_York',
  anchorDay: ANCHOR,
  firstDay: ANCHOR - 9,
  members: PRESETS.small.members,
  eventsPerDay: PRESETS.small.events,
  callsPerDay: PRESETS.small.calls,
  parity: false,
  rates: DEFAULT_RATES,
  parameters: DEFAULT_PARAMETERS,
};
const start = new World(shape).zone.startOfDay(ANCHOR - 4);
const end = new World(shape).zone.startOfDay(ANCHOR + 1);
const fix: Change = { id: 1, from: start, scope: {}, leakage: 0.5, repeats: 1, rolloutDays: 0 };

function history(changes: readonly Change[], cells: readonly CellOverride[] = []): Emission[] {
  const records: Emission[] = [];
  const world = new World({ ...shape, parameters: { ...DEFAULT_PARAMETERS, cells } }, { changes });
  for (const chunk of streamFrom(world, Number.NEGATIVE_INFINITY)) {
    if ((chunk[0]?.at ?? 0) >= end) return records;
    records.push(...chunk);
  }
  throw new Error('the stream ended');
}

/** Leakage calls whose failed journey began after the fix, by type and by what a fix can be about. */
function leaks(records: readonly Emission[]): { type: string | null; device: string; code: string | null }[] {
  const failures = new Map<string, { device: string; code: string | null; at: number }>();
  for (const { source, event } of records) {
    if (source !== 'journeys' || event.action !== 'error') continue;
    failures.set(event.session_id ?? '', {
      device: event.device_type ?? '',
      code: event.error_code,
      at: event.timestamp ?? 0,
    });
  }
  return records.flatMap(({ truth }) => {
    const failure = failures.get(truth?.session_id ?? '');
    if (truth?.kind !== 'leak' || failure === undefined || failure.at < start + HOUR_MS) return [];
    return [{ type: truth.journey_type, device: failure.device, code: failure.code }];
  });
}

const facts = (records: readonly Emission[]): string[] => records.map((record) => JSON.stringify(record)).sort();
const count = <T>(list: readonly T[], test: (one: T) => boolean): number => list.filter(test).length;

// Whole worlds are simulated, on machines that do other things too.
vi.setConfig({ testTimeout: 60_000 });

const before = history([]);

test('before a change the world is what it is without it, and stories that began before go on', () => {
  const fixed = history([fix]);
  const early = (records: readonly Emission[]) => facts(records.filter(({ at }) => at < start));
  expect(early(fixed)).toEqual(early(before));
  // It begins at midnight, and until six nothing new does.
  const late = facts(before.filter(({ at }) => at >= start && at < start + 6 * HOUR_MS));
  const there = new Set(facts(fixed));
  expect(late.filter((fact) => !there.has(fact))).toEqual([]);
  expect(late.length).toBeGreaterThan(5);
});

test('a fix of everything halves what leaks; journeys that it heals are completed', () => {
  const fixed = history([fix]);
  const ratio = leaks(fixed).length / leaks(before).length;
  expect(Math.abs(ratio - 0.5)).toBeLessThan(0.06);
  const actions = (records: readonly Emission[], action: string): number =>
    count(records, ({ source, event }) => source === 'journeys' && event.action === action);
  expect(actions(fixed, 'error')).toBeLessThan(actions(before, 'error') * 0.85);
  expect(actions(fixed, 'complete')).toBeGreaterThan(actions(before, 'complete'));
});

test('a fix is felt in its scope and nowhere else', () => {
  const scope = { errorCode: 'ERR_BILLING_ELIGIBILITY', deviceType: 'mobile' };
  const fixed = leaks(history([{ ...fix, scope, leakage: 0.01 }]));
  const within = ({ code, device }: { code: string | null; device: string }): boolean =>
    code === scope.errorCode && device === 'mobile';
  expect(count(leaks(before), within)).toBeGreaterThan(100);
  expect(count(fixed, within)).toBeLessThan(10);
  const others = (found: ReturnType<typeof leaks>) =>
    ['id_card', 'pharmacy'].map((type) => count(found, (one) => one.type === type));
  expect(others(fixed)).toEqual(others(leaks(before)));
  const desktop = (found: ReturnType<typeof leaks>) =>
    count(found, (one) => one.code === scope.errorCode && !within(one));
  expect(desktop(fixed)).toBeGreaterThan(desktop(leaks(before)) * 0.8);
});

test('the effect is rolled out over days', () => {
  const slow = leaks(history([{ ...fix, leakage: 0.1, rolloutDays: 4 }])).length / leaks(before).length;
  // The mean of .1 ** (t/4) over the four days until the whole effect and the one after it.
  const mean = (4 * ((1 - 0.1) / Math.log(10)) + 0.1) / 5;
  expect(Math.abs(slow - mean)).toBeLessThan(0.1);
});

test('an incident adds failures in its scope, and all stories without it stay as they are', () => {
  const scope = { errorCode: 'ERR_IDCARD_TIMEOUT' };
  const worse = history([{ ...fix, scope, leakage: 5 }]);
  const own = (records: readonly Emission[]) => count(leaks(records), ({ code }) => code === scope.errorCode);
  expect(own(worse) / own(before)).toBeGreaterThan(3.5);
  expect(own(worse) / own(before)).toBeLessThan(6.5);
  const there = new Set(facts(worse));
  expect(facts(before).filter((fact) => !there.has(fact))).toEqual([]);
});

test('calls after a fix repeat as seldom as it says', () => {
  const fixed = history([{ ...fix, leakage: 1, repeats: 0 }]);
  const repeats = (records: readonly Emission[]): number =>
    count(records, ({ truth, at }) => truth?.kind === 'repeat' && at > start + 24 * HOUR_MS);
  expect(repeats(fixed)).toBeLessThan(repeats(before) * 0.6);
  expect(repeats(before)).toBeGreaterThan(100);
});

test('what is different in one cell moves the records of no other cell', () => {
  const cell = { issue: 'id_card', category: 'Commercial', language: 'English' } as const;
  const world = new World(shape);
  const index = world.cells.find(
    (one) => one.issue === cell.issue && one.category === cell.category && one.language === cell.language,
  )?.index;
  // Ids name the stream in which a story was drawn: that of the cell, or that of its failures which do not leak.
  const ofCell = new RegExp(`-\\d+-(?:${index}|${(index ?? 0) + 100})-\\d+$`);
  const others = (records: readonly Emission[]): string[] =>
    facts(
      records.filter(({ source, event }) => {
        if (source === 'members') return true;
        return !ofCell.test((source === 'calls' ? event.call_id : event.session_id) ?? '');
      }),
    );
  const changed = history([], [{ ...cell, failures: 3, leakRate: 0.6, sentiment: 0.5, devices: [['tablet', 1]] }]);
  expect(others(changed)).toEqual(others(before));
  expect(others(before).length).toBeGreaterThan(100_000);
  expect(before.length - others(before).length).toBeGreaterThan(500);
  expect(changed.length - others(changed).length).toBeGreaterThan((before.length - others(before).length) * 1.4);
});
