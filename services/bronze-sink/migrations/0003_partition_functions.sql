-- Daily partitions, made by whoever may call these functions, who need not own the tables. Runs with search_path = bronze.
--
-- Both run as the owner, so they trust nothing that they are given: a table is one of three, a day is one that is wanted. Their
-- search_path is this schema, whatever its name, and temporary objects of the caller come last.
-- Up Migration

-- The days that lack a partition: today and p_ahead days more, and those of which rows lie in the default partition (the
-- p_stray_max first ones). Today's are being added to: while more than p_today_rows_max lie there, today is left for later.
create function missing_days(p_table text, p_ahead int, p_stray_max int, p_today_rows_max bigint) returns setof date
language plpgsql security definer set timezone = 'UTC' as $$
begin
  if p_table is null or p_table not in ('digital_journeys_raw', 'call_logs_raw', 'member_profiles_raw') then
    raise exception '% is no table of bronze', coalesce(p_table, 'null') using errcode = 'invalid_parameter_value';
  end if;
  return query execute format($query$
    with stray (day, found) as (
      select ingestion_timestamp::date, count(*) from %1$I group by 1
    ),
    wanted (day) as (
      select current_date + n from generate_series(0, least($1, 30)) as s (n)
      union
      (select day from stray order by day limit $2)
    )
    select day
      from wanted
     where not exists (select from stray s where s.day = wanted.day and s.day = current_date and s.found > $3)
       and to_regclass(%2$L || to_char(day, 'YYYYMMDD')) is null
     order by day
    $query$, p_table || '_default', p_table || '_p') using p_ahead, p_stray_max, p_today_rows_max;
end $$;

-- Makes one day's partition and returns how many rows it moved there from the default partition: while rows of the day lie
-- there, Postgres refuses to attach it. The rows stay what they are, only where they lie changes (law 4). All or nothing, and
-- a lock that does not come within the caller's lock_timeout ends the attempt. 0, and nothing done, where it is there already.
create function make_partition(p_table text, p_day date) returns bigint
language plpgsql security definer set timezone = 'UTC' as $$
declare
  v_spare text := p_table || '_default';
  v_partition text := p_table || '_p' || to_char(p_day, 'YYYYMMDD');
  v_moved bigint;
  v_wanted boolean;
begin
  if p_table is null or p_table not in ('digital_journeys_raw', 'call_logs_raw', 'member_profiles_raw') then
    raise exception '% is no table of bronze', coalesce(p_table, 'null') using errcode = 'invalid_parameter_value';
  end if;
  -- One process at a time; who waited finds the partition there.
  perform pg_advisory_xact_lock(hashtextextended('partitions of ' || current_schema() || '.' || p_table, 0));
  -- Asked of the catalog itself: to_regclass would remember its answer from before the wait.
  if exists (select from pg_class c where c.relname = v_partition and c.relnamespace = to_regnamespace(current_schema())) then
    return 0;
  end if;
  -- ATTACH PARTITION locks this one in any case; taken first, no row can slip in between the move and the attachment.
  execute format('lock table %I in access exclusive mode', v_spare);
  v_wanted := p_day between current_date and current_date + 30;
  if not v_wanted then
    execute format('select exists (select from %I where ingestion_timestamp >= $1 and ingestion_timestamp < $2)', v_spare)
      into v_wanted using p_day::timestamptz, (p_day + 1)::timestamptz;
  end if;
  if v_wanted is not true then
    raise exception 'no partition of % is wanted for %', p_table, coalesce(p_day::text, 'null')
      using errcode = 'invalid_parameter_value';
  end if;
  execute format('create table %I (like %I including all)', v_partition, p_table);
  execute format(
    'with stray as (delete from %I where ingestion_timestamp >= $1 and ingestion_timestamp < $2 returning *) '
    'insert into %I select * from stray', v_spare, v_partition)
    using p_day::timestamptz, (p_day + 1)::timestamptz;
  get diagnostics v_moved = row_count;
  execute format('alter table %I attach partition %I for values from (%L) to (%L)',
    p_table, v_partition, p_day::timestamptz, (p_day + 1)::timestamptz);
  return v_moved;
end $$;

do $$
begin
  execute format('alter function missing_days set search_path = %I, pg_temp', current_schema());
  execute format('alter function make_partition set search_path = %I, pg_temp', current_schema());
end $$;
revoke execute on function missing_days, make_partition from public;
