-- Many changes in one row of the log: what a row costs by itself was most of what a change cost.
-- Up Migration

-- Changes seq to last_seq of a shard, in order, as a JSON array of [kind, before, after], kind being call, journey or member. Text,
-- because nobody searches in it; as long as it gets, it lies beside the table, and is not worth compressing for its short life.
alter table change_log rename to change_log_by_row;
create table change_log (
  shard smallint not null,
  seq bigint not null,
  last_seq bigint not null,
  changes text not null,
  constraint change_log_packed_pkey primary key (shard, seq),
  check (last_seq >= seq)
);
alter table change_log alter column changes set storage external;
do $$
declare
  c text;
begin
  foreach c in array array['shard', 'seq', 'last_seq', 'changes'] loop
    execute format('alter table change_log alter column %I set statistics 10', c);
  end loop;
end $$;
insert into change_log (shard, seq, last_seq, changes)
select shard, seq, seq, json_build_array(json_build_array(kind, before, after))::text from change_log_by_row;
drop table change_log_by_row;
