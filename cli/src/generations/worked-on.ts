import type { GenerationState, Queryable } from '@leakage/postgres';

/** A generation that processes are to work on. */
export interface WorkedOn {
  readonly id: number;
  readonly state: Extract<GenerationState, 'building' | 'active' | 'retired'>;
  /** It has not caught up, and may take more than half of the machine: two joiners share out the partitions. */
  readonly hurried: boolean;
}

/**
 * A generation that ends somewhere has everything up to there, and its gold too: nothing is left to be done. Looked at each time,
 * because a replay into it may give its gold something to do again.
 */
const FINISHED = `
  g.to_time is not null and g.caught_up_at is not null
  and not exists (select from ops.position p where p.pipeline = 'silver_' || g.id and p.next_offset < p.until_offset)
  and not exists (select from ops.shard s
                    left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
                   where s.generation = g.id and coalesce(r.next_seq, 0) <= s.change_seq)`;
/** What a build may take of one process's time at most for one process to be enough, in percent. */
const UNHURRIED_SHARE = 50;

/** Those that are to be worked on; in a database without any, the first one, which its own processes then make. */
export async function readWorkedOn(db: Queryable): Promise<WorkedOn[]> {
  const first: WorkedOn = { id: 1, state: 'active', hurried: false };
  const { rows: there } = await db.query<{ there: boolean }>(
    `select to_regclass('ops.generation') is not null as there`,
  );
  if (there[0]?.there !== true) return [first];
  const { rows } = await db.query<WorkedOn & { any: boolean }>(
    `select g.id, g.state, g.state = 'building' and g.caught_up_at is null and g.share_percent > $1 as hurried
       from ops.generation g
      where g.state in ('building', 'active', 'retired') and not (${FINISHED})
      order by g.id`,
    [UNHURRIED_SHARE],
  );
  if (rows.length > 0) return rows;
  const { rows: all } = await db.query<{ count: number }>('select count(*) as count from ops.generation');
  return all[0]?.count === 0 ? [first] : [];
}
