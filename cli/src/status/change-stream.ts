import type { Queryable } from '@leakage/postgres';
import type { ChangeStream } from './types.ts';

/** How far the world is told what changes; null where nobody is. `silver`: the schema of the active generation, null before it is there. */
export async function readChangeStream(
  db: Queryable,
  o: { readonly generation: number; readonly silver: string | null },
): Promise<ChangeStream | null> {
  const { rows } = await db.query<{ untold: number | null }>(
    `select sum(greatest(coalesce(r.until_seq, s.change_seq) + 1 - r.next_seq, 0))::bigint as untold
       from ops.reader r join ops.shard s on s.generation = r.generation and s.shard = r.shard
      where r.reader = 'changes'`,
  );
  const untold = rows[0]?.untold ?? null;
  if (untold === null) return null;
  if (untold === 0 || o.silver === null) return { untold, oldestAt: null };
  // One row of the log a shard, found by its key.
  const { rows: oldest } = await db.query<{ at: number | null }>(
    `select min(l.logged_at) as at
       from ops.reader r
      cross join lateral (select c.logged_at from ${o.silver}.change_log c
                           where c.shard = r.shard and c.seq >= r.next_seq order by c.seq limit 1) l
      where r.reader = 'changes' and r.generation = $1`,
    [o.generation],
  );
  const at = oldest[0]?.at ?? null;
  return { untold, oldestAt: at === null ? null : new Date(at).toISOString() };
}
