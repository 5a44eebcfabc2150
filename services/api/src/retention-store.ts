import type { Queryable } from '@leakage/postgres';
import { isoInstant } from './resources.ts';

export interface Retention {
  /** Local day of the generation's time zone; null: nothing was ever removed. */
  readonly horizon: string | null;
  readonly last_run: { readonly begun_at: string | null; readonly ended_at: string | null } | null;
}

interface Row {
  readonly horizon: string | null;
  readonly begun_at: number | null;
  readonly ended_at: number | null;
}

export async function readRetention(db: Queryable, generation: number): Promise<Retention> {
  const { rows } = await db.query<Row>(
    `select greatest(((h.refused_before - interval '1 microsecond') at time zone (g.rules ->> 'timeZone'))::date + 1,
                     h.closed_before)::text as horizon, r.begun_at, r.ended_at
       from ops.generation g
       left join ops.horizon h on h.generation = g.id
       left join (select begun_at, ended_at from ops.retention_run order by id desc limit 1) r on true
      where g.id = $1`,
    [generation],
  );
  const { horizon = null, begun_at = null, ended_at = null } = rows[0] ?? {};
  return {
    horizon,
    last_run: begun_at === null ? null : { begun_at: isoInstant(begun_at), ended_at: isoInstant(ended_at) },
  };
}
