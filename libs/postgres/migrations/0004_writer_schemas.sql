-- Avro schemas that were learned from a registry: they answer for it while it does not.
-- Up Migration

-- A schema never changes under its id, but ids mean something in their registry only.
create table writer_schema (
  registry text not null,
  schema_id int not null check (schema_id > 0),
  schema text not null,
  learned_at timestamptz not null default now(),
  primary key (registry, schema_id)
);
