import type { CallLog, DigitalJourneyEvent, MemberProfile } from '@leakage/schemas';
import { isKnownCode } from './error-codes.ts';
import type { Reason, Warning } from './expectations.ts';
import { derivedEventId, type Sha256 } from './identity.ts';
import type { Aligner } from './reason-table.ts';
import { codeForm, cutText, idForm, keyForm, utf8Length } from './text.ts';
import { utcDate } from './time.ts';
import type { Call, JourneyEvent, Profile } from './types.ts';

/**
 * From a decoded record to the row that silver stores, or to the reasons why it is quarantined. A function of the
 * record alone (law 3): its fields and its Kafka timestamp; "now" is `emitted_at` (law 11).
 */
export type Cleaned<T> =
  | { readonly ok: true; readonly row: T; readonly warnings: readonly Warning[] }
  | { readonly ok: false; readonly reasons: readonly Reason[] };

export interface CleanContext {
  readonly aligner: Aligner;
  readonly sha256: Sha256;
  /** Events before it are refused; null until a retention run sets it. */
  readonly horizon: number | null;
}

const ID_BYTES_MAX = 200;
/** How far an event may lie ahead of when it was sent, and that ahead of when Kafka got it. */
export const CLOCK_SKEW_MS = 5 * 60_000;
const OLD_MS = 30 * 86_400_000;
const LATE_MS = 3_600_000;
const EARLIEST = Date.UTC(2000, 0, 1);
const LATEST = Date.UTC(2100, 0, 1);
const HANDLE_TIME_MAX = 14_400;
const SENTIMENT_TOLERATED = 1.05;
const NEW_MEMBER_MONTHS = 12;

const ACTIONS: ReadonlySet<string> = new Set(['login', 'page_view', 'error', 'abandon', 'complete']);
const DEVICES = new Map([
  ['mobile', 'mobile'],
  ['phone', 'mobile'],
  ['smartphone', 'mobile'],
  ['desktop', 'desktop'],
  ['pc', 'desktop'],
  ['computer', 'desktop'],
  ['tablet', 'tablet'],
  ['ipad', 'tablet'],
]);
const PLANS = new Map([
  ['mapd', 'MAPD'],
  ['commercial', 'Commercial'],
]);
const SEGMENTS: ReadonlySet<string> = new Set(['new', 'tenured']);
const LANGUAGES = new Map([
  ['english', 'English'],
  ['spanish', 'Spanish'],
]);

type IdField = 'event_id' | 'member_id' | 'session_id' | 'call_id';

function checkLength(reasons: Reason[], field: IdField, id: string): void {
  if (utf8Length(id) > ID_BYTES_MAX) reasons.push(`too_long:${field}`);
}

function checkId(reasons: Reason[], field: Exclude<IdField, 'event_id'>, id: string | null): void {
  if (id === null) reasons.push(`missing:${field}`);
  else checkLength(reasons, field, id);
}

function checkInstant(reasons: Reason[], instant: number, emittedAt: number, horizon: number | null): void {
  if (instant < EARLIEST || instant >= LATEST) reasons.push('timestamp_range');
  if (instant > emittedAt + CLOCK_SKEW_MS) reasons.push('future');
  if (horizon !== null && instant < horizon) reasons.push('beyond_retention');
}

function checkEmitted(reasons: Reason[], emittedAt: number, kafkaTimestamp: number): void {
  if (emittedAt > kafkaTimestamp + CLOCK_SKEW_MS) reasons.push('emitted_in_future');
}

/** A correction says something new about an old event: that is not lateness of the feed. */
function checkAge(warnings: Warning[], instant: number, emittedAt: number, revision: number): void {
  if (instant < emittedAt - OLD_MS) warnings.push('D3:old');
  if (revision === 0 && instant < emittedAt - LATE_MS) warnings.push('S3:late');
}

/** The score in ten-thousandths, half away from zero; the same expression runs in the oracle's SQL. */
export function sentimentE4(score: number): number {
  const magnitude = Math.floor(Math.abs(score) * 10_000 + 0.5);
  return score < 0 && magnitude > 0 ? -magnitude : magnitude;
}

function cleanSentiment(score: number | null, warnings: Warning[]): number | null {
  if (score === null) return null;
  if (Math.abs(score) <= 1) return sentimentE4(score);
  if (Math.abs(score) <= SENTIMENT_TOLERATED) {
    warnings.push('C3:clamped');
    return score < 0 ? -10_000 : 10_000;
  }
  warnings.push('C3:sentiment_score');
  return null;
}

function cleanHandleTime(seconds: number | null, warnings: Warning[]): number | null {
  if (seconds === null || (Number.isInteger(seconds) && seconds >= 0 && seconds <= HANDLE_TIME_MAX)) return seconds;
  warnings.push('C4:handle_time_seconds');
  return null;
}

function cleanDevice(device: string | null, warnings: Warning[]): string | null {
  const key = keyForm(device);
  if (key === null) return null;
  const known = DEVICES.get(key);
  if (known === undefined) warnings.push('D2:device_type');
  return known ?? 'other';
}

/** `journey_type` and `action` decide everything: an unknown one cannot be kept by guessing. */
function checkKind(reasons: Reason[], journeyType: string | null, action: string | null, aligner: Aligner): void {
  if (journeyType === null) reasons.push('missing:journey_type');
  else if (!aligner.journeyTypes.has(journeyType)) reasons.push('unknown:journey_type');
  if (action === null) reasons.push('missing:action');
  else if (!ACTIONS.has(action)) reasons.push('unknown:action');
}

export function cleanJourney(
  event: DigitalJourneyEvent,
  kafkaTimestamp: number,
  context: CleanContext,
): Cleaned<JourneyEvent> {
  const reasons: Reason[] = [];
  const warnings: Warning[] = [];
  const { timestamp } = event;
  const emittedAt = event.emitted_at ?? kafkaTimestamp;
  const eventId = idForm(event.event_id);
  const memberId = idForm(event.member_id);
  const sessionId = idForm(event.session_id);
  const journeyType = keyForm(event.journey_type);
  const action = keyForm(event.action);

  if (eventId !== null) checkLength(reasons, 'event_id', eventId);
  checkId(reasons, 'member_id', memberId);
  checkId(reasons, 'session_id', sessionId);
  if (timestamp === null) reasons.push('missing:timestamp');
  else checkInstant(reasons, timestamp, emittedAt, context.horizon);
  checkKind(reasons, journeyType, action, context.aligner);
  checkEmitted(reasons, emittedAt, kafkaTimestamp);
  if (
    reasons.length > 0 ||
    memberId === null ||
    sessionId === null ||
    timestamp === null ||
    journeyType === null ||
    action === null
  ) {
    return { ok: false, reasons };
  }

  const errorCode = cutText(codeForm(event.error_code));
  if (action === 'error' && errorCode === null) warnings.push('D4:missing_error_code');
  if (errorCode !== null && !isKnownCode(journeyType, errorCode)) warnings.push('D4:unknown_error_code');
  checkAge(warnings, timestamp, emittedAt, event.revision);
  const facts = {
    member_id: memberId,
    session_id: sessionId,
    timestamp,
    journey_type: journeyType,
    action,
    device_type: cleanDevice(event.device_type, warnings),
    error_code: errorCode,
    error_message: cutText(event.error_message),
    revision: event.revision,
    deleted: event.deleted,
    emitted_at: emittedAt,
    app_version: cutText(event.app_version),
  };
  return { ok: true, row: { event_id: eventId ?? derivedEventId(facts, context.sha256), ...facts }, warnings };
}

export function cleanCall(call: CallLog, kafkaTimestamp: number, context: CleanContext): Cleaned<Call> {
  const reasons: Reason[] = [];
  const warnings: Warning[] = [];
  const instant = call.call_timestamp;
  const emittedAt = call.emitted_at ?? kafkaTimestamp;
  const callId = idForm(call.call_id);
  const memberId = idForm(call.member_id);

  checkId(reasons, 'call_id', callId);
  if (memberId === null) reasons.push('unidentified');
  else checkId(reasons, 'member_id', memberId);
  if (instant === null) reasons.push('missing:call_timestamp');
  else checkInstant(reasons, instant, emittedAt, context.horizon);
  checkEmitted(reasons, emittedAt, kafkaTimestamp);
  if (reasons.length > 0 || callId === null || memberId === null || instant === null) return { ok: false, reasons };

  const callReason = cutText(keyForm(call.call_reason));
  if (callReason === null) warnings.push('C5:call_reason');
  checkAge(warnings, instant, emittedAt, call.revision);
  const row: Call = {
    call_id: callId,
    member_id: memberId,
    call_timestamp: instant,
    ivr_path: cutText(call.ivr_path),
    handle_time_seconds: cleanHandleTime(call.handle_time_seconds, warnings),
    agent_id: cutText(call.agent_id),
    call_reason: callReason,
    sentiment_e4: cleanSentiment(call.sentiment_score, warnings),
    resolution_status: cutText(keyForm(call.resolution_status)),
    revision: call.revision,
    deleted: call.deleted,
    emitted_at: emittedAt,
  };
  return { ok: true, row, warnings };
}

function checkProfile(reasons: Reason[], profile: MemberProfile, emittedAt: number): void {
  if (profile.tenure_months === null) reasons.push('missing:tenure_months');
  else if (profile.tenure_months < 0) reasons.push('range:tenure_months');
  if (profile.enrollment_date === null) reasons.push('missing:enrollment_date');
  else if (profile.enrollment_date > utcDate(emittedAt)) reasons.push('future:enrollment_date');
}

/** The value in the contract's spelling, or a reason why there is none. */
function oneOf(
  reasons: Reason[],
  field: 'plan_type' | 'segment',
  key: string | null,
  known: (key: string) => string | undefined,
): string {
  const value = key === null ? undefined : known(key);
  if (value === undefined) reasons.push(`${key === null ? 'missing' : 'unknown'}:${field}`);
  return value ?? '';
}

export function cleanProfile(profile: MemberProfile, kafkaTimestamp: number): Cleaned<Profile> {
  const reasons: Reason[] = [];
  const warnings: Warning[] = [];
  const emittedAt = profile.emitted_at ?? kafkaTimestamp;
  const memberId = idForm(profile.member_id);
  const { tenure_months: tenure, enrollment_date: enrolled } = profile;

  checkId(reasons, 'member_id', memberId);
  const plan = oneOf(reasons, 'plan_type', keyForm(profile.plan_type), (key) => PLANS.get(key));
  const segment = oneOf(reasons, 'segment', keyForm(profile.segment), (key) => (SEGMENTS.has(key) ? key : undefined));
  checkProfile(reasons, profile, emittedAt);
  if (reasons.length > 0 || memberId === null || tenure === null || enrolled === null) return { ok: false, reasons };

  if ((segment === 'new') !== tenure <= NEW_MEMBER_MONTHS) warnings.push('P2:segment');
  const row: Profile = {
    member_id: memberId,
    plan_type: plan,
    segment,
    language_preference: LANGUAGES.get(keyForm(profile.language_preference) ?? '') ?? 'Other',
    tenure_months: tenure,
    enrollment_date: enrolled,
    valid_from: profile.valid_from ?? Number.NEGATIVE_INFINITY,
    revision: profile.revision,
    emitted_at: emittedAt,
  };
  return { ok: true, row, warnings };
}
