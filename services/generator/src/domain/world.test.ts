import { createHash } from 'node:crypto';
import type { DigitalJourneyEvent } from '@leakage/schemas';
import { beforeAll, describe, expect, test } from 'vitest';
import { DAY_MS, dayOfDate, HOUR_MS, MINUTE_MS } from './calendar.ts';
import type { Emission, TruthCall } from './emission.ts';
import { DEFAULT_RATES, type Rates } from './noise.ts';
import { DEFAULT_PARAMETERS, PRESETS } from './parameters.ts';
import { streamFrom } from './stream.ts';
import { type Shape, World } from './world.ts';

const ANCHOR = dayOfDate('2026-11-21');

const small: Shape = {
  seed: 42,
  timeZone: 'America/New_York',
  anchorDay: ANCHOR,
  firstDay: ANCHOR - 20,
  members: PRESETS.small.members,
  eventsPerDay: PRESETS.small.events,
  callsPerDay: PRESETS.small.calls,
  parity: false,
  rates: DEFAULT_RATES,
  parameters: DEFAULT_PARAMETERS,
};

/** All records up to the end of the anchor day. */
function history(shape: Shape): Emission[] {
  const world = new World(shape);
  const end = world.zone.startOfDay(shape.anchorDay + 1);
  const records: Emission[] = [];
  for (const chunk of streamFrom(world, Number.NEGATIVE_INFINITY)) {
    if ((chunk[0]?.at ?? 0) >= end) return records;
    records.push(...chunk);
  }
  throw new Error('the stream ended');
}

const byWinningRevision = <E extends { revision: number }>(
  events: E[],
  id: (event: E) => string | null,
): Map<string, E> => {
  const winners = new Map<string, E>();
  for (const event of events) {
    const key = id(event) ?? '';
    const known = winners.get(key);
    if (known === undefined || event.revision > known.revision) winners.set(key, event);
  }
  return winners;
};

const REASONS = new Map<string, string>();
for (const p of Object.values(DEFAULT_PARAMETERS.issues))
  for (const [reason] of p.reasons) REASONS.set(reason, p.journeyType);

describe('a world of 21 days at the preset small', () => {
  let records: Emission[];
  let world: World;
  const truth = new Map<string, TruthCall>();

  beforeAll(() => {
    world = new World(small);
    records = history(small);
    for (const record of records) if (record.truth !== null) truth.set(record.truth.call_id, record.truth);
  }, 60_000);

  const localDay = (ms: number): number => world.zone.local(ms).day;
  const goodJourneys = () =>
    records.flatMap((r) =>
      r.source === 'journeys' && r.damage === null && r.event.member_id !== null ? [r.event] : [],
    );
  const goodCalls = () =>
    [
      ...byWinningRevision(
        records.flatMap((r) => (r.source === 'calls' && r.damage === null ? [r.event] : [])),
        (c) => c.call_id,
      ).values(),
    ].filter((c) => truth.has(c.call_id ?? ''));

  test('records come in order of sending, and never before what they tell', () => {
    const outOfOrder = records.filter((record, i) => record.at < (records[i - 1]?.at ?? 0));
    const unstamped = records.filter((record) => record.event.emitted_at !== record.at);
    const early = records.filter((r) => r.source === 'journeys' && (r.event.timestamp ?? 0) > r.at);
    expect([outOfOrder.length, unstamped.length]).toEqual([0, 0]);
    // Damaged on purpose, three days ahead.
    expect(early.every((r) => r.source === 'journeys' && (r.event.timestamp ?? 0) - r.at === 3 * DAY_MS)).toBe(true);
  });

  test('10,000 profiles come first', () => {
    const first = records.slice(0, 10_000);
    expect(first.every((record) => record.source === 'members')).toBe(true);
    expect(new Set(first.map((record) => record.event.member_id)).size).toBe(10_000);
    expect(records[10_000]?.source).not.toBe('members');
  });

  test('about 12,850 digital events and 300 leakage calls a day in the last week', () => {
    const lastWeek = (ms: number): boolean => localDay(ms) > ANCHOR - 7;
    const events = new Set(
      goodJourneys()
        .filter((e) => lastWeek(e.timestamp ?? 0))
        .map((e) => e.event_id),
    );
    expect(events.size / 7).toBeGreaterThan(12_850 * 0.95);
    expect(events.size / 7).toBeLessThan(12_850 * 1.06);
    const leaks = goodCalls().filter(
      (c) => lastWeek(c.call_timestamp ?? 0) && truth.get(c.call_id ?? '')?.leakage === true,
    );
    expect(leaks.length / 7).toBeGreaterThan(300 * 0.93);
    expect(leaks.length / 7).toBeLessThan(300 * 1.07);
    const of = (type: string): number =>
      leaks.filter((c) => truth.get(c.call_id ?? '')?.journey_type === type).length / leaks.length;
    expect(of('billing')).toBeCloseTo(125 / 300, 1);
    expect(of('id_card')).toBeCloseTo(75 / 300, 1);
    expect(of('pharmacy')).toBeCloseTo(100 / 300, 1);
  });

  test('weekdays and hours have their profile', () => {
    const calls = goodCalls();
    const on = (weekday: number): number =>
      calls.filter((c) => world.zone.local(c.call_timestamp ?? 0).weekday === weekday).length;
    expect(on(0) / on(6)).toBeGreaterThan(1.5);
    const at = (hour: number): number =>
      calls.filter((c) => world.zone.local(c.call_timestamp ?? 0).hour === hour).length;
    expect(at(10)).toBeGreaterThan(at(19) * 3);
    expect(at(3)).toBe(0);
  });

  test('what the truth calls leakage is what the rule finds, genuine coincidences aside', () => {
    const failures = Map.groupBy(
      [
        ...new Map(
          goodJourneys()
            .filter((e) => ['error', 'abandon', 'complete'].includes(e.action ?? '') && !e.deleted)
            .map((e) => [e.event_id, e]),
        ).values(),
      ],
      (e) => e.member_id,
    );
    let [wrong, leaks] = [0, 0];
    for (const call of goodCalls().filter((c) => !c.deleted && c.member_id !== null)) {
      const at = call.call_timestamp ?? 0;
      const types =
        call.call_reason === null
          ? [(call.ivr_path ?? '').split(' > ')[1]]
          : call.call_reason === 'app_technical_support'
            ? ['billing', 'id_card', 'pharmacy']
            : [REASONS.get(call.call_reason)];
      const near = (failures.get(call.member_id) ?? []).filter(
        (e) => (e.timestamp ?? 0) <= at && (e.timestamp ?? 0) >= at - 30 * MINUTE_MS,
      );
      const found = types.some((type) => {
        const last = near
          .filter((e) => e.journey_type === type)
          .sort((a, b) => (a.timestamp ?? 0) - (b.timestamp ?? 0))
          .at(-1);
        return last !== undefined && last.action !== 'complete';
      });
      const expected = truth.get(call.call_id ?? '')?.leakage === true;
      if (expected) leaks += 1;
      if (found !== expected) wrong += 1;
    }
    expect(leaks).toBeGreaterThan(4_000);
    expect(wrong / leaks).toBeLessThan(0.006);
  });

  test('repeats come out near their targets', () => {
    const calls = goodCalls().filter((c) => !c.deleted);
    const family = (c: (typeof calls)[number]): string =>
      c.call_reason === null
        ? ((c.ivr_path ?? '').split(' > ')[1] ?? '')
        : (REASONS.get(c.call_reason) ?? c.call_reason);
    const groups = Map.groupBy(calls, (c) => `${c.member_id}/${family(c)}`);
    const repeats = new Set<string>();
    for (const group of groups.values()) {
      const times = group.map((c) => ({ id: c.call_id ?? '', at: c.call_timestamp ?? 0 })).sort((a, b) => a.at - b.at);
      times.forEach(({ id, at }, i) => {
        if (i > 0 && at - (times[i - 1]?.at ?? 0) <= 7 * DAY_MS) repeats.add(id);
      });
    }
    const share = (type: string, category: string | null): number => {
      const own = calls.filter((c) => {
        const t = truth.get(c.call_id ?? '');
        const member = world.roster.member(Number((c.member_id ?? '').slice(2)) - 100_000);
        return (
          t?.leakage === true &&
          t.journey_type === type &&
          localDay(c.call_timestamp ?? 0) > ANCHOR - 7 &&
          (category === null || member.category === category)
        );
      });
      return own.filter((c) => repeats.has(c.call_id ?? '')).length / own.length;
    };
    expect(Math.abs(share('billing', 'MAPD New') - 0.28)).toBeLessThan(0.05);
    expect(Math.abs(share('billing', 'MAPD Tenured') - 0.18)).toBeLessThan(0.07);
    expect(Math.abs(share('id_card', null) - 0.25)).toBeLessThan(0.05);
    expect(Math.abs(share('pharmacy', null) - 0.17)).toBeLessThan(0.05);
  });

  test('billing calls of new members are long and unhappy; most eligibility errors are on mobile', () => {
    const own = goodCalls().filter((c) => {
      const t = truth.get(c.call_id ?? '');
      return (
        t?.leakage === true &&
        t.journey_type === 'billing' &&
        world.roster.member(Number((c.member_id ?? '').slice(2)) - 100_000).category === 'MAPD New' &&
        (c.sentiment_score ?? 9) <= 1
      );
    });
    const mean = (f: (c: (typeof own)[number]) => number): number => own.reduce((sum, c) => sum + f(c), 0) / own.length;
    expect(mean((c) => c.sentiment_score ?? 0)).toBeCloseTo(-0.65, 1);
    expect(mean((c) => c.handle_time_seconds ?? 0)).toBeGreaterThan(1_000);
    const eligibility = goodJourneys().filter((e) => e.error_code === 'ERR_BILLING_ELIGIBILITY');
    expect(eligibility.filter((e) => e.device_type === 'mobile').length / eligibility.length).toBeCloseTo(0.82, 1);
  });

  test('it is spoiled as ordered', () => {
    const journeys = records.flatMap((r) => (r.source === 'journeys' ? [r] : []));
    const calls = records.flatMap((r) => (r.source === 'calls' ? [r.event] : []));
    const n = journeys.length;
    const share = (test: (r: (typeof journeys)[number]) => boolean): number => journeys.filter(test).length / n;
    const late = (from: number, to: number) =>
      share(
        ({ event, at }) =>
          event.revision === 0 && at - (event.timestamp ?? at) >= from && at - (event.timestamp ?? at) < to,
      );
    expect(late(MINUTE_MS, 30 * MINUTE_MS)).toBeCloseTo(0.02, 3);
    expect(late(48 * HOUR_MS, 97 * HOUR_MS)).toBeGreaterThan(0.0001);
    expect(share((r) => r.event.member_id === null || r.damage !== null)).toBeGreaterThan(0.0002);
    expect(n - new Set(journeys.map((r) => `${r.event.event_id}/${r.event.revision}`)).size).toBeGreaterThan(n * 0.005);
    expect(journeys.filter((r) => r.event.deleted).length).toBeGreaterThan(20);
    expect(calls.filter((c) => c.revision > 0 && !c.deleted).length / calls.length).toBeCloseTo(0.02, 2);
    for (const kind of ['withdrawn', 'orphan', 'enrollment', 'before_failure', 'cured'] as const) {
      expect([kind, [...truth.values()].some((t) => t.kind === kind)]).toEqual([kind, true]);
    }
    expect(calls.some((c) => c.sentiment_score === 1.7) && calls.some((c) => (c.handle_time_seconds ?? 0) < 0)).toBe(
      true,
    );
  });

  test('some profiles arrive after the first thing the member did', () => {
    const firstSeen = new Map<string, number>();
    for (const r of records)
      if (r.source === 'journeys' && !firstSeen.has(r.event.member_id ?? ''))
        firstSeen.set(r.event.member_id ?? '', r.at);
    const late = records.filter(
      (r) =>
        r.source === 'members' &&
        r.at > (firstSeen.get(r.event.member_id ?? '') ?? Number.POSITIVE_INFINITY) &&
        r.event.tenure_months === 0,
    );
    expect(late.length).toBeGreaterThan(15);
  });

  test('whoever changes plan or language behaves as one of those from then on', () => {
    const changed = records.filter(
      (r) => r.source === 'members' && (r.event.valid_from ?? 0) > 0 && r.event.tenure_months !== 0,
    );
    expect(changed.length).toBeGreaterThan(50);
    const other = new World(small);
    const [first] = changed;
    const before = other.roster.member(Number(first?.event.member_id?.slice(2)) - 100_000);
    for (let hour = other.firstHour; hour * HOUR_MS <= (first?.at ?? 0); hour++) other.simulateHour(hour);
    const after = other.roster.member(Number(first?.event.member_id?.slice(2)) - 100_000);
    expect([after.category, after.language]).not.toEqual([before.category, before.language]);
    const counts = (world: World) =>
      ['MAPD New', 'MAPD Tenured', 'Commercial'].map((category) =>
        world.roster.total({ category: category as 'Commercial' }),
      );
    expect(counts(other).reduce((sum, n) => sum + n, 0)).toBe(small.members);
    // Segments do not change: who comes back to MAPD is as new or as tenured as before.
    const wrong = Array.from({ length: small.members }, (_, i) => other.roster.member(i)).filter(
      ({ category, segment }) => category !== 'Commercial' && (category === 'MAPD New') !== (segment === 'new'),
    );
    expect(wrong).toEqual([]);
    expect(() => other.simulateHour(other.firstHour)).toThrow('in their order');
  });

  test('ids are unique: an id means one thing', () => {
    const memberOf = new Map(goodJourneys().map((e) => [e.session_id, e.member_id]));
    expect(goodJourneys().filter((e) => memberOf.get(e.session_id) !== e.member_id)).toEqual([]);
    const calls = records.flatMap((r) => (r.source === 'calls' && r.damage === null ? [r.event] : []));
    const timeOf = new Map(calls.map((c) => [c.call_id, c.call_timestamp]));
    expect(calls.filter((c) => timeOf.get(c.call_id) !== c.call_timestamp)).toEqual([]);
  });
});

function factOf({ source, event }: Emission): string {
  switch (source) {
    case 'journeys':
      return `${event.event_id} ${event.member_id} ${event.session_id} ${event.action} ${event.error_code}`;
    case 'calls':
      return `${event.call_id} ${event.member_id} ${event.call_timestamp} ${event.handle_time_seconds}`;
    case 'members':
      return `${event.member_id} ${event.valid_from} ${event.plan_type} ${event.language_preference}`;
  }
}

describe('determinism', () => {
  const tiny = { ...small, firstDay: ANCHOR - 2, members: 2_000, eventsPerDay: 2_570, callsPerDay: 60 };

  test('the same shape gives the same records, another seed others', () => {
    const first = JSON.stringify(history(tiny));
    expect(JSON.stringify(history(tiny))).toBe(first);
    expect(JSON.stringify(history({ ...tiny, seed: 43 }))).not.toBe(first);
  });

  test('a seed gives what it has always given; the version of the app is drawn beside it', () => {
    const hash = createHash('sha256');
    const records = history(tiny);
    for (const record of records) {
      const event: Partial<DigitalJourneyEvent> = { ...record.event };
      delete event.app_version;
      hash.update(JSON.stringify({ ...record, event }));
    }
    // Whoever changes this raises GENERATOR_VERSION: worlds that were begun cannot go on.
    expect(hash.digest('hex')).toBe('f71893f2b0164deab706353912157f4e6defb75dccd481d42e599d9118682531');
    const journeys = records.flatMap((record) => (record.source === 'journeys' ? [record.event] : []));
    const withApp = journeys.filter(({ app_version }) => app_version !== null);
    expect(withApp.length).toBeGreaterThan(1_000);
    expect(withApp).toEqual(journeys.filter(({ device_type }) => device_type === 'mobile'));
    const versionOf = new Map(withApp.map(({ session_id, app_version }) => [session_id, app_version]));
    expect(withApp.filter(({ session_id, app_version }) => versionOf.get(session_id) !== app_version)).toEqual([]);
    expect(new Set(versionOf.values()).size).toBe(DEFAULT_PARAMETERS.journeys.appVersions.length);
  });

  test('other rates of noise do not change the world', () => {
    const punctual = { ...DEFAULT_RATES, late: 0, lateWithinDay: 0, lateBeyondTwoDays: 0 };
    const facts = (rates: Partial<Rates>): string[] => {
      const found = history({ ...tiny, rates: { ...punctual, ...rates } }).map(factOf);
      return [...new Set(found)].sort();
    };
    const quiet = facts({ malformed: 0, resent: 0, duplicates: 0, corrections: 0 });
    expect(quiet.length).toBeGreaterThan(8_000);
    expect(facts({ malformed: 0, resent: 0.3, duplicates: 0.3, corrections: 0.3 })).toEqual(quiet);
  });
});

describe('what cannot be', () => {
  test('too few members for the calls: the repeats by chance alone are too many', () => {
    expect(() => new World({ ...small, members: 1_000 })).toThrow(/repeats by chance/);
  });

  test('too few events for the calls', () => {
    expect(() => new World({ ...small, eventsPerDay: 1_000 })).toThrow(/cannot hold/);
  });

  test.each([ANCHOR, ANCHOR - 5])(
    'the day of parity has the volumes of the original on a weekend and in the week',
    (day) => {
      const { members, events, calls } = PRESETS.parity;
      const volumes = { members, eventsPerDay: events, callsPerDay: calls };
      const records = history({ ...small, ...volumes, parity: true, anchorDay: day, firstDay: day });
      const leakage = records.filter((r) => r.truth?.leakage === true).length;
      const sent = new Set(records.flatMap((r) => (r.source === 'journeys' ? [r.event.event_id] : []))).size;
      const known = new Set(records.flatMap((r) => (r.source === 'members' ? [r.event.member_id] : []))).size;
      // What is sent after midnight is not among them, and a day is ten per cent more or less.
      expect(Math.abs(leakage / 12_000 - 1)).toBeLessThan(0.1);
      expect(Math.abs(sent / 50_000 - 1)).toBeLessThan(0.1);
      expect(known - 10_000).toBeLessThan(30);
    },
  );

  test('parity is the exception: the figures of the original, for one day', () => {
    const parity = {
      ...small,
      members: 10_000,
      eventsPerDay: 50_000,
      callsPerDay: 12_000,
      parity: true,
      firstDay: ANCHOR,
    };
    const calls = history(parity).filter((r) => r.truth?.leakage === true);
    expect(calls.length).toBeGreaterThan(8_000);
  });
});
