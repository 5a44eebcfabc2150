import { describe, expect, test } from 'vitest';
import { causeOf, type DifferingRules, type Judged, meanings, type Signature, whyOf } from './causes.ts';
import type { CallView, Cause, ComparedGeneration } from './types.ts';

/** A call that is the same in both, in everything. */
const same: Signature = {
  inBoth: true,
  callRecord: 'same',
  charged: 'both',
  chargeDiffers: false,
  beyondWindow: false,
  familyDiffers: false,
  typeUnknown: false,
  withoutReason: false,
  eventRecord: 'same',
  repeat: 'same',
  detailsDiffer: false,
  profileDiffers: false,
  dayDiffers: false,
};
const equal: DifferingRules = { window: false, reasons: false, anyReason: null, timeZone: false, version: false };
/** Charged under the longer window only, the failure beyond the shorter one. */
const beyond = { charged: 'b', chargeDiffers: true, beyondWindow: true } as const;
const onlyInB = { charged: 'b', chargeDiffers: true } as const;

type Case = readonly [what: string, signature: Partial<Signature>, rules: Partial<DifferingRules>, cause: Cause];

function check(cases: readonly Case[]): void {
  test.each(cases)('%s', (_what, signature, rules, cause) => {
    expect(causeOf({ ...same, ...signature }, { ...equal, ...rules })).toBe(cause);
  });
}

describe('window', () => {
  check([
    ['a failure beyond the shorter window', beyond, { window: true }, 'window'],
    ['charged in neither, but to something else', { charged: 'none', chargeDiffers: true }, { window: true }, 'window'],
    ['the same charge with another error code', { detailsDiffer: true }, { window: true }, 'window'],
    ['but not a failure within both', onlyInB, { window: true }, 'attribution'],
    ['nor a repeat, which looks at calls only', { repeat: 'a' }, { window: true }, 'neighbour'],
  ]);
});

describe('reason table', () => {
  check([
    ['the call is taken for another journey', { ...onlyInB, familyDiffers: true }, { reasons: true }, 'reason'],
    [
      'it is charged to a type that the other one does not know',
      { ...onlyInB, typeUnknown: true },
      { reasons: true },
      'reason',
    ],
    ['its IVR path decides', { ...onlyInB, withoutReason: true }, { reasons: true }, 'reason'],
    [
      'charged in neither, but to something else',
      { charged: 'none', chargeDiffers: true },
      { reasons: true },
      'reason',
    ],
    ['another family, and no charge at all', { charged: 'none', familyDiffers: true }, { reasons: true }, 'reason'],
    ['a repeat of a call of another family', { repeat: 'b' }, { reasons: true }, 'reason'],
    ['another primary call of the journey', { detailsDiffer: true }, { reasons: true }, 'reason'],
    ['but not a known reason with the same family in both', onlyInB, { reasons: true }, 'attribution'],
    ['nor another family under the same table', { familyDiffers: true }, {}, 'other'],
  ]);
});

describe('repeat scope', () => {
  check([
    ['a repeat where all calls count', { repeat: 'b' }, { anyReason: 'b' }, 'repeat_scope'],
    ['the other way round', { repeat: 'a' }, { anyReason: 'a' }, 'repeat_scope'],
    // Every repeat of the same issue is one of any reason as well.
    ['but not where those of the same issue count', { repeat: 'a' }, { anyReason: 'b' }, 'neighbour'],
    ['nor under equal scopes', { repeat: 'b' }, {}, 'neighbour'],
  ]);
});

describe('time zone and profile', () => {
  check([
    ['another local day', { dayDiffers: true }, { timeZone: true }, 'time_zone'],
    ['which nothing explains in one time zone', { dayDiffers: true }, {}, 'other'],
    ['another profile of the member', { profileDiffers: true }, {}, 'profile'],
    ['on another day too', { profileDiffers: true, dayDiffers: true }, { timeZone: true }, 'profile'],
  ]);
});

describe('records that one of the two lacks', () => {
  check([
    ['the call came late', { inBoth: false, callRecord: 'late a' }, {}, 'late_data'],
    ['the call lies where one has not read yet', { inBoth: false, callRecord: 'unread b' }, {}, 'not_read_yet'],
    ['the call was left out', { inBoth: false, callRecord: 'left_out b' }, {}, 'left_out'],
    ['a correction of the call came late', { callRecord: 'late b', chargeDiffers: true }, {}, 'late_data'],
    ['the failure came late', { ...onlyInB, eventRecord: 'late a' }, {}, 'late_data'],
    ['the failure lies where one has not read yet', { ...onlyInB, eventRecord: 'unread a' }, {}, 'not_read_yet'],
    ['the failure was left out', { ...onlyInB, eventRecord: 'left_out a' }, {}, 'left_out'],
    ['another event of the member', onlyInB, {}, 'attribution'],
    ['another call of the member', { repeat: 'b' }, {}, 'neighbour'],
    ['something around its journey', { detailsDiffer: true }, {}, 'neighbour'],
    ['the call itself, and nobody knows why', { inBoth: false }, {}, 'other'],
  ]);
});

describe('several at once: one cause, that which the facts prove first', () => {
  const all: DifferingRules = { window: true, reasons: true, anyReason: 'b', timeZone: true, version: true };
  check([
    [
      'the record of the call before everything',
      { ...same, ...beyond, callRecord: 'late a', familyDiffers: true },
      all,
      'late_data',
    ],
    ['the window before the reason', { ...beyond, familyDiffers: true, repeat: 'b' }, all, 'window'],
    ['the window before a late failure', { ...beyond, eventRecord: 'late a' }, all, 'window'],
    ['the reason before a late failure', { ...onlyInB, familyDiffers: true, eventRecord: 'late a' }, all, 'reason'],
    ['a late failure before an IVR path', { ...onlyInB, withoutReason: true, eventRecord: 'late a' }, all, 'late_data'],
    ['the charge before the repeat', { ...onlyInB, repeat: 'b' }, { anyReason: 'b' }, 'attribution'],
    ['the family before the repeat', { familyDiffers: true, repeat: 'b' }, all, 'reason'],
    ['the repeat before the journey', { repeat: 'b', detailsDiffer: true }, all, 'repeat_scope'],
    ['the journey before the profile', { detailsDiffer: true, profileDiffers: true }, all, 'window'],
    ['the profile before the day', { profileDiffers: true, dayDiffers: true }, all, 'profile'],
  ]);
});

describe('another version of the rules is the cause of what nothing else explains', () => {
  check([
    ['a charge', onlyInB, { version: true }, 'rules_version'],
    ['a repeat', { repeat: 'b' }, { version: true }, 'rules_version'],
    ['a family', { familyDiffers: true }, { version: true }, 'rules_version'],
    ['a detail', { detailsDiffer: true }, { version: true }, 'rules_version'],
    ['a day', { dayDiffers: true }, { version: true }, 'rules_version'],
    ['but not of what the window explains', beyond, { version: true, window: true }, 'window'],
    ['nor of what was not read', { callRecord: 'unread a' }, { version: true }, 'not_read_yet'],
  ]);
});

describe('in words, for one call', () => {
  const generation = (id: number, windowMinutes: number): ComparedGeneration => ({
    id,
    state: 'active',
    purpose: 'candidate',
    note: null,
    rules: { windowMinutes, timeZone: 'UTC', repeatScope: 'same_issue', rulesVersion: 1, journeyTypes: [] },
    asOf: null,
    watermarks: { digital: null, calls: null },
    records: 0,
    recordsBehind: 0,
    unfoldedChanges: 0,
    partOf: null,
  });
  const view: CallView = {
    attribution: 'none',
    issueFamily: 'billing',
    leakageType: null,
    failedAt: null,
    minutesToCall: null,
    errorCode: null,
    isRepeatCall: false,
    memberCategory: 'Commercial',
    localDate: '2026-03-02',
  };
  const why = (cause: Cause, signature: Partial<Signature>, views: Partial<Pick<Judged, 'a' | 'b'>> = {}) =>
    whyOf(
      { cause, signature: { ...same, ...signature }, a: view, b: view, ...views },
      generation(1, 30),
      generation(2, 45),
    );

  test('how long ago the failure was, never rounded into the window', () => {
    expect(why('window', beyond, { b: { ...view, minutesToCall: 38.04 } })).toBe(
      'the failure came 38.0 minutes before the call: too long ago for generation 1 (30 minutes)',
    );
    expect(why('window', beyond, { b: { ...view, minutesToCall: 30 + 1 / 60_000 } })).toContain(
      'came 30.00002 minutes',
    );
    expect(why('window', { detailsDiffer: true })).toContain('the windows differ (30 and 45 minutes)');
  });

  test('what each takes the call for', () => {
    expect(why('reason', { familyDiffers: true }, { b: { ...view, issueFamily: null } })).toBe(
      'generation 1 takes it for billing, generation 2 for nothing it knows',
    );
    expect(why('reason', { repeat: 'b' })).toBe(meanings.reason);
  });

  test.each([
    [
      'late_data',
      { callRecord: 'late b' },
      'the call, or a correction of it, came late, and generation 2 has not read it',
    ],
    [
      'not_read_yet',
      { eventRecord: 'unread a' },
      'the failure, or a correction of it, lies where generation 1 has not read yet',
    ],
    [
      'left_out',
      { eventRecord: 'left_out b' },
      'the failure, or a correction of it, is missing in generation 2, which is past it',
    ],
  ] as const)('which record is missing where: %s', (cause, signature, words) => {
    expect(why(cause, signature)).toBe(words);
  });
});
