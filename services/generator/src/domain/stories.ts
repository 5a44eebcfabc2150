import type { CallLog, DigitalJourneyEvent } from '@leakage/schemas';
import { DAY_MS, HOUR_MS, MINUTE_MS, type Zone } from './calendar.ts';
import { type CallKind, type TruthCall, uuid7 } from './emission.ts';
import type { Noise } from './noise.ts';
import {
  AFTER_FAILURE,
  type Category,
  ELSEWHERE_REASONS,
  ERROR_MESSAGES,
  FOLLOW_ON_SHARE,
  GENERIC_REASON,
  HANDLE_SIGMA,
  HOUR_PERCENT,
  ISSUE_PARAMETERS,
  type Issue,
  JOURNEY_TYPES,
  type JourneyType,
  OTHER_CALL,
  REASON_GIVEN,
  REPEAT_AFTER_FAILURE,
  REPEAT_DELAY,
  REPEAT_DEPTH_MAX,
  SENTIMENT_NU,
  TIME_TO_CALL,
  TWO_JOURNEYS_SHARE,
  UNDECIDED_SHARE,
} from './parameters.ts';
import type { Random } from './random.ts';

/** Where a story takes place: one stream of chance, one range of ids. */
export interface Scene {
  random: Random;
  noise: Noise;
  zone: Zone;
  agents: number;
  nextSession(letter: string): string;
  nextCall(letter: string): string;
  /** The version of the app that a session on a mobile device runs in. */
  appVersion(session: string): string;
}

/** Who acts. Someone without a profile has no category. */
export interface Person {
  id: string;
  category: Category | null;
}

interface Failure {
  session: string;
  device: string;
  /** The last decisive event: what a leakage call is charged to. */
  anchorAt: number;
}

export interface LeakOptions {
  person: Person;
  issue: Issue;
  at: number;
  /** Probability of another call of the family within a week. */
  inducing: number;
}

const GENERIC_CATEGORY: Category = 'MAPD Tenured';

/** Events of one journey in the order given, seconds apart. Returns the instant of the last. */
function act(
  scene: Scene,
  o: { person: Person; session: string; type: JourneyType; device: string; at: number; steps: readonly Step[] },
): number {
  let at = Math.floor(o.at);
  let last = at;
  const appVersion = o.device === 'mobile' ? scene.appVersion(o.session) : null;
  for (const step of o.steps) {
    scene.noise.journey(journeyEvent(scene, { ...o, appVersion, at, step }));
    last = at;
    at += 5_000 + scene.random.int(40_000);
  }
  return last;
}

interface Step {
  action: 'login' | 'page_view' | 'error' | 'abandon' | 'complete';
  code: string | null;
}

const plain = (action: Step['action']): Step => ({ action, code: null });

function journeyEvent(
  scene: Scene,
  o: {
    person: Person;
    session: string;
    type: JourneyType;
    device: string;
    appVersion: string | null;
    at: number;
    step: Step;
  },
): DigitalJourneyEvent {
  return {
    event_id: uuid7(o.at, () => scene.random.uint32()),
    member_id: o.person.id,
    session_id: o.session,
    timestamp: o.at,
    journey_type: o.type,
    action: o.step.action,
    device_type: o.device,
    error_code: o.step.code,
    error_message: o.step.code === null ? null : (ERROR_MESSAGES[o.step.code] ?? null),
    revision: 0,
    deleted: false,
    emitted_at: null,
    app_version: o.appVersion,
  };
}

function opening(random: Random, extraViews: number): Step[] {
  const steps: Step[] = random.chance(0.3) ? [plain('login')] : [];
  steps.push(plain('page_view'));
  if (random.chance(extraViews)) steps.push(plain('page_view'));
  return steps;
}

export function failedJourney(scene: Scene, o: { person: Person; issue: Issue; at: number }): Failure {
  const { random } = scene;
  const p = ISSUE_PARAMETERS[o.issue];
  const session = scene.nextSession(p.letter);
  const device = random.weighted(p.devices);
  const steps = opening(random, 0.2);
  const ending = random.next();
  const error: Step = { action: 'error', code: random.weighted(p.codes) };
  if (ending >= p.abandonOnly) steps.push(error);
  if (ending < p.abandonOnly + p.errorAndAbandon) steps.push(plain('abandon'));
  if (random.chance(TWO_JOURNEYS_SHARE)) sideJourney(scene, { ...o, session, device, except: p.journeyType });
  const anchorAt = act(scene, { ...o, session, type: p.journeyType, device, steps });
  return { session, device, anchorAt };
}

export function otherJourney(scene: Scene, o: { person: Person; type: JourneyType; at: number }): void {
  const { random } = scene;
  const p = ISSUE_PARAMETERS[o.type === 'billing' ? 'other_billing' : o.type];
  const session = scene.nextSession(p.letter);
  const device = random.weighted(p.devices);
  const steps = opening(random, 0.5);
  if (!random.chance(UNDECIDED_SHARE)) steps.push(plain('complete'));
  if (random.chance(TWO_JOURNEYS_SHARE)) sideJourney(scene, { ...o, session, device, except: o.type });
  act(scene, { ...o, session, device, steps });
}

/** A second thing done in the same session. */
function sideJourney(
  scene: Scene,
  o: { person: Person; session: string; device: string; at: number; except: JourneyType },
): void {
  const type = scene.random.pick(JOURNEY_TYPES.filter((one) => one !== o.except));
  act(scene, { ...o, at: o.at + 1_000, type, steps: [plain('page_view'), plain('complete')] });
}

/** A failure that makes the member call, and what follows from the call. */
export function leak(scene: Scene, o: LeakOptions): void {
  const first = leakCall(scene, { ...o, kind: 'leak', repeatOf: null });
  induce(scene, o, { ...first, depth: 0 });
}

function leakCall(
  scene: Scene,
  o: LeakOptions & { kind: CallKind; repeatOf: string | null },
): { callId: string; callAt: number } {
  const { random } = scene;
  const failure = failedJourney(scene, o);
  const callAt = failure.anchorAt + timeToCall(random);
  const about = { person: o.person, issue: o.issue, leakage: true, session: failure.session };
  const callId = alignedCall(scene, { ...about, at: callAt, kind: o.kind, repeatOf: o.repeatOf });
  const windowEnd = failure.anchorAt + TIME_TO_CALL.maxMinutes * MINUTE_MS;
  if (random.chance(FOLLOW_ON_SHARE)) {
    const again = Math.min(windowEnd, Math.floor(random.between(callAt + 1, windowEnd)));
    alignedCall(scene, { ...about, at: again, kind: 'follow_on', repeatOf: callId });
  }
  return { callId, callAt };
}

function induce(scene: Scene, o: LeakOptions, from: { callId: string; callAt: number; depth: number }): void {
  const { random } = scene;
  if (from.depth >= REPEAT_DEPTH_MAX || !random.chance(o.inducing)) return;
  const at = repeatTime(scene, from.callAt);
  if (random.chance(REPEAT_AFTER_FAILURE)) {
    // The journey comes before the call that must still be within the week.
    const next = leakCall(scene, {
      ...o,
      at: at - 40 * MINUTE_MS,
      kind: 'repeat_after_failure',
      repeatOf: from.callId,
    });
    induce(scene, o, { ...next, depth: from.depth + 1 });
  } else {
    const about = { person: o.person, issue: o.issue, leakage: false, session: null };
    alignedCall(scene, { ...about, at, kind: 'repeat', repeatOf: from.callId });
  }
}

/** Within a week, far enough from the first call's failure, at an hour when people call. */
function repeatTime(scene: Scene, from: number): number {
  const { random, zone } = scene;
  let at = from + 2 * HOUR_MS;
  for (let attempt = 0; attempt < 50; attempt++) {
    const delay = random.exponential(REPEAT_DELAY.meanDays * DAY_MS);
    if (delay < 2 * HOUR_MS || delay > REPEAT_DELAY.maxDays * DAY_MS) continue;
    at = Math.floor(from + delay);
    if (random.chance((HOUR_PERCENT[zone.local(at).hour] ?? 0) / 11)) break;
  }
  return at;
}

/** A failure nobody is charged for. */
export function otherFailure(scene: Scene, o: { person: Person; issue: Issue; at: number }): void {
  const { random } = scene;
  const failure = failedJourney(scene, o);
  // The shares are of all failures; this one is among those that do not leak.
  const which = random.next() * (1 - ISSUE_PARAMETERS[o.issue].leakRate);
  const { unalignedCall, lateAlignedCall, completedLater } = AFTER_FAILURE;
  const about = { person: o.person, leakage: false, session: null, repeatOf: null };
  if (which < unalignedCall) {
    elsewhereCall(scene, { person: o.person, at: failure.anchorAt + timeToCall(random), kind: 'unaligned' });
  } else if (which < unalignedCall + lateAlignedCall) {
    const at = Math.floor(failure.anchorAt + random.between(31 * MINUTE_MS, 240 * MINUTE_MS));
    alignedCall(scene, { ...about, issue: o.issue, at, kind: 'late_aligned' });
  } else if (which < unalignedCall + lateAlignedCall + completedLater) {
    cure(scene, { ...o, failure });
  }
}

function cure(scene: Scene, o: { person: Person; issue: Issue; failure: Failure }): void {
  const { random } = scene;
  const p = ISSUE_PARAMETERS[o.issue];
  const session = random.chance(AFTER_FAILURE.otherSession) ? scene.nextSession(p.letter) : o.failure.session;
  const at = o.failure.anchorAt + MINUTE_MS + random.int(15 * MINUTE_MS);
  const { person, issue } = o;
  const done = act(scene, {
    person,
    session,
    type: p.journeyType,
    device: o.failure.device,
    at,
    steps: [plain('complete')],
  });
  if (random.chance(AFTER_FAILURE.curedCall / AFTER_FAILURE.completedLater)) {
    const callAt = done + MINUTE_MS + random.int(12 * MINUTE_MS);
    alignedCall(scene, { person, issue, leakage: false, session: null, at: callAt, kind: 'cured', repeatOf: null });
  }
}

/** The member calls first and fails afterwards: never leakage. */
export function callBeforeFailure(scene: Scene, o: { person: Person; issue: Issue; at: number }): void {
  alignedCall(scene, {
    ...o,
    at: Math.floor(o.at),
    leakage: false,
    session: null,
    kind: 'before_failure',
    repeatOf: null,
  });
  const p = ISSUE_PARAMETERS[o.issue];
  const at = Math.floor(o.at) + 1 + scene.random.int(5 * MINUTE_MS - 1);
  const steps: Step[] = [{ action: 'error', code: scene.random.weighted(p.codes) }];
  act(scene, {
    person: o.person,
    session: scene.nextSession(p.letter),
    type: p.journeyType,
    device: scene.random.weighted(p.devices),
    at,
    steps,
  });
}

export function familyCall(scene: Scene, o: { person: Person; issue: Issue; at: number; kind: CallKind }): void {
  alignedCall(scene, { ...o, at: Math.floor(o.at), leakage: false, session: null, repeatOf: null });
}

function timeToCall(random: Random): number {
  for (;;) {
    const minutes = random.lognormal(Math.log(TIME_TO_CALL.medianMinutes), TIME_TO_CALL.sigma);
    if (minutes <= TIME_TO_CALL.maxMinutes) return Math.max(1, Math.floor(minutes * MINUTE_MS));
  }
}

interface AlignedCall {
  person: Person;
  issue: Issue;
  at: number;
  leakage: boolean;
  session: string | null;
  kind: CallKind;
  repeatOf: string | null;
}

function alignedCall(scene: Scene, o: AlignedCall): string {
  const { random } = scene;
  const p = ISSUE_PARAMETERS[o.issue];
  const category = o.person.category ?? GENERIC_CATEGORY;
  const given = random.weighted(REASON_GIVEN);
  const explicit = random.weighted(p.reasons);
  return sendCall(scene, {
    ...o,
    letter: p.letter,
    token: p.ivrToken,
    reason: given === 'explicit' ? explicit : given === 'generic' ? GENERIC_REASON : null,
    handleSeconds: p.handleSeconds[category],
    sentiment: p.sentiment[category],
    resolution: p.resolution,
    reasons: given === 'explicit' ? p.reasons : null,
    journeyType: o.leakage ? p.journeyType : null,
  });
}

const ELSEWHERE_WEIGHTS = ELSEWHERE_REASONS.map((one) => [one, one.weight] as const);

/** A call about something no journey is about. */
export function elsewhereCall(scene: Scene, o: { person: Person; at: number; kind: CallKind }): void {
  const about = scene.random.weighted(ELSEWHERE_WEIGHTS);
  sendCall(scene, {
    ...OTHER_CALL,
    ...o,
    at: Math.floor(o.at),
    letter: 'O',
    token: about.token,
    reason: about.reason,
    reasons: null,
    leakage: false,
    session: null,
    repeatOf: null,
    journeyType: null,
  });
}

interface CallToSend {
  person: Person;
  at: number;
  kind: CallKind;
  letter: string;
  token: string;
  reason: string | null;
  /** What a correction may change the reason to. */
  reasons: readonly (readonly [string, number])[] | null;
  handleSeconds: number;
  sentiment: number;
  resolution: readonly (readonly [string, number])[];
  leakage: boolean;
  session: string | null;
  journeyType: JourneyType | null;
  repeatOf: string | null;
}

function sendCall(scene: Scene, o: CallToSend): string {
  const { random } = scene;
  const event: CallLog = {
    call_id: scene.nextCall(o.letter),
    member_id: o.person.id,
    call_timestamp: o.at,
    ivr_path: `main > ${o.token} > agent`,
    handle_time_seconds: handleTime(random, o.handleSeconds),
    agent_id: `AGT-${String(1 + random.int(scene.agents)).padStart(4, '0')}`,
    call_reason: o.reason,
    sentiment_score: sentiment(random, o.sentiment),
    resolution_status: random.weighted(o.resolution),
    revision: 0,
    deleted: false,
    emitted_at: null,
  };
  const callId = event.call_id ?? '';
  const truth: TruthCall = {
    call_id: callId,
    leakage: o.leakage,
    session_id: o.session,
    journey_type: o.journeyType,
    kind: o.kind,
    repeat_of: o.repeatOf,
    duplicate_of: null,
    revisions: 0,
  };
  // Drawn whether or not it is used, so that the rate of corrections shifts nothing.
  const corrected: Partial<CallLog> = {
    sentiment_score: sentiment(random, o.sentiment),
    resolution_status: random.weighted(o.resolution),
    ...(o.reasons === null ? {} : { call_reason: random.weighted(o.reasons) }),
  };
  scene.noise.call(event, truth, () => corrected);
  return callId;
}

function handleTime(random: Random, mean: number): number {
  const seconds = random.lognormal(Math.log(mean) - (HANDLE_SIGMA * HANDLE_SIGMA) / 2, HANDLE_SIGMA);
  return Math.min(14_400, Math.max(20, Math.round(seconds)));
}

/** Between -1 and 1, with four decimals. */
function sentiment(random: Random, mean: number): number {
  const score = 2 * random.beta((SENTIMENT_NU * (1 + mean)) / 2, (SENTIMENT_NU * (1 - mean)) / 2) - 1;
  return Math.round(score * 10_000) / 10_000;
}
