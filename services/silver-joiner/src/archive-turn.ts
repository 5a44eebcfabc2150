import { type Connection, isTransient } from '@leakage/postgres';
import { type Logger, sleep } from '@leakage/runtime';

/** The key space of our advisory locks on "reading bronze for generation n". */
const ARCHIVE_LOCK = 4_718_264;
const LOOK_MS = 1_000;

export interface ArchiveTurnOptions {
  readonly generation: number;
  /** Bronze's schema. */
  readonly schema: string;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * Waits until no other process reads bronze for this generation: one reads all of it, two would only take each other's positions
 * away. The turn ends with the connection. Then has bronze's index take note of everything.
 */
export async function takeArchiveTurn(connection: Connection, o: ArchiveTurnOptions): Promise<void> {
  while (!(await tryTurn(connection, o.generation))) await sleep(LOOK_MS, o.signal);
  try {
    await connection.query(`select "${o.schema}".summarise()`);
  } catch (error) {
    // Somebody vacuums a partition: reading is slower then, and as right.
    if (!isTransient(error)) throw error;
    o.log.debug({ err: error }, 'the index of bronze was not brought up to date');
  }
}

async function tryTurn(connection: Connection, generation: number): Promise<boolean> {
  const { rows } = await connection.query<{ mine: boolean }>('select pg_try_advisory_lock($1, $2) as mine', [
    ARCHIVE_LOCK,
    generation,
  ]);
  return rows[0]?.mine === true;
}
