import type { Connection, Queryable } from '@leakage/postgres';

/** The key space of our advisory locks that say "here is somebody who starts the processes of generations". */
const RUNNER_LOCK = 4_718_265;

/** Says so for as long as the connection lives. Any number of programs may. */
export async function showPresence(connection: Connection): Promise<void> {
  await connection.query('select pg_advisory_lock_shared($1, 0)', [RUNNER_LOCK]);
}

/** Whether a program is there that starts the processes of every generation that is to be worked on. */
export async function runnerIsThere(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ there: boolean }>(
    `select exists (select from pg_locks
                     where locktype = 'advisory' and classid::bigint = $1 and granted
                       and database = (select oid from pg_database where datname = current_database())) as there`,
    [RUNNER_LOCK],
  );
  return rows[0]?.there === true;
}
