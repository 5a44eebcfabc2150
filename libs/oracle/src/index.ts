/**
 * The independent oracle (law 8): plain SQL over bronze that recomputes what silver and gold should hold, and compares.
 * It shares no code with the services, on purpose; when both agree, the rule was understood the same way twice.
 *
 * Every function runs inside the caller's transaction: repeatable read (one snapshot), read write (stages are temporary
 * tables), on one connection, rolled back at the end.
 */
import { allChecks, leftOut, leftOutByHorizon } from './checks.ts';
import { compare } from './compare.ts';
import { factStages } from './facts.ts';
import { readHorizon } from './horizon.ts';
import { leftOpen, openStages, readScope, type Scope } from './range.ts';
import { positionStages, readStages, winningStages } from './records.ts';
import { shardFunction } from './shard.ts';
import { wholeNumber } from './sql.ts';
import type { Check, NotChecked, OracleOptions, OracleQuery, OracleReport, OracleRules } from './types.ts';

export { type NaiveOptions, type NaiveReport, naiveCharges, naiveJoin, naivePlan } from './naive.ts';
export type {
  Check,
  DayRange,
  Difference,
  NotChecked,
  OracleOptions,
  OracleQuery,
  OracleReport,
  OracleRules,
} from './types.ts';

const sessionStages = (gentle: boolean) => {
  const memory = gentle ? '32MB' : '256MB';
  return [
    `set local time zone 'UTC'`,
    `set local work_mem = '${memory}'`,
    'set local jit = off',
    'set local default_statistics_target = 10',
    ...(gentle ? ['set local max_parallel_workers_per_gather = 0'] : []),
    // Can be set only before the session has used a temporary table: a helpful size, not a condition.
    `select set_config('temp_buffers', '${memory}', true) where pg_my_temp_schema() = 0`,
    // A statement ends soon after its client is gone; not every system can tell.
    `select set_config('client_connection_check_interval', '2s', true) where version() ~ 'linux'`,
  ];
};

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

interface Recomputed {
  rules: OracleRules;
  /** Null: everything. */
  scope: Scope | null;
  /** Records that were read. */
  records: number;
}

/**
 * Builds the temporary tables oracle_* (records, winners, facts) from the bronze records below silver's positions. Of silver it
 * needs the quarantine, for records that were erased. Gives the generation's rules.
 */
export async function recompute(query: OracleQuery, options: OracleOptions): Promise<OracleRules> {
  return (await recomputed(query, options)).rules;
}

async function recomputed(query: OracleQuery, options: OracleOptions): Promise<Recomputed> {
  const rules = await readRules(query, options.generation);
  for (const stage of sessionStages(options.gentle ?? false)) await query(stage);
  const scope = await scopeOf(query, rules, options);
  for (const stage of [...positionStages(options), ...readStages(options, rules, scope)]) await query(stage);
  const records = await countRecords(query);
  for (const stage of [...winningStages(), ...memberStages, ...factStages(rules)]) await query(stage);
  return { rules, scope, records };
}

/** Null: everything. What lies before the horizon is compared no more, whatever was asked. */
async function scopeOf(query: OracleQuery, rules: OracleRules, options: OracleOptions): Promise<Scope | null> {
  const { generation, days } = options;
  const horizon = await readHorizon(query, { generation, rules });
  if (horizon === null) return days === undefined ? null : await readScope(query, rules, { days, horizon });
  const asked = days?.from ?? null;
  const from = asked === null || asked < horizon.day ? horizon.day : asked;
  return await readScope(query, rules, { days: { from, to: days?.to ?? null }, horizon });
}

async function countRecords(query: OracleQuery): Promise<number> {
  const { rows } = await query(
    `select (select count(*) from oracle_journey)::float8 + (select count(*) from oracle_call)
          + (select count(*) from oracle_profile) as records`,
  );
  return (rows[0] as { records: number }).records;
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

/**
 * Recomputes everything, or what some days need, and compares it with silver, gold and the protocol's own tables. What a run
 * over days does not look at is listed in the report.
 */
export async function runOracle(query: OracleQuery, options: OracleOptions): Promise<OracleReport> {
  const started = performance.now();
  const { rules, scope, records } = await recomputed(query, options);
  const left = options.days === undefined ? leftOutByHorizon : leftOut;
  const notChecked = scope === null ? [] : [...left, ...(await leaveOpen(query, options, scope))];
  const recomputeMs = performance.now() - started;
  const checks: Check[] = [];
  for (const check of allChecks(options, rules, { scope, left }))
    checks.push(await compare(query, check, options.examples ?? 5));
  return {
    ok: checks.every((check) => check.differences === 0),
    checks,
    horizon: scope?.horizon?.day ?? null,
    notChecked,
    warnings: scope === null ? await readWarnings(query) : [],
    records,
    recomputeMs,
    elapsedMs: performance.now() - started,
  };
}

async function leaveOpen(query: OracleQuery, options: OracleOptions, scope: Scope): Promise<NotChecked[]> {
  for (const stage of openStages(options, scope)) await query(stage);
  return await leftOpen(query, scope);
}

async function readWarnings(query: OracleQuery): Promise<OracleReport['warnings']> {
  const warnings: OracleReport['warnings'] = [];
  for (const { rule, name, sql } of warningQueries) {
    const { count, of } = (await query(sql)).rows[0] as { count: number; of: number };
    if (count > 0) warnings.push({ rule, name, count, of });
  }
  return warnings;
}
