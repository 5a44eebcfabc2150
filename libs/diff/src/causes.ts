import type { CallView, Cause, ComparedGeneration, Side } from './types.ts';

/**
 * How a record (a call, a journey event) that a fact is made of stands in both: one version in both; or one of them lacks
 * what the other one has, because it has not read that far (`unread`), because the record came so late that it was past its
 * time already (`late`), or although it is past it (`left_out`: made of a part, lost, removed, repaired).
 */
export type RecordState = 'same' | `${'late' | 'unread' | 'left_out'} ${Side}`;

/** All that decides about the cause of a difference; counted by SQL, so that there are few of these however many calls. */
export interface Signature {
  readonly inBoth: boolean;
  readonly callRecord: RecordState;
  /** Which one charges the call, on whatever day. */
  readonly charged: 'none' | 'both' | Side;
  /** Attribution, or the failure that it is charged to, or what is known of that failure. */
  readonly chargeDiffers: boolean;
  /** Charged only under the longer window, to a failure that lies beyond the shorter one. */
  readonly beyondWindow: boolean;
  readonly familyDiffers: boolean;
  /** Charged to a journey type that the other one does not know. */
  readonly typeUnknown: boolean;
  /** No reason was given: its IVR path decides. */
  readonly withoutReason: boolean;
  /** Of the failures that it is charged to: the first one that is not the same in both. */
  readonly eventRecord: RecordState;
  /** Which one calls it a repeat. */
  readonly repeat: 'same' | Side;
  /** First of its journey, completed afterwards, error code and message. */
  readonly detailsDiffer: boolean;
  readonly profileDiffers: boolean;
  readonly dayDiffers: boolean;
}

/** Which rules the two do not share. */
export interface DifferingRules {
  readonly window: boolean;
  readonly reasons: boolean;
  /** The one that looks at all calls, where the other one looks at those of the same issue. */
  readonly anyReason: Side | null;
  readonly timeZone: boolean;
  readonly version: boolean;
}

/**
 * The one cause of a difference. What costs money comes first, and what a fact itself proves before what is left when
 * everything else is ruled out: a call's own record, its charge, its family, whether it repeats, the details of its
 * journey, the member's profile, the local day.
 */
export function causeOf(s: Signature, rules: DifferingRules): Cause {
  const unexplained = (cause: Cause): Cause => (rules.version ? 'rules_version' : cause);
  if (s.callRecord !== 'same') return causeOfRecord(s.callRecord);
  if (!s.inBoth) return unexplained('other');
  if (s.chargeDiffers) return causeOfCharge(s, rules) ?? unexplained('attribution');
  if (s.familyDiffers) return rules.reasons ? 'reason' : unexplained('other');
  if (s.repeat !== 'same') {
    if (s.repeat === rules.anyReason) return 'repeat_scope';
    // The family of an earlier call may have changed.
    return rules.reasons ? 'reason' : unexplained('neighbour');
  }
  if (s.detailsDiffer) {
    if (rules.window) return 'window';
    return rules.reasons ? 'reason' : unexplained('neighbour');
  }
  if (s.profileDiffers) return 'profile';
  return s.dayDiffers && rules.timeZone ? 'time_zone' : unexplained('other');
}

function causeOfCharge(s: Signature, rules: DifferingRules): Cause | null {
  if (s.beyondWindow) return 'window';
  if (rules.reasons && (s.familyDiffers || s.typeUnknown)) return 'reason';
  if (s.eventRecord !== 'same') return causeOfRecord(s.eventRecord);
  // Not charged in either: what stands failed in the window is another matter in a longer one.
  if (s.charged === 'none' && rules.window) return 'window';
  if (rules.reasons && (s.withoutReason || s.charged === 'none')) return 'reason';
  return null;
}

function causeOfRecord(state: Exclude<RecordState, 'same'>): Cause {
  if (state.startsWith('late')) return 'late_data';
  return state.startsWith('unread') ? 'not_read_yet' : 'left_out';
}

export const meanings: Readonly<Record<Cause, string>> = {
  window: 'the failure lies within the longer window only',
  reason: 'the reason table takes the call, or an earlier one, for another journey',
  repeat_scope: 'a repeat only where calls about anything count as earlier calls',
  time_zone: 'the same call on another local day or hour',
  profile: 'the same call with another profile of its member',
  late_data: 'a record came late: one has read it, the other one has not',
  not_read_yet: 'one has not read that far',
  left_out: 'a record is in one only: made of a part, lost, removed or repaired',
  attribution: 'charged otherwise, with the same call and failure in both: another event of the member is in one only',
  neighbour: 'another call or event of the member is in one only',
  rules_version: 'another version of the rules decided',
  other: 'no rule explains it',
};

/** The causes in the order in which they are shown where they weigh the same. */
export const causes = Object.keys(meanings) as readonly Cause[];

export interface Judged {
  readonly cause: Cause;
  readonly signature: Signature;
  readonly a: CallView | null;
  readonly b: CallView | null;
}

/** What a person is told about one call, in the words of its own figures. */
export function whyOf(call: Judged, a: ComparedGeneration, b: ComparedGeneration): string {
  switch (call.cause) {
    case 'window':
      return whyWindow(call, a, b);
    case 'reason':
      return whyReason(call, a, b);
    case 'late_data':
    case 'not_read_yet':
    case 'left_out':
      return whyRecord(call, a, b);
    case 'repeat_scope':
    case 'time_zone':
    case 'profile':
    case 'attribution':
    case 'neighbour':
    case 'rules_version':
    case 'other':
      return meanings[call.cause];
  }
}

function whyWindow({ signature, ...call }: Judged, a: ComparedGeneration, b: ComparedGeneration): string {
  const shorter = a.rules.windowMinutes < b.rules.windowMinutes ? a : b;
  const minutes = call.a?.minutesToCall ?? call.b?.minutesToCall;
  if (!signature.beyondWindow || minutes === null || minutes === undefined) {
    return `the windows differ (${a.rules.windowMinutes} and ${b.rules.windowMinutes} minutes), and with them what is seen around the call`;
  }
  const { windowMinutes } = shorter.rules;
  return `the failure came ${minutesText(minutes, windowMinutes)} minutes before the call: too long ago for generation ${shorter.id} (${windowMinutes} minutes)`;
}

function whyReason({ signature, ...call }: Judged, a: ComparedGeneration, b: ComparedGeneration): string {
  if (!signature.familyDiffers) return meanings.reason;
  const family = (view: CallView | null) => view?.issueFamily ?? 'nothing it knows';
  return `generation ${a.id} takes it for ${family(call.a)}, generation ${b.id} for ${family(call.b)}`;
}

function whyRecord({ signature, cause }: Judged, a: ComparedGeneration, b: ComparedGeneration): string {
  const ofCall = signature.callRecord !== 'same';
  const state = ofCall ? signature.callRecord : signature.eventRecord;
  const lacking = state.endsWith(' a') ? a.id : b.id;
  const what = ofCall ? 'the call, or a correction of it,' : 'the failure, or a correction of it,';
  if (cause === 'late_data') return `${what} came late, and generation ${lacking} has not read it`;
  if (cause === 'not_read_yet') return `${what} lies where generation ${lacking} has not read yet`;
  return `${what} is missing in generation ${lacking}, which is past it`;
}

/** To the tenth, unless that would look as if it lay within the window. */
function minutesText(minutes: number, windowMinutes: number): string {
  const tenths = minutes.toFixed(1);
  return Number(tenths) > windowMinutes ? tenths : minutes.toFixed(5);
}
