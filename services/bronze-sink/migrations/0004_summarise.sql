-- Reading bronze as a log: its coarse index must know of what was added last. Runs with search_path = bronze.
-- Up Migration

-- Has the index of every partition take note of the pages that vacuum has not told it of yet: those are read by every question
-- otherwise. Runs as the owner; changes nothing that anybody could see.
create function summarise() returns void
language plpgsql security definer as $$
declare
  v_index regclass;
begin
  for v_index in
    select c.oid::regclass
      from pg_class c
      join pg_am a on a.oid = c.relam and a.amname = 'brin'
     where c.relnamespace = current_schema()::regnamespace and c.relkind = 'i'
     order by c.relname
  loop
    perform brin_summarize_new_values(v_index);
  end loop;
end $$;

do $$
begin
  execute format('alter function summarise set search_path = %I, pg_temp', current_schema());
end $$;
revoke execute on function summarise from public;
