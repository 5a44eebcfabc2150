// The events as code sees them. They agree with avro/*.avsc: agreement.test.ts proves it, at compile time and at run time.
// Instants are integer epoch milliseconds, dates 'YYYY-MM-DD'.

export interface DigitalJourneyEvent {
  event_id: string | null;
  member_id: string | null;
  session_id: string | null;
  timestamp: number | null;
  journey_type: string | null;
  action: string | null;
  device_type: string | null;
  error_code: string | null;
  error_message: string | null;
  revision: number;
  deleted: boolean;
  emitted_at: number | null;
  /** Since version 2. */
  app_version: string | null;
}

export interface CallLog {
  call_id: string | null;
  member_id: string | null;
  call_timestamp: number | null;
  ivr_path: string | null;
  handle_time_seconds: number | null;
  agent_id: string | null;
  call_reason: string | null;
  sentiment_score: number | null;
  resolution_status: string | null;
  revision: number;
  deleted: boolean;
  emitted_at: number | null;
}

export interface MemberProfile {
  member_id: string | null;
  plan_type: string | null;
  segment: string | null;
  language_preference: string | null;
  tenure_months: number | null;
  enrollment_date: string | null;
  valid_from: number | null;
  revision: number;
  emitted_at: number | null;
}

/** What holds about one call: a row of silver.digital_call_leakage. */
export interface LeakageFact {
  leakage_id: string;
  member_id: string;
  call_id: string;
  call_timestamp: number;
  call_reason: string | null;
  issue_family: string | null;
  attribution: string;
  is_leakage_call: boolean;
  is_repeat_call: boolean;
  is_primary: boolean;
  assisted_completion: boolean;
  leakage_type: string | null;
  digital_session_id: string | null;
  digital_event_id: string | null;
  digital_timestamp: number | null;
  time_to_call_minutes: number | null;
  time_to_call_ms: number | null;
  alignment_strength: number | null;
  error_code: string | null;
  error_message: string | null;
  device_type: string | null;
  member_category: string;
  plan_type: string | null;
  segment: string | null;
  language_preference: string | null;
  sentiment_score: number | null;
  handle_time_seconds: number | null;
  local_date: string;
  processing_timestamp: number;
}

/** One change of a fact; (generation, shard, seq) identifies it. */
export interface LeakageChange {
  generation: number;
  shard: number;
  seq: number;
  call_id: string;
  before: LeakageFact | null;
  after: LeakageFact | null;
  cause: string | null;
}

export interface EventOf {
  journeys: DigitalJourneyEvent;
  calls: CallLog;
  members: MemberProfile;
}
