import { type Connection, isTransient } from '@leakage/postgres';
import { type Logger, sleep } from '@leakage/runtime';

/** The key space of our advisory locks on "reading a part of bronze for generation n". */
const ARCHIVE_LOCK = 4_718_264;
const LOOK_MS = 1_000;

/** As many as the setting allows; more are no use, because a part is of whole partitions. */
const BRONZE_READERS_MAX = 12;

export interface ArchiveTurnOptions {
  readonly generation: number;
  /** Bronze's schema. */
  readonly schema: string;
  /** Parts of bronze that this process has not seen read to their ends. */
  readonly parts: ReadonlySet<number>;
  readonly signal: AbortSignal;
  readonly log: Logger;
}

/**
 * Waits until one of the parts is read by no other process for this generation, and takes its turn at it: two would only take
 * each other's positions away. The turn ends with the connection, or with `endArchiveTurn`. Then has bronze's index take note
 * of everything.
 */
export async function takeArchiveTurn(connection: Connection, o: ArchiveTurnOptions): Promise<number> {
  const part = await anyTurn(connection, o);
  try {
    await connection.query(`select "${o.schema}".summarise()`);
  } catch (error) {
    // Somebody vacuums a partition: reading is slower then, and as right.
    if (!isTransient(error)) throw error;
    o.log.debug({ err: error }, 'the index of bronze was not brought up to date');
  }
  return part;
}

export async function endArchiveTurn(connection: Connection, generation: number, part: number): Promise<void> {
  await connection.query('select pg_advisory_unlock($1, $2)', [ARCHIVE_LOCK, lockOf(generation, part)]);
}

async function anyTurn(connection: Connection, { generation, parts, signal }: ArchiveTurnOptions): Promise<number> {
  for (;;) {
    for (const part of parts) if (await tryTurn(connection, lockOf(generation, part))) return part;
    await sleep(LOOK_MS, signal);
  }
}

const lockOf = (generation: number, part: number): number => generation * BRONZE_READERS_MAX + part;

async function tryTurn(connection: Connection, lock: number): Promise<boolean> {
  const { rows } = await connection.query<{ mine: boolean }>('select pg_try_advisory_lock($1, $2) as mine', [
    ARCHIVE_LOCK,
    lock,
  ]);
  return rows[0]?.mine === true;
}
