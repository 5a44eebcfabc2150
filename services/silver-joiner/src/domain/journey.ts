import { isFailure, lastErrorBefore } from './attribution.ts';
import type { DecisiveEvent, JourneyOutcome } from './types.ts';

export type OutcomeColumns = Pick<
  JourneyOutcome,
  'outcome' | 'first_decisive_at' | 'last_decisive_at' | 'last_decisive_event_id' | 'device_type' | 'error_code'
>;

const OUTCOMES = new Map<string, JourneyOutcome['outcome']>([
  ['complete', 'completed'],
  ['error', 'failed_error'],
  ['abandon', 'failed_abandon'],
]);

/**
 * How one journey stands after its decisive events (ordered by `compareDecisive`), null without any. Device and code
 * are those of its last failure, also where it was completed afterwards: a leaked journey counts as failed.
 */
export function journeyOutcome(ordered: readonly DecisiveEvent[], windowMs: number): OutcomeColumns | null {
  const first = ordered[0];
  const last = ordered.at(-1);
  const outcome = last === undefined ? undefined : OUTCOMES.get(last.action);
  if (first === undefined || last === undefined || outcome === undefined) return null;
  const failure = ordered.findLast((event) => isFailure(event.action));
  const error = failure === undefined ? null : lastErrorBefore(failure, ordered, windowMs);
  return {
    outcome,
    first_decisive_at: first.timestamp,
    last_decisive_at: last.timestamp,
    last_decisive_event_id: last.event_id,
    device_type: failure?.device_type ?? null,
    error_code: error?.error_code ?? null,
  };
}
