import { attribute, compareDecisive } from './attribution.ts';
import { type Interval, memberCategory, profileAt, validityOf } from './enrich.ts';
import { journeyOutcome, type OutcomeColumns } from './journey.ts';
import type { MemberChanges } from './member-changes.ts';
import { anyWithin, mergeRanges, within } from './ranges.ts';
import type { Alignment } from './reason-table.ts';
import { compareCalls, repeatCalls } from './repeats.ts';
import { REPEAT_MS, type RuleBook } from './rules.ts';
import type {
  AttributionColumns,
  CallFact,
  Change,
  DecisiveEvent,
  JourneyKey,
  JourneyOutcome,
  LiveCall,
  MemberCategory,
  MemberRange,
  ProfileVersion,
} from './types.ts';

/**
 * Which facts of one member a batch can change, and what they become. The work is that of the neighbourhood touched,
 * never of the member's history. Four steps, and between them the caller loads what the step before asked for:
 *
 *   openPlan  -> calls and outcomes near the changes   (firstNeeds)
 *   findDirty -> decisive events around dirty calls    (eventRanges)
 *   judge     -> facts of journeys whose calls change  (leakNeeds)
 *   settle    -> the facts that should hold
 *
 * Everything loaded is as the merge left it, except facts and outcomes, which are as the batch before left them.
 */
export interface MemberPlan {
  readonly changes: MemberChanges;
  readonly versions: readonly ProfileVersion[];
  /** Instants whose profile may be another one now. */
  readonly reprofiled: readonly Interval[];
  dirty: readonly DirtyCall[];
  readonly facts: Map<string, { before: CallFact | null; after: CallFact | null }>;
  readonly outcomes: Map<string, { key: JourneyKey; before: JourneyOutcome | null; after: JourneyOutcome | null }>;
  /** Journeys whose decisive events changed, and whose attributed calls changed. */
  readonly eventJourneys: Map<string, JourneyKey>;
  readonly leakJourneys: Map<string, JourneyKey>;
  events: readonly DecisiveEvent[];
}

/** A call of the member, as merged, with its fact if it had one. */
export interface StoredCall {
  readonly call: LiveCall;
  readonly fact: CallFact | null;
}

interface DirtyCall {
  readonly call: LiveCall;
  readonly fact: CallFact | null;
  readonly aligned: Alignment;
  readonly attribution: boolean;
  readonly repeat: boolean;
  readonly profile: boolean;
  isRepeat: boolean;
}

const keyOf = (key: JourneyKey): string => `${key.session_id}\u0000${key.journey_type}`;

function versionsOf<T>(changes: readonly Change<T>[]): T[] {
  const versions: T[] = [];
  for (const { before, after } of changes) {
    if (before !== null) versions.push(before);
    if (after !== null) versions.push(after);
  }
  return versions;
}

const ascending = (instants: number[]): number[] => instants.sort((a, b) => a - b);

const contains = (interval: Interval, instant: number): boolean => instant >= interval.from && instant <= interval.to;

/** `versions`: all profile versions of the member, ascending by `valid_from`. */
export function openPlan(changes: MemberChanges, versions: readonly ProfileVersion[]): MemberPlan {
  const eventJourneys = new Map<string, JourneyKey>();
  for (const event of versionsOf(changes.events)) eventJourneys.set(keyOf(event), event);
  return {
    changes,
    versions,
    reprofiled: versionsOf(changes.profiles).map((version) => validityOf(versions, version.valid_from)),
    dirty: [],
    facts: new Map(),
    outcomes: new Map(),
    eventJourneys,
    leakJourneys: new Map(),
    events: [],
  };
}

export interface FirstNeeds {
  /** Calls with their facts. */
  readonly calls: readonly MemberRange[];
  /** Facts of calls that were stored before: withdrawn and moved ones are in no range any more. */
  readonly replacedCalls: readonly string[];
  readonly outcomes: readonly JourneyKey[];
  /** Outcomes by their last decisive instant. */
  readonly outcomesBetween: readonly MemberRange[];
}

export function firstNeeds(plan: MemberPlan, { windowMs }: RuleBook): FirstNeeds {
  const { changes, reprofiled } = plan;
  const member_id = changes.memberId;
  const profiles = reprofiled.map(({ from, to }) => ({ member_id, from, to }));
  const calls = [
    ...versionsOf(changes.events).map((event) => touchedByEvent(member_id, event.timestamp, windowMs)),
    // Back too: whether a call is a repeat depends on the calls before it.
    ...versionsOf(changes.calls).map(({ call_timestamp: at }) => ({
      member_id,
      from: at - REPEAT_MS,
      to: at + REPEAT_MS,
    })),
    ...profiles,
  ];
  return {
    calls: mergeRanges(calls),
    replacedCalls: changes.calls.flatMap(({ before }) => (before === null ? [] : [before.call_id])),
    outcomes: [...plan.eventJourneys.values()],
    outcomesBetween: mergeRanges(profiles),
  };
}

/**
 * Calls whose attribution an event can change: it may be their last decisive event (up to W later), the error before
 * their anchor (another W), or the completion that follows them (W earlier).
 */
function touchedByEvent(member_id: string, timestamp: number, windowMs: number): MemberRange {
  return { member_id, from: timestamp - windowMs, to: timestamp + 2 * windowMs };
}

/** Finds the calls whose facts may change. `loaded` is what firstNeeds asked for. */
export function findDirty(
  plan: MemberPlan,
  loaded: {
    readonly calls: readonly StoredCall[];
    readonly replaced: readonly CallFact[];
    readonly outcomes: readonly JourneyOutcome[];
  },
  book: RuleBook,
): void {
  const { changes, facts, outcomes } = plan;
  for (const outcome of loaded.outcomes)
    outcomes.set(keyOf(outcome), { key: outcome, before: outcome, after: outcome });
  for (const fact of loaded.replaced) facts.set(fact.call_id, { before: fact, after: null });
  if (loaded.calls.length === 0) return;

  const eventTimes = ascending(versionsOf(changes.events).map((event) => event.timestamp));
  const callTimes = ascending(versionsOf(changes.calls).map((call) => call.call_timestamp));
  const changed = new Set(changes.calls.flatMap(({ after }) => (after === null ? [] : [after.call_id])));
  const calls = loaded.calls
    // A corrected call may have been loaded without the fact of its version before, which is among the replaced ones.
    .map(({ call, fact }) => ({ call, fact: fact ?? facts.get(call.call_id)?.before ?? null }))
    .map(({ call, fact }) => ({ call, fact, aligned: book.aligner.align(call.call_reason, call.ivr_path) }))
    .sort((a, b) => compareCalls(a.call, b.call));
  const repeats = repeatCalls(
    calls.map(({ call, aligned }) => ({ ...call, family: aligned.family })),
    book.repeatScope,
  );
  const { windowMs } = book;
  plan.dirty = calls.flatMap(({ call, fact, aligned }) => {
    const at = call.call_timestamp;
    const isNew = changed.has(call.call_id);
    if (!isNew && fact === null)
      throw new Error('a stored call has no fact: silver was changed by someone else (law 9)');
    const attribution = isNew || anyWithin(eventTimes, at - 2 * windowMs, at + windowMs);
    const repeat = isNew || anyWithin(callTimes, at - REPEAT_MS, at);
    const profile = isNew || plan.reprofiled.some((interval) => contains(interval, at));
    if (!attribution && !repeat && !profile) return [];
    return [{ call, fact, aligned, attribution, repeat, profile, isRepeat: repeats.has(call.call_id) }];
  });
}

/** The decisive events that dirty calls and changed journeys need. */
export function eventRanges(plan: MemberPlan, { windowMs }: RuleBook): MemberRange[] {
  const member_id = plan.changes.memberId;
  const ranges: MemberRange[] = [];
  for (const { call, attribution } of plan.dirty) {
    const at = call.call_timestamp;
    if (attribution) ranges.push({ member_id, from: at - 2 * windowMs, to: at + windowMs });
  }
  if (plan.changes.events.length === 0) return mergeRanges(ranges);
  // A journey's events lie between its first and last stored ones, and at the instants that changed.
  const journeys = new Map<string, { member_id: string; from: number; to: number }>();
  for (const event of versionsOf(plan.changes.events)) {
    const key = keyOf(event);
    const stored = plan.outcomes.get(key)?.before;
    const at = event.timestamp;
    const range = journeys.get(key) ?? {
      member_id,
      from: stored?.first_decisive_at ?? at,
      to: stored?.last_decisive_at ?? at,
    };
    journeys.set(key, { member_id, from: Math.min(range.from, at), to: Math.max(range.to, at) });
  }
  ranges.push(...journeys.values());
  return mergeRanges(ranges);
}

const leaks = (fact: CallFact | null): fact is CallFact & { digital_session_id: string; leakage_type: string } =>
  fact !== null && fact.attribution === 'leakage';

function leakJourney(fact: CallFact | null): JourneyKey | null {
  if (!leaks(fact)) return null;
  return { member_id: fact.member_id, session_id: fact.digital_session_id, journey_type: fact.leakage_type };
}

/** Decides dirty calls anew, but for `is_primary`, and notes the journeys that gain or lose a call. */
export function judge(plan: MemberPlan, events: readonly DecisiveEvent[], book: RuleBook): void {
  plan.events = events.length > 1 ? events.toSorted(compareDecisive) : events;
  for (const dirty of plan.dirty) {
    plan.facts.set(dirty.call.call_id, { before: dirty.fact, after: decideCall(plan, dirty, book) });
  }
  for (const { before, after } of plan.facts.values()) {
    const was = leakJourney(before);
    const is = leakJourney(after);
    const same = was !== null && is !== null && keyOf(was) === keyOf(is);
    if (same && before?.call_timestamp === after?.call_timestamp) continue;
    for (const key of [was, is]) if (key !== null) plan.leakJourneys.set(keyOf(key), key);
  }
}

function decideCall(plan: MemberPlan, dirty: DirtyCall, book: RuleBook): CallFact {
  const { call, fact, aligned } = dirty;
  const at = call.call_timestamp;
  const { date, hour } = book.local(at);
  const { windowMs } = book;
  const attribution: AttributionColumns =
    dirty.attribution || fact === null
      ? attribute(at, aligned, eventsAround(plan, { from: at - 2 * windowMs, to: at + windowMs }), windowMs)
      : attributionOf(fact);
  const profile = dirty.profile || fact === null ? profileAt(plan.versions, at) : profileOf(fact);
  return {
    call_id: call.call_id,
    member_id: call.member_id,
    shard: book.shardOf(call.member_id),
    call_timestamp: at,
    call_reason: call.call_reason,
    ...attribution,
    is_repeat_call: dirty.repeat || fact === null ? dirty.isRepeat : fact.is_repeat_call,
    is_primary: attribution.attribution === 'leakage' && fact !== null && fact.is_primary,
    ...profile,
    sentiment_e4: call.sentiment_e4,
    handle_time_seconds: call.handle_time_seconds,
    local_date: date,
    local_hour: hour,
  };
}

function eventsAround(plan: MemberPlan, interval: Interval): readonly DecisiveEvent[] {
  return within(plan.events, interval, (event) => event.timestamp);
}

function attributionOf(fact: CallFact): AttributionColumns {
  const { issue_family, attribution, assisted_completion, leakage_type, digital_session_id, digital_event_id } = fact;
  const { digital_timestamp, time_to_call_ms, alignment_strength, error_code, error_message, device_type } = fact;
  return {
    issue_family,
    attribution,
    assisted_completion,
    leakage_type,
    digital_session_id,
    digital_event_id,
    digital_timestamp,
    time_to_call_ms,
    alignment_strength,
    error_code,
    error_message,
    device_type,
  };
}

function profileOf({ member_category, plan_type, segment, language_preference }: CallFact) {
  return { member_category, plan_type, segment, language_preference };
}

export interface LeakNeeds {
  /** Journeys whose attributed calls must be known. */
  readonly attributed: readonly JourneyKey[];
  /** Those of them whose outcome was not loaded yet. */
  readonly outcomes: readonly JourneyKey[];
}

const NO_LEAKS: LeakNeeds = { attributed: [], outcomes: [] };

export function leakNeeds(plan: MemberPlan): LeakNeeds {
  if (plan.leakJourneys.size === 0) return NO_LEAKS;
  const attributed = [...plan.leakJourneys.values()];
  const known = (key: JourneyKey) => plan.outcomes.has(keyOf(key)) || plan.eventJourneys.has(keyOf(key));
  return { attributed, outcomes: attributed.filter((key) => !known(key)) };
}

const NO_CALLS: ReadonlyMap<string, number> = new Map();

/** What becomes of one member: every row that was looked at, before and after; many of them equal. */
export interface Settled {
  readonly facts: readonly Change<CallFact>[];
  readonly outcomes: readonly (Change<JourneyOutcome> & { key: JourneyKey })[];
  readonly category: Change<MemberCategory> | null;
}

/** `loaded` is what leakNeeds asked for; facts already judged are taken from the plan. */
export function settle(
  plan: MemberPlan,
  loaded: { readonly attributed: readonly CallFact[]; readonly outcomes: readonly JourneyOutcome[] },
  book: RuleBook,
): Settled {
  for (const fact of loaded.attributed) {
    if (!plan.facts.has(fact.call_id)) plan.facts.set(fact.call_id, { before: fact, after: fact });
  }
  for (const outcome of loaded.outcomes) {
    plan.outcomes.set(keyOf(outcome), { key: outcome, before: outcome, after: outcome });
  }
  const leakCounts = settlePrimaries(plan);
  for (const journeys of [plan.eventJourneys, plan.leakJourneys]) {
    for (const [id, key] of journeys) {
      if (!plan.outcomes.has(id)) plan.outcomes.set(id, { key, before: null, after: null });
    }
  }
  const events = Map.groupBy(plan.events, keyOf);
  for (const [id, entry] of plan.outcomes) {
    const calls = leakCounts.get(id) ?? entry.before?.leakage_calls ?? 0;
    const decided = plan.eventJourneys.has(id) ? journeyOutcome(events.get(id) ?? [], book.windowMs) : entry.before;
    entry.after = outcomeOf(plan, { ...entry, decided, calls }, book);
  }
  return { facts: [...plan.facts.values()], outcomes: [...plan.outcomes.values()], category: categoryChange(plan) };
}

/** The earliest call of a journey is its primary one. Returns the number of calls of each journey touched. */
function settlePrimaries(plan: MemberPlan): ReadonlyMap<string, number> {
  if (plan.leakJourneys.size === 0) return NO_CALLS;
  const groups = new Map<string, { before: CallFact | null; after: CallFact | null }[]>();
  for (const id of plan.leakJourneys.keys()) groups.set(id, []);
  for (const entry of plan.facts.values()) {
    const key = leakJourney(entry.after);
    if (key !== null) groups.get(keyOf(key))?.push(entry);
  }
  const counts = new Map<string, number>();
  for (const [id, entries] of groups) {
    counts.set(id, entries.length);
    let first: CallFact | null = null;
    for (const { after } of entries) {
      if (after !== null && (first === null || compareCalls(after, first) < 0)) first = after;
    }
    for (const entry of entries) {
      if (entry.after !== null) entry.after = { ...entry.after, is_primary: entry.after.call_id === first?.call_id };
    }
  }
  return counts;
}

function outcomeOf(
  plan: MemberPlan,
  { key, decided, calls }: { key: JourneyKey; decided: OutcomeColumns | null; calls: number },
  book: RuleBook,
): JourneyOutcome | null {
  if (decided === null) {
    if (calls > 0) throw new Error('a call is charged to a journey without decisive events');
    return null;
  }
  const at = decided.last_decisive_at;
  const { date, hour } = book.local(at);
  return {
    member_id: key.member_id,
    session_id: key.session_id,
    journey_type: key.journey_type,
    shard: book.shardOf(key.member_id),
    outcome: decided.outcome,
    first_decisive_at: decided.first_decisive_at,
    last_decisive_at: at,
    last_decisive_event_id: decided.last_decisive_event_id,
    device_type: decided.device_type,
    error_code: decided.error_code,
    ...profileAt(plan.versions, at),
    local_date: date,
    local_hour: hour,
    leaked: calls > 0,
    leakage_calls: calls,
  };
}

/** The member's latest version before and after; null where no profile changed. */
function categoryChange({ changes, versions }: MemberPlan): Change<MemberCategory> | null {
  if (changes.profiles.length === 0) return null;
  const touched = new Set(versionsOf(changes.profiles).map((version) => version.valid_from));
  const earlier = [
    ...versions.filter((version) => !touched.has(version.valid_from)),
    ...changes.profiles.flatMap(({ before }) => (before === null ? [] : [before])),
  ].sort((a, b) => (a.valid_from < b.valid_from ? -1 : 1));
  return { before: categoryOf(earlier.at(-1)), after: categoryOf(versions.at(-1)) };
}

function categoryOf(version: ProfileVersion | undefined): MemberCategory | null {
  if (version === undefined) return null;
  const { member_id, language_preference } = version;
  return { member_id, member_category: memberCategory(version), language_preference };
}
