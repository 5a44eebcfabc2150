-- What the api writes: who looked at whom. Runs with search_path = app.
-- Up Migration

-- Written and committed before the read that it records; a read that cannot be recorded does not happen. It never holds a
-- member's id: member_pid is a keyed hash, and key_id says with which key.
create table audit (
  id bigint generated always as identity primary key,
  occurred_at timestamptz not null default clock_timestamp(),
  action text not null check (action in ('read_timeline')),
  actor text not null,
  remote_address text not null,
  member_pid text not null,
  key_id text not null,
  purpose text not null,
  fields text[] not null,
  request_id text not null
);
-- Serves "who looked at this member, and when".
create index audit_member on audit (member_pid, occurred_at);

create function audit_is_append_only() returns trigger
language plpgsql as $$
begin
  raise exception 'rows of app.audit are never changed or removed';
end $$;

create trigger audit_append_only before update or delete or truncate on audit
  for each statement execute function audit_is_append_only();
