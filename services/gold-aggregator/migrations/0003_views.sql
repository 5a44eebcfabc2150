-- The tables people read, as views over the cubes. Runs with search_path = gold_<n>, silver_<n>; ops.publish repeats the
-- views in the stable schema. Units and formulas: the comments in 0004.
-- Up Migration

create view daily_leakage_summary as
with period as materialized (
  select p.*, cost_cents() as cents from period(7, false) p
), cell as materialized (
  select c.leakage_type, c.local_date >= p.from_day as current, sum(c.calls)::bigint as calls, sum(c.repeat_calls)::bigint as repeat_calls
    from period p join call_cube c on c.local_date between p.from_day - 7 and p.to_day
   group by 1, 2
), journeys as (
  select j.journey_type as leakage_type, sum(j.journeys)::bigint as decided, sum(j.failed_journeys)::bigint as failed,
         sum(j.leaked_journeys)::bigint as leaked
    from period p join journey_cube j on j.local_date between p.from_day and p.to_day
   group by 1
), type as (
  select t.leakage_type from period p cross join lateral jsonb_array_elements_text(p.journey_types) as t (leakage_type)
   union select c.leakage_type from cell c where c.leakage_type <> ''
   union select j.leakage_type from journeys j
), figure as (
  select t.leakage_type, coalesce(a.calls, 0) as calls, coalesce(b.calls, 0) as prior_calls, coalesce(a.repeat_calls, 0) as repeat_calls
    from type t
    left join cell a on a.leakage_type = t.leakage_type and a.current
    left join cell b on b.leakage_type = t.leakage_type and not b.current
)
select f.leakage_type,
       p.to_day as summary_date,
       mean_per_day(f.calls, p.days)::numeric(12, 1) as daily_calls,
       dollars(f.calls, p.cents, p.days)::numeric(14, 2) as daily_cost,
       s.segment,
       case when p.has_prior_week then trend_pct(f.calls, f.prior_calls) end::numeric(12, 4) as trend_pct,
       p.days,
       coalesce(j.leaked, 0) as leaked_journeys,
       (select count(distinct k.member_id) from call_fact k
         where k.attribution = 'leakage' and k.leakage_type = f.leakage_type and k.local_date between p.from_day and p.to_day
       ) as leaked_members,
       coalesce(j.failed, 0) as failed_journeys,
       coalesce(j.decided, 0) as decided_journeys,
       (select coalesce(sum(c.calls), 0)::bigint from cell c where c.current) as all_calls,
       f.repeat_calls,
       p.status,
       p.as_of,
       p.folded_at as processing_timestamp
  from period p
 cross join figure f
  left join journeys j on j.leakage_type = f.leakage_type
  left join lateral primary_segments(p.from_day, p.to_day, false) s on s.leakage_type = f.leakage_type;

create view daily_leakage_history as
with clock as materialized (
  select c.*, cost_cents() as cents from clock() c
), cell as materialized (
  select c.local_date, c.leakage_type, sum(c.calls)::bigint as calls, sum(c.repeat_calls)::bigint as repeat_calls
    from call_cube c group by 1, 2
), journeys as materialized (
  select j.local_date, j.journey_type as leakage_type, sum(j.journeys)::bigint as decided, sum(j.failed_journeys)::bigint as failed,
         sum(j.leaked_journeys)::bigint as leaked
    from journey_cube j group by 1, 2
), span as materialized (
  select k.first_day, greatest(k.today, (select max(c.local_date) from cell c), (select max(j.local_date) from journeys j)) as last_day
    from clock k where k.first_day is not null
), type as (
  select t.leakage_type from clock k cross join lateral jsonb_array_elements_text(k.journey_types) as t (leakage_type)
   union select c.leakage_type from cell c where c.leakage_type <> ''
   union select j.leakage_type from journeys j
), grid as (
  select d.day::date as local_date, t.leakage_type
    from span s
   cross join lateral generate_series(s.first_day::timestamp, s.last_day::timestamp, interval '1 day') as d (day)
   cross join type t
), figure as (
  select g.local_date, g.leakage_type, coalesce(c.calls, 0) as calls, coalesce(c.repeat_calls, 0) as repeat_calls,
         coalesce(sum(c.calls) over (week rows between 6 preceding and current row), 0)::bigint as week_calls,
         coalesce(sum(c.calls) over (week rows between 13 preceding and 7 preceding), 0)::bigint as prior_week_calls
    from grid g
    left join cell c on c.local_date = g.local_date and c.leakage_type = g.leakage_type
  window week as (partition by g.leakage_type order by g.local_date)
), all_calls as (
  select c.local_date, sum(c.calls)::bigint as calls from cell c group by 1
)
select f.local_date,
       f.leakage_type,
       f.calls as daily_calls,
       dollars(f.calls, k.cents, 1)::numeric(14, 2) as daily_cost,
       p.segment,
       case when f.local_date <= k.last_complete_day and f.local_date - 13 >= k.first_day
            then trend_pct(f.week_calls, f.prior_week_calls) end::numeric(12, 4) as trend_pct,
       1 as days,
       coalesce(j.leaked, 0) as leaked_journeys,
       (select count(distinct l.member_id) from call_fact l
         where l.attribution = 'leakage' and l.leakage_type = f.leakage_type and l.local_date = f.local_date) as leaked_members,
       coalesce(j.failed, 0) as failed_journeys,
       coalesce(j.decided, 0) as decided_journeys,
       coalesce(a.calls, 0) as all_calls,
       f.repeat_calls,
       day_status(f.local_date, k.as_of, k.time_zone) as status,
       k.as_of,
       k.folded_at as processing_timestamp
  from clock k
 cross join figure f
  left join journeys j on j.local_date = f.local_date and j.leakage_type = f.leakage_type
  left join all_calls a on a.local_date = f.local_date
  left join (select q.* from span s cross join lateral primary_segments(s.first_day, s.last_day, true) q) p
         on p.day = f.local_date and p.leakage_type = f.leakage_type;

create view segment_drilldown as
select leakage_type, segment, daily_calls::numeric(12, 1), daily_cost::numeric(14, 2), repeat_call_pct::numeric(12, 4),
       avg_sentiment::numeric(6, 4), calls, days, share_pct::numeric(12, 4), member_share_pct::numeric(12, 4), lift::numeric(12, 4),
       avg_handle_time_seconds::numeric(12, 1), leak_rate_pct::numeric(12, 4), status, as_of, processing_timestamp
  from drilldown(false);

create view language_drilldown as
select leakage_type, segment, daily_calls::numeric(12, 1), daily_cost::numeric(14, 2), repeat_call_pct::numeric(12, 4),
       avg_sentiment::numeric(6, 4), calls, days, share_pct::numeric(12, 4), member_share_pct::numeric(12, 4), lift::numeric(12, 4),
       avg_handle_time_seconds::numeric(12, 1), leak_rate_pct::numeric(12, 4), status, as_of, processing_timestamp
  from drilldown(true);

-- Leakage calls on the call's date, failed and leaked journeys on the journey's: side by side, never divided by each other.
create view root_cause_analysis as
with called as (
  select c.local_date as trend_date, c.leakage_type, c.error_code, c.device_type, sum(c.calls)::bigint as calls
    from call_cube c where c.attribution = 'leakage' group by 1, 2, 3, 4
), journeyed as (
  select j.local_date as trend_date, j.journey_type as leakage_type, j.error_code, j.device_type,
         sum(j.failed_journeys)::bigint as failed, sum(j.leaked_journeys)::bigint as leaked
    from journey_cube j where j.failed_journeys > 0 group by 1, 2, 3, 4
), cause as (
  select trend_date, leakage_type, error_code, device_type, coalesce(c.calls, 0) as calls, coalesce(j.failed, 0) as failed, j.leaked,
         sum(c.calls) over (partition by trend_date, leakage_type) as type_calls
    from called c full join journeyed j using (trend_date, leakage_type, error_code, device_type)
), message as (
  select distinct on (m.leakage_type, m.error_code) m.leakage_type, m.error_code, m.error_message
    from error_message_cube m
   order by m.leakage_type, m.error_code, m.calls desc, m.error_message
)
select c.trend_date,
       c.leakage_type::text as leakage_type,
       nullif(c.error_code, '')::text as error_code,
       nullif(c.device_type, '')::text as device_type,
       m.error_message::text as error_message,
       c.calls as leakage_count,
       pct(c.calls, c.type_calls)::numeric(12, 4) as leakage_pct,
       c.failed as failed_journeys,
       pct(c.leaked, c.failed)::numeric(12, 4) as leak_rate_pct,
       day_status(c.trend_date, k.as_of, k.time_zone) as status,
       k.as_of,
       k.folded_at as processing_timestamp
  from clock() k
 cross join cause c
  left join message m on m.leakage_type = c.leakage_type and m.error_code = c.error_code;

create view savings_model as
with period as materialized (
  select p.*, cost_cents() as cents, parameter('avoidable_share') as avoidable from period(28, true) p
), called as materialized (
  select c.leakage_type, sum(c.calls) as calls
    from period p join call_cube c on c.local_date between p.from_day and p.to_day and c.attribution = 'leakage'
   group by 1
), type as (
  select t.leakage_type from period p cross join lateral jsonb_array_elements_text(p.journey_types) as t (leakage_type)
   union select c.leakage_type from called c
), figure as (
  select t.leakage_type, p.days, p.cents, p.avoidable, p.status, p.as_of, p.folded_at, coalesce(c.calls, 0) as calls,
         coalesce(c.calls, 0) * p.cents * 365 as year_cents
    from period p cross join type t left join called c on c.leakage_type = t.leakage_type
)
select f.leakage_type,
       round(f.calls * f.avoidable / f.days, 1)::numeric(12, 1) as avoidable_calls_per_day,
       round(f.cents / 100.0, 2)::numeric(14, 2) as cost_per_call,
       round(f.year_cents / (100 * f.days), 2)::numeric(14, 2) as annualized_cost,
       round(f.year_cents * f.avoidable * 10 / (10000 * f.days), 2)::numeric(14, 2) as fix_rate_10_pct_savings,
       round(f.year_cents * f.avoidable * 25 / (10000 * f.days), 2)::numeric(14, 2) as fix_rate_25_pct_savings,
       round(f.year_cents * f.avoidable * 50 / (10000 * f.days), 2)::numeric(14, 2) as fix_rate_50_pct_savings,
       null::numeric(6, 2) as estimated_nps_lift,
       null::numeric(12, 1) as avoidable_calls_per_day_low,
       null::numeric(12, 1) as avoidable_calls_per_day_high,
       null::numeric(14, 2) as annualized_cost_low,
       null::numeric(14, 2) as annualized_cost_high,
       null::numeric(14, 2) as fix_rate_10_pct_savings_low,
       null::numeric(14, 2) as fix_rate_10_pct_savings_high,
       null::numeric(14, 2) as fix_rate_25_pct_savings_low,
       null::numeric(14, 2) as fix_rate_25_pct_savings_high,
       null::numeric(14, 2) as fix_rate_50_pct_savings_low,
       null::numeric(14, 2) as fix_rate_50_pct_savings_high,
       f.status,
       f.as_of,
       f.folded_at as processing_timestamp
  from figure f;

-- Its columns, and no row that was not computed: ranking needs statistics that do not exist yet.
create view action_recommendations as
select null::text as action_id,
       null::text as leakage_type,
       null::text as action_title,
       null::text as action_description,
       null::text as owner,
       null::numeric(14, 2) as estimated_savings_annual,
       null::numeric(14, 2) as estimated_savings_annual_low,
       null::numeric(14, 2) as estimated_savings_annual_high,
       null::text as effort_estimate,
       null::int as priority_rank,
       null::numeric(4, 1) as cx_impact_score,
       null::numeric(3, 2) as confidence,
       null::jsonb as evidence,
       null::text as status,
       null::timestamptz as as_of,
       null::timestamptz as processing_timestamp
 where false;

-- Playback: what silver holds of a member, one row per stored event or call, nothing derived. Meant to be read with
-- `where member_id = ...`, which reaches the indexes of silver.
create view journey_timeline as
with clock as materialized (
  select c.as_of from clock() c
), record as (
  select e.member_id, e."timestamp" as event_timestamp, 'digital' as event_type,
         concat_ws(' ', e.journey_type, e.action, e.error_code) as event_description,
         e.journey_type, e.session_id, e.action, e.device_type, e.error_code, null::text as call_id, null::text as call_reason,
         null::int as sentiment_e4,
         exists (select 1 from call_fact f where f.attribution = 'leakage' and f.member_id = e.member_id
                    and f.digital_session_id = e.session_id and f.leakage_type = e.journey_type
                    and f.digital_event_id = e.event_id) as is_leakage_link,
         e.processing_timestamp, 0 as kind,
         array_position(array['login', 'page_view', 'error', 'abandon', 'complete'], e.action) as rank, e.event_id as id
    from journey_event e
   where not e.deleted
   union all
  select c.member_id, c.call_timestamp, 'call', concat_ws(' ', 'call', coalesce(c.call_reason, 'without a reason'), '(' || c.ivr_path || ')'),
         null, null, null, null, null, c.call_id, c.call_reason, c.sentiment_e4,
         exists (select 1 from call_fact f where f.call_id = c.call_id and f.attribution = 'leakage'),
         c.processing_timestamp, 1, 0, c.call_id
    from call c
   where not c.deleted
)
select r.member_id,
       row_number() over (partition by r.member_id order by r.event_timestamp, r.kind, r.rank, r.id collate "C") as event_sequence,
       r.event_timestamp, r.event_type, r.event_description, r.journey_type, r.session_id, r.action, r.device_type, r.error_code,
       r.call_id, r.call_reason, (r.sentiment_e4 / 10000.0)::numeric(5, 4) as sentiment_score, r.is_leakage_link,
       case when k.as_of >= r.event_timestamp + interval '48 hours' then 'final' else 'provisional' end as status,
       k.as_of, r.processing_timestamp
  from record r
  left join clock k on true;

-- What a leakage call leads to, looking forward: only days all of whose calls are matured (168 hours have passed on the
-- watermark), at most 28 of them. The next call of the same family may be leakage or not.
create view repeat_followups as
with clock as materialized (
  select c.*, ((c.as_of - interval '168 hours') at time zone c.time_zone)::date - 1 as to_day from clock() c
), period as materialized (
  select k.*, greatest(k.first_day, k.to_day - 27) as from_day from clock k where k.first_day <= k.to_day
), next as (
  select f.*, lead(f.call_timestamp) over family as next_at, lead(f.attribution) over family as next_attribution
    from period p join call_fact f on f.local_date between p.from_day and p.to_day + 9
   where p.repeat_scope = 'any_reason' or f.issue_family is not null
  window family as (partition by f.member_id, case when p.repeat_scope = 'any_reason' then '' else f.issue_family end
                    order by f.call_timestamp, f.call_id)
)
select c.leakage_type,
       c.member_category as segment,
       count(*) as matured_calls,
       count(*) filter (where c.next_at <= c.call_timestamp + interval '168 hours') as led_to_repeat_calls,
       pct(count(*) filter (where c.next_at <= c.call_timestamp + interval '168 hours'), count(*))::numeric(12, 4) as led_to_repeat_pct,
       count(*) filter (where c.next_at <= c.call_timestamp + interval '168 hours' and c.next_attribution <> 'leakage')
         as led_to_other_repeat_calls,
       p.from_day,
       p.to_day,
       day_status(p.to_day, p.as_of, p.time_zone) as status,
       p.as_of,
       p.folded_at as processing_timestamp
  from period p
  join next c on c.attribution = 'leakage' and c.local_date between p.from_day and p.to_day
 group by c.leakage_type, c.member_category, p.from_day, p.to_day, p.as_of, p.time_zone, p.folded_at;
