import { inTransaction, lockShards, type Pool, type Queryable } from '@leakage/postgres';
import type { GenerationPlan } from './generations.ts';

export async function shardsOf(db: Queryable, generation: number): Promise<number[]> {
  const { rows } = await db.query<{ shard: number }>(
    'select shard from ops.shard where generation = $1 order by shard',
    [generation],
  );
  return rows.map(({ shard }) => shard);
}

/**
 * Moves the horizon of a generation, only forward. From the commit on nothing older is taken in: whatever batch is under way
 * either has these locks before, and counts as what came before the run, or finds that the policy is another one and is judged
 * again. In the order in which batches lock: shards, then positions, those of replays too.
 */
export async function moveHorizon(
  pool: Pool,
  { generation, refusedBefore, keptFrom, quarantineKeptFrom }: GenerationPlan,
): Promise<void> {
  const shards = await shardsOf(pool, generation);
  await inTransaction(pool, async (tx) => {
    await lockShards(tx, generation, shards);
    await tx.query(
      `select from ops.position where pipeline = $1 or starts_with(pipeline, $1 || '_')
        order by pipeline collate "C", topic collate "C", partition for update`,
      [`silver_${generation}`],
    );
    const { rowCount } = await tx.query(
      `insert into ops.horizon as h (generation, refused_before, kept_from, quarantine_kept_from) values ($1, $2, $3, $4)
       on conflict (generation) do update
          set refused_before = greatest(h.refused_before, excluded.refused_before),
              kept_from = greatest(h.kept_from, excluded.kept_from),
              quarantine_kept_from = greatest(h.quarantine_kept_from, excluded.quarantine_kept_from),
              moved_at = clock_timestamp()
        where h.refused_before < excluded.refused_before
           or coalesce(h.quarantine_kept_from, '-infinity') < excluded.quarantine_kept_from`,
      [generation, refusedBefore, keptFrom, quarantineKeptFrom],
    );
    if (rowCount > 0) await tx.query('update ops.policy set version = version + 1');
  });
}

/** Changes of each shard of silver that gold has not folded, of those that there were at a time. */
export async function unfolded(db: Queryable, generation: number, upTo: ReadonlyMap<number, number>): Promise<number> {
  const { rows } = await db.query<{ changes: number }>(
    `select coalesce(sum(greatest(m.seq + 1 - coalesce(r.next_seq, 1), 0)), 0)::bigint as changes
       from unnest($2::smallint[], $3::bigint[]) as m (shard, seq)
       left join ops.reader r on r.reader = 'gold' and r.generation = $1 and r.shard = m.shard`,
    [generation, [...upTo.keys()], [...upTo.values()]],
  );
  return rows[0]?.changes ?? 0;
}

export async function changeSeqs(db: Queryable, generation: number): Promise<Map<number, number>> {
  const { rows } = await db.query<{ shard: number; seq: number }>(
    'select shard, change_seq as seq from ops.shard where generation = $1',
    [generation],
  );
  return new Map(rows.map(({ shard, seq }) => [shard, seq]));
}
