import type { CallLog, DigitalJourneyEvent } from '@leakage/schemas';

/** No other record has it, so that the API tells by it which probes can be read. */
export const probeErrorCode = 'BENCH_PROBE';
export const probeJourneyType = 'billing';
export const probeDay = '2025-12-30';

const beginsAt = Date.parse(`${probeDay}T12:00:00-05:00`);
const failedBeforeCallMs = 60_000;

/** One leakage call of a member of its own: an error, and a call about it a minute later. */
export function probe(n: number): { journey: DigitalJourneyEvent; call: CallLog } {
  const member = `PROBE${n}`;
  return {
    journey: {
      event_id: `probe-event-${n}`,
      member_id: member,
      session_id: `probe-session-${n}`,
      timestamp: beginsAt,
      journey_type: probeJourneyType,
      action: 'error',
      device_type: 'mobile',
      error_code: probeErrorCode,
      error_message: null,
      revision: 0,
      deleted: false,
      emitted_at: null,
      app_version: null,
    },
    call: {
      call_id: `probe-call-${n}`,
      member_id: member,
      call_timestamp: beginsAt + failedBeforeCallMs,
      ivr_path: null,
      handle_time_seconds: 300,
      agent_id: null,
      call_reason: 'billing_question',
      sentiment_score: null,
      resolution_status: null,
      revision: 0,
      deleted: false,
      emitted_at: null,
    },
  };
}
