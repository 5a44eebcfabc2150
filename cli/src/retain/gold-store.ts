import { inTransaction, type Pool } from '@leakage/postgres';
import type { GenerationPlan } from './generations.ts';

/** The key of the lock under which gold-aggregator writes cells. */
const FOLD_LOCK = 4_718_262;

/**
 * What gold's views count over single calls, of the days that silver is about to lose. Written once for each day: what is left of it
 * afterwards would be less.
 */
export async function keepFigures(pool: Pool, { silver, gold, keptFrom }: GenerationPlan): Promise<void> {
  await pool.query(
    `insert into ${gold}.closed_day (local_date, leakage_type, leaked_members)
     select local_date, leakage_type, count(distinct member_id)
       from ${silver}.call_fact
      where attribution = 'leakage' and call_timestamp < $1
        and local_date > coalesce((select max(d.local_date) from ${gold}.closed_day d), '-infinity')
      group by local_date, leakage_type`,
    [keptFrom],
  );
}

/** Figures of days that are too old even for gold. */
export async function removeFromGold(pool: Pool, { generation, gold, goldKeptFrom }: GenerationPlan): Promise<number> {
  return await inTransaction(pool, async (tx) => {
    await tx.query('select pg_advisory_xact_lock($1, $2)', [FOLD_LOCK, generation]);
    let cells = 0;
    for (const table of ['call_cube', 'journey_cube', 'closed_day']) {
      const { rowCount } = await tx.query(`delete from ${gold}.${table} where local_date < $1`, [goldKeptFrom]);
      if (table !== 'closed_day') cells += rowCount;
    }
    return cells;
  });
}
