-- Replays: a service reads again what it has read, under a pipeline and positions of its own.
-- Up Migration

create table replay (
  id int generated always as identity primary key,
  service text not null check (service in ('bronze-sink', 'silver-joiner')),
  -- Of silver; bronze has one archive for all generations.
  generation int references generation (id),
  pipeline text not null unique generated always as (
    case service when 'bronze-sink' then 'bronze_replay_' || id::text
                 else 'silver_' || generation::text || '_replay_' || id::text end) stored,
  -- Where it begins, in the words of whoever asked.
  begins text not null,
  state text not null default 'running' check (state in ('running', 'done', 'cancelled')),
  -- Its processes end, in order, until somebody resumes it.
  paused boolean not null default false,
  records_per_second int check (records_per_second > 0),
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  asked_by text not null default session_user,
  -- What became of the records, over all partitions; while it runs, its positions say so.
  offsets bigint not null default 0,
  accepted bigint not null default 0,
  superseded bigint not null default 0,
  duplicates bigint not null default 0,
  conflicts bigint not null default 0,
  quarantined bigint not null default 0,
  holes bigint not null default 0,
  check ((service = 'silver-joiner') = (generation is not null)),
  check ((state = 'running') = (ended_at is null))
);
-- A second one would only make both slower, and live too.
create unique index replay_one_running on replay (service, coalesce(generation, 0)) where state = 'running';

-- The end of a replay: what its positions have counted is kept, they themselves go, and whatever process still works on it
-- finds none and stops. p_state: done, when every position is where it was to end; or cancelled, wherever they are. False, and
-- nothing done, where it is over already, or is to be done and is not. Positions are locked in the order of ops.advance.
create function end_replay(p_id int, p_state text) returns boolean
language plpgsql as $$
declare
  v ops.replay;
begin
  select r.* into v from ops.replay r where r.id = p_id and r.state = 'running' for update;
  if not found then
    return false;
  end if;
  perform 1 from ops.position p where p.pipeline = v.pipeline order by p.topic collate "C", p.partition for update;
  if p_state = 'done'
     and exists (select from ops.position p where p.pipeline = v.pipeline and p.next_offset < p.until_offset) then
    return false;
  end if;
  with counted as (delete from ops.position p where p.pipeline = v.pipeline returning p.*)
  update ops.replay r
     set state = p_state, ended_at = clock_timestamp(), paused = false,
         offsets = c.offsets, accepted = c.accepted, superseded = c.superseded, duplicates = c.duplicates,
         conflicts = c.conflicts, quarantined = c.quarantined, holes = c.holes
    from (select coalesce(sum(next_offset - first_offset), 0) as offsets, coalesce(sum(accepted), 0) as accepted,
                 coalesce(sum(superseded), 0) as superseded, coalesce(sum(duplicates), 0) as duplicates,
                 coalesce(sum(conflicts), 0) as conflicts, coalesce(sum(quarantined), 0) as quarantined,
                 coalesce(sum(holes), 0) as holes
            from counted) c
   where r.id = p_id;
  return true;
end $$;

-- Takes offsets off what a pipeline has given up for lost; what lies before and behind is lost as before. Runs as the owner, because
-- this is a record of what people have decided, and trusts nobody: only a transaction that has just written the position of that
-- very partition, which its login must be allowed to, may call it; mend_loss below does. LK004 where they are not lost (any more).
create function trim_loss(p_pipeline text, p_topic text, p_partition int, p_from bigint, p_next bigint) returns void
language plpgsql security definer set search_path = ops, pg_temp as $$
declare
  v ops.loss;
begin
  if not exists (
    select from ops.position p
     where p.pipeline = p_pipeline and p.topic = p_topic and p.partition = p_partition
       and p.xmin = pg_current_xact_id()::xid
  ) then
    raise exception 'the position of %/% of pipeline % was not written by this transaction', p_topic, p_partition, p_pipeline
      using errcode = 'insufficient_privilege';
  end if;
  delete from ops.loss l
   where l.pipeline = p_pipeline and l.topic = p_topic and l.partition = p_partition
     and l.from_offset <= p_from and l.next_offset >= p_next and p_from < p_next
  returning l.* into v;
  if not found then
    raise exception 'pipeline % has not given up offsets % to % of %/%, or has them by now',
      p_pipeline, p_from, p_next, p_topic, p_partition using errcode = 'LK004';
  end if;
  insert into ops.loss (pipeline, topic, partition, from_offset, next_offset, accepted_by, accepted_at)
  select v.pipeline, v.topic, v.partition, part.from_offset, part.next_offset, v.accepted_by, v.accepted_at
    from (values (v.from_offset, p_from), (p_next, v.next_offset)) as part (from_offset, next_offset)
   where part.from_offset < part.next_offset;
end $$;

-- Offsets p_from to p_next were given up for lost (ops.accept_loss), and have been read after all, because the log was restored:
-- they are lost no longer, and of them those that held records are counted by what became of these instead of as holes. The
-- pipeline itself need not stand still: where it is does not change. Belongs into the transaction that stores the records
-- (law 1), so that none is counted twice.
create function mend_loss(
  p_pipeline text,
  p_topic text,
  p_partition int,
  p_from bigint,
  p_next bigint,
  p_accepted bigint,
  p_superseded bigint,
  p_duplicates bigint,
  p_conflicts bigint,
  p_quarantined bigint
) returns void
language plpgsql as $$
declare
  v_records bigint := p_accepted + p_superseded + p_duplicates + p_conflicts + p_quarantined;
begin
  if v_records > p_next - p_from then
    raise exception '% records cannot lie between offsets % and % of %/%', v_records, p_from, p_next, p_topic, p_partition
      using errcode = 'LK004';
  end if;
  update ops.position p
     set holes = p.holes - v_records,
         accepted = p.accepted + p_accepted,
         superseded = p.superseded + p_superseded,
         duplicates = p.duplicates + p_duplicates,
         conflicts = p.conflicts + p_conflicts,
         quarantined = p.quarantined + p_quarantined
   where p.pipeline = p_pipeline and p.topic = p_topic and p.partition = p_partition;
  perform ops.trim_loss(p_pipeline, p_topic, p_partition, p_from, p_next);
end $$;
revoke execute on function trim_loss, mend_loss from public;
