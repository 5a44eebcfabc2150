-- Retention: what runs have removed, and where a generation begins that was made after one of them.
-- Up Migration

alter table horizon
  -- The generation was made after a retention run, and never took in an event or call from before it; null: it began with the
  -- first record.
  add column begins_at timestamptz,
  -- Its gold counts no local day before this one by itself; they are those that `taken_from` had when it began, or are lacking.
  add column closed_before date,
  add column taken_from int references generation (id),
  -- Quarantined records that Kafka got before then were removed, and are not told of again.
  add column quarantine_kept_from timestamptz,
  add constraint horizon_begins_at_check check (begins_at <= kept_from),
  add constraint horizon_taken_from_check check (taken_from is null or closed_before is not null);

-- One row for each run of leakage retain. Not ended: it was stopped, and the next run goes on where it was.
create table retention_run (
  id bigint generated always as identity primary key,
  begun_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  asked_by text not null default session_user,
  -- What was to be kept, and the day that counted as today.
  policy jsonb not null,
  -- Rows by generation and table, partitions of bronze, their records and bytes.
  removed jsonb not null default '{}'
);

-- Offsets whose records bronze had and has no longer, because their partition was dropped: written with the drop. A range may hold
-- offsets that never had a record; `records` says how many did.
create table bronze_dropped (
  topic text not null,
  partition int not null,
  from_offset bigint not null,
  next_offset bigint not null,
  records bigint not null,
  -- The daily partition that they lay in.
  dropped_from text not null,
  dropped_at timestamptz not null default clock_timestamp(),
  primary key (topic, partition, from_offset),
  check (next_offset > from_offset and records between 1 and next_offset - from_offset)
);
