-- What became of a quarantined record is kept once for all generations, in ops.repair. (No command ever wrote it here.)
-- Up Migration

create or replace view quarantine as
select q.source, q.kafka_topic, q.kafka_partition, q.kafka_offset, q.received_at, q.payload, q.record_id, q.reasons,
       coalesce(r.status, 'open') as status, coalesce(r.attempts, 0) as attempts, r.resolved_by
  from quarantine_record q
  left join ops.repair r on r.kafka_topic = q.kafka_topic and r.kafka_partition = q.kafka_partition
   and r.kafka_offset = q.kafka_offset;

alter table quarantine_record drop column status, drop column attempts, drop column resolved_by;
