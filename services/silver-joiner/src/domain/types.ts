/**
 * What silver stores, by column name, so that a row, its JSON in the change log and its columns are one thing.
 * Instants are epoch milliseconds (-Infinity: valid since ever), dates 'YYYY-MM-DD', absent is null.
 */
export interface JourneyEvent {
  readonly event_id: string;
  readonly member_id: string;
  readonly session_id: string;
  readonly timestamp: number;
  readonly journey_type: string;
  readonly action: string;
  readonly device_type: string | null;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly revision: number;
  readonly deleted: boolean;
  readonly emitted_at: number;
  readonly app_version: string | null;
}

export interface Call {
  readonly call_id: string;
  readonly member_id: string;
  readonly call_timestamp: number;
  readonly ivr_path: string | null;
  readonly handle_time_seconds: number | null;
  readonly agent_id: string | null;
  readonly call_reason: string | null;
  readonly sentiment_e4: number | null;
  readonly resolution_status: string | null;
  readonly revision: number;
  readonly deleted: boolean;
  readonly emitted_at: number;
}

export interface Profile {
  readonly member_id: string;
  readonly plan_type: string;
  readonly segment: string;
  readonly language_preference: string;
  readonly tenure_months: number;
  readonly enrollment_date: string;
  readonly valid_from: number;
  readonly revision: number;
  readonly emitted_at: number;
}

/** What attribution and outcomes look at: an `error`, `abandon` or `complete` that was not withdrawn. */
export type DecisiveEvent = Omit<JourneyEvent, 'revision' | 'deleted' | 'emitted_at' | 'app_version'>;

/** What the rule looks at of a call that was not withdrawn. */
export type LiveCall = Pick<
  Call,
  'call_id' | 'member_id' | 'call_timestamp' | 'ivr_path' | 'handle_time_seconds' | 'call_reason' | 'sentiment_e4'
>;

export type ProfileVersion = Pick<
  Profile,
  'member_id' | 'valid_from' | 'plan_type' | 'segment' | 'language_preference'
>;

export interface ProfileColumns {
  readonly member_category: string;
  readonly plan_type: string | null;
  readonly segment: string | null;
  readonly language_preference: string | null;
}

export type Attribution = 'leakage' | 'possible' | 'unaligned' | 'cured' | 'none';

export interface AttributionColumns {
  readonly issue_family: string | null;
  readonly attribution: Attribution;
  readonly assisted_completion: boolean;
  readonly leakage_type: string | null;
  readonly digital_session_id: string | null;
  readonly digital_event_id: string | null;
  readonly digital_timestamp: number | null;
  readonly time_to_call_ms: number | null;
  readonly alignment_strength: number | null;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly device_type: string | null;
}

/** One row per call that counts: what the rules say about it. */
export interface CallFact extends ProfileColumns, AttributionColumns {
  readonly call_id: string;
  readonly member_id: string;
  readonly shard: number;
  readonly call_timestamp: number;
  readonly call_reason: string | null;
  readonly is_repeat_call: boolean;
  readonly is_primary: boolean;
  readonly sentiment_e4: number | null;
  readonly handle_time_seconds: number | null;
  readonly local_date: string;
  readonly local_hour: number;
}

export interface JourneyKey {
  readonly member_id: string;
  readonly session_id: string;
  readonly journey_type: string;
}

/** One row per journey with a decisive event. */
export interface JourneyOutcome extends JourneyKey, ProfileColumns {
  readonly shard: number;
  readonly outcome: 'completed' | 'failed_error' | 'failed_abandon';
  readonly first_decisive_at: number;
  readonly last_decisive_at: number;
  readonly last_decisive_event_id: string;
  readonly device_type: string | null;
  readonly error_code: string | null;
  readonly local_date: string;
  readonly local_hour: number;
  readonly leaked: boolean;
  readonly leakage_calls: number;
}

/** A member's latest profile version, counted by category. */
export interface MemberCategory {
  readonly member_id: string;
  readonly member_category: string;
  readonly language_preference: string;
}

/** A row as it was before a batch and as it is after it; null: not there. */
export interface Change<T> {
  readonly before: T | null;
  readonly after: T | null;
}

/** Closed on both ends. */
export interface MemberRange {
  readonly member_id: string;
  readonly from: number;
  readonly to: number;
}
