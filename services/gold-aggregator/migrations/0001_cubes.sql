-- One generation of gold: cubes of counts and integer sums, folded from the change log (law 7). Runs with
-- search_path = gold_<n>, silver_<n>.
--
-- A key cannot be null: an absent dimension is ''. error_code and error_message are cut to 200 characters, because a key
-- must fit a page whatever a producer sends. A cell that reaches zero is deleted, so that equal facts give equal tables
-- whatever came in between. The checks are the fold's alarm: a count that cannot be means that a change was lost or came
-- twice, and the fold stops.
-- Up Migration

-- Whose schema this is, and up to where it was folded when it last had nothing left to fold (both watermarks).
create table this_generation (
  id int primary key,
  folded_at timestamptz,
  wm_digital timestamptz,
  wm_calls timestamptz
) with (fillfactor = 50);
insert into this_generation (id) select substring(current_schema() from '[0-9]+$')::int;

-- Calls by the call's local date and hour. Device, error code and leakage_type are '' unless attribution = 'leakage'.
create table call_cube (
  local_date date not null,
  local_hour smallint not null,
  attribution text collate "C" not null,
  leakage_type text collate "C" not null,
  member_category text collate "C" not null,
  language_preference text collate "C" not null,
  device_type text collate "C" not null,
  error_code text collate "C" not null,
  calls bigint not null,
  repeat_calls bigint not null,
  primary_calls bigint not null,
  assisted_calls bigint not null,
  sentiment_sum_e4 bigint not null,
  sentiment_calls bigint not null,
  handle_time_sum bigint not null,
  handle_time_calls bigint not null,
  time_to_call_sum_ms bigint not null,
  primary key (local_date, local_hour, attribution, leakage_type, member_category, language_preference, device_type, error_code),
  check (calls > 0),
  check (repeat_calls between 0 and calls),
  check (primary_calls between 0 and calls),
  check (assisted_calls between 0 and calls),
  check (sentiment_calls between 0 and calls and abs(sentiment_sum_e4) <= 10000 * sentiment_calls),
  check (handle_time_calls between 0 and calls and handle_time_sum between 0 and 14400 * handle_time_calls),
  check (time_to_call_sum_ms >= 0)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- Decided journeys by the local date and hour of their last decisive event. Failed: the outcome is a failure, or it leaked.
create table journey_cube (
  local_date date not null,
  local_hour smallint not null,
  journey_type text collate "C" not null,
  outcome text collate "C" not null,
  member_category text collate "C" not null,
  language_preference text collate "C" not null,
  device_type text collate "C" not null,
  error_code text collate "C" not null,
  journeys bigint not null,
  failed_journeys bigint not null,
  leaked_journeys bigint not null,
  leakage_calls bigint not null,
  primary key (local_date, local_hour, journey_type, outcome, member_category, language_preference, device_type, error_code),
  check (journeys > 0),
  check (failed_journeys between 0 and journeys),
  check (leaked_journeys between 0 and failed_journeys),
  check (leakage_calls >= leaked_journeys)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

-- Members with a profile, by their latest version.
create table member_cube (
  member_category text collate "C" not null,
  language_preference text collate "C" not null,
  members bigint not null,
  primary key (member_category, language_preference),
  check (members > 0)
) with (fillfactor = 50);

-- Which text an error code carried: leakage calls that have both. root_cause_analysis shows the most frequent one.
create table error_message_cube (
  leakage_type text collate "C" not null,
  error_code text collate "C" not null,
  error_message text collate "C" not null,
  calls bigint not null,
  primary key (leakage_type, error_code, error_message),
  check (calls > 0)
) with (fillfactor = 50);
