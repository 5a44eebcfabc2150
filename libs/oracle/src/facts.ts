/** The facts that should hold, from the winning records (leakage-rules.md sections 3 to 7). */
import { literal, milliseconds, textArray } from './sql.ts';
import type { OracleRules } from './types.ts';

export const repeatWindow = `interval '168 hours'`;
const failures = `('error', 'abandon')`;

/** The reason table, one row per call reason and per IVR token. */
function reasonStages(rules: OracleRules): string[] {
  const pairs = (table: Readonly<Record<string, string>>) =>
    `unnest(${textArray(Object.keys(table))}, ${textArray(Object.values(table))})`;
  return [
    `create temp table oracle_type on commit drop as
select t.journey_type from unnest(${textArray(rules.reasons.journeyTypes)}) as t (journey_type)`,
    `create temp table oracle_reason on commit drop as
select t.reason, t.journey_type from ${pairs(rules.reasons.reasons)} as t (reason, journey_type)`,
    `create temp table oracle_token on commit drop as
select t.token, t.journey_type from ${pairs(rules.reasons.tokens)} as t (token, journey_type)`,
    'analyze oracle_type',
    'analyze oracle_reason',
    'analyze oracle_token',
  ];
}

/** Decisive events in the order of the rule: (at, rank, event_id); their journeys numbered (member, session, type). */
const decisiveStages = [
  `create temp table oracle_decisive on commit drop as
select *, dense_rank() over (order by member_id, session_id, journey_type) as journey_no,
       min(at) over (partition by member_id, session_id, journey_type) as first_at,
       lead(rank) over (partition by member_id, session_id, journey_type order by at, rank, event_id) is null as is_last
  from (
    select member_id, session_id, journey_type, "timestamp" as at,
           (case action when 'error' then 0 when 'abandon' then 1 else 2 end)::smallint as rank,
           identity as event_id, action, device_type, error_code, error_message
      from oracle_journey
     where not deleted and action in ('error', 'abandon', 'complete')
  ) e`,
  'create index on oracle_decisive (member_id, journey_type, at, rank, event_id)',
  `create index on oracle_decisive (journey_no, at, rank, event_id) where action = 'error'`,
  'analyze oracle_decisive',
];

/** A version holds from its valid_from to the next one's; the first one also before it (section 6). */
const versionStages = [
  `create temp table oracle_version on commit drop as
select member_id, plan_type, segment, language_preference,
       case when plan_type = 'Commercial' then 'Commercial' when segment = 'new' then 'MAPD New'
            else 'MAPD Tenured' end as member_category,
       case when row_number() over (partition by member_id order by valid_from) = 1 then '-infinity'
            else valid_from end as holds_from,
       row_number() over (partition by member_id order by valid_from desc) = 1 as latest
  from oracle_profile`,
  'create index on oracle_version (member_id, holds_from)',
  'analyze oracle_version',
];

const versionAt = (member: string, at: string) => `
  left join lateral (
    select x.member_category, x.plan_type, x.segment, x.language_preference
      from oracle_version x
     where x.member_id = ${member} and x.holds_from <= ${at}
     order by x.holds_from desc
     limit 1
  ) v on true`;

/**
 * What each live call asks for: the journey types it aligns with ('any' among them: all), the strength, the family
 * (section 4). Stored in the order of the events' index, which the next stage then reads page by page.
 */
const issueStages = [
  `create temp table oracle_issue on commit drop as
select c.call_id, c.member_id, c.call_timestamp, c.call_reason, c.sentiment_e4, c.handle_time_seconds, c.no_reason,
       case when c.no_reason then t.types when r.journey_type is not null then array[r.journey_type] end as aligned,
       (case when c.no_reason then 1 else 2 end)::smallint as strength,
       case when c.no_reason then t.first_type else coalesce(r.journey_type, c.call_reason) end collate "C" as issue_family
  from (select *, coalesce(call_reason in ('unknown', 'other'), true) as no_reason from oracle_call where not deleted) c
  left join oracle_reason r on r.reason = c.call_reason and not c.no_reason
  left join lateral (
    select array_agg(distinct k.journey_type) as types, (array_agg(k.journey_type order by p.place))[1] as first_type
      from regexp_split_to_table(lower(c.ivr_path collate "C"), '[^a-z0-9_]+') with ordinality as p (token, place)
      join oracle_token k on k.token = p.token
     where c.no_reason
  ) t on true
 order by c.member_id, c.call_timestamp`,
  'analyze oracle_issue',
];

/** How each journey type stands for each call: its last decisive event in [c.ts - W, c.ts] (section 3). */
function attributionStages(window: string): string[] {
  return [
    `create temp table oracle_standing on commit drop as
select c.call_id, c.call_timestamp, d.*,
       coalesce(d.journey_type = any (c.aligned) or 'any' = any (c.aligned), false) as aligned
  from oracle_issue c
 cross join oracle_type t
 cross join lateral (
    select e.* from oracle_decisive e
     where e.member_id = c.member_id and e.journey_type = t.journey_type
       and e.at >= c.call_timestamp - ${window} and e.at <= c.call_timestamp
     order by e.at desc, e.rank desc, e.event_id desc
     limit 1
  ) d`,
    // The candidate with the greatest (at, rank, event_id): one call is charged once (law 6).
    `create temp table oracle_anchor on commit drop as
select a.*, x.error_code as charged_code, x.error_message as charged_message,
       row_number() over (partition by a.journey_no order by a.call_timestamp, a.call_id) = 1 as is_primary,
       exists (select from oracle_decisive e
                where e.member_id = a.member_id and e.journey_type = a.journey_type and e.action = 'complete'
                  and e.at > a.call_timestamp and e.at <= a.call_timestamp + ${window}) as assisted_completion
  from (select distinct on (call_id) *
          from oracle_standing
         where aligned and action in ${failures}
         order by call_id, at desc, rank desc, event_id desc) a
  left join lateral (
    select e.error_code, e.error_message from oracle_decisive e
     where e.journey_no = a.journey_no and e.action = 'error' and e.at >= a.at - ${window} and e.at <= a.at
     order by e.at desc, e.rank desc, e.event_id desc
     limit 1
  ) x on true`,
    'analyze oracle_anchor',
  ];
}

function callFactStages(rules: OracleRules): string[] {
  const sameIssue = rules.repeatScope === 'same_issue';
  const scope = sameIssue ? 'c.member_id, c.issue_family' : 'c.member_id';
  const local = `c.call_timestamp at time zone ${literal(rules.timeZone)}`;
  return [
    `create temp table oracle_call_fact on commit drop as
select c.call_id, c.member_id, c.call_timestamp, c.call_reason, c.issue_family,
       case when a.call_id is not null then 'leakage'
            when c.no_reason and c.aligned is null and s.failed then 'possible'
            when s.cured then 'cured'
            when s.failed then 'unaligned'
            else 'none' end as attribution,
       ${sameIssue ? 'c.issue_family is not null and' : ''}
       coalesce(c.call_timestamp - lag(c.call_timestamp) over (partition by ${scope} order by c.call_timestamp, c.call_id)
                <= ${repeatWindow}, false) as is_repeat_call,
       coalesce(a.is_primary, false) as is_primary, coalesce(a.assisted_completion, false) as assisted_completion,
       a.journey_type as leakage_type, a.session_id as digital_session_id, a.event_id as digital_event_id,
       a.at as digital_timestamp,
       (extract(epoch from c.call_timestamp - a.at) * 1000)::bigint as time_to_call_ms,
       case when a.call_id is not null then c.strength end as alignment_strength,
       a.charged_code as error_code, a.charged_message as error_message, a.device_type,
       coalesce(v.member_category, 'Unknown') as member_category, v.plan_type, v.segment, v.language_preference,
       c.sentiment_e4, c.handle_time_seconds,
       (${local})::date as local_date, extract(hour from ${local})::smallint as local_hour
  from oracle_issue c
  left join oracle_anchor a using (call_id)
  left join (
    select call_id, bool_or(action in ${failures}) as failed, bool_or(aligned and action = 'complete') as cured
      from oracle_standing group by call_id
  ) s using (call_id)
  ${versionAt('c.member_id', 'c.call_timestamp')}`,
    'analyze oracle_call_fact',
  ];
}

/** Decided journeys (section 7), with their last decisive event d and their last failure f. */
function outcomeStages(rules: OracleRules, window: string): string[] {
  const local = `d.at at time zone ${literal(rules.timeZone)}`;
  return [
    `create temp table oracle_outcome on commit drop as
select d.member_id, d.session_id, d.journey_type,
       case d.action when 'complete' then 'completed' when 'error' then 'failed_error' else 'failed_abandon' end as outcome,
       d.first_at as first_decisive_at, d.at as last_decisive_at, d.event_id as last_decisive_event_id,
       f.device_type, x.error_code,
       coalesce(v.member_category, 'Unknown') as member_category, v.plan_type, v.segment, v.language_preference,
       (${local})::date as local_date, extract(hour from ${local})::smallint as local_hour,
       coalesce(l.calls, 0) > 0 as leaked, coalesce(l.calls, 0)::int as leakage_calls
  from oracle_decisive d
  left join (select distinct on (journey_no) journey_no, at, device_type
               from oracle_decisive where action in ${failures}
              order by journey_no, at desc, rank desc, event_id desc) f using (journey_no)
  left join lateral (
    select e.error_code from oracle_decisive e
     where e.journey_no = d.journey_no and e.action = 'error' and e.at >= f.at - ${window} and e.at <= f.at
     order by e.at desc, e.rank desc, e.event_id desc
     limit 1
  ) x on true
  left join (select journey_no, count(*) as calls from oracle_anchor group by journey_no) l using (journey_no)
  ${versionAt('d.member_id', 'd.at')}
 where d.is_last`,
    'analyze oracle_outcome',
  ];
}

export function factStages(rules: OracleRules): string[] {
  const window = milliseconds(rules.windowMs);
  return [
    ...reasonStages(rules),
    ...decisiveStages,
    ...versionStages,
    ...issueStages,
    ...attributionStages(window),
    ...callFactStages(rules),
    ...outcomeStages(rules, window),
  ];
}
