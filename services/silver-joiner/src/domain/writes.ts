import type { Settled } from './plan.ts';
import type { CallFact, JourneyKey, JourneyOutcome, MemberCategory } from './types.ts';

/**
 * The columns of a fact and of an outcome: what the change log carries, what is written, and what equality compares
 * (law 5). Processing time is none of them.
 */
export const CALL_FACT_COLUMNS = [
  'call_id',
  'member_id',
  'shard',
  'call_timestamp',
  'call_reason',
  'issue_family',
  'attribution',
  'is_repeat_call',
  'is_primary',
  'assisted_completion',
  'leakage_type',
  'digital_session_id',
  'digital_event_id',
  'digital_timestamp',
  'time_to_call_ms',
  'alignment_strength',
  'error_code',
  'error_message',
  'device_type',
  'member_category',
  'plan_type',
  'segment',
  'language_preference',
  'sentiment_e4',
  'handle_time_seconds',
  'local_date',
  'local_hour',
] as const satisfies readonly (keyof CallFact)[];

export const OUTCOME_COLUMNS = [
  'member_id',
  'session_id',
  'journey_type',
  'shard',
  'outcome',
  'first_decisive_at',
  'last_decisive_at',
  'last_decisive_event_id',
  'device_type',
  'error_code',
  'member_category',
  'plan_type',
  'segment',
  'language_preference',
  'local_date',
  'local_hour',
  'leaked',
  'leakage_calls',
] as const satisfies readonly (keyof JourneyOutcome)[];

const CATEGORY_COLUMNS = ['member_id', 'member_category', 'language_preference'] as const;

/** One row of the change log; its seq is given under the shard's lock. */
export type LoggedChange = { readonly shard: number } & (
  | { readonly kind: 'call'; readonly before: CallFact | null; readonly after: CallFact | null }
  | { readonly kind: 'journey'; readonly before: JourneyOutcome | null; readonly after: JourneyOutcome | null }
  | { readonly kind: 'member'; readonly before: MemberCategory | null; readonly after: MemberCategory | null }
);

/** Rows that are known not to be there yet are told apart: they need no comparison on their way in. */
export interface Writes {
  readonly newFacts: CallFact[];
  readonly changedFacts: CallFact[];
  readonly removedCalls: string[];
  readonly newOutcomes: JourneyOutcome[];
  readonly changedOutcomes: JourneyOutcome[];
  readonly removedOutcomes: JourneyKey[];
  readonly changes: LoggedChange[];
}

function differs<T extends object>(a: T | null, b: T | null, columns: readonly (keyof T)[]): boolean {
  if (a === b) return false;
  if (a === null || b === null) return true;
  return columns.some((column) => a[column] !== b[column]);
}

/** The differences between the facts stored and the facts that should hold, and their change-log rows. */
export function diffWrites(settled: Iterable<Settled>, shardOf: (memberId: string) => number): Writes {
  const writes: Writes = {
    newFacts: [],
    changedFacts: [],
    removedCalls: [],
    newOutcomes: [],
    changedOutcomes: [],
    removedOutcomes: [],
    changes: [],
  };
  const appeared: CallFact[] = [];
  const removed = new Set<string>();
  for (const { facts, outcomes, category } of settled) {
    for (const { before, after } of facts) {
      if (!differs(before, after, CALL_FACT_COLUMNS)) continue;
      if (after === null) removed.add(before?.call_id ?? '');
      else if (before === null) appeared.push(after);
      else writes.changedFacts.push(after);
      writes.changes.push({ shard: (after ?? before)?.shard ?? 0, kind: 'call', before, after });
    }
    for (const { key, before, after } of outcomes) {
      if (!differs(before, after, OUTCOME_COLUMNS)) continue;
      if (after === null) writes.removedOutcomes.push(key);
      else if (before === null) writes.newOutcomes.push(after);
      else writes.changedOutcomes.push(after);
      writes.changes.push({ shard: shardOf(key.member_id), kind: 'journey', before, after });
    }
    const member = category?.after ?? category?.before;
    if (category && member && differs(category.before, category.after, CATEGORY_COLUMNS)) {
      writes.changes.push({ shard: shardOf(member.member_id), kind: 'member', ...category });
    }
  }
  // A call that moved leaves one member and appears at another: its row is replaced, not removed.
  for (const fact of appeared) {
    if (removed.delete(fact.call_id)) writes.changedFacts.push(fact);
    else writes.newFacts.push(fact);
  }
  writes.removedCalls.push(...removed);
  return writes;
}
