-- One generation of gold: cubes of counts and integer sums, folded from the change log (law 7). Runs with
-- search_path = gold_<n>, silver_<n>. Absent dimensions are '' (a key cannot be null).
-- Up Migration

create table this_generation (id int primary key);

create table call_cube (
  local_date date not null,
  local_hour smallint not null,
  attribution text not null,
  leakage_type text not null,
  member_category text not null,
  language_preference text not null,
  device_type text not null,
  error_code text not null,
  calls bigint not null,
  repeat_calls bigint not null,
  primary_calls bigint not null,
  assisted_calls bigint not null,
  sentiment_sum_e4 bigint not null,
  sentiment_calls bigint not null,
  handle_time_sum bigint not null,
  handle_time_calls bigint not null,
  time_to_call_sum_ms bigint not null,
  primary key (local_date, local_hour, attribution, leakage_type, member_category, language_preference, device_type, error_code)
) with (fillfactor = 50);

create table journey_cube (
  local_date date not null,
  local_hour smallint not null,
  journey_type text not null,
  outcome text not null,
  member_category text not null,
  language_preference text not null,
  device_type text not null,
  error_code text not null,
  journeys bigint not null,
  failed_journeys bigint not null,
  leaked_journeys bigint not null,
  leakage_calls bigint not null,
  primary key (local_date, local_hour, journey_type, outcome, member_category, language_preference, device_type, error_code)
) with (fillfactor = 50);

create table member_cube (
  member_category text not null,
  language_preference text not null,
  members bigint not null,
  primary key (member_category, language_preference)
) with (fillfactor = 50);

-- Which text an error code carried: root_cause_analysis shows the most frequent one.
create table error_message_cube (
  leakage_type text not null,
  error_code text not null,
  error_message text not null,
  calls bigint not null,
  primary key (leakage_type, error_code, error_message)
) with (fillfactor = 50);
