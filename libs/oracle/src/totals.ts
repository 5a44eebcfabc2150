/** The totals that people read first, computed from the oracle's facts (contracts.md section 5). */
import type { Comparison } from './compare.ts';
import { identifier, literal } from './sql.ts';
import type { OracleRules } from './types.ts';

const cents = `(select round(100 * value) from ops.parameter where name = 'cost_per_call')`;

const counts = [
  'leaked_journeys',
  'leaked_members',
  'failed_journeys',
  'decided_journeys',
  'all_calls',
  'repeat_calls',
];

// A type without calls and without decided journeys in the period may have a row of zeros, or none.
const stored = (gold: string, view: string, columns: readonly string[]) =>
  `select ${columns.join(', ')} from ${identifier(gold)}.${view} where daily_calls <> 0 or decided_journeys <> 0`;

/** Calls by the call's local date, journeys by the journey's; grouped by `group`, restricted by `where`. */
function perType(o: { group: string; where: string }): string {
  return `
  (select ${o.group} leakage_type, count(*) as calls, count(*) filter (where is_repeat_call) as repeat_calls,
          count(distinct member_id) as leaked_members
     from oracle_call_fact where attribution = 'leakage' and ${o.where} group by ${o.group} leakage_type) c
  full join
  (select ${o.group} journey_type as leakage_type, count(*) as decided_journeys, count(*) filter (where leaked) as leaked_journeys,
          count(*) filter (where outcome <> 'completed' or leaked) as failed_journeys
     from oracle_outcome where ${o.where} group by ${o.group} journey_type) j
  using (${o.group} leakage_type)`;
}

const coalesced = counts
  .filter((column) => column !== 'all_calls')
  .map((column) => `coalesce(${column}, 0) as ${column}`)
  .join(', ');

function history(gold: string): Comparison {
  const key = ['local_date', 'leakage_type'];
  const columns = ['daily_calls', 'daily_cost', ...counts];
  return {
    name: 'gold: daily_leakage_history',
    key,
    columns,
    expected: `
select local_date, leakage_type, coalesce(calls, 0) as daily_calls, round(coalesce(calls, 0) * ${cents} / 100, 2) as daily_cost,
       coalesce(all_calls, 0) as all_calls, ${coalesced}
  from ${perType({ group: 'local_date,', where: 'true' })}
  left join (select local_date, count(*) as all_calls from oracle_call_fact group by local_date) a using (local_date)`,
    actual: stored(gold, 'daily_leakage_history', [...key, ...columns]),
  };
}

/**
 * The last 7 complete local days before as_of (the smaller watermark), fewer if there are fewer, the running day if there
 * is none; nothing before both sources were heard.
 */
function summary(gold: string, rules: OracleRules): Comparison {
  const key = ['leakage_type'];
  const columns = ['summary_date', 'daily_calls', 'daily_cost', 'days', ...counts];
  const inPeriod = 'local_date between (select from_day from oracle_period) and (select to_day from oracle_period)';
  return {
    name: 'gold: daily_leakage_summary',
    key,
    columns,
    expected: `
with clock as (
  select case when count(watermark) = 2 then (min(watermark) at time zone ${literal(rules.timeZone)})::date end as today,
         least((select min(local_date) from oracle_call_fact), (select min(local_date) from oracle_outcome)) as first_day
    from (select kind, max(watermark) as watermark from oracle_partition where kind <> 'profile' group by kind) w
), oracle_period as (
  select case when first_day < today then today - 1 else today end as to_day,
         case when first_day < today then greatest(first_day, today - 7) else today end as from_day
    from clock where today is not null
)
select t.leakage_type, p.to_day as summary_date, p.to_day - p.from_day + 1 as days,
       round(coalesce(t.calls, 0)::numeric / (p.to_day - p.from_day + 1), 1) as daily_calls,
       round(coalesce(t.calls, 0) * ${cents} / (100 * (p.to_day - p.from_day + 1)), 2) as daily_cost,
       (select count(*) from oracle_call_fact where ${inPeriod}) as all_calls, ${coalesced}
  from oracle_period p
 cross join (select * from ${perType({ group: '', where: inPeriod })}) t`,
    actual: stored(gold, 'daily_leakage_summary', [...key, ...columns]),
  };
}

export function totals(gold: string, rules: OracleRules): Comparison[] {
  return [history(gold), summary(gold, rules)];
}
