-- When a change was written: the processing time of the facts that the same transaction wrote, and how old is what waits.
-- Up Migration

alter table change_log add column logged_at timestamptz not null default now();
