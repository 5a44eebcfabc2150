-- Generations as things that are built, compared, promoted and dropped while the active one goes on.
-- Up Migration

-- preparing: its tables are being made, and no process works on it yet. building: it is fed and may be promoted once it is
-- nowhere behind. active: what everybody reads. retired: it was active, and is fed on, so that going back is one command.
-- dropped: its number is used up.
alter table generation drop constraint generation_state_check;
alter table generation add constraint generation_state_check
  check (state in ('preparing', 'building', 'active', 'retired', 'dropped'));

alter table generation
  -- A what-if is compared and never promoted.
  add column purpose text not null default 'candidate' check (purpose in ('candidate', 'what_if')),
  -- Where it is read from until it has caught up; from then on it is Kafka.
  add column source text not null default 'topics' check (source in ('topics', 'bronze')),
  add column note text,
  -- What its processes heed within a second: whether they rest, and how much of their time (percent) and how many records a
  -- second they take while they catch up.
  add column paused boolean not null default false,
  add column share_percent int not null default 100 check (share_percent between 1 and 100),
  add column records_per_second int check (records_per_second > 0),
  -- What it was made of, where that is not everything: records that Kafka got in this time.
  add column from_time timestamptz,
  add column to_time timestamptz,
  -- When it had read everything that there was, for the first time.
  add column caught_up_at timestamptz,
  add column dropped_at timestamptz,
  add constraint generation_of_a_part_is_what_if
    check (purpose = 'what_if' or (from_time is null and to_time is null));

-- Where a pipeline ends that is not to read for ever: a replay, a generation of a part.
alter table position add column until_offset bigint;
alter table position add constraint position_until_offset_check check (next_offset <= until_offset);

-- What the independent program said of a generation, and of what part of it.
create table verification (
  id bigint generated always as identity primary key,
  generation int not null references generation (id),
  rules_hash text not null,
  -- Local days of the facts that were compared; null: from the beginning, to the end.
  from_day date,
  to_day date,
  begun_at timestamptz not null,
  ended_at timestamptz not null default clock_timestamp(),
  -- Records below silver's positions: what was recomputed.
  records bigint not null,
  ok boolean not null,
  -- Names of the checks that found differences, and how many.
  differing jsonb not null default '[]',
  -- Who asked: a person with the command, or the schedule.
  trigger text not null check (trigger in ('command', 'schedule', 'promote')),
  asked_by text not null default session_user
);
-- Serves "the newest of a generation".
create index verification_generation on verification (generation, ended_at);

-- Who spoke when: every change of the active generation.
create table promotion (
  id bigint generated always as identity primary key,
  kind text not null check (kind in ('promote', 'rollback')),
  from_generation int not null references generation (id),
  to_generation int not null references generation (id),
  forced boolean not null default false,
  reason text,
  promoted_by text not null default session_user,
  promoted_at timestamptz not null default clock_timestamp(),
  check (from_generation <> to_generation),
  check (not forced or reason is not null)
);
