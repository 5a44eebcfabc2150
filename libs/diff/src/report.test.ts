import { describe, expect, test } from 'vitest';
import type { DifferingCalls } from './calls.ts';
import type { Signature } from './causes.ts';
import { foldFigures } from './figures.ts';
import { causeFigures, differingRules, examplesOf, headlineOf, type Noted, notesOf } from './report.ts';
import { rulesThatDiffer } from './rules.ts';
import { type ComparedGeneration, metrics, type StoredRules } from './types.ts';

const rules: StoredRules = {
  windowMs: 1_800_000,
  timeZone: 'America/New_York',
  repeatScope: 'same_issue',
  rulesVersion: 1,
  reasons: { journeyTypes: ['billing', 'id_card'], reasons: { billing_question: 'billing' }, tokens: { agent: 'any' } },
};

describe('rules that differ', () => {
  test('equal ones do not, whatever the order of their words', () => {
    const turned = { ...rules, reasons: { ...rules.reasons, journeyTypes: ['id_card', 'billing'] } };
    expect(rulesThatDiffer(rules, turned)).toEqual([]);
    expect(differingRules(rules, turned)).toEqual({
      window: false,
      reasons: false,
      anyReason: null,
      timeZone: false,
      version: false,
    });
  });

  test('each is named with both values, a reason table word by word', () => {
    const b: StoredRules = {
      windowMs: 2_700_000,
      timeZone: 'America/Chicago',
      repeatScope: 'any_reason',
      rulesVersion: 2,
      reasons: { journeyTypes: ['billing'], reasons: { billing_question: 'id_card', new_one: 'any' }, tokens: {} },
    };
    expect(rulesThatDiffer(rules, b)).toEqual([
      { rule: 'window', a: '30 minutes', b: '45 minutes' },
      { rule: 'time zone', a: 'America/New_York', b: 'America/Chicago' },
      { rule: 'repeat scope', a: 'same_issue', b: 'any_reason' },
      { rule: 'version of the rules', a: '1', b: '2' },
      { rule: 'journey type id_card', a: 'a journey type', b: 'not listed' },
      { rule: 'reason billing_question', a: 'billing', b: 'id_card' },
      { rule: 'reason new_one', a: 'not listed', b: 'any' },
      { rule: 'token agent', a: 'any', b: 'not listed' },
    ]);
    expect(differingRules(rules, b)).toEqual({
      window: true,
      reasons: true,
      anyReason: 'b',
      timeZone: true,
      version: true,
    });
    expect(differingRules(b, rules).anyReason).toBe('a');
  });

  test('a table that is all different is cut', () => {
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, nr) => [`reason ${nr}`, 'any']));
    const differing = rulesThatDiffer(rules, {
      ...rules,
      reasons: { ...rules.reasons, reasons: { ...rules.reasons.reasons, ...many } },
    });
    expect(differing).toHaveLength(41);
    expect(differing.at(-1)).toEqual({ rule: 'reason table: 10 more words', a: '', b: '' });
  });
});

describe('figures', () => {
  const zeros = metrics.map(() => 0);
  const cell = (day: string, journey: string, a: number, b: number) => ({
    day,
    journey,
    segment: 'Commercial',
    a: [a, ...zeros.slice(1)],
    b: [b, ...zeros.slice(1)],
  });
  const cells = [
    cell('2026-03-01', 'billing', 10, 12),
    cell('2026-03-01', 'id_card', 5, 4),
    cell('2026-03-02', 'billing', 7, 7),
  ];

  test('every total is the sum of its parts, priced in whole cents; journeys have no price', () => {
    const folded = foldFigures(cells, 800);
    expect(folded.totals.leakageCalls).toEqual({ a: 22, b: 23, difference: 1, cents: 800 });
    expect(folded.totals.leakedJourneys.cents).toBeNull();
    expect(folded.byDay.map(({ of, figures }) => [of, figures.leakageCalls.difference])).toEqual([
      ['2026-03-01', 1],
      ['2026-03-02', 0],
    ]);
    expect(folded.differences.map(({ journey, difference }) => [journey, difference])).toEqual([
      ['billing', 2],
      ['id_card', -1],
    ]);
    expect(foldFigures(cells, null).totals.leakageCalls.cents).toBeNull();
  });
});

describe('the report', () => {
  const one = (id: number, more: Partial<ComparedGeneration> = {}): ComparedGeneration => ({
    id,
    state: 'building',
    purpose: 'what_if',
    note: null,
    rules: {
      windowMinutes: 30,
      timeZone: 'America/New_York',
      repeatScope: 'same_issue',
      rulesVersion: 1,
      journeyTypes: [],
    },
    asOf: null,
    watermarks: { digital: null, calls: null },
    records: 0,
    recordsBehind: 0,
    unfoldedChanges: 0,
    partOf: null,
    ...more,
  });
  const signature: Signature = {
    inBoth: true,
    callRecord: 'same',
    charged: 'b',
    chargeDiffers: true,
    beyondWindow: true,
    familyDiffers: false,
    typeUnknown: false,
    withoutReason: false,
    eventRecord: 'same',
    repeat: 'same',
    detailsDiffer: false,
    profileDiffers: false,
    dayDiffers: false,
  };
  const group = (over: Partial<Signature>, calls: Partial<DifferingCalls>): DifferingCalls => ({
    signature: { ...signature, ...over },
    journey: 'billing',
    calls: 1,
    onlyA: 0,
    onlyB: 0,
    repeatDifference: 0,
    shown: [],
    ...calls,
  });
  const windows = differingRules(rules, { ...rules, windowMs: 2_700_000 });

  test('causes add up, and what moves the most calls comes first', () => {
    const groups = [
      group({ chargeDiffers: false, beyondWindow: false, profileDiffers: true }, { calls: 50 }),
      group({}, { calls: 3, onlyB: 3 }),
      group({ charged: 'a', beyondWindow: false, eventRecord: 'late b' }, { calls: 2, onlyA: 2, repeatDifference: -1 }),
      group({ familyDiffers: true }, { calls: 4, onlyB: 4 }),
    ];
    expect(causeFigures(groups, windows, 800).map(({ meaning: _, ...figures }) => figures)).toEqual([
      { cause: 'window', calls: 7, onlyA: 0, onlyB: 7, difference: 7, cents: 5_600, repeatDifference: 0 },
      { cause: 'late_data', calls: 2, onlyA: 2, onlyB: 0, difference: -2, cents: -1_600, repeatDifference: -1 },
      { cause: 'profile', calls: 50, onlyA: 0, onlyB: 0, difference: 0, cents: 0, repeatDifference: 0 },
    ]);
  });

  test('examples: first the calls that one of the two alone charges, then the latest', () => {
    const shown = (callId: string, calledAt: number) => ({ callId, calledAt, callReason: null, a: null, b: null });
    const detail = { charged: 'both', chargeDiffers: false, beyondWindow: false, detailsDiffer: true } as const;
    const groups = [
      group(detail, { shown: [shown('detail 9', 9), shown('detail 8', 8)] }),
      group({}, { onlyB: 2, shown: [shown('charged 2', 2), shown('charged 1', 1)] }),
    ];
    const examples = (max: number) =>
      examplesOf(groups, { rules: windows, a: one(1), b: one(2), max }).map(({ callId }) => callId);
    expect(examples(3)).toEqual(['charged 2', 'charged 1', 'detail 9']);
    expect(examples(0)).toEqual([]);
  });

  const totals = (a: number, b: number) =>
    foldFigures([{ day: 'd', journey: 'j', segment: 's', a: [a], b: [b] }], 800).totals;
  const days = { from: '2026-03-01', to: '2026-03-07', because: [] };
  const headline = (a: number, b: number, more: Partial<Parameters<typeof headlineOf>[0]> = {}) =>
    headlineOf({ equal: false, a: one(1), b: one(2), days, totals: totals(a, b), ...more });

  test('one sentence says it all', () => {
    expect(headline(1_000, 1_250)).toBe(
      'Generation 2 would charge 250 more calls ($2,000.00) than generation 1 from 2026-03-01 to 2026-03-07: +25.0 %.',
    );
    expect(headline(10, 9, { b: one(2, { state: 'active' }) })).toMatch(
      /^Generation 2 charges 1 fewer call \(\$8.00\) .*: -10.0 %\.$/,
    );
    expect(headline(0, 3)).toMatch(/, which charges none\.$/);
    expect(headline(5, 5)).toMatch(/as many calls as generation 1 .*\(5\), but they are not equal\.$/);
    expect(headline(5, 5, { equal: true })).toMatch(/are equal from/);
    expect(headline(0, 0, { days: null })).toMatch(/hold no figure yet/);
  });

  describe('notes', () => {
    const noted: Noted = {
      a: one(1),
      b: one(2),
      costPerCallCents: 800,
      storedCents: 800,
      totals: totals(10, 12),
      causes: causeFigures([group({}, { onlyB: 2 })], windows, 800),
    };

    test('none where there is nothing to know', () => {
      expect(notesOf(noted)).toEqual([]);
    });

    test('calls without a price, days of two time zones', () => {
      const b = one(2, { rules: { ...noted.b.rules, timeZone: 'America/Chicago' } });
      expect(notesOf({ ...noted, b, costPerCallCents: null, storedCents: null })).toEqual([
        'no cost_per_call is set in ops.parameter: calls have no price',
        'a local day is one of America/New_York in generation 1 and one of America/Chicago in generation 2',
      ]);
    });

    test('another price than the stored one, and what leakage costs then', () => {
      expect(notesOf({ ...noted, costPerCallCents: 950 })).toEqual([
        'a call costs $9.50 as asked, where ops.parameter says $8.00: leakage of generation 1 then costs $95.00, of generation 2 $114.00',
      ]);
      expect(notesOf({ ...noted, storedCents: null })[0]).toContain('as asked, where ops.parameter says nothing');
    });

    test('calls and figures that do not agree: gold has not folded everything, or something is wrong', () => {
      expect(notesOf({ ...noted, causes: [] })).toEqual([
        'the calls explain a difference of 0, the figures show 2: gold and silver of one of them do not agree',
      ]);
      expect(notesOf({ ...noted, causes: [], b: one(2, { unfoldedChanges: 1_500 }) })).toEqual([
        'gold of generation 2 has 1,500 changes of silver still to fold: its figures are that much older than its calls',
        'so the calls explain a difference of 0, and the figures show 2',
      ]);
    });
  });
});
