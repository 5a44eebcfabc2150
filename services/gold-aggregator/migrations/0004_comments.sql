-- What every column of the views means: unit and formula. Windows: the last n complete local days (fewer if there are
-- fewer; the running day if there is none). Nothing here is a result; changing a text changes no figure.
-- Up Migration

comment on view daily_leakage_summary is 'One row per journey type: the last 7 complete local days. No row before both sources were heard.';
comment on column daily_leakage_summary.leakage_type is 'Journey type: every configured one, also without calls.';
comment on column daily_leakage_summary.summary_date is 'Local date: the last complete day, the end of the window; the running day while none is complete.';
comment on column daily_leakage_summary.daily_calls is 'Leakage calls per day: calls of the window / days.';
comment on column daily_leakage_summary.daily_cost is 'Dollars per day: calls of the window x cost_per_call in cents / 100 / days. Null without a cost_per_call.';
comment on column daily_leakage_summary.segment is 'Primary segment: the member category or language with the greatest (share of leakage calls - share of members), if it has at least 30 % of the calls and 15 points of excess, else Mixed. Null without calls or without profiles.';
comment on column daily_leakage_summary.trend_pct is 'Percent (T7): 100 x (A - B) / B; A = leakage calls of the last 7 complete days, B = of the 7 days before. Null where A or B is below 30, or where there are no 14 complete days.';
comment on column daily_leakage_summary.days is 'Days in the window: 7, fewer if there are fewer, 1 for the running day.';
comment on column daily_leakage_summary.leaked_journeys is 'Journeys of the window (by the date of their last decisive event) to which at least one call is charged.';
comment on column daily_leakage_summary.leaked_members is 'Distinct members with a leakage call in the window, counted over silver. Not additive.';
comment on column daily_leakage_summary.failed_journeys is 'Journeys of the window that ended in a failure, or leaked.';
comment on column daily_leakage_summary.decided_journeys is 'Journeys of the window with an error, abandon or complete.';
comment on column daily_leakage_summary.all_calls is 'All calls with a member in the window, of any reason, leakage or not: the same in every row, never to be added up.';
comment on column daily_leakage_summary.repeat_calls is 'Leakage calls of the window that repeat an earlier call of their issue family within 168 hours (backward).';

comment on view daily_leakage_history is 'One row per local date and journey type, from the first date with data to the running day; days without calls are rows too.';
comment on column daily_leakage_history.local_date is 'Local date of the calls and of the journeys'' last decisive events.';
comment on column daily_leakage_history.leakage_type is 'Journey type: every configured one, also without calls.';
comment on column daily_leakage_history.daily_calls is 'Leakage calls of the day.';
comment on column daily_leakage_history.daily_cost is 'Dollars of the day: daily_calls x cost_per_call in cents / 100. Null without a cost_per_call.';
comment on column daily_leakage_history.segment is 'Primary segment of the day''s leakage calls, as in daily_leakage_summary.';
comment on column daily_leakage_history.trend_pct is 'Percent (T7): leakage calls of the 7 days that end with this one against the 7 before. Null where either is below 30, where data began less than 14 days ago, and for a running day.';
comment on column daily_leakage_history.days is 'Days in the row: 1.';
comment on column daily_leakage_history.leaked_journeys is 'Journeys of the day to which at least one call is charged.';
comment on column daily_leakage_history.leaked_members is 'Distinct members with a leakage call on the day, counted over silver. Not additive over days.';
comment on column daily_leakage_history.failed_journeys is 'Journeys of the day that ended in a failure, or leaked.';
comment on column daily_leakage_history.decided_journeys is 'Journeys of the day with an error, abandon or complete.';
comment on column daily_leakage_history.all_calls is 'All calls with a member on the day, of any reason, leakage or not: the same in every row of the day.';
comment on column daily_leakage_history.repeat_calls is 'Leakage calls of the day that repeat an earlier call of their issue family within 168 hours (backward).';

do $$
declare
  v_view text;
  v_of text;
begin
  foreach v_view in array array['segment_drilldown', 'language_drilldown'] loop
    v_of := case v_view when 'segment_drilldown' then 'member category' else 'language' end;
    execute format('comment on view %I is %L', v_view, format('One row per journey type and %s: the last 28 complete local days.', v_of));
    execute format('comment on column %I.leakage_type is %L', v_view, 'Journey type.');
    execute format('comment on column %I.segment is %L', v_view, format('The %s; Unknown where no profile is known.', v_of));
    execute format('comment on column %I.daily_calls is %L', v_view, 'Leakage calls per day: calls / days.');
    execute format('comment on column %I.daily_cost is %L', v_view, 'Dollars per day: calls x cost_per_call in cents / 100 / days. Null without a cost_per_call.');
    execute format('comment on column %I.repeat_call_pct is %L', v_view, 'Percent: 100 x leakage calls that repeat an earlier call of their issue family within 168 hours (backward) / calls. Null without calls.');
    execute format('comment on column %I.avg_sentiment is %L', v_view, 'Score from -1 to 1: mean over the leakage calls that have one. Null without any.');
    execute format('comment on column %I.calls is %L', v_view, format('Leakage calls of the window, by the %s at the call.', v_of));
    execute format('comment on column %I.days is %L', v_view, 'Days in the window: 28, fewer if there are fewer, 1 for the running day.');
    execute format('comment on column %I.share_pct is %L', v_view, 'Percent: 100 x calls / leakage calls of the journey type in the window. Null without any.');
    execute format('comment on column %I.member_share_pct is %L', v_view, format('Percent: 100 x members whose latest profile has this %s / members with a profile. Null for Unknown.', v_of));
    execute format('comment on column %I.lift is %L', v_view, format('Ratio: leak rate of failures here / leak rate of failures of the whole journey type, both by the %s of the journey. Null where either has no failure, or the type no leak.', v_of));
    execute format('comment on column %I.avg_handle_time_seconds is %L', v_view, 'Seconds: mean over the leakage calls that have a handle time. Null without any.');
    execute format('comment on column %I.leak_rate_pct is %L', v_view, format('Percent (leak rate of failures): 100 x leaked journeys / failed journeys, by the %s of the journey. Null without failures.', v_of));
  end loop;
end $$;

comment on view journey_timeline is 'Playback: the stored events and calls of a member, nothing derived. Read it with where member_id = ...';
comment on column journey_timeline.member_id is 'Member.';
comment on column journey_timeline.event_sequence is 'Number of the row within its member, from 1: by time; at equal milliseconds digital before call, then login, page_view, error, abandon, complete, then id.';
comment on column journey_timeline.event_timestamp is 'Instant of the event, or of the start of the call.';
comment on column journey_timeline.event_type is 'digital or call.';
comment on column journey_timeline.event_description is 'Text made of the record''s own fields: journey type, action and error code; or the call''s reason and IVR path.';
comment on column journey_timeline.journey_type is 'Journey type of a digital event; null for a call.';
comment on column journey_timeline.session_id is 'Session of a digital event; null for a call.';
comment on column journey_timeline.action is 'login, page_view, error, abandon or complete; null for a call.';
comment on column journey_timeline.device_type is 'Device of a digital event, where it was sent; null for a call.';
comment on column journey_timeline.error_code is 'Error code of a digital event, where it was sent; null for a call.';
comment on column journey_timeline.call_id is 'Call; null for a digital event.';
comment on column journey_timeline.call_reason is 'Reason of a call, where it was sent; null for a digital event.';
comment on column journey_timeline.sentiment_score is 'Score from -1 to 1 of a call, where it was sent; null for a digital event.';
comment on column journey_timeline.is_leakage_link is 'A leakage call, or the failure to which at least one call is charged.';

comment on view root_cause_analysis is 'One row per local date, journey type, error code and device with a leakage call or a failed journey.';
comment on column root_cause_analysis.trend_date is 'Local date: of the call for leakage_count, of the journey for failed_journeys.';
comment on column root_cause_analysis.leakage_type is 'Journey type.';
comment on column root_cause_analysis.error_code is 'Code of the last error within the leakage window before the failure, at most 200 characters; null: abandoned without an error, or an error without a code.';
comment on column root_cause_analysis.device_type is 'Device of the failure; null where none was sent.';
comment on column root_cause_analysis.error_message is 'The text that most leakage calls of this type and code carry, over all dates; at equal counts the first one in byte order.';
comment on column root_cause_analysis.leakage_count is 'Leakage calls.';
comment on column root_cause_analysis.leakage_pct is 'Percent: 100 x leakage_count / leakage calls of the journey type on that date. Null without any.';
comment on column root_cause_analysis.failed_journeys is 'Journeys that ended in a failure or leaked, by the journey''s own date, code and device.';
comment on column root_cause_analysis.leak_rate_pct is 'Percent (leak rate of failures): 100 x leaked journeys / failed_journeys. Never divided by calls. Null without failures.';

comment on view savings_model is 'One row per journey type: the last 28 complete local days, whole weeks once there is one. Gross projection, not a forecast.';
comment on column savings_model.leakage_type is 'Journey type: every configured one, also without calls.';
comment on column savings_model.avoidable_calls_per_day is 'Calls per day: leakage calls of the window / days x avoidable_share. Assumption: avoidable_share in ops.parameter (1 = every leakage call).';
comment on column savings_model.cost_per_call is 'Dollars per call. Assumption: cost_per_call in ops.parameter, with source, set_by and set_at.';
comment on column savings_model.annualized_cost is 'Dollars per year, if the level of the window persisted: leakage calls / days x cost_per_call x 365.';
comment on column savings_model.fix_rate_10_pct_savings is 'Dollars per year: annualized_cost x avoidable_share x 10 %. The fix rate is a what-if, not a forecast.';
comment on column savings_model.fix_rate_25_pct_savings is 'Dollars per year: annualized_cost x avoidable_share x 25 %. The fix rate is a what-if, not a forecast.';
comment on column savings_model.fix_rate_50_pct_savings is 'Dollars per year: annualized_cost x avoidable_share x 50 %. The fix rate is a what-if, not a forecast.';
comment on column savings_model.estimated_nps_lift is 'NPS points. Null: not estimated, it cannot be computed from these streams.';
comment on column savings_model.avoidable_calls_per_day_low is 'Calls per day, lower bound of the 95 % interval. Null until the dispersion of the series is estimated.';
comment on column savings_model.avoidable_calls_per_day_high is 'Calls per day, upper bound of the 95 % interval. Null until the dispersion of the series is estimated.';
comment on column savings_model.annualized_cost_low is 'Dollars per year, lower bound of the 95 % interval. Null until the dispersion of the series is estimated.';
comment on column savings_model.annualized_cost_high is 'Dollars per year, upper bound of the 95 % interval. Null until the dispersion of the series is estimated.';
comment on column savings_model.fix_rate_10_pct_savings_low is 'Dollars per year, lower bound of the 95 % interval. Null until the dispersion of the series is estimated.';
comment on column savings_model.fix_rate_10_pct_savings_high is 'Dollars per year, upper bound of the 95 % interval. Null until the dispersion of the series is estimated.';
comment on column savings_model.fix_rate_25_pct_savings_low is 'Dollars per year, lower bound of the 95 % interval. Null until the dispersion of the series is estimated.';
comment on column savings_model.fix_rate_25_pct_savings_high is 'Dollars per year, upper bound of the 95 % interval. Null until the dispersion of the series is estimated.';
comment on column savings_model.fix_rate_50_pct_savings_low is 'Dollars per year, lower bound of the 95 % interval. Null until the dispersion of the series is estimated.';
comment on column savings_model.fix_rate_50_pct_savings_high is 'Dollars per year, upper bound of the 95 % interval. Null until the dispersion of the series is estimated.';

comment on view action_recommendations is 'Ranked actions. Has no rows until actions are matched to measured causes.';
comment on column action_recommendations.action_id is 'Action.';
comment on column action_recommendations.leakage_type is 'Journey type.';
comment on column action_recommendations.action_title is 'Text.';
comment on column action_recommendations.action_description is 'Text.';
comment on column action_recommendations.owner is 'Team that would act.';
comment on column action_recommendations.estimated_savings_annual is 'Dollars per year, base estimate.';
comment on column action_recommendations.estimated_savings_annual_low is 'Dollars per year, lower bound.';
comment on column action_recommendations.estimated_savings_annual_high is 'Dollars per year, upper bound.';
comment on column action_recommendations.effort_estimate is 'Text: working days, low to high.';
comment on column action_recommendations.priority_rank is 'Rank, 1 first.';
comment on column action_recommendations.cx_impact_score is 'Score from 0 to 10: negative experience avoided, relative to the best action.';
comment on column action_recommendations.confidence is '0.5 prior only, 0.8 cause significant in live data, 1.0 own measured effect.';
comment on column action_recommendations.evidence is 'JSON: the cells that match, with counts, shares and lift.';

comment on view repeat_followups is 'Forward view of repeats: what leakage calls lead to, per journey type and member category, over at most 28 local days all of whose calls are matured.';
comment on column repeat_followups.leakage_type is 'Journey type.';
comment on column repeat_followups.segment is 'Member category at the call.';
comment on column repeat_followups.matured_calls is 'Leakage calls of the window; 168 hours have passed for each on the watermark.';
comment on column repeat_followups.led_to_repeat_calls is 'Of these, calls followed by another one of the member and issue family within 168 hours, leakage or not.';
comment on column repeat_followups.led_to_repeat_pct is 'Percent: 100 x led_to_repeat_calls / matured_calls.';
comment on column repeat_followups.led_to_other_repeat_calls is 'Of these, calls whose next one of the family is not leakage: repeats that the leakage count does not hold.';
comment on column repeat_followups.from_day is 'First local date of the window.';
comment on column repeat_followups.to_day is 'Last local date of the window: the last one whose end lies 168 hours before as_of.';

-- The three columns that every view has.
do $$
declare
  v record;
begin
  for v in
    select c.relname as name, a.attname as col
      from pg_class c join pg_attribute a on a.attrelid = c.oid
     where c.relnamespace = current_schema()::regnamespace and c.relkind = 'v' and a.attname in ('status', 'as_of', 'processing_timestamp')
  loop
    execute format('comment on column %I.%I is %L', v.name, v.col, case v.col
      when 'status' then 'final: both watermarks are 48 hours past the end of the period; provisional: the period is over; partial: it is not. Final also needs a pipeline that is caught up, which is a figure of its own.'
      when 'as_of' then 'Instant: the smaller of the two event-time watermarks up to which gold is complete. Null before both sources were heard.'
      else case v.name when 'journey_timeline' then 'Instant at which silver last wrote the record.' else 'Instant at which gold last changed.' end end);
  end loop;
end $$;
