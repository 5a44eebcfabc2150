import { retry } from '@leakage/runtime';
import type { Connection, Queryable } from './connection.ts';
import { CommitUnknownError, isTransient, RolledBackError, sqlState } from './errors.ts';
import type { Pool } from './pool.ts';

export type Isolation = 'read committed' | 'repeatable read' | 'serializable';

export interface TransactionOptions {
  isolation?: Isolation;
  readOnly?: boolean;
  /** How often a transaction is run again after 40001, 40P01 or 55P03; default 8. */
  retries?: number;
}

/**
 * Runs `fn` in a transaction on a connection of the pool: applied exactly once when this returns, not at all when it
 * throws anything but CommitUnknownError with `commitSent`. `fn` may run several times: it must keep nothing from a
 * failed attempt.
 */
export async function inTransaction<T>(
  pool: Pool,
  fn: (tx: Queryable) => Promise<T>,
  o: TransactionOptions = {},
): Promise<T> {
  // A connection lost before COMMIT applied nothing, and one that only read had nothing to apply: run again on another.
  const again = (error: unknown) =>
    isTransient(error) || (error instanceof CommitUnknownError && (!error.commitSent || o.readOnly === true));
  const attempt = () => pool.withConnection((connection) => runTransaction(connection, fn, o));
  return await retry(attempt, { ...retries(o.retries), retryable: again });
}

const RETRIES_MAX = 8;

/** The limits within which a transaction that applied nothing is run again. */
export function retries(count = RETRIES_MAX): { attempts: number; baseMs: number; maxMs: number } {
  return { attempts: count + 1, baseMs: 25, maxMs: 1_000 };
}

/** begin, fn, commit on one connection; everything that can go wrong with COMMIT is told apart here and nowhere else. */
export async function runTransaction<C extends Connection, T>(
  connection: C,
  fn: (tx: C) => Promise<T>,
  o: TransactionOptions,
): Promise<T> {
  let result: T;
  try {
    await connection.query(`begin isolation level ${o.isolation ?? 'read committed'}${o.readOnly ? ' read only' : ''}`);
    result = await fn(connection);
    // A statement whose error `fn` swallowed leaves a transaction that COMMIT would turn into a rollback.
    if (connection.lost !== null) throw connection.lost;
  } catch (error) {
    if (connection.lost !== null) throw new CommitUnknownError(false, connection.lost);
    await rollback(connection);
    throw error;
  }
  await commit(connection);
  return result;
}

async function commit(connection: Connection): Promise<void> {
  let answer: string;
  try {
    answer = (await connection.query('commit')).command;
  } catch (error) {
    // An error with an SQLSTATE on a living connection is an answer: a deferred check failed, nothing was applied.
    if (connection.lost === null && sqlState(error) !== null) throw error;
    throw new CommitUnknownError(true, error);
  }
  if (answer !== 'COMMIT') throw new RolledBackError(answer);
}

async function rollback(connection: Connection): Promise<void> {
  try {
    await connection.query('rollback');
  } catch (error) {
    // The server rolls back what a lost connection leaves; `lost` is set, so the client is destroyed by its owner.
    if (connection.lost === null) throw error;
  }
}
