/**
 * The answer to a COMMIT was lost, or the connection was lost before it. The database may or may not have applied the
 * transaction: drop what memory believes and read the positions, they say which (laws 1 and 3).
 */
export class CommitUnknownError extends Error {
  /** false: COMMIT was never sent, so nothing was applied. Most callers need not care. */
  readonly commitSent: boolean;
  constructor(commitSent: boolean, cause: unknown) {
    super(
      commitSent
        ? 'the connection to Postgres was lost while COMMIT was under way: whether it was applied is not known'
        : 'the connection to Postgres was lost before COMMIT: nothing was applied',
      { cause },
    );
    this.name = 'CommitUnknownError';
    this.commitSent = commitSent;
  }
}

/** Another process moved a position first (SQLSTATE LK001 of ops.advance): roll back, reload, start again. */
export class PositionMovedError extends Error {
  constructor(pipeline: string, cause: unknown) {
    super(`a position of pipeline ${pipeline} was moved by another process`, { cause });
    this.name = 'PositionMovedError';
  }
}

/** What is refused has changed since the batch was judged: roll back, load the policy, judge it again. */
export class PolicyChangedError extends Error {
  constructor() {
    super('what is refused (retention, erasure) was changed while a batch was under way');
    this.name = 'PolicyChangedError';
  }
}

/** COMMIT answered ROLLBACK: a statement had failed and its error was not passed on. Nothing was applied. */
export class RolledBackError extends Error {
  constructor(answer: string) {
    super(`COMMIT was answered by ${answer}: an earlier statement of the transaction had failed unnoticed`);
    this.name = 'RolledBackError';
  }
}

/** The database wants something done that only its owner may do. Starting again helps once somebody has done it. */
export class OwnerNeededError extends Error {
  readonly what: string;

  constructor(what: string, options?: ErrorOptions) {
    super(`${what}: run "leakage init" with the DATABASE_URL of the owner`, options);
    this.name = 'OwnerNeededError';
    this.what = what;
  }
}

/** SQLSTATE of whatever a login may not do. */
export const insufficientPrivilege = '42501';

/** The five characters by which Postgres names an error, or null when the error did not come from the server. */
export function sqlState(error: unknown): string | null {
  if (!(error instanceof Error) || !('code' in error) || !('severity' in error)) return null;
  return typeof error.code === 'string' && /^[0-9A-Z]{5}$/.test(error.code) ? error.code : null;
}

/** Serialization failure, deadlock, lock timeout: the same transaction may well succeed when it is run again. */
export function isTransient(error: unknown): boolean {
  const state = sqlState(error);
  return state === '40001' || state === '40P01' || state === '55P03';
}

// Errors after which the server ends the session: shutdowns, and the timeouts that it answers with FATAL.
const sessionEnds = new Set(['57P01', '57P02', '57P03', '57P04', '57P05', '25P03', '25P04']);

/**
 * Did a statement's error end the connection? True for everything that did not come from the server (socket, timeout of
 * the client, an answer that could not be read): such a client is never used again.
 */
export function endsConnection(error: unknown): boolean {
  const state = sqlState(error);
  if (state === null || state.startsWith('08') || sessionEnds.has(state)) return true;
  return error instanceof Error && 'severity' in error && (error.severity === 'FATAL' || error.severity === 'PANIC');
}

/** Is it worth connecting again soon (server starting, full, not reachable), or is the address or the password wrong? */
export function isConnectRetryable(error: unknown): boolean {
  const state = sqlState(error);
  return state === null || state.startsWith('08') || state.startsWith('53') || state.startsWith('57P');
}
