import { type MemberChanges, type MergedChanges, splitByMember } from './domain/member-changes.ts';
import {
  eventRanges,
  findDirty,
  firstNeeds,
  judge,
  leakNeeds,
  type MemberPlan,
  openPlan,
  type StoredCall,
  settle,
} from './domain/plan.ts';
import type { LookedUp } from './domain/quality.ts';
import type { RuleBook } from './domain/rules.ts';
import type {
  CallFact,
  DecisiveEvent,
  JourneyKey,
  JourneyOutcome,
  MemberRange,
  ProfileVersion,
} from './domain/types.ts';
import { diffWrites, type Writes } from './domain/writes.ts';

/** What the rule may ask silver for; each method is one bulk query. Order of the answers does not matter. */
export interface SilverReader {
  profiles(memberIds: readonly string[]): Promise<readonly ProfileVersion[]>;
  /** Calls that were not withdrawn, with their facts (null for one that has none with this member). */
  calls(ranges: readonly MemberRange[]): Promise<readonly StoredCall[]>;
  facts(callIds: readonly string[]): Promise<readonly CallFact[]>;
  outcomes(keys: readonly JourneyKey[]): Promise<readonly JourneyOutcome[]>;
  /** Outcomes whose last decisive event lies in a range. */
  outcomesBetween(ranges: readonly MemberRange[]): Promise<readonly JourneyOutcome[]>;
  /** Decisive events that were not withdrawn. */
  events(ranges: readonly MemberRange[]): Promise<readonly DecisiveEvent[]>;
  /** Facts of the calls that are attributed to these journeys. */
  attributed(keys: readonly JourneyKey[]): Promise<readonly CallFact[]>;
}

const NOTHING: readonly never[] = [];

function byMember<T>(rows: readonly T[], memberOf: (row: T) => string): (memberId: string) => readonly T[] {
  if (rows.length === 0) return () => NOTHING;
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const memberId = memberOf(row);
    const group = groups.get(memberId);
    if (group === undefined) groups.set(memberId, [row]);
    else group.push(row);
  }
  return (memberId) => groups.get(memberId) ?? NOTHING;
}

const ofMember = (row: { readonly member_id: string }): string => row.member_id;

/** What all members need, in one query; for nothing it would cost a round trip. */
async function ask<N, K, R>(
  all: readonly N[],
  of: (needs: N) => readonly K[],
  query: (needs: readonly K[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  const needed: K[] = [];
  for (const needs of all) for (const need of of(needs)) needed.push(need);
  return needed.length === 0 ? NOTHING : await query(needed);
}

async function openPlans(reader: SilverReader, merged: MergedChanges): Promise<MemberPlan[]> {
  const members = splitByMember(merged);
  if (members.size === 0) return [];
  const versions = byMember(await reader.profiles([...members.keys()]), ofMember);
  return Array.from(members.values(), (changes) => {
    const ofOne = versions(changes.memberId);
    const ascending = ofOne.length > 1 ? ofOne.toSorted((a, b) => (a.valid_from < b.valid_from ? -1 : 1)) : ofOne;
    return openPlan(changes, ascending);
  });
}

/** What is written, and which of the accepted versions are of members without a profile (rules C7 and C8). */
export interface Decided {
  readonly writes: Writes;
  readonly lookedUp: { readonly journeys: LookedUp; readonly calls: LookedUp };
}

/** The facts that should hold after a merge, as differences to the facts stored. */
export async function decide(reader: SilverReader, merged: MergedChanges, book: RuleBook): Promise<Decided> {
  const plans = await openPlans(reader, merged);

  const first = plans.map((plan) => firstNeeds(plan, book));
  const calls = byMember(
    await ask(
      first,
      (needs) => needs.calls,
      (ranges) => reader.calls(ranges),
    ),
    (row) => row.call.member_id,
  );
  const replaced = byMember(
    await ask(
      first,
      (needs) => needs.replacedCalls,
      (ids) => reader.facts(ids),
    ),
    ofMember,
  );
  const keyed = byMember(
    await ask(
      first,
      (needs) => needs.outcomes,
      (keys) => reader.outcomes(keys),
    ),
    ofMember,
  );
  const between = byMember(
    await ask(
      first,
      (needs) => needs.outcomesBetween,
      (ranges) => reader.outcomesBetween(ranges),
    ),
    ofMember,
  );
  for (const plan of plans) {
    const { memberId } = plan.changes;
    findDirty(
      plan,
      { calls: calls(memberId), replaced: replaced(memberId), outcomes: [...keyed(memberId), ...between(memberId)] },
      book,
    );
  }

  const events = byMember(
    await ask(
      plans,
      (plan) => eventRanges(plan, book),
      (ranges) => reader.events(ranges),
    ),
    ofMember,
  );
  for (const plan of plans) judge(plan, events(plan.changes.memberId), book);

  const leaks = plans.map(leakNeeds);
  const attributed = byMember(
    await ask(
      leaks,
      (needs) => needs.attributed,
      (keys) => reader.attributed(keys),
    ),
    ofMember,
  );
  const others = byMember(
    await ask(
      leaks,
      (needs) => needs.outcomes,
      (keys) => reader.outcomes(keys),
    ),
    ofMember,
  );
  const settled = plans.map((plan) => {
    const { memberId } = plan.changes;
    return settle(plan, { attributed: attributed(memberId), outcomes: others(memberId) }, book);
  });
  return {
    writes: diffWrites(settled, book.shardOf),
    lookedUp: {
      journeys: lookedUp(plans, ({ events }) => events),
      calls: lookedUp(plans, ({ calls: changed }) => changed),
    },
  };
}

/** The profiles are there anyway, and a member has one at every instant or at none. */
function lookedUp(
  plans: readonly MemberPlan[],
  of: (changes: MemberChanges) => readonly { readonly after: unknown }[],
): LookedUp {
  let checked = 0;
  let unknown = 0;
  for (const { changes, versions } of plans) {
    const accepted = of(changes).filter(({ after }) => after !== null).length;
    checked += accepted;
    if (versions.length === 0) unknown += accepted;
  }
  return { checked, unknown };
}
