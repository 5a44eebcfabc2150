-- Version 2 of the journey contract. Rows from before it hold null, which is what their records said.
-- Up Migration

alter table digital_journeys_raw add column app_version text;
