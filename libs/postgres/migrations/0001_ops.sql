-- The protocol's own tables: generations, shard locks, positions, readers, parameters.
-- Up Migration

-- A generation is one complete computation of silver and gold under one set of rules.
create table generation (
  id int primary key check (id > 0),
  state text not null check (state in ('active', 'building', 'retired', 'dropped')),
  rules jsonb not null,
  rules_hash text not null,
  created_at timestamptz not null default now()
);
create unique index generation_one_active on generation (state) where state = 'active';

-- One row is one lock: everything about one member changes under the lock of that member's shard.
create table shard (
  generation int not null references generation (id),
  shard smallint not null check (shard >= 0),
  state_version bigint not null default 0,
  change_seq bigint not null default 0,
  wm_digital timestamptz,
  wm_calls timestamptz,
  primary key (generation, shard)
) with (fillfactor = 50);

-- The truth about how far a pipeline has read (laws 1 to 3). Kafka's committed offsets are only a hint.
create table position (
  pipeline text not null,
  topic text not null,
  partition int not null,
  first_offset bigint not null,
  next_offset bigint not null,
  last_offset bigint,
  last_fingerprint bigint,
  cluster_id text not null,
  accepted bigint not null default 0,
  superseded bigint not null default 0,
  duplicates bigint not null default 0,
  conflicts bigint not null default 0,
  quarantined bigint not null default 0,
  holes bigint not null default 0,
  updated_at timestamptz not null default now(),
  primary key (pipeline, topic, partition),
  check (next_offset >= first_offset)
) with (fillfactor = 50);

-- Who has read a generation's change log how far.
create table reader (
  reader text not null,
  generation int not null references generation (id),
  shard smallint not null,
  next_seq bigint not null,
  primary key (reader, generation, shard)
) with (fillfactor = 50);

-- Figures that are set, not measured: each with its source.
create table parameter (
  name text primary key,
  value numeric not null,
  source text not null,
  set_by text not null,
  set_at timestamptz not null default now()
);

-- The only position check and the only fence: locks the positions in order, compares, moves; raises LK001 if any differs.
create function advance(
  p_pipeline text,
  p_topics text[],
  p_partitions int[],
  p_expected bigint[],
  p_next bigint[],
  p_last_offset bigint[],
  p_last_fingerprint bigint[],
  p_holes bigint[]
) returns void
language plpgsql as $$
declare
  v_moved int;
begin
  perform 1
    from ops.position p
    join unnest(p_topics, p_partitions) as m (topic, partition) on p.topic = m.topic and p.partition = m.partition
   where p.pipeline = p_pipeline
   order by p.topic collate "C", p.partition
     for update of p;

  update ops.position p
     set next_offset = m.next_offset,
         last_offset = coalesce(m.last_offset, p.last_offset),
         last_fingerprint = case when m.last_offset is null then p.last_fingerprint else m.last_fingerprint end,
         holes = p.holes + m.holes,
         updated_at = now()
    from unnest(p_topics, p_partitions, p_expected, p_next, p_last_offset, p_last_fingerprint, p_holes)
      as m (topic, partition, expected, next_offset, last_offset, last_fingerprint, holes)
   where p.pipeline = p_pipeline and p.topic = m.topic and p.partition = m.partition
     and p.next_offset = m.expected and m.next_offset >= m.expected;
  get diagnostics v_moved = row_count;

  if v_moved <> cardinality(p_topics) then
    raise exception 'a position of pipeline % was moved by another process', p_pipeline using errcode = 'LK001';
  end if;
end $$;

-- Points the stable schema (silver, gold) at a generation: one view per view of the generation's schema, columns listed.
create function publish(p_layer text, p_generation int) returns void
language plpgsql as $$
declare
  v record;
begin
  execute format('create schema if not exists %I', p_layer);
  for v in
    select c.relname as name, string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns
      from pg_class c
      join pg_namespace n on n.oid = c.relnamespace
      join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where n.nspname = p_layer || '_' || p_generation and c.relkind = 'v'
     group by c.relname
     order by c.relname
  loop
    execute format('create or replace view %I.%I as select %s from %I.%I',
      p_layer, v.name, v.columns, p_layer || '_' || p_generation, v.name);
  end loop;
end $$;
