import { activeGeneration, inTransaction, type Pool, type Queryable, sqlState } from '@leakage/postgres';
import { withDeadline } from '@leakage/runtime';

/** There is no generation to read from yet. */
export class NoGenerationError extends Error {
  constructor() {
    super('no generation is active yet: silver-joiner and gold-aggregator create the first one when they start');
    this.name = 'NoGenerationError';
  }
}

/** What an answer is read from: one snapshot, in which one generation is the active one. */
export interface Snapshot {
  readonly tx: Queryable;
  readonly generation: number;
}

const readDeadlineMs = 15_000;
const undefinedTable = '42P01';
const invalidSchema = '3F000';

/**
 * Reads in one repeatable-read snapshot. The number of the active generation is read once, and its schemas are then named
 * by number: a promotion meanwhile changes the stable views but not this answer. Only a drop of that generation can reach
 * it, because a snapshot does not cover the schemas themselves: then the answer is read once more, from the new one.
 */
export async function inSnapshot<T>(pool: Pool, read: (snapshot: Snapshot) => Promise<T>): Promise<T> {
  const attempt = () =>
    inTransaction(pool, (tx) => readActive(tx, read), { isolation: 'repeatable read', readOnly: true });
  const twice = attempt().catch((error: unknown) => {
    const state = sqlState(error);
    if (state === undefinedTable || state === invalidSchema) return attempt();
    throw error;
  });
  return await withDeadline(twice, readDeadlineMs, 'reading the database');
}

async function readActive<T>(tx: Queryable, read: (snapshot: Snapshot) => Promise<T>): Promise<T> {
  // The views are wide and their tables small: compiling a plan would take longer than any plan.
  await tx.query('set local jit = off');
  const generation = await activeGeneration(tx);
  if (generation === null) throw new NoGenerationError();
  return await read({ tx, generation });
}
