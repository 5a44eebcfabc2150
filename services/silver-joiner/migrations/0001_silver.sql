-- One generation of silver. Runs with search_path = silver_<n>. Base tables have short names; the views carry the
-- names people rely on, and ops.publish repeats the views in the stable schema.
-- Up Migration

create table journey_event (
  event_id text collate "C" primary key,
  event_day int not null,
  member_id text collate "C" not null,
  session_id text collate "C" not null,
  "timestamp" timestamptz not null,
  journey_type text not null,
  action text not null,
  device_type text,
  error_code text,
  error_message text,
  revision int not null,
  deleted boolean not null,
  emitted_at timestamptz not null,
  shard smallint not null,
  ingestion_timestamp timestamptz not null,
  processing_timestamp timestamptz not null default now(),
  source_topic text not null,
  source_partition int not null,
  source_offset bigint not null
);
-- Serves the join (decisive events of a member around an instant) and the playback of a member; the leading day keeps
-- inserts local, so that cost does not grow with history.
create index journey_event_day_member on journey_event (event_day, member_id, "timestamp");

create table call (
  call_id text collate "C" primary key,
  member_id text collate "C" not null,
  call_timestamp timestamptz not null,
  ivr_path text,
  handle_time_seconds int,
  agent_id text,
  call_reason text,
  sentiment_e4 int,
  resolution_status text,
  revision int not null,
  deleted boolean not null,
  emitted_at timestamptz not null,
  shard smallint not null,
  ingestion_timestamp timestamptz not null,
  processing_timestamp timestamptz not null default now(),
  source_topic text not null,
  source_partition int not null,
  source_offset bigint not null
);
-- Serves the join and the repeat rule: a member's calls between two instants.
create index call_member on call (member_id, call_timestamp);

create table member_profile (
  member_id text collate "C" not null,
  valid_from timestamptz not null,
  plan_type text not null,
  segment text not null,
  language_preference text not null,
  tenure_months int not null,
  enrollment_date date not null,
  member_category text not null,
  revision int not null,
  emitted_at timestamptz not null,
  shard smallint not null,
  ingestion_timestamp timestamptz not null,
  processing_timestamp timestamptz not null default now(),
  source_topic text not null,
  source_partition int not null,
  source_offset bigint not null,
  primary key (member_id, valid_from)
);

-- One row per accepted, not withdrawn call: the unique key enforces that a call is charged once (law 6).
create table call_fact (
  call_id text collate "C" primary key,
  member_id text collate "C" not null,
  shard smallint not null,
  call_timestamp timestamptz not null,
  call_reason text,
  issue_family text,
  attribution text not null check (attribution in ('leakage', 'possible', 'unaligned', 'cured', 'none')),
  is_repeat_call boolean not null,
  is_primary boolean not null,
  assisted_completion boolean not null,
  leakage_type text,
  digital_session_id text collate "C",
  digital_event_id text collate "C",
  digital_timestamp timestamptz,
  time_to_call_ms bigint,
  alignment_strength smallint,
  error_code text,
  error_message text,
  device_type text,
  member_category text not null,
  plan_type text,
  segment text,
  language_preference text,
  sentiment_e4 int,
  handle_time_seconds int,
  local_date date not null,
  local_hour smallint not null,
  processing_timestamp timestamptz not null default now(),
  check ((attribution = 'leakage') = (leakage_type is not null)),
  check (attribution = 'leakage' or (digital_session_id is null and digital_event_id is null and digital_timestamp is null
    and time_to_call_ms is null and alignment_strength is null and error_code is null and error_message is null
    and device_type is null and not is_primary and not assisted_completion))
);
-- Serves "all calls attributed to this journey" (is_primary, leaked) and the distinct members of a day.
create index call_fact_journey on call_fact (member_id, digital_session_id, leakage_type) where attribution = 'leakage';
create index call_fact_leaked_day on call_fact (local_date, leakage_type) where attribution = 'leakage';

create table journey_outcome (
  member_id text collate "C" not null,
  session_id text collate "C" not null,
  journey_type text not null,
  shard smallint not null,
  outcome text not null check (outcome in ('completed', 'failed_error', 'failed_abandon')),
  first_decisive_at timestamptz not null,
  last_decisive_at timestamptz not null,
  last_decisive_event_id text collate "C" not null,
  device_type text,
  error_code text,
  member_category text not null,
  plan_type text,
  segment text,
  language_preference text,
  local_date date not null,
  local_hour smallint not null,
  leaked boolean not null,
  leakage_calls int not null,
  processing_timestamp timestamptz not null default now(),
  primary key (member_id, session_id, journey_type),
  check (leaked = (leakage_calls > 0))
);

create table quarantine_record (
  source text not null check (source in ('journeys', 'calls', 'members')),
  kafka_topic text not null,
  kafka_partition int not null,
  kafka_offset bigint not null,
  received_at timestamptz not null,
  payload bytea,
  record_id text collate "C",
  reasons text[] not null,
  status text not null default 'open' check (status in ('open', 'replayed', 'discarded')),
  attempts int not null default 0,
  resolved_by text,
  primary key (kafka_topic, kafka_partition, kafka_offset)
);

-- All distinct contents at an identity's highest revision, where there is more than one.
create table conflict_record (
  source text not null check (source in ('journeys', 'calls', 'members')),
  identity text collate "C" not null,
  revision int not null,
  content_hash bytea not null,
  content jsonb not null,
  kafka_topic text not null,
  kafka_partition int not null,
  kafka_offset bigint not null,
  primary key (source, identity, content_hash)
);

-- Every change of a fact, gap-free per shard: what gold folds.
create table change_log (
  shard smallint not null,
  seq bigint not null,
  kind text not null check (kind in ('call', 'journey', 'member')),
  before jsonb,
  after jsonb,
  primary key (shard, seq),
  check (before is not null or after is not null)
);

create view digital_journeys_cleaned as
select event_id, member_id, session_id, "timestamp", journey_type, action, device_type, error_code, error_message, revision,
       emitted_at, shard, ingestion_timestamp, processing_timestamp, source_topic, source_partition, source_offset
  from journey_event where not deleted;

create view call_logs_cleaned as
select call_id, member_id, call_timestamp, ivr_path, handle_time_seconds, agent_id, call_reason,
       (sentiment_e4 / 10000.0)::numeric(5, 4) as sentiment_score, resolution_status, revision,
       emitted_at, shard, ingestion_timestamp, processing_timestamp, source_topic, source_partition, source_offset
  from call where not deleted;

create view member_profiles_enriched as
select member_id, valid_from,
       coalesce(lead(valid_from) over (partition by member_id order by valid_from), 'infinity'::timestamptz) as valid_to,
       plan_type, segment, language_preference, tenure_months, enrollment_date, member_category, revision,
       emitted_at, shard, ingestion_timestamp, processing_timestamp, source_topic, source_partition, source_offset
  from member_profile;

create view digital_call_leakage as
select call_id as leakage_id, member_id, call_id, call_timestamp, call_reason, issue_family, attribution,
       attribution = 'leakage' as is_leakage_call, is_repeat_call, is_primary, assisted_completion, leakage_type,
       digital_session_id, digital_event_id, digital_timestamp,
       round(time_to_call_ms / 60000.0, 1)::numeric(5, 1) as time_to_call_minutes, time_to_call_ms, alignment_strength,
       error_code, error_message, device_type, member_category, plan_type, segment, language_preference,
       (sentiment_e4 / 10000.0)::numeric(5, 4) as sentiment_score, handle_time_seconds, local_date, processing_timestamp
  from call_fact;

create view journey_outcomes as
select member_id, session_id, journey_type, outcome, last_decisive_event_id, last_decisive_at, device_type, error_code,
       member_category, plan_type, segment, language_preference, local_date, leaked, leakage_calls, processing_timestamp
  from journey_outcome;

create view quarantine as
select source, kafka_topic, kafka_partition, kafka_offset, received_at, payload, record_id, reasons, status, attempts, resolved_by
  from quarantine_record;

create view conflicts as
select source, identity, revision, content, kafka_topic, kafka_partition, kafka_offset from conflict_record;
