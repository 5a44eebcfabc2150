import type { CallLog, DigitalJourneyEvent, MemberProfile } from '@leakage/schemas';
import type { SentRecord } from './delivery.ts';

/**
 * The rules once more, as slowly and plainly as possible: everything is computed from the whole set of records, every
 * question asked of every event. It shares no code with the domain. Records must be valid and already in stored form.
 */
export interface NaiveRules {
  readonly windowMs: number;
  readonly anyReason: boolean;
  readonly reasons: Readonly<Record<string, string>>;
  readonly tokens: Readonly<Record<string, string>>;
  readonly types: readonly string[];
}

export interface NaiveResult {
  readonly facts: readonly Readonly<Record<string, unknown>>[];
  readonly outcomes: readonly Readonly<Record<string, unknown>>[];
  /** Per identity in conflict: how many contents stand against each other. */
  readonly conflicts: Readonly<Record<string, number>>;
}

type Event = DigitalJourneyEvent & { at: number };
type Call = CallLog & { at: number };

const bytes = (text: string) => Buffer.from(text, 'utf8');
const compareText = (a: string, b: string) => Buffer.compare(bytes(a), bytes(b));

type Field = string | number | boolean | null;

function compareFields(a: readonly Field[], b: readonly Field[]): number {
  for (const [i, x] of a.entries()) {
    const y = b[i] ?? null;
    if (x === y) continue;
    if (x === null) return 1;
    if (y === null) return -1;
    return compareText(String(x), String(y));
  }
  return 0;
}

/** Highest revision, then greatest content; and the number of different contents at that revision. */
function choose<E extends { revision: number }>(group: readonly E[], content: (event: E) => readonly Field[]) {
  const top = Math.max(...group.map((event) => event.revision));
  const sorted = group.filter((event) => event.revision === top).sort((a, b) => compareFields(content(b), content(a)));
  const distinct = new Set(sorted.map((event) => JSON.stringify(content(event))));
  return { winner: sorted[0] as E, contents: distinct.size };
}

function truth<E extends { revision: number }>(
  events: readonly E[],
  identity: (event: E) => string,
  content: (event: E) => readonly Field[],
) {
  const groups = Map.groupBy(events, identity);
  const winners: E[] = [];
  const conflicts: Record<string, number> = {};
  for (const [id, group] of groups) {
    const { winner, contents } = choose(group, content);
    winners.push(winner);
    if (contents > 1) conflicts[id] = contents;
  }
  return { winners, conflicts };
}

const sentiment = (s: number | null) =>
  s === null ? null : Math.sign(s) * Math.floor(Math.abs(s) * 10_000 + 0.5) || 0;
const rank = (action: string | null) => ['error', 'abandon', 'complete'].indexOf(action ?? '');
const byDecision = (a: Event, b: Event) =>
  a.at - b.at || rank(a.action) - rank(b.action) || compareText(a.event_id ?? '', b.event_id ?? '');
const last = <T>(list: readonly T[], order: (a: T, b: T) => number): T | undefined => [...list].sort(order).at(-1);
const failed = (event: Event | undefined) => event !== undefined && event.action !== 'complete';

function issueOf(call: Call, rules: NaiveRules) {
  const reason = call.call_reason;
  if (reason !== null && reason !== 'unknown' && reason !== 'other') {
    const target = rules.reasons[reason];
    const types = target === undefined ? [] : target === 'any' ? rules.types : [target];
    return { known: true, types, strength: 2, family: target ?? reason };
  }
  const found = (call.ivr_path ?? '')
    .toLowerCase()
    .split(/[^a-z0-9_]/)
    .flatMap((word) => rules.tokens[word] ?? []);
  const types = found.includes('any') ? rules.types : [...new Set(found)];
  return { known: found.length > 0, types, strength: 1, family: found[0] ?? null };
}

function categoryOf(profile: MemberProfile | undefined) {
  if (profile === undefined)
    return { member_category: 'Unknown', plan_type: null, segment: null, language_preference: null };
  const { plan_type, segment, language_preference } = profile;
  const tenure = segment === 'new' ? 'MAPD New' : 'MAPD Tenured';
  return {
    member_category: plan_type === 'Commercial' ? 'Commercial' : tenure,
    plan_type,
    segment,
    language_preference,
  };
}

export function naiveSilver(records: readonly SentRecord[], rules: NaiveRules): NaiveResult {
  const journeys = truth(
    records.flatMap((record) => (record.source === 'journeys' ? [record.event] : [])),
    (e) => e.event_id ?? '',
    (e) => [
      e.event_id,
      e.member_id,
      e.session_id,
      e.timestamp,
      e.journey_type,
      e.action,
      e.device_type,
      e.error_code,
      e.error_message,
      e.deleted,
      e.app_version,
    ],
  );
  const calls = truth(
    records.flatMap((record) => (record.source === 'calls' ? [record.event] : [])),
    (c) => c.call_id ?? '',
    (c) => [
      c.call_id,
      c.member_id,
      c.call_timestamp,
      c.ivr_path,
      c.handle_time_seconds,
      c.agent_id,
      c.call_reason,
      sentiment(c.sentiment_score),
      c.resolution_status,
      c.deleted,
    ],
  );
  const profiles = truth(
    records.flatMap((record) => (record.source === 'members' ? [record.event] : [])),
    (p) => `${p.member_id}\u001f${p.valid_from ?? ''}`,
    (p) => [
      p.member_id,
      p.plan_type,
      p.segment,
      p.language_preference,
      p.tenure_months,
      p.enrollment_date,
      p.valid_from,
    ],
  );
  const decisive: Event[] = journeys.winners
    .filter((event) => !event.deleted && rank(event.action) >= 0)
    .map((event) => ({ ...event, at: event.timestamp ?? 0 }));
  const live: Call[] = calls.winners
    .filter((call) => !call.deleted)
    .map((call) => ({ ...call, at: call.call_timestamp ?? 0 }));
  const profileAt = (member: string | null, at: number) => {
    const own = profiles.winners
      .filter((profile) => profile.member_id === member)
      .map((profile) => ({ ...profile, from: profile.valid_from ?? Number.NEGATIVE_INFINITY }))
      .sort((a, b) => (a.from < b.from ? -1 : 1));
    return categoryOf(own.filter((profile) => profile.from <= at).at(-1) ?? own[0]);
  };

  const anchors = new Map(live.map((call) => [call, anchorOf(call, decisive, rules)]));
  const facts = live.map((call) =>
    factOf(call, { live, decisive, anchors, rules, profile: profileAt(call.member_id, call.at) }),
  );
  const groups = Map.groupBy(decisive, (e) => JSON.stringify([e.member_id, e.session_id, e.journey_type]));
  const outcomes = [...groups.values()].map((events) => outcomeOf(events, { anchors, rules, profileAt }));
  return { facts, outcomes, conflicts: { ...journeys.conflicts, ...calls.conflicts, ...profiles.conflicts } };
}

function anchorOf(call: Call, decisive: readonly Event[], rules: NaiveRules): Event | undefined {
  const before = decisive.filter(
    (event) => event.member_id === call.member_id && event.at <= call.at && event.at >= call.at - rules.windowMs,
  );
  const lasts = issueOf(call, rules).types.flatMap(
    (type) =>
      last(
        before.filter((e) => e.journey_type === type),
        byDecision,
      ) ?? [],
  );
  return last(lasts.filter(failed), byDecision);
}

interface World {
  readonly live: readonly Call[];
  readonly decisive: readonly Event[];
  readonly anchors: ReadonlyMap<Call, Event | undefined>;
  readonly rules: NaiveRules;
  readonly profile: Readonly<Record<string, unknown>>;
}

const byCall = (a: Call, b: Call) => a.at - b.at || compareText(a.call_id ?? '', b.call_id ?? '');

function sameJourney(a: Event, b: Event): boolean {
  return a.member_id === b.member_id && a.session_id === b.session_id && a.journey_type === b.journey_type;
}

function codeBefore(failure: Event, decisive: readonly Event[], windowMs: number): Event | undefined {
  const errors = decisive.filter(
    (e) => e.action === 'error' && sameJourney(e, failure) && e.at <= failure.at && e.at >= failure.at - windowMs,
  );
  return last(errors, byDecision);
}

function factOf(call: Call, { live, decisive, anchors, rules, profile }: World): Readonly<Record<string, unknown>> {
  const issue = issueOf(call, rules);
  const own = decisive.filter((event) => event.member_id === call.member_id);
  const standing = rules.types.map((type) => ({
    type,
    event: last(
      own.filter((e) => e.journey_type === type && e.at <= call.at && e.at >= call.at - rules.windowMs),
      byDecision,
    ),
  }));
  const anyFailed = standing.some(({ event }) => failed(event));
  const cured = standing.some(({ type, event }) => issue.types.includes(type) && event?.action === 'complete');
  const repeats = live.some(
    (p) =>
      p.member_id === call.member_id &&
      byCall(p, call) < 0 &&
      call.at - p.at <= 168 * 3_600_000 &&
      (rules.anyReason || (issue.family !== null && issueOf(p, rules).family === issue.family)),
  );
  const anchor = anchors.get(call);
  const base = {
    call_id: call.call_id,
    member_id: call.member_id,
    call_timestamp: call.at,
    call_reason: call.call_reason,
    issue_family: issue.family,
    is_repeat_call: repeats,
    ...profile,
    sentiment_e4: sentiment(call.sentiment_score),
    handle_time_seconds: call.handle_time_seconds,
  };
  if (anchor === undefined) {
    const attribution = !issue.known
      ? anyFailed
        ? 'possible'
        : 'none'
      : cured
        ? 'cured'
        : anyFailed
          ? 'unaligned'
          : 'none';
    return { ...base, attribution, is_primary: false, assisted_completion: false };
  }
  const error = codeBefore(anchor, decisive, rules.windowMs);
  const siblings = live.filter((other) => {
    const its = anchors.get(other);
    return its !== undefined && sameJourney(its, anchor);
  });
  return {
    ...base,
    attribution: 'leakage',
    is_primary: [...siblings].sort(byCall)[0] === call,
    assisted_completion: own.some(
      (e) =>
        e.action === 'complete' &&
        e.journey_type === anchor.journey_type &&
        e.at > call.at &&
        e.at <= call.at + rules.windowMs,
    ),
    leakage_type: anchor.journey_type,
    digital_session_id: anchor.session_id,
    digital_event_id: anchor.event_id,
    digital_timestamp: anchor.at,
    time_to_call_ms: call.at - anchor.at,
    alignment_strength: issue.strength,
    error_code: error?.error_code ?? null,
    error_message: error?.error_message ?? null,
    device_type: anchor.device_type,
  };
}

function outcomeOf(
  events: readonly Event[],
  {
    anchors,
    rules,
    profileAt,
  }: Pick<World, 'anchors' | 'rules'> & { profileAt: (member: string | null, at: number) => object },
): Readonly<Record<string, unknown>> {
  const ordered = [...events].sort(byDecision);
  const final = ordered.at(-1) as Event;
  const failure = ordered.filter(failed).at(-1);
  const calls = [...anchors.values()].filter((anchor) => anchor !== undefined && sameJourney(anchor, final)).length;
  return {
    member_id: final.member_id,
    session_id: final.session_id,
    journey_type: final.journey_type,
    outcome: final.action === 'complete' ? 'completed' : `failed_${final.action}`,
    first_decisive_at: ordered[0]?.at,
    last_decisive_at: final.at,
    last_decisive_event_id: final.event_id,
    device_type: failure?.device_type ?? null,
    error_code: failure === undefined ? null : (codeBefore(failure, ordered, rules.windowMs)?.error_code ?? null),
    ...profileAt(final.member_id, final.at),
    leaked: calls > 0,
    leakage_calls: calls,
  };
}
