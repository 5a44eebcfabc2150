import type { CallLog, DigitalJourneyEvent, MemberProfile } from '@leakage/schemas';

/** 10:00 on a Monday in New York, far from midnight and from any change of the clocks. */
const defaultInstant = Date.parse('2026-03-02T15:00:00Z');

let built = 0;
const nextId = (kind: string): string => {
  built += 1;
  return `${kind}-${built}`;
};

/** A valid journey event: a failed billing step of one member. `emitted_at` follows `timestamp` unless given. */
export function journey(fields: Partial<DigitalJourneyEvent> = {}): DigitalJourneyEvent {
  const timestamp = fields.timestamp === undefined ? defaultInstant : fields.timestamp;
  return {
    event_id: nextId('event'),
    member_id: 'member-1',
    session_id: 'session-1',
    timestamp,
    journey_type: 'billing',
    action: 'error',
    device_type: 'mobile',
    error_code: 'ERR_500',
    error_message: 'Server error',
    revision: 0,
    deleted: false,
    emitted_at: timestamp,
    app_version: '7.14.2',
    ...fields,
  };
}

/** A valid call of the same member about the same thing, ten minutes later. */
export function call(fields: Partial<CallLog> = {}): CallLog {
  const callTimestamp = fields.call_timestamp === undefined ? defaultInstant + 600_000 : fields.call_timestamp;
  return {
    call_id: nextId('call'),
    member_id: 'member-1',
    call_timestamp: callTimestamp,
    ivr_path: 'main > billing > agent',
    handle_time_seconds: 300,
    agent_id: 'agent-1',
    call_reason: 'billing_question',
    sentiment_score: -0.25,
    resolution_status: 'resolved',
    revision: 0,
    deleted: false,
    emitted_at: callTimestamp,
    ...fields,
  };
}

/** A valid profile of that member, in force since ever. */
export function profile(fields: Partial<MemberProfile> = {}): MemberProfile {
  return {
    member_id: 'member-1',
    plan_type: 'MAPD',
    segment: 'tenured',
    language_preference: 'English',
    tenure_months: 36,
    enrollment_date: '2023-03-01',
    valid_from: null,
    revision: 0,
    emitted_at: defaultInstant - 86_400_000,
    ...fields,
  };
}
