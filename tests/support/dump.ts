import type { Pool } from '@leakage/postgres';

/**
 * What law 5 compares: every table that is a function of the set of accepted events, without provenance (which copy was
 * applied) and without times of processing.
 */
const compared = {
  'silver.journey_event': `event_id, event_day, member_id, session_id, "timestamp", journey_type, action, device_type,
    error_code, error_message, revision, deleted, shard, app_version`,
  'silver.call': `call_id, member_id, call_timestamp, ivr_path, handle_time_seconds, agent_id, call_reason, sentiment_e4,
    resolution_status, revision, deleted, shard`,
  'silver.member_profile': `member_id, valid_from, plan_type, segment, language_preference, tenure_months,
    enrollment_date, member_category, revision, shard`,
  'silver.call_fact': `call_id, member_id, shard, call_timestamp, call_reason, issue_family, attribution, is_repeat_call,
    is_primary, assisted_completion, leakage_type, digital_session_id, digital_event_id, digital_timestamp, time_to_call_ms,
    alignment_strength, error_code, error_message, device_type, member_category, plan_type, segment, language_preference,
    sentiment_e4, handle_time_seconds, local_date, local_hour`,
  'silver.journey_outcome': `member_id, session_id, journey_type, shard, outcome, first_decisive_at, last_decisive_at,
    last_decisive_event_id, device_type, error_code, member_category, plan_type, segment, language_preference, local_date,
    local_hour, leaked, leakage_calls`,
  'silver.conflict_record': 'source, identity, revision, content',
  'gold.call_cube': '*',
  'gold.journey_cube': '*',
  'gold.member_cube': '*',
  'gold.error_message_cube': '*',
} as const;

/** One line per row, sorted: two dumps are equal exactly when silver and gold are, of whichever generation. */
export async function dump(pool: Pool, generation = 1): Promise<string[]> {
  const lines: string[] = [];
  for (const [table, columns] of Object.entries(compared)) {
    const { rows } = await pool.query<{ line: string }>(
      `select row_to_json(r)::text collate "C" as line from (select ${columns} from ${table.replace('.', `_${generation}.`)}) r order by 1`,
    );
    lines.push(...rows.map((row) => `${table} ${row.line}`));
  }
  return lines;
}
