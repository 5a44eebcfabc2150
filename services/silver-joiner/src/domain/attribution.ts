import type { Alignment } from './reason-table.ts';
import { compareUtf8 } from './text.ts';
import type { AttributionColumns, DecisiveEvent, JourneyKey } from './types.ts';

/** Decisive actions in the order in which they count at equal milliseconds. */
const RANK: ReadonlyMap<string, number> = new Map([
  ['error', 0],
  ['abandon', 1],
  ['complete', 2],
]);

export function isDecisive(action: string): boolean {
  return RANK.has(action);
}

export function isFailure(action: string): boolean {
  return action === 'error' || action === 'abandon';
}

/** Order of decisive events: instant, rank of the action, event id. */
export function compareDecisive(a: DecisiveEvent, b: DecisiveEvent): number {
  return (
    a.timestamp - b.timestamp ||
    (RANK.get(a.action) ?? -1) - (RANK.get(b.action) ?? -1) ||
    compareUtf8(a.event_id, b.event_id)
  );
}

export function sameJourney(a: JourneyKey, b: JourneyKey): boolean {
  return a.session_id === b.session_id && a.journey_type === b.journey_type && a.member_id === b.member_id;
}

/**
 * The last `error` of the failure's journey, at most a window before it: what broke, even where the member then gave
 * up. `ordered` holds the member's decisive events by `compareDecisive`.
 */
export function lastErrorBefore(
  failure: DecisiveEvent,
  ordered: readonly DecisiveEvent[],
  windowMs: number,
): DecisiveEvent | null {
  return (
    ordered.findLast(
      (event) =>
        event.action === 'error' &&
        event.timestamp <= failure.timestamp &&
        event.timestamp >= failure.timestamp - windowMs &&
        sameJourney(event, failure),
    ) ?? null
  );
}

/** The last decisive event of each journey type in the window that ends with the call; both ends count. */
function lastByType(callTimestamp: number, ordered: readonly DecisiveEvent[], windowMs: number) {
  const last = new Map<string, DecisiveEvent>();
  for (const event of ordered) {
    if (event.timestamp > callTimestamp) break;
    if (event.timestamp >= callTimestamp - windowMs) last.set(event.journey_type, event);
  }
  return last;
}

const NOT_LEAKAGE = {
  assisted_completion: false,
  leakage_type: null,
  digital_session_id: null,
  digital_event_id: null,
  digital_timestamp: null,
  time_to_call_ms: null,
  alignment_strength: null,
  error_code: null,
  error_message: null,
  device_type: null,
} as const;

function withoutAnchor(aligned: Alignment, last: ReadonlyMap<string, DecisiveEvent>): AttributionColumns {
  const family = aligned.family;
  const standsFailed = [...last.values()].some((event) => isFailure(event.action));
  if (!aligned.known) {
    return { issue_family: family, attribution: standsFailed ? 'possible' : 'none', ...NOT_LEAKAGE };
  }
  const cured = aligned.types.some((type) => last.get(type)?.action === 'complete');
  const attribution = cured ? 'cured' : standsFailed ? 'unaligned' : 'none';
  return { issue_family: family, attribution, ...NOT_LEAKAGE };
}

/**
 * Is a call leakage, and of which journey: last touch among the aligned types whose last decisive event before the
 * call is a failure. `ordered` must hold the member's decisive events in [call - 2 W, call + W] by `compareDecisive`.
 */
export function attribute(
  callTimestamp: number,
  aligned: Alignment,
  ordered: readonly DecisiveEvent[],
  windowMs: number,
): AttributionColumns {
  const last = lastByType(callTimestamp, ordered, windowMs);
  let anchor: DecisiveEvent | null = null;
  for (const type of aligned.types) {
    const event = last.get(type);
    if (event === undefined || !isFailure(event.action)) continue;
    if (anchor === null || compareDecisive(event, anchor) > 0) anchor = event;
  }
  if (anchor === null) return withoutAnchor(aligned, last);

  const type = anchor.journey_type;
  const error = lastErrorBefore(anchor, ordered, windowMs);
  return {
    issue_family: aligned.family,
    attribution: 'leakage',
    assisted_completion: ordered.some(
      (event) =>
        event.action === 'complete' &&
        event.journey_type === type &&
        event.timestamp > callTimestamp &&
        event.timestamp <= callTimestamp + windowMs,
    ),
    leakage_type: type,
    digital_session_id: anchor.session_id,
    digital_event_id: anchor.event_id,
    digital_timestamp: anchor.timestamp,
    time_to_call_ms: callTimestamp - anchor.timestamp,
    alignment_strength: aligned.strength,
    error_code: error?.error_code ?? null,
    error_message: error?.error_message ?? null,
    device_type: anchor.device_type,
  };
}
