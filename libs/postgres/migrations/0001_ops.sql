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
-- p_expected..p_next is what was delivered; p_holes of these offsets have no record (transaction markers, compaction).
-- The outcomes of the others are added in the same transaction (position_conserves below checks that).
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

-- Law 3 in the database: when a transaction commits, every offset below a position has been counted exactly once. advance
-- and the outcomes are separate updates in either order, so the check waits for the COMMIT, which then fails with LK002.
-- The condition is evaluated at each update: a position that already adds up is not looked at again.
create function position_conserves() returns trigger
language plpgsql as $$
declare
  v ops.position;
begin
  select p.* into v
    from ops.position p
   where p.pipeline = new.pipeline and p.topic = new.topic and p.partition = new.partition;
  if v.next_offset - v.first_offset
     <> v.accepted + v.superseded + v.duplicates + v.conflicts + v.quarantined + v.holes then
    raise exception 'position %/% of pipeline % does not add up: % offsets, % outcomes, % holes',
      v.topic, v.partition, v.pipeline, v.next_offset - v.first_offset,
      v.accepted + v.superseded + v.duplicates + v.conflicts + v.quarantined, v.holes
      using errcode = 'LK002', hint = 'addOutcomes belongs into the transaction of advance, one outcome per record';
  end if;
  return null;
end $$;

create constraint trigger position_conserves
  after insert or update on position
  deferrable initially deferred
  for each row
  when (new.next_offset - new.first_offset
        <> new.accepted + new.superseded + new.duplicates + new.conflicts + new.quarantined + new.holes)
  execute function position_conserves();

-- The views of a schema, each with its columns in order, as they are written in a select list.
create function view_columns(p_schema text) returns table (name text, columns text, note text)
stable language sql as $$
  select c.relname, string_agg(quote_ident(a.attname), ', ' order by a.attnum), obj_description(c.oid, 'pg_class')
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   where n.nspname = p_schema and c.relkind = 'v'
   group by c.oid, c.relname
$$;

-- Points the stable schema (silver, gold) at a generation: one view per view of the generation's schema, columns listed.
-- False, and nothing done, while another generation is the active one: a service may call this at every start. Views that
-- are right already are not touched, so nobody who reads them is made to wait.
create function publish(p_layer text, p_generation int) returns boolean
language plpgsql as $$
declare
  v_source text := p_layer || '_' || p_generation;
  v_note text := 'published from ' || v_source;
  v record;
begin
  perform pg_advisory_xact_lock(hashtextextended('ops.publish', 0));
  if not exists (select from ops.generation g where g.id = p_generation) then
    raise exception 'generation % does not exist', p_generation;
  end if;
  if not exists (select from ops.generation g where g.id = p_generation and g.state = 'active') then
    return false;
  end if;
  execute format('create schema if not exists %I', p_layer);

  for v in
    select t.name
      from ops.view_columns(p_layer) t
     where t.note like 'published from %'
       and t.name not in (select s.name from ops.view_columns(v_source) s)
  loop
    execute format('drop view %I.%I', p_layer, v.name);
  end loop;

  for v in
    select s.name, s.columns
      from ops.view_columns(v_source) s
      left join ops.view_columns(p_layer) t on t.name = s.name
     where (t.columns, t.note) is distinct from (s.columns, v_note)
     order by s.name
  loop
    begin
      execute format('create or replace view %I.%I as select %s from %I.%I', p_layer, v.name, v.columns, v_source, v.name);
    exception when invalid_table_definition then
      -- Columns were removed, renamed or moved: a view cannot change that way, only be made anew.
      execute format('drop view %I.%I', p_layer, v.name);
      execute format('create view %I.%I as select %s from %I.%I', p_layer, v.name, v.columns, v_source, v.name);
    end;
    execute format('comment on view %I.%I is %L', p_layer, v.name, v_note);
  end loop;

  -- What a column means is said where people read it.
  for v in
    select t.relname as name, b.attname as column_name, col_description(s.oid, a.attnum) as note
      from pg_class s
      join pg_class t on t.relname = s.relname and t.relkind = 'v' and t.relnamespace = to_regnamespace(quote_ident(p_layer))
      join pg_attribute a on a.attrelid = s.oid and a.attnum > 0
      join pg_attribute b on b.attrelid = t.oid and b.attname = a.attname
     where s.relnamespace = to_regnamespace(quote_ident(v_source)) and s.relkind = 'v'
       and col_description(t.oid, b.attnum) is distinct from col_description(s.oid, a.attnum)
  loop
    execute format('comment on column %I.%I.%I is %L', p_layer, v.name, v.column_name, v.note);
  end loop;
  return true;
end $$;
