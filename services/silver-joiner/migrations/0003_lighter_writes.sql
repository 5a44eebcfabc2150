-- What every batch writes costs as little as it can.
-- Up Migration

-- Written once and read once, as text: nobody searches in it, and taking JSON apart for that was a tenth of silver's cost.
alter table change_log alter column before type json using before::json, alter column after type json using after::json;

-- Statistics are for the views and for verify, which join whole tables: rough ones do. Of a table that only grows they would
-- otherwise be taken again and again, each time from 30,000 rows with all their columns.
do $$
declare
  c record;
begin
  for c in select t.relname, a.attname
             from pg_class t join pg_attribute a on a.attrelid = t.oid
            where t.relnamespace = current_schema()::regnamespace and t.relkind = 'r' and a.attnum > 0 and not a.attisdropped
              and t.relname in ('journey_event', 'call', 'member_profile', 'call_fact', 'journey_outcome', 'change_log')
  loop
    execute format('alter table %I alter column %I set statistics 10', c.relname, c.attname);
  end loop;
end $$;
