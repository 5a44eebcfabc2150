/**
 * The independent oracle (law 8): plain SQL over bronze that recomputes what silver and gold should hold, and compares.
 * It shares no code with the services, on purpose; when both agree, the rule was understood the same way twice.
 *
 * Every function runs inside the caller's transaction: repeatable read (one snapshot), read write (stages are temporary
 * tables), on one connection, rolled back at the end.
 */
import { allChecks } from './checks.ts';
import { compare } from './compare.ts';
import { factStages } from './facts.ts';
import { positionStages, recordStages } from './records.ts';
import { shardFunction } from './shard.ts';
import { wholeNumber } from './sql.ts';
import type { Check, OracleOptions, OracleQuery, OracleReport, OracleRules } from './types.ts';

export { type NaiveOptions, type NaiveReport, naiveCharges, naiveJoin, naivePlan } from './naive.ts';
export type { Check, Difference, OracleOptions, OracleQuery, OracleReport, OracleRules } from './types.ts';

const session = [
  `set local time zone 'UTC'`,
  `set local work_mem = '256MB'`,
  'set local jit = off',
  'set local default_statistics_target = 10',
  // Can be set only before the session has used a temporary table: a helpful size, not a condition.
  `select set_config('temp_buffers', '256MB', true) where pg_my_temp_schema() = 0`,
];

const memberStages = [
  shardFunction,
  `create temp table oracle_member on commit drop as
select member_id, pg_temp.oracle_shard(member_id) as shard
  from (select member_id from oracle_journey union select member_id from oracle_call
        union select member_id from oracle_profile) m`,
  'analyze oracle_member',
];

export async function readRules(query: OracleQuery, generation: number): Promise<OracleRules> {
  const { rows } = await query(`select rules from ops.generation where id = ${wholeNumber(generation)}`);
  const row = rows[0];
  if (row === undefined) throw new Error(`there is no generation ${generation} in ops.generation`);
  return row.rules as OracleRules;
}

/**
 * Builds the temporary tables oracle_* (records, winners, facts) from the bronze records below silver's positions. Needs
 * bronze and ops only. Gives the generation's rules.
 */
export async function recompute(query: OracleQuery, options: OracleOptions): Promise<OracleRules> {
  const rules = await readRules(query, options.generation);
  const stages = [
    ...session,
    ...positionStages(options),
    ...recordStages(options, rules),
    ...memberStages,
    ...factStages(rules),
  ];
  for (const stage of stages) await query(stage);
  return rules;
}

/** Data quality rules that need the whole set: how many there are, and how many break the rule. */
const warningQueries = [
  {
    rule: 'D6',
    name: 'sessions used by more than one member',
    sql: `
select count(*)::float8 as of, count(*) filter (where members > 1)::float8 as count
  from (select count(distinct member_id) as members from oracle_journey where not deleted group by session_id) s`,
  },
  {
    rule: 'C7',
    name: 'calls of members without a profile',
    sql: `
select count(*)::float8 as of, count(*) filter (where member_category = 'Unknown')::float8 as count
  from oracle_call_fact`,
  },
  {
    rule: 'C8',
    name: 'decided journeys of members without a profile',
    sql: `
select count(*)::float8 as of, count(*) filter (where member_category = 'Unknown')::float8 as count
  from oracle_outcome`,
  },
  {
    rule: 'D4',
    name: 'errors without a code',
    sql: `
select count(*)::float8 as of, count(*) filter (where error_code is null)::float8 as count
  from oracle_journey where not deleted and action = 'error'`,
  },
];

/** Recomputes everything and compares it with silver, gold and the protocol's own tables. */
export async function runOracle(query: OracleQuery, options: OracleOptions): Promise<OracleReport> {
  const started = performance.now();
  const rules = await recompute(query, options);
  const recomputeMs = performance.now() - started;
  const checks: Check[] = [];
  for (const check of allChecks(options, rules)) checks.push(await compare(query, check, options.examples ?? 5));
  const warnings: OracleReport['warnings'] = [];
  for (const { rule, name, sql } of warningQueries) {
    const { count, of } = (await query(sql)).rows[0] as { count: number; of: number };
    if (count > 0) warnings.push({ rule, name, count, of });
  }
  return {
    ok: checks.every((check) => check.differences === 0),
    checks,
    warnings,
    recomputeMs,
    elapsedMs: performance.now() - started,
  };
}
