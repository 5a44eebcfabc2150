import type { Queryable } from '@leakage/postgres';
import { isoInstant } from './resources.ts';

export interface Verification {
  readonly generation: number;
  readonly ok: boolean;
  /** Local days of the generation's time zone; null in one of them: from the beginning, or to the end. */
  readonly scope: { readonly from_day: string | null; readonly to_day: string | null } | 'everything';
  readonly ended_at: string | null;
  readonly age_seconds: number;
  readonly records: number;
  /** Names of the checks that found differences. */
  readonly differing: readonly string[];
  readonly trigger: string;
}

export interface Verifications {
  readonly newest: Verification | null;
  readonly newest_full: Verification | null;
  readonly left_out: LeftOut | null;
}

/** Scheduled verifications in a row that did not take place; null: the last one did. */
export interface LeftOut {
  readonly kind: 'skipped' | 'failed';
  /** Of the last one. */
  readonly reason: string;
  readonly times: number;
  readonly first_at: string | null;
  readonly last_at: string | null;
}

interface Row {
  readonly ok: boolean;
  readonly from_day: string | null;
  readonly to_day: string | null;
  readonly ended_at: number;
  readonly age_seconds: number;
  readonly records: number;
  readonly differing: readonly string[];
  readonly trigger: string;
}

/** What the independent recomputation has said last of a generation: of anything, and of everything; and why it has not since. */
export async function readVerifications(db: Queryable, generation: number): Promise<Verifications> {
  const newest = await readNewest(db, { generation, full: false });
  const isFull = newest === null || newest.scope === 'everything';
  const newestFull = isFull ? newest : await readNewest(db, { generation, full: true });
  return { newest, newest_full: newestFull, left_out: await readLeftOut(db, generation) };
}

async function readLeftOut(db: Queryable, generation: number): Promise<LeftOut | null> {
  const { rows } = await db.query<Pick<LeftOut, 'kind' | 'reason' | 'times'> & { first_at: number; last_at: number }>(
    'select kind, reason, times, first_at, last_at from ops.left_out_verification where generation = $1',
    [generation],
  );
  const [row] = rows;
  return row === undefined ? null : { ...row, first_at: isoInstant(row.first_at), last_at: isoInstant(row.last_at) };
}

async function readNewest(
  db: Queryable,
  { generation, full }: { readonly generation: number; readonly full: boolean },
): Promise<Verification | null> {
  const { rows } = await db.query<Row>(
    `select ok, from_day::text as from_day, to_day::text as to_day, ended_at,
            greatest(extract(epoch from clock_timestamp() - ended_at), 0)::bigint as age_seconds, records,
            array(select d ->> 'check' from jsonb_array_elements(differing) d) as differing, trigger
       from ops.verification
      where generation = $1 and (not $2 or (from_day is null and to_day is null))
      order by ended_at desc, id desc
      limit 1`,
    [generation, full],
  );
  const [row] = rows;
  if (row === undefined) return null;
  const { ok, from_day, to_day, age_seconds, records, differing, trigger } = row;
  const scope = from_day === null && to_day === null ? ('everything' as const) : { from_day, to_day };
  return { generation, ok, scope, ended_at: isoInstant(row.ended_at), age_seconds, records, differing, trigger };
}
