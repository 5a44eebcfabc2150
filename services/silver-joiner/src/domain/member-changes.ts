import { isDecisive } from './attribution.ts';
import type { Call, Change, DecisiveEvent, JourneyEvent, LiveCall, Profile, ProfileVersion } from './types.ts';

/** What a merge changed: the stored version before and after it. */
export interface MergedChanges {
  readonly journeys: readonly Change<JourneyEvent>[];
  readonly calls: readonly Change<Call>[];
  readonly profiles: readonly Change<Profile>[];
}

/** One member's share of what was merged, reduced to what the rules can see. */
export interface MemberChanges {
  readonly memberId: string;
  readonly events: Change<DecisiveEvent>[];
  readonly calls: Change<LiveCall>[];
  readonly profiles: Change<ProfileVersion>[];
}

function decisive(event: JourneyEvent | null): DecisiveEvent | null {
  return event === null || event.deleted || !isDecisive(event.action) ? null : event;
}

function live(call: Call | null): LiveCall | null {
  return call === null || call.deleted ? null : call;
}

/**
 * Changes by member. A row that a correction moved to another member is a removal there and an addition here, so that
 * every member can be looked at alone. Changes that no rule can see (page views, withdrawals of them) are left out.
 */
export function splitByMember(merged: MergedChanges): Map<string, MemberChanges> {
  const members = new Map<string, MemberChanges>();
  const of = (memberId: string): MemberChanges => {
    let changes = members.get(memberId);
    if (changes === undefined) {
      changes = { memberId, events: [], calls: [], profiles: [] };
      members.set(memberId, changes);
    }
    return changes;
  };
  for (const { before, after } of merged.journeys) {
    forEachMember(decisive(before), decisive(after), (memberId, change) => of(memberId).events.push(change));
  }
  for (const { before, after } of merged.calls) {
    forEachMember(live(before), live(after), (memberId, change) => of(memberId).calls.push(change));
  }
  for (const change of merged.profiles) {
    const version = change.after ?? change.before;
    if (version !== null) of(version.member_id).profiles.push(change);
  }
  return members;
}

function forEachMember<T extends { member_id: string }>(
  before: T | null,
  after: T | null,
  take: (memberId: string, change: Change<T>) => void,
): void {
  if (before !== null && after !== null && before.member_id === after.member_id) {
    take(after.member_id, { before, after });
    return;
  }
  if (before !== null) take(before.member_id, { before, after: null });
  if (after !== null) take(after.member_id, { before: null, after });
}
