-- Days of which silver has no calls any more: what gold counted over them stays. Runs with search_path = gold_<n>, silver_<n>.
-- Up Migration

-- Distinct members cannot be had from the cubes. Written by a retention run before it removes the day's calls, and by a gold that
-- takes its older days from another generation's.
create table closed_day (
  local_date date not null,
  leakage_type text collate "C" not null,
  leaked_members bigint not null check (leaked_members > 0),
  primary key (local_date, leakage_type)
);

-- Days before this one were taken from another generation, or are lacking: none of them is counted here. Null: every day is.
alter table this_generation add column closed_before date;

create or replace view daily_leakage_history as
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
       coalesce((select d.leaked_members from closed_day d where d.local_date = f.local_date and d.leakage_type = f.leakage_type),
                (select count(distinct l.member_id) from call_fact l
                  where l.attribution = 'leakage' and l.leakage_type = f.leakage_type and l.local_date = f.local_date)) as leaked_members,
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
