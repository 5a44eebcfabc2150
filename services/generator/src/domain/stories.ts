import type { CallLog, DigitalJourneyEvent } from '@leakage/schemas';
import { DAY_MS, HOUR_MS, MINUTE_MS, type Zone } from './calendar.ts';
import { type CallKind, type TruthCall, uuid7 } from './emission.ts';
import type { Noise } from './noise.ts';
import {
  type Category,
  ERROR_MESSAGES,
  type IssueParameters,
  JOURNEY_TYPES,
  type JourneyType,
  type Parameters,
} from './parameters.ts';
import type { Random } from './random.ts';

/** Where a story takes place: one stream of chance, one range of ids. */
export interface Scene {
  p: Parameters;
  random: Random;
  noise: Noise;
  zone: Zone;
  agents: number;
  nextSession(letter: string): string;
  nextCall(letter: string): string;
  /** The version of the app that a session on a mobile device runs in. */
  appVersion(session: string): string;
  /** A fix keeps this failure from happening: the journey is completed instead. */
  healed(failure: { session: string; device: string; code: string }): boolean;
}

/** Who acts. Someone without a profile has no category. */
export interface Person {
  id: string;
  category: Category | null;
}

interface Failure {
  healed: boolean;
  session: string;
  device: string;
  /** The last decisive event: what a leakage call is charged to. */
  anchorAt: number;
}

export interface LeakOptions {
  person: Person;
  about: IssueParameters;
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

function opening(random: Random, o: { login: number; secondView: number }): Step[] {
  const steps: Step[] = random.chance(o.login) ? [plain('login')] : [];
  steps.push(plain('page_view'));
  if (random.chance(o.secondView)) steps.push(plain('page_view'));
  return steps;
}

function failedJourney(scene: Scene, o: { person: Person; about: IssueParameters; at: number }): Failure {
  const { random } = scene;
  const { login, secondView, twoTypes } = scene.p.journeys;
  const { letter, devices, codes, abandonOnly, errorAndAbandon, journeyType: type } = o.about;
  const session = scene.nextSession(letter);
  const device = random.weighted(devices);
  const steps = opening(random, { login, secondView: secondView.failed });
  const ending = random.next();
  const code = random.weighted(codes);
  const healed = scene.healed({ session, device, code });
  if (healed) steps.push(plain('complete'));
  else {
    if (ending >= abandonOnly) steps.push({ action: 'error', code });
    if (ending < abandonOnly + errorAndAbandon) steps.push(plain('abandon'));
  }
  if (random.chance(twoTypes)) sideJourney(scene, { ...o, session, device, except: type });
  const anchorAt = act(scene, { ...o, session, type, device, steps });
  return { healed, session, device, anchorAt };
}

export function otherJourney(scene: Scene, o: { person: Person; type: JourneyType; at: number }): void {
  const { random } = scene;
  const { login, secondView, undecided, twoTypes } = scene.p.journeys;
  const { letter, devices } = scene.p.issues[o.type === 'billing' ? 'other_billing' : o.type];
  const session = scene.nextSession(letter);
  const device = random.weighted(devices);
  const steps = opening(random, { login, secondView: secondView.other });
  if (!random.chance(undecided)) steps.push(plain('complete'));
  if (random.chance(twoTypes)) sideJourney(scene, { ...o, session, device, except: o.type });
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
  if (first !== null) induce(scene, o, { ...first, depth: 0 });
}

/** Null where the journey did not fail after all. */
function leakCall(
  scene: Scene,
  o: LeakOptions & { kind: CallKind; repeatOf: string | null },
): { callId: string; callAt: number } | null {
  const { random } = scene;
  const { followOn, timeToCall } = scene.p.calls;
  const failure = failedJourney(scene, o);
  if (failure.healed) return null;
  const callAt = failure.anchorAt + timeToCallMs(scene);
  const call = { person: o.person, about: o.about, leakage: true, session: failure.session };
  const callId = alignedCall(scene, { ...call, at: callAt, kind: o.kind, repeatOf: o.repeatOf });
  const windowEnd = failure.anchorAt + timeToCall.maxMinutes * MINUTE_MS;
  if (random.chance(followOn)) {
    const again = Math.min(windowEnd, Math.floor(random.between(callAt + 1, windowEnd)));
    alignedCall(scene, { ...call, at: again, kind: 'follow_on', repeatOf: callId });
  }
  return { callId, callAt };
}

function induce(scene: Scene, o: LeakOptions, from: { callId: string; callAt: number; depth: number }): void {
  const { random } = scene;
  const { depth, afterFailure } = scene.p.repeats;
  if (from.depth >= depth || !random.chance(o.inducing)) return;
  const at = repeatTime(scene, from.callAt);
  if (random.chance(afterFailure)) {
    // The journey comes before the call that must still be within the week.
    const next = leakCall(scene, {
      ...o,
      at: at - 40 * MINUTE_MS,
      kind: 'repeat_after_failure',
      repeatOf: from.callId,
    });
    if (next !== null) induce(scene, o, { ...next, depth: from.depth + 1 });
  } else {
    const call = { person: o.person, about: o.about, leakage: false, session: null };
    alignedCall(scene, { ...call, at, kind: 'repeat', repeatOf: from.callId });
  }
}

/** Within a week, far enough from the first call's failure, at an hour when people call. */
function repeatTime(scene: Scene, from: number): number {
  const { random, zone } = scene;
  const { meanDays, maxDays } = scene.p.repeats;
  const { hours } = scene.p.time;
  const busiest = Math.max(...hours);
  let at = from + 2 * HOUR_MS;
  for (let attempt = 0; attempt < 50; attempt++) {
    const delay = random.exponential(meanDays * DAY_MS);
    if (delay < 2 * HOUR_MS || delay > maxDays * DAY_MS) continue;
    at = Math.floor(from + delay);
    if (random.chance((hours[zone.local(at).hour] ?? 0) / busiest)) break;
  }
  return at;
}

/** A failure nobody is charged for. */
export function otherFailure(scene: Scene, o: { person: Person; about: IssueParameters; at: number }): void {
  const { random } = scene;
  const failure = failedJourney(scene, o);
  if (failure.healed) return;
  // The shares are of all failures; this one is among those that do not leak.
  const which = random.next() * (1 - o.about.leakRate);
  const { unalignedCall, lateAlignedCall, completedLater } = scene.p.afterFailure;
  if (which < unalignedCall) {
    elsewhereCall(scene, { person: o.person, at: failure.anchorAt + timeToCallMs(scene), kind: 'unaligned' });
  } else if (which < unalignedCall + lateAlignedCall) {
    const at = Math.floor(failure.anchorAt + random.between(31 * MINUTE_MS, 240 * MINUTE_MS));
    alignedCall(scene, { ...o, at, leakage: false, session: null, kind: 'late_aligned', repeatOf: null });
  } else if (which < unalignedCall + lateAlignedCall + completedLater) {
    cure(scene, { ...o, failure });
  }
}

function cure(scene: Scene, o: { person: Person; about: IssueParameters; failure: Failure }): void {
  const { random } = scene;
  const { otherSession, curedCall, completedLater } = scene.p.afterFailure;
  const session = random.chance(otherSession) ? scene.nextSession(o.about.letter) : o.failure.session;
  const at = o.failure.anchorAt + MINUTE_MS + random.int(15 * MINUTE_MS);
  const { person, about } = o;
  const done = act(scene, {
    person,
    session,
    type: about.journeyType,
    device: o.failure.device,
    at,
    steps: [plain('complete')],
  });
  if (random.chance(curedCall / completedLater)) {
    const callAt = done + MINUTE_MS + random.int(12 * MINUTE_MS);
    alignedCall(scene, { person, about, leakage: false, session: null, at: callAt, kind: 'cured', repeatOf: null });
  }
}

/** The member calls first and fails afterwards: never leakage. */
export function callBeforeFailure(scene: Scene, o: { person: Person; about: IssueParameters; at: number }): void {
  alignedCall(scene, {
    ...o,
    at: Math.floor(o.at),
    leakage: false,
    session: null,
    kind: 'before_failure',
    repeatOf: null,
  });
  const { letter, codes, devices, journeyType } = o.about;
  const at = Math.floor(o.at) + 1 + scene.random.int(5 * MINUTE_MS - 1);
  const steps: Step[] = [{ action: 'error', code: scene.random.weighted(codes) }];
  act(scene, {
    person: o.person,
    session: scene.nextSession(letter),
    type: journeyType,
    device: scene.random.weighted(devices),
    at,
    steps,
  });
}

export function familyCall(
  scene: Scene,
  o: { person: Person; about: IssueParameters; at: number; kind: CallKind },
): void {
  alignedCall(scene, { ...o, at: Math.floor(o.at), leakage: false, session: null, repeatOf: null });
}

/** In milliseconds. */
function timeToCallMs({ random, p }: Scene): number {
  const { medianMinutes, sigma, maxMinutes } = p.calls.timeToCall;
  for (;;) {
    const minutes = random.lognormal(Math.log(medianMinutes), sigma);
    if (minutes <= maxMinutes) return Math.max(1, Math.floor(minutes * MINUTE_MS));
  }
}

interface AlignedCall {
  person: Person;
  about: IssueParameters;
  at: number;
  leakage: boolean;
  session: string | null;
  kind: CallKind;
  repeatOf: string | null;
}

function alignedCall(scene: Scene, o: AlignedCall): string {
  const { random } = scene;
  const { about } = o;
  const { reasonGiven, genericReason } = scene.p.calls;
  const category = o.person.category ?? GENERIC_CATEGORY;
  const given = random.weighted(reasonGiven);
  const explicit = random.weighted(about.reasons);
  return sendCall(scene, {
    ...o,
    letter: about.letter,
    token: about.ivrToken,
    reason: given === 'explicit' ? explicit : given === 'generic' ? genericReason : null,
    handleSeconds: about.handleSeconds[category],
    sentiment: about.sentiment[category],
    resolution: about.resolution,
    reasons: given === 'explicit' ? about.reasons : null,
    journeyType: o.leakage ? about.journeyType : null,
  });
}

/** A call about something no journey is about. */
export function elsewhereCall(scene: Scene, o: { person: Person; at: number; kind: CallKind }): void {
  const { elsewhere, handleSeconds, sentiment, resolution } = scene.p.otherCalls;
  const about = scene.random.weighted(elsewhere.map((one) => [one, one.weight] as const));
  sendCall(scene, {
    handleSeconds,
    sentiment,
    resolution,
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
    handle_time_seconds: handleTime(scene, o.handleSeconds),
    agent_id: `AGT-${String(1 + random.int(scene.agents)).padStart(4, '0')}`,
    call_reason: o.reason,
    sentiment_score: sentiment(scene, o.sentiment),
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
    sentiment_score: sentiment(scene, o.sentiment),
    resolution_status: random.weighted(o.resolution),
    ...(o.reasons === null ? {} : { call_reason: random.weighted(o.reasons) }),
  };
  scene.noise.call(event, truth, () => corrected);
  return callId;
}

function handleTime({ random, p }: Scene, mean: number): number {
  const { handleSigma } = p.calls;
  const seconds = random.lognormal(Math.log(mean) - handleSigma ** 2 / 2, handleSigma);
  return Math.min(14_400, Math.max(20, Math.round(seconds)));
}

/** Between -1 and 1, with four decimals. */
function sentiment({ random, p }: Scene, mean: number): number {
  const { sentimentNu } = p.calls;
  const score = 2 * random.beta((sentimentNu * (1 + mean)) / 2, (sentimentNu * (1 - mean)) / 2) - 1;
  return Math.round(score * 10_000) / 10_000;
}
