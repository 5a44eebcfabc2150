-- What becomes of quarantined records, once for all generations. Written by the command leakage quarantine and nobody else.
-- Up Migration

-- A name stands for one fix: whoever repeats a run by its name goes on with it and cannot mean another.
create table repair_run (
  name text primary key,
  fix jsonb not null,
  begun_at timestamptz not null default clock_timestamp(),
  begun_by text not null default session_user
);

-- A record that is not here is open and was never tried. The record itself is in silver's quarantine of every generation that
-- refuses it, and in bronze.
create table repair (
  kafka_topic text not null,
  kafka_partition int not null,
  kafka_offset bigint not null,
  status text not null default 'open' check (status in ('open', 'replayed', 'discarded')),
  -- How often its repaired form was about to be sent. Open with attempts: Kafka may have it, and nobody has heard so.
  attempts int not null default 0 check (attempts >= 0),
  attempted_at timestamptz,
  run text references repair_run (name),
  -- Where the repaired record is.
  repaired_topic text,
  repaired_partition int,
  repaired_offset bigint,
  -- Why it was discarded.
  reason text,
  resolved_by text,
  resolved_at timestamptz,
  primary key (kafka_topic, kafka_partition, kafka_offset),
  check ((attempts = 0) = (attempted_at is null) and (attempts = 0) = (run is null)),
  check ((status = 'replayed') = (repaired_topic is not null)),
  check ((repaired_topic is null) = (repaired_partition is null) and (repaired_topic is null) = (repaired_offset is null)),
  check ((status = 'discarded') = (reason is not null)),
  check ((status = 'open') = (resolved_at is null) and (status = 'open') = (resolved_by is null))
);
-- Serves "what was sent and never acknowledged".
create index repair_unacknowledged on repair (kafka_topic, kafka_partition, kafka_offset) where status = 'open' and attempts > 0;

-- Who was shown a single record, with the member in it. Written and committed before it is shown; what cannot be recorded is
-- not shown.
create table disclosure (
  id bigint generated always as identity primary key,
  occurred_at timestamptz not null default clock_timestamp(),
  command text not null check (command in ('show', 'conflicts')),
  kafka_topic text not null,
  kafka_partition int not null,
  kafka_offset bigint not null,
  login text not null default session_user,
  system_user_name text not null,
  purpose text
);

create function disclosure_is_append_only() returns trigger
language plpgsql as $$
begin
  raise exception 'rows of ops.disclosure are never changed or removed';
end $$;

create trigger disclosure_append_only before update or delete or truncate on disclosure
  for each statement execute function disclosure_is_append_only();
