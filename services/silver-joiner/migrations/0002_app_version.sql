-- Version 2 of the journey contract. The column comes last in the view: only there can it be added without a reader noticing.
-- Up Migration

alter table journey_event add column app_version text;

create or replace view digital_journeys_cleaned as
select event_id, member_id, session_id, "timestamp", journey_type, action, device_type, error_code, error_message, revision,
       emitted_at, shard, ingestion_timestamp, processing_timestamp, source_topic, source_partition, source_offset, app_version
  from journey_event where not deleted;
