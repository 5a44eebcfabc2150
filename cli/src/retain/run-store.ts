import type { Queryable } from '@leakage/postgres';

/** Its number. */
export async function beginRun(db: Queryable, policy: object): Promise<number> {
  const { rows } = await db.query<{ id: number }>('insert into ops.retention_run (policy) values ($1) returning id', [
    JSON.stringify(policy),
  ]);
  const [run] = rows;
  if (run === undefined) throw new Error('the run was not written down');
  return run.id;
}

export async function endRun(db: Queryable, id: number, removed: object): Promise<void> {
  await db.query('update ops.retention_run set ended_at = clock_timestamp(), removed = $2 where id = $1', [
    id,
    JSON.stringify(removed),
  ]);
}
