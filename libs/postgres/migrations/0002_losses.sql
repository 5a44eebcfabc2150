-- What was given up: records that a log no longer had before they were read.
-- Up Migration

create table loss (
  pipeline text not null,
  topic text not null,
  partition int not null,
  from_offset bigint not null,
  next_offset bigint not null,
  accepted_by text not null default session_user,
  accepted_at timestamptz not null default now(),
  primary key (pipeline, topic, partition, from_offset),
  check (next_offset > from_offset)
);

-- The only way over records that are gone (law 3): somebody says so, and it stays on record. The position moves from p_from,
-- where it must stand, to p_next; what lies between counts as holes. Like advance it is a compare-and-set: what a process has
-- read meanwhile, a second call, or a partition that was mistaken for another is refused and changes nothing.
create function accept_loss(p_pipeline text, p_topic text, p_partition int, p_from bigint, p_next bigint) returns bigint
language plpgsql as $$
declare
  v_at bigint;
begin
  select p.next_offset into v_at
    from ops.position p
   where p.pipeline = p_pipeline and p.topic = p_topic and p.partition = p_partition
     for update;
  if not found then
    raise exception 'pipeline % has no position of %/%', p_pipeline, p_topic, p_partition using errcode = 'LK003';
  end if;
  if p_next <= p_from then
    raise exception 'from % to % is not forward, and a position never moves back', p_from, p_next using errcode = 'LK003';
  end if;
  if v_at <> p_from then
    raise exception 'pipeline % stands at offset % of %/%, not at %: nothing was given up',
      p_pipeline, v_at, p_topic, p_partition, p_from
      using errcode = 'LK003', hint = 'Take the statement of the newest message of the process that stopped.';
  end if;

  insert into ops.loss (pipeline, topic, partition, from_offset, next_offset)
  values (p_pipeline, p_topic, p_partition, p_from, p_next);
  update ops.position p
     set next_offset = p_next,
         last_offset = null,
         last_fingerprint = null,
         holes = p.holes + p_next - p_from,
         updated_at = now()
   where p.pipeline = p_pipeline and p.topic = p_topic and p.partition = p_partition;
  return p_next - p_from;
end $$;
