/** The totals that people read first, computed from the oracle's facts (contracts.md section 5, metrics.md 3 and 4.6). */
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

/**
 * The clock of the data: as_of is the smaller watermark, and nothing is known before both sources were heard. The days
 * before it are complete.
 */
const clock = (rules: OracleRules) => `
  select case when count(watermark) = 2 then (min(watermark) at time zone ${literal(rules.timeZone)})::date end as today,
         least((select min(local_date) from oracle_call_fact), (select min(local_date) from oracle_outcome)) as first_day
    from oracle_heard w`;

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

/**
 * The cohort whose share of the leakage calls exceeds its share of the members most; Mixed unless it has at least 30 % of
 * the calls and an excess of at least 15 points. Shares are compared as products of counts.
 */
function primarySegments(o: { group: string; where: string }): string {
  const cohorts = (alias: string) =>
    `cross join lateral (values (${alias}.member_category), (${alias}.language_preference)) x (cohort)`;
  return `
  (select distinct on (${o.group} leakage_type) ${o.group} leakage_type,
          case when all_members > 0 then
            case when 10 * calls >= 3 * all_calls and 100 * excess >= 15 * all_calls * all_members then cohort
                 else 'Mixed' end end as segment
     from (select ${o.group} leakage_type, t.calls as all_calls, c.cohort, c.calls, a.members as all_members,
                  c.calls * a.members - coalesce(m.members, 0) * t.calls as excess
             from (select ${o.group} leakage_type, count(*) as calls from oracle_call_fact
                    where attribution = 'leakage' and ${o.where} group by ${o.group} leakage_type) t
             left join (select ${o.group} leakage_type, cohort, count(*) as calls from oracle_call_fact f ${cohorts('f')}
                         where attribution = 'leakage' and cohort <> 'Unknown' and ${o.where}
                         group by ${o.group} leakage_type, cohort) c using (${o.group} leakage_type)
             left join (select cohort, count(*) as members from oracle_version v ${cohorts('v')}
                         where latest group by cohort) m using (cohort)
            cross join (select count(*) as members from oracle_version where latest) a) e
    order by ${o.group} leakage_type, excess desc nulls last, cohort collate "C")`;
}

const dailyCalls = `
  select local_date as day, leakage_type as type, count(*) as calls
    from oracle_call_fact where attribution = 'leakage' group by local_date, leakage_type`;

/** T7: the 7 days to a day against the 7 before; null below 30 calls on a side, and where 14 complete days are not there. */
const trend = (day: string, type: string) => `
  (select case when least(w.a, w.b) >= 30 then round(100.0 * (w.a - w.b) / w.b, 4) end
     from (select sum(d.calls) filter (where d.day > ${day} - 7) as a, sum(d.calls) filter (where d.day <= ${day} - 7) as b
             from oracle_daily d where d.type = ${type} and d.day between ${day} - 13 and ${day}) w
    where (select k.first_day <= ${day} - 13 and ${day} < k.today from oracle_clock k))`;

const coalesced = counts
  .filter((column) => column !== 'all_calls')
  .map((column) => `coalesce(${column}, 0) as ${column}`)
  .join(', ');

function history(gold: string, o: { rules: OracleRules; trend: boolean }): Comparison {
  const key = ['local_date', 'leakage_type'];
  const columns = ['daily_calls', 'daily_cost', 'segment', ...(o.trend ? ['trend_pct'] : []), ...counts];
  const daily = { group: 'local_date,', where: 'true' };
  return {
    name: 'gold: daily_leakage_history',
    key,
    columns,
    day: 'local_date',
    expected: `
${o.trend ? `with oracle_clock as (${clock(o.rules)}), oracle_daily as materialized (${dailyCalls})` : ''}
select local_date, leakage_type, coalesce(calls, 0) as daily_calls, round(coalesce(calls, 0) * ${cents} / 100, 2) as daily_cost,
       coalesce(all_calls, 0) as all_calls, ${coalesced}, segment${o.trend ? `, ${trend('t.local_date', 't.leakage_type')} as trend_pct` : ''}
  from (select * from ${perType(daily)}) t
  left join (select local_date, count(*) as all_calls from oracle_call_fact group by local_date) a using (local_date)
  left join ${primarySegments(daily)} s using (local_date, leakage_type)`,
    actual: stored(gold, 'daily_leakage_history', [...key, ...columns]),
  };
}

/** The last 7 complete local days, fewer if there are fewer, the running day if there is none. */
function summary(gold: string, rules: OracleRules): Comparison {
  const key = ['leakage_type'];
  const columns = ['summary_date', 'daily_calls', 'daily_cost', 'days', 'segment', 'trend_pct', ...counts];
  const period = 'local_date between (select from_day from oracle_period) and (select to_day from oracle_period)';
  const whole = { group: '', where: period };
  return {
    name: 'gold: daily_leakage_summary',
    key,
    columns,
    expected: `
with oracle_clock as (${clock(rules)}), oracle_daily as materialized (${dailyCalls}), oracle_period as (
  select case when first_day < today then today - 1 else today end as to_day,
         case when first_day < today then greatest(first_day, today - 7) else today end as from_day
    from oracle_clock where today is not null
)
select leakage_type, p.to_day as summary_date, p.to_day - p.from_day + 1 as days,
       round(coalesce(calls, 0)::numeric / (p.to_day - p.from_day + 1), 1) as daily_calls,
       round(coalesce(calls, 0) * ${cents} / (100 * (p.to_day - p.from_day + 1)), 2) as daily_cost,
       (select count(*) from oracle_call_fact where ${period}) as all_calls, ${coalesced}, segment,
       ${trend('p.to_day', 't.leakage_type')} as trend_pct
  from oracle_period p
 cross join (select * from ${perType(whole)}) t
  left join ${primarySegments(whole)} s using (leakage_type)`,
    actual: stored(gold, 'daily_leakage_summary', [...key, ...columns]),
  };
}

/**
 * What must hold between stored figures whatever the facts are (rule R2): by invariant, how many rows break it. With
 * leaked <= failed <= decided, the share of journeys that leak is the failure rate times the leak rate of failures.
 */
function invariants(silver: string, gold: string): Comparison {
  const s = identifier(silver);
  const g = identifier(gold);
  const broken = {
    'a call is charged at most once': `
select count(*) - count(distinct call_id) from ${s}.call_fact where attribution = 'leakage'`,
    'leakage calls are calls': `
select count(*) from (select from daily group by local_date having sum(daily_calls) > max(all_calls)) d`,
    'leaked journeys failed, and failed ones are decided': `
select count(*) from daily where leaked_journeys > failed_journeys or failed_journeys > decided_journeys`,
    ...Object.fromEntries(
      ['segment_drilldown', 'language_drilldown'].map((view) => [
        `${view} adds up to the type`,
        `
select count(*)
  from (select leakage_type, sum(calls) as calls, max(days) as days from ${g}.${view} group by leakage_type) p
  join ${g}.daily_leakage_summary t using (leakage_type)
 where p.calls <> (select sum(d.daily_calls) from daily d
                    where d.leakage_type = p.leakage_type
                      and d.local_date between t.summary_date - p.days + 1 and t.summary_date)`,
      ]),
    ),
  };
  const names = Object.keys(broken).map((name) => `(${literal(name)}, 0::bigint)`);
  return {
    name: 'gold: parts and wholes (R2)',
    key: ['invariant'],
    columns: ['broken'],
    expected: `select * from (values ${names.join(', ')}) v (invariant, broken)`,
    actual: `
with daily as materialized (select * from ${g}.daily_leakage_history)
${Object.entries(broken)
  .map(([name, sql]) => `select ${literal(name)} as invariant, (${sql}) as broken`)
  .join('\nunion all ')}`,
  };
}

/** Without trend: the history of days before and after which nothing may be known. */
export function totals(
  { silver, gold }: { silver: string; gold: string },
  o: { rules: OracleRules; trend: boolean },
): Comparison[] {
  return [history(gold, o), summary(gold, o.rules), invariants(silver, gold)];
}
