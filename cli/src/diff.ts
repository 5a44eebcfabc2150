import { DiffError, type DiffReport, diffGenerations } from '@leakage/diff';
import { createPool, inTransaction, sqlState } from '@leakage/postgres';
import { CommandError } from './command-error.ts';
import { quietLogger } from './connect.ts';

export interface DiffOptions {
  readonly databaseUrl: string;
  /** Differences are b minus a. */
  readonly a: number;
  readonly b: number;
  readonly schemas: { readonly silver: string; readonly gold: string };
  /** Local days, YYYY-MM-DD. */
  readonly from?: string;
  readonly to?: string;
  /** Default: what is stored. */
  readonly costPerCallCents?: number | undefined;
  readonly examples: number;
  readonly onStep: (sentence: string) => void;
}

/** Compares two generations in one snapshot, and changes nothing. Throws CommandError when they cannot be compared. */
export async function diffPipeline({ databaseUrl, ...o }: DiffOptions): Promise<DiffReport> {
  const pool = createPool({
    url: databaseUrl,
    applicationName: 'leakage-diff',
    max: 1,
    // The largest statement compares every call of both.
    statementTimeoutMs: 30 * 60_000,
    log: quietLogger('diff'),
  });
  try {
    return await inTransaction(pool, (tx) => diffGenerations((sql, params) => tx.query(sql, params), o), {
      isolation: 'repeatable read',
      readOnly: true,
    });
  } catch (error) {
    throw cannotCompare(error, o) ?? error;
  } finally {
    await pool.stop();
  }
}

/** In place of an error that a person can do something about. */
function cannotCompare(error: unknown, { a, b }: Pick<DiffOptions, 'a' | 'b'>): CommandError | null {
  if (error instanceof DiffError) return new CommandError(error.message);
  const state = sqlState(error);
  // A snapshot does not cover the tables themselves.
  if (state === '42P01' || state === '3F000') {
    return new CommandError(`Generation ${a} or ${b} was dropped while it was read: try again.`, 1, { cause: error });
  }
  if (state !== '42501') return null;
  return new CommandError(
    `This login may not read generation ${a} or ${b}: set DATABASE_URL to that of the owner.`,
    1,
    { cause: error },
  );
}
