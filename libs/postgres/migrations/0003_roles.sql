-- What a login that is not the owner may do. Its rights are granted by leakage init; here is what no grant can say.
-- Up Migration

-- Which rows of the two tables that several services write each of them may write, is said by a policy for each role, made
-- with the role. Who may read one may read all of it. The owner is not bound by any of this.
-- (In the order in which a batch takes them.)
alter table shard enable row level security;
create policy everybody_reads on shard for select using (true);
alter table position enable row level security;
create policy everybody_reads on position for select using (true);

-- Points the stable schema (silver, gold) at a generation: one view per view of the generation's schema, columns listed.
-- False, and nothing done, while another generation is the active one: a service may call this at every start. Views that
-- are right already are not touched, so nobody who reads them is made to wait, and whoever finds them right needs no right
-- but to look.
create or replace function publish(p_layer text, p_generation int) returns boolean
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
  if to_regnamespace(quote_ident(p_layer)) is null then
    execute format('create schema %I', p_layer);
  end if;

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
