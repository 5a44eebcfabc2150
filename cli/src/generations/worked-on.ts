import type { GenerationState, Queryable } from '@leakage/postgres';

/** A generation that processes are to work on. */
export interface WorkedOn {
  readonly id: number;
  readonly state: Extract<GenerationState, 'building' | 'active' | 'retired'>;
  /** It has not caught up, and may take more than half of the machine: two joiners share out the partitions. */
  readonly hurried: boolean;
}

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
    `select id, state, state = 'building' and caught_up_at is null and share_percent > $1 as hurried
       from ops.generation where state in ('building', 'active', 'retired') order by id`,
    [UNHURRIED_SHARE],
  );
  if (rows.length > 0) return rows;
  const { rows: all } = await db.query<{ count: number }>('select count(*) as count from ops.generation');
  return all[0]?.count === 0 ? [first] : [];
}
