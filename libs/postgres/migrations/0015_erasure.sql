-- Members who were erased: of whom nothing is taken in any more, and who asked for it.
-- Up Migration

-- One row for each member that somebody has had erased. Never the member: a keyed hash, by which the same command finds it again.
create table erasure (
  id bigint generated always as identity primary key,
  member_hash bytea not null unique check (octet_length(member_hash) = 32),
  -- Which key the hash was made with (not the key).
  key_id text not null,
  reason text not null,
  asked_by text not null default session_user,
  system_user_name text not null,
  begun_at timestamptz not null default clock_timestamp(),
  -- How far it has come: bronze holds nothing of the member, silver holds nothing, no change log does.
  archived_at timestamptz,
  removed_at timestamptz,
  ended_at timestamptz,
  -- Rows that were emptied or removed, by table.
  counts jsonb not null default '{}',
  check (removed_at is null or archived_at is not null),
  check (ended_at is null or removed_at is not null)
);

-- What is refused, whoever sends it: the member, and each event and call that was the member's. Raised together with
-- ops.policy.version.
create table erased (
  kind text not null check (kind in ('member', 'record')),
  hash bytea not null check (octet_length(hash) = 32),
  key_id text not null,
  primary key (kind, hash)
);
