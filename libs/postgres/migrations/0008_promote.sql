-- Promote, roll back, drop; and a reader of the change log that ends where another generation begins to speak.
-- Up Migration

-- The last change that a reader is to read; null: it reads for ever. Only the reader "changes" has one: it tells the world what
-- changes in the active generation, and one that is retired is told to its end and no further.
alter table reader add column until_seq bigint;
alter table reader add constraint reader_until_seq_check check (next_seq <= until_seq + 1);

-- Two services read the log, so each has rows of its own here: as for positions, a policy for each role says which.
alter table reader enable row level security;
create policy everybody_reads on reader for select using (true);
-- Gold goes on under the login that it has: whoever may move a reader so far moves that of gold. (leakage init gives the others.)
do $$
declare
  v record;
begin
  for v in
    select distinct g.rolname
      from pg_attribute a
     cross join lateral aclexplode(a.attacl) x
      join pg_roles g on g.oid = x.grantee
     where a.attrelid = 'ops.reader'::regclass and a.attname = 'next_seq' and x.privilege_type = 'UPDATE'
  loop
    execute format('create policy %I on ops.reader for all to %I using (reader = ''gold'')', v.rolname, v.rolname);
  end loop;
end $$;

-- Serves "how the active generation came to speak", for rollback.
create index promotion_to on promotion (to_generation, id);
