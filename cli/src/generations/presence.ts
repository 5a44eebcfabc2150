import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection, Pool, Queryable } from '@leakage/postgres';

/** The key space of our advisory locks that say "here is somebody who starts the processes of generations". */
const RUNNER_LOCK = 4_718_265;

const LOOK_MS = 1_000;

/** Says so until the signal comes, also after the connection was lost. Any number of programs may. */
export async function keepPresence(pool: Pool, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    // Nobody who is absent for a moment is missed: another command would run what it builds itself.
    await pool.withConnection((connection) => showPresence(connection, signal)).catch(() => pause(signal));
  }
}

async function showPresence(connection: Connection, signal: AbortSignal): Promise<void> {
  await connection.query('select pg_advisory_lock_shared($1, 0)', [RUNNER_LOCK]);
  while (!signal.aborted && connection.lost === null) await pause(signal);
  // The connection goes back into the pool.
  if (connection.lost === null) await connection.query('select pg_advisory_unlock_shared($1, 0)', [RUNNER_LOCK]);
}

async function pause(signal: AbortSignal): Promise<void> {
  await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
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
