-- The archive: every record as received, append only, partitioned by day of ingestion. Runs with search_path = bronze.
-- Up Migration

-- Uniqueness of (topic, partition, offset) comes from the position's compare-and-set and is checked by verify:
-- a BRIN index is enough for range reads and costs a fifth of a unique btree.
create table digital_journeys_raw (
  kafka_topic text not null,
  kafka_partition int not null,
  kafka_offset bigint not null,
  kafka_timestamp timestamptz not null,
  kafka_key bytea,
  headers jsonb,
  payload bytea,
  schema_id int,
  event_id text,
  member_id text,
  session_id text,
  "timestamp" timestamptz,
  journey_type text,
  action text,
  device_type text,
  error_code text,
  error_message text,
  revision int,
  deleted boolean,
  emitted_at timestamptz,
  decode_error text,
  source_file text,
  ingestion_timestamp timestamptz not null default now()
) partition by range (ingestion_timestamp);
create index on digital_journeys_raw using brin (kafka_topic, kafka_partition, kafka_offset);

create table call_logs_raw (
  kafka_topic text not null,
  kafka_partition int not null,
  kafka_offset bigint not null,
  kafka_timestamp timestamptz not null,
  kafka_key bytea,
  headers jsonb,
  payload bytea,
  schema_id int,
  call_id text,
  member_id text,
  call_timestamp timestamptz,
  ivr_path text,
  handle_time_seconds int,
  agent_id text,
  call_reason text,
  sentiment_score double precision,
  resolution_status text,
  revision int,
  deleted boolean,
  emitted_at timestamptz,
  decode_error text,
  source_file text,
  ingestion_timestamp timestamptz not null default now()
) partition by range (ingestion_timestamp);
create index on call_logs_raw using brin (kafka_topic, kafka_partition, kafka_offset);

create table member_profiles_raw (
  kafka_topic text not null,
  kafka_partition int not null,
  kafka_offset bigint not null,
  kafka_timestamp timestamptz not null,
  kafka_key bytea,
  headers jsonb,
  payload bytea,
  schema_id int,
  member_id text,
  plan_type text,
  segment text,
  language_preference text,
  tenure_months int,
  enrollment_date date,
  valid_from timestamptz,
  revision int,
  emitted_at timestamptz,
  decode_error text,
  source_file text,
  ingestion_timestamp timestamptz not null default now()
) partition by range (ingestion_timestamp);
create index on member_profiles_raw using brin (kafka_topic, kafka_partition, kafka_offset);

-- Where a row goes when the maintenance task is behind or the server's clock jumped: never refused, never lost.
create table digital_journeys_raw_default partition of digital_journeys_raw default;
create table call_logs_raw_default partition of call_logs_raw default;
create table member_profiles_raw_default partition of member_profiles_raw default;
