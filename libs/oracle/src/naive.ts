/** The join of the original notebooks as running SQL, beside ours, so that a user sees why the exact rule matters. */
import { identifier, keyForm, milliseconds } from './sql.ts';
import type { OracleQuery } from './types.ts';

export interface NaiveOptions {
  windowMs: number;
  /** Schemas: bronze for the raw input, silver (stable views or a generation's) for the cleaned tables. */
  schemas: { bronze: string; silver: string };
}

export interface NaiveReport {
  /** Rows of the naive join over the cleaned tables: what it charges. */
  rows: number;
  distinctCalls: number;
  /** Charged again for a call that was charged already. */
  doubleCharged: number;
  /** Calls charged that are no leakage, by the reason why not. */
  wrong: { cured: number; unaligned: number; other: number };
  /** Leakage calls: what the exact rule charges. */
  leakageCalls: number;
  /** Leakage calls that the naive join does not find (none, by construction). */
  missed: number;
  /** Rows of the same join over the records as received, duplicates and replaced versions included. */
  rawRows: number;
}

/** A nested loop over the calls' index: a hash over member_id would be quadratic for a member with many of both. */
export const naivePlan: readonly string[] = [
  'set local enable_hashjoin = off',
  'set local enable_mergejoin = off',
  'set local jit = off',
];
const sessionEnd = ['set local enable_hashjoin = on', 'set local enable_mergejoin = on'];

/** The join itself over the cleaned tables, in SQL: a row for each charge, with the session and the journey it is charged to. */
export function naiveCharges(o: Pick<NaiveOptions, 'windowMs'> & { schemas: { silver: string } }): string {
  const silver = identifier(o.schemas.silver);
  return `
select c.call_id, e.session_id, e.journey_type as leakage_type
  from ${silver}.digital_journeys_cleaned e
  join ${silver}.call_logs_cleaned c
    on c.member_id = e.member_id and c.call_timestamp >= e."timestamp"
   and c.call_timestamp <= e."timestamp" + ${milliseconds(o.windowMs)}
 where e.action in ('error', 'abandon')`;
}

function cleanedJoin(o: NaiveOptions): string {
  return `
create temp table naive_charge on commit drop as
select call_id, count(*) as charges from (${naiveCharges(o)}) n group by call_id`;
}

function rawJoin(o: NaiveOptions): string[] {
  const bronze = identifier(o.schemas.bronze);
  return [
    `create temp table naive_raw_call on commit drop as
select member_id collate "C" as member_id, call_timestamp from ${bronze}.call_logs_raw
 where decode_error is null and member_id is not null and call_timestamp is not null`,
    'create index on naive_raw_call (member_id, call_timestamp)',
    'analyze naive_raw_call',
    `create temp table naive_raw_row on commit drop as
select count(*)::float8 as charges
  from ${bronze}.digital_journeys_raw e
  join naive_raw_call c
    on c.member_id = e.member_id collate "C" and c.call_timestamp >= e."timestamp"
   and c.call_timestamp <= e."timestamp" + ${milliseconds(o.windowMs)}
 where e.decode_error is null and ${keyForm('e.action')} in ('error', 'abandon')`,
  ];
}

/** Runs inside the caller's transaction (repeatable read, read write), like the oracle. */
export async function naiveJoin(query: OracleQuery, o: NaiveOptions): Promise<NaiveReport> {
  for (const sql of [...naivePlan, cleanedJoin(o), ...rawJoin(o), ...sessionEnd, 'analyze naive_charge'])
    await query(sql);
  const { rows } = await query(`
select coalesce(sum(charges), 0)::float8 as charges, count(n.call_id)::float8 as calls,
       count(*) filter (where n.call_id is not null and attribution = 'cured')::float8 as cured,
       count(*) filter (where n.call_id is not null and attribution = 'unaligned')::float8 as unaligned,
       count(*) filter (where n.call_id is not null and attribution not in ('leakage', 'cured', 'unaligned'))::float8 as other,
       count(*) filter (where attribution = 'leakage')::float8 as leakage,
       count(*) filter (where n.call_id is null and attribution = 'leakage')::float8 as missed,
       (select charges from naive_raw_row) as raw
  from ${identifier(o.schemas.silver)}.digital_call_leakage f
  left join naive_charge n using (call_id)`);
  const found = rows[0] as Record<
    'charges' | 'calls' | 'cured' | 'unaligned' | 'other' | 'leakage' | 'missed' | 'raw',
    number
  >;
  return {
    rows: found.charges,
    distinctCalls: found.calls,
    doubleCharged: found.charges - found.calls,
    wrong: { cured: found.cured, unaligned: found.unaligned, other: found.other },
    leakageCalls: found.leakage,
    missed: found.missed,
    rawRows: found.raw,
  };
}
