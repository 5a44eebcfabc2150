/** The cubes that should hold: sums over the oracle's own facts (law 7). Absent dimensions are ''. */

// What a producer sends without a limit is cut to 200 characters in a key, which must fit a page.
const unlimited = ['error_code', 'error_message'];
const cellColumn = (column: string) =>
  unlimited.includes(column)
    ? `left(coalesce(${column}, ''), 200) as ${column}`
    : `coalesce(${column}, '') as ${column}`;
const cell = (columns: readonly string[]) => columns.map(cellColumn).join(', ');

export const cubes = {
  call_cube: {
    day: 'local_date',
    key: [
      'local_date',
      'local_hour',
      'attribution',
      'leakage_type',
      'member_category',
      'language_preference',
      'device_type',
      'error_code',
    ],
    measures: [
      'calls',
      'repeat_calls',
      'primary_calls',
      'assisted_calls',
      'sentiment_sum_e4',
      'sentiment_calls',
      'handle_time_sum',
      'handle_time_calls',
      'time_to_call_sum_ms',
    ],
    expected: `
select local_date, local_hour, attribution,
       ${cell(['leakage_type', 'member_category', 'language_preference', 'device_type', 'error_code'])},
       count(*) as calls, count(*) filter (where is_repeat_call) as repeat_calls,
       count(*) filter (where is_primary) as primary_calls, count(*) filter (where assisted_completion) as assisted_calls,
       coalesce(sum(sentiment_e4), 0) as sentiment_sum_e4, count(sentiment_e4) as sentiment_calls,
       coalesce(sum(handle_time_seconds), 0) as handle_time_sum, count(handle_time_seconds) as handle_time_calls,
       coalesce(sum(time_to_call_ms), 0) as time_to_call_sum_ms
  from oracle_call_fact
 group by 1, 2, 3, 4, 5, 6, 7, 8`,
  },
  journey_cube: {
    day: 'local_date',
    key: [
      'local_date',
      'local_hour',
      'journey_type',
      'outcome',
      'member_category',
      'language_preference',
      'device_type',
      'error_code',
    ],
    measures: ['journeys', 'failed_journeys', 'leaked_journeys', 'leakage_calls'],
    expected: `
select local_date, local_hour, journey_type, outcome,
       ${cell(['member_category', 'language_preference', 'device_type', 'error_code'])},
       count(*) as journeys, count(*) filter (where outcome <> 'completed' or leaked) as failed_journeys,
       count(*) filter (where leaked) as leaked_journeys, sum(leakage_calls) as leakage_calls
  from oracle_outcome
 group by 1, 2, 3, 4, 5, 6, 7, 8`,
  },
  member_cube: {
    key: ['member_category', 'language_preference'],
    measures: ['members'],
    expected: `
select member_category, language_preference, count(*) as members
  from oracle_version where latest group by 1, 2`,
  },
  error_message_cube: {
    key: ['leakage_type', 'error_code', 'error_message'],
    measures: ['calls'],
    // What the text of a code is can only be asked where there are both.
    only: `error_code <> '' and error_message <> ''`,
    expected: `
select ${cell(['leakage_type', 'error_code', 'error_message'])}, count(*) as calls
  from oracle_call_fact
 where attribution = 'leakage' and error_code <> '' and error_message <> ''
 group by 1, 2, 3`,
  },
} as const;
