-- What several views share, as functions whose bodies are bound at creation: they mean this generation whatever the
-- reader's search_path is. Runs with search_path = gold_<n>, silver_<n>.
-- Up Migration

-- The generation's clock. as_of: the smaller of the two watermarks; where changes wait to be folded, that of the last fold
-- which left none, so that a gold that stands still never calls days complete that it has not seen. The limit tells the
-- planner what the table cannot: there is one row (without it a plan of a view expects billions and is slow).
create function clock()
returns table (time_zone text, journey_types jsonb, repeat_scope text, as_of timestamptz, today date, first_day date,
  last_complete_day date, folded_at timestamptz)
language sql stable
begin atomic
  select z.time_zone, z.journey_types, z.repeat_scope, z.as_of, z.today, z.first_day,
         case when z.first_day < z.today then z.today - 1 end, z.folded_at
    from (select y.*, (y.as_of at time zone y.time_zone)::date as today,
                 least((select min(c.local_date) from call_cube c), (select min(j.local_date) from journey_cube j)) as first_day
            from (select g.rules ->> 'timeZone' as time_zone, g.rules -> 'reasons' -> 'journeyTypes' as journey_types,
                         g.rules ->> 'repeatScope' as repeat_scope, t.folded_at,
                         case when w.folded and w.digital is not null and w.calls is not null then least(w.digital, w.calls)
                              when not w.folded and t.wm_digital is not null and t.wm_calls is not null
                              then least(t.wm_digital, t.wm_calls) end as as_of
                    from (select * from this_generation limit 1) t
                    join ops.generation g on g.id = t.id
                   cross join lateral
                         (select max(s.wm_digital) as digital, max(s.wm_calls) as calls,
                                 bool_and(r.next_seq is not distinct from s.change_seq + 1) as folded
                            from ops.shard s
                            left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
                           where s.generation = t.id) w) y) z;
end;

-- partial: the day is not over; final: both watermarks are 48 hours past its end; provisional: between the two.
create function day_status(p_day date, p_as_of timestamptz, p_time_zone text) returns text
language sql stable
begin atomic
  select case when p_as_of is null or p_day >= (p_as_of at time zone p_time_zone)::date then 'partial'
              when p_as_of >= ((p_day + 1)::timestamp at time zone p_time_zone) + interval '48 hours' then 'final'
              else 'provisional' end;
end;

-- The last p_days complete local days (fewer if there are fewer, the running day if there is none). No row before both
-- sources were heard. p_weeks: whole weeks only, once there is one, so that every weekday counts alike.
create function period(p_days int, p_weeks boolean)
returns table (from_day date, to_day date, days int, has_prior_week boolean, status text, as_of timestamptz, folded_at timestamptz,
  journey_types jsonb)
language sql stable
begin atomic
  with clock as materialized (
    select c.*, case when c.last_complete_day is null then 1 else least(p_days, c.last_complete_day - c.first_day + 1) end as available
      from clock() c
     where c.as_of is not null
  ), sized as (
    select k.*, coalesce(k.last_complete_day, k.today) as to_day,
           case when p_weeks and k.available >= 7 then k.available / 7 * 7 else k.available end as days
      from clock k
  )
  select s.to_day - s.days + 1, s.to_day, s.days, s.last_complete_day is not null and s.first_day <= s.last_complete_day - 13,
         day_status(s.to_day, s.as_of, s.time_zone), s.as_of, s.folded_at, s.journey_types
    from sized s;
end;

-- Change from b to a in percent; null where either count is below 30.
create function trend_pct(p_a bigint, p_b bigint) returns numeric
language sql immutable
begin atomic
  select case when p_a >= 30 and p_b >= 30 then round(100.0 * (p_a - p_b) / p_b, 4) end;
end;

-- 100 x part / whole; null where there is no whole.
create function pct(p_part numeric, p_whole numeric) returns numeric
language sql immutable
begin atomic
  select round(100 * p_part / nullif(p_whole, 0), 4);
end;

create function mean_per_day(p_calls bigint, p_days int) returns numeric
language sql immutable
begin atomic
  select round(p_calls::numeric / p_days, 1);
end;

-- A parameter by name; null where nobody has set it.
create function parameter(p_name text) returns numeric
language sql stable
begin atomic
  select p.value from ops.parameter p where p.name = p_name;
end;

create function cost_cents() returns bigint
language sql stable
begin atomic
  select round(100 * parameter('cost_per_call'))::bigint;
end;

-- Dollars of a number of calls, spread over a number of days: integer calls x cents, divided once.
create function dollars(p_calls bigint, p_cents bigint, p_days int) returns numeric
language sql immutable
begin atomic
  select round(p_calls::numeric * p_cents / (100 * p_days), 2);
end;

-- The cohort (member category or language) that a leakage type hits beyond its share of members: the greatest excess
-- share, if it has at least 30 % of the calls and 15 points of excess, else 'Mixed'. Shares are compared as integers.
-- Members without a profile belong to no cohort. One row per type, or per day and type.
create function primary_segments(p_from date, p_to date, p_daily boolean)
returns table (day date, leakage_type text, segment text)
language sql stable
begin atomic
  with cell as (
    select case when p_daily then c.local_date else p_to end as day, c.leakage_type, c.member_category, c.language_preference,
           sum(c.calls) as calls
      from call_cube c
     where c.attribution = 'leakage' and c.local_date between p_from and p_to
     group by 1, 2, 3, 4
  ), total as (
    select day, leakage_type, sum(calls) as calls, (select sum(m.members) from member_cube m) as members
      from cell group by day, leakage_type
  ), cohort_calls as (
    select c.day, c.leakage_type, v.cohort, v.dimension, sum(c.calls) as calls
      from cell c cross join lateral (values (c.member_category, 1), (c.language_preference, 2)) as v (cohort, dimension)
     where v.cohort not in ('Unknown', '')
     group by c.day, c.leakage_type, v.cohort, v.dimension
  ), cohort_members as (
    select v.cohort, v.dimension, sum(m.members) as members
      from member_cube m cross join lateral (values (m.member_category, 1), (m.language_preference, 2)) as v (cohort, dimension)
     group by v.cohort, v.dimension
  ), excess as (
    select c.day, c.leakage_type, c.cohort, c.calls, t.calls as all_calls, t.members as all_members,
           c.calls * t.members - coalesce(m.members, 0) * t.calls as excess
      from cohort_calls c
      join total t on t.day = c.day and t.leakage_type = c.leakage_type
      left join cohort_members m on m.cohort = c.cohort and m.dimension = c.dimension
  ), best as (
    select distinct on (e.day, e.leakage_type) e.day, e.leakage_type, e.cohort,
           10 * e.calls >= 3 * e.all_calls and 100 * e.excess >= 15 * e.all_calls * e.all_members as stands_out
      from excess e
     order by e.day, e.leakage_type, e.excess desc, e.cohort collate "C"
  )
  select t.day, t.leakage_type, case when b.stands_out then b.cohort else 'Mixed' end
    from total t
    left join best b on b.day = t.day and b.leakage_type = t.leakage_type
   where t.members > 0;
end;

-- segment_drilldown and language_drilldown: p_language says which dimension `segment` holds.
create function drilldown(p_language boolean)
returns table (leakage_type text, segment text, daily_calls numeric, daily_cost numeric, repeat_call_pct numeric, avg_sentiment numeric,
  calls bigint, days int, share_pct numeric, member_share_pct numeric, lift numeric, avg_handle_time_seconds numeric,
  leak_rate_pct numeric, status text, as_of timestamptz, processing_timestamp timestamptz)
language sql stable
begin atomic
  with period as materialized (
    select p.*, cost_cents() as cents from period(28, false) p
  ), called as (
    select c.leakage_type, case when p_language then coalesce(nullif(c.language_preference, ''), 'Unknown') else c.member_category end as segment,
           sum(c.calls)::bigint as calls, sum(c.repeat_calls) as repeat_calls, sum(c.sentiment_sum_e4) as sentiment_sum_e4,
           sum(c.sentiment_calls) as sentiment_calls, sum(c.handle_time_sum) as handle_time_sum, sum(c.handle_time_calls) as handle_time_calls
      from period p join call_cube c on c.local_date between p.from_day and p.to_day and c.attribution = 'leakage'
     group by 1, 2
  ), journeyed as (
    select j.journey_type as leakage_type,
           case when p_language then coalesce(nullif(j.language_preference, ''), 'Unknown') else j.member_category end as segment,
           sum(j.failed_journeys) as failed, sum(j.leaked_journeys) as leaked
      from period p join journey_cube j on j.local_date between p.from_day and p.to_day
     group by 1, 2
  ), membered as (
    select case when p_language then m.language_preference else m.member_category end as segment, sum(m.members) as members
      from member_cube m group by 1
  ), figure as (
    select leakage_type, segment, coalesce(c.calls, 0) as calls, c.repeat_calls, c.sentiment_sum_e4, c.sentiment_calls, c.handle_time_sum,
           c.handle_time_calls, j.failed, j.leaked,
           sum(c.calls) over type as type_calls, sum(j.failed) over type as type_failed, sum(j.leaked) over type as type_leaked
      from called c full join journeyed j using (leakage_type, segment)
    window type as (partition by leakage_type)
  )
  select f.leakage_type, f.segment, mean_per_day(f.calls, p.days), dollars(f.calls, p.cents, p.days),
         pct(f.repeat_calls, f.calls), round(f.sentiment_sum_e4 / (10000 * nullif(f.sentiment_calls, 0)), 4),
         f.calls, p.days, pct(f.calls, f.type_calls), pct(m.members, (select sum(n.members) from membered n)),
         round(f.leaked * f.type_failed / nullif(f.failed * f.type_leaked, 0), 4),
         round(f.handle_time_sum / nullif(f.handle_time_calls, 0), 1),
         pct(f.leaked, f.failed), p.status, p.as_of, p.folded_at
    from period p
   cross join figure f
    left join membered m on m.segment = f.segment;
end;
