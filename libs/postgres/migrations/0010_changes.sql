-- The order in which generations speak to those who follow the change stream.
-- Up Migration

-- Of the reader "changes": the lowest number is told first, and to its end, before the next one begins. Every hand-over gives out a
-- new one; rows whose generation was told to its end are removed, so a row is there for what is still to be said.
alter table reader add column turn bigint not null default 0;
