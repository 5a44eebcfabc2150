import type { Queryable } from '@leakage/postgres';
import type { Retention } from './types.ts';

/** Nothing where nothing was ever removed, or by a database of an earlier release. */
export async function readRetention(db: Queryable, generation: number): Promise<Retention> {
  const { rows } = await db.query<{ there: boolean }>(`select to_regclass('ops.retention_run') is not null as there`);
  if (rows[0]?.there !== true) return { horizon: null, wholeFrom: null, lastRun: null };
  const found = await db.query<{
    horizon: string | null;
    wholeFrom: string | null;
    begunAt: number | null;
    endedAt: number | null;
  }>(
    `select greatest(((h.refused_before - interval '1 microsecond') at time zone (g.rules ->> 'timeZone'))::date + 1,
                     h.closed_before)::text as horizon,
            greatest(((h.kept_from - interval '1 microsecond') at time zone (g.rules ->> 'timeZone'))::date + 1,
                     h.closed_before)::text as "wholeFrom",
            r.begun_at as "begunAt", r.ended_at as "endedAt"
       from ops.generation g
       left join ops.horizon h on h.generation = g.id
       left join (select begun_at, ended_at from ops.retention_run order by id desc limit 1) r on true
      where g.id = $1`,
    [generation],
  );
  const { horizon = null, wholeFrom = null, begunAt = null, endedAt = null } = found.rows[0] ?? {};
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    horizon,
    wholeFrom,
    lastRun: begunAt === null ? null : { begunAt: iso(begunAt), endedAt: endedAt === null ? null : iso(endedAt) },
  };
}
