import { REPEAT_MS, type RepeatScope } from './rules.ts';
import { compareUtf8 } from './text.ts';

export interface FamilyCall {
  readonly call_id: string;
  readonly call_timestamp: number;
  readonly family: string | null;
}

/** Order of calls: instant, then call id. */
export function compareCalls(
  a: Pick<FamilyCall, 'call_id' | 'call_timestamp'>,
  b: Pick<FamilyCall, 'call_id' | 'call_timestamp'>,
): number {
  return a.call_timestamp - b.call_timestamp || compareUtf8(a.call_id, b.call_id);
}

/**
 * The ids of the calls that repeat an earlier one of their family within 168 hours; a call without a family neither is
 * nor makes a repeat. With scope `any_reason` all calls are one family. `ordered`: one member's calls by `compareCalls`.
 */
export function repeatCalls(ordered: readonly FamilyCall[], scope: RepeatScope): Set<string> {
  const lastOf = new Map<string, number>();
  const repeats = new Set<string>();
  for (const call of ordered) {
    const family = scope === 'any_reason' ? 'any_reason' : call.family;
    if (family === null) continue;
    const previous = lastOf.get(family);
    if (previous !== undefined && call.call_timestamp - previous <= REPEAT_MS) repeats.add(call.call_id);
    lastOf.set(family, call.call_timestamp);
  }
  return repeats;
}
