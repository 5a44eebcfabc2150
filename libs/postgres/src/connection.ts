import { type Logger, RefusedError, retry } from '@leakage/runtime';
import pg from 'pg';
import type { DatabaseAddress } from './address.ts';
import { CopyIn, type CopySource } from './copy-in.ts';
import { type CopiedRows, CopyOut } from './copy-out.ts';
import { endsConnection, isConnectRetryable } from './errors.ts';
import { hasNoTls, refusalOf } from './refusals.ts';
import { valueTypes } from './values.ts';

export interface QueryAnswer<R> {
  rows: R[];
  rowCount: number;
  command: string;
}

/** A pool, a connection or a transaction. Values: see values.ts; JSON parameters are passed as JSON text. */
export interface Queryable {
  query<R = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<QueryAnswer<R>>;
}

/** What a connection tells the server to enforce. 0 switches a limit off. */
export interface Guards {
  statementTimeoutMs: number;
  lockTimeoutMs: number;
  idleInTransactionTimeoutMs: number;
}

export const defaultGuards: Guards = {
  statementTimeoutMs: 60_000,
  lockTimeoutMs: 10_000,
  idleInTransactionTimeoutMs: 60_000,
};

export interface ConnectOptions {
  address: DatabaseAddress;
  applicationName: string;
  guards: Guards;
}

// The server ends a statement first; the client waits this much longer and then gives the connection up (the server, or
// the network between, is gone: no answer will come).
const CLIENT_GRACE_MS = 15_000;
const CONNECT_MS = 10_000;
const KEEP_ALIVE_MS = 10_000;
/** How often a server that does not answer is tried: half a minute where it refuses, three where nothing comes back. */
const connectRetry = { attempts: 14, baseMs: 100, maxMs: 3_000 } as const;

export function clientConfig(o: ConnectOptions): pg.ClientConfig {
  const { statementTimeoutMs } = o.guards;
  return {
    connectionString: o.address.url,
    // Said outright, or PGSSLMODE in the environment would decide.
    ssl: o.address.tls,
    application_name: o.applicationName,
    types: valueTypes,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
    connectionTimeoutMillis: CONNECT_MS,
    ...(statementTimeoutMs > 0 ? { query_timeout: statementTimeoutMs + CLIENT_GRACE_MS } : {}),
  };
}

// Sent as statements, not as startup options: a URL may carry `options` of its own, and poolers refuse them.
export function sessionSettings(guards: Guards): string {
  return [
    `set timezone = 'UTC'`,
    `set datestyle = 'ISO'`,
    `set statement_timeout = ${guards.statementTimeoutMs}`,
    `set lock_timeout = ${guards.lockTimeoutMs}`,
    `set idle_in_transaction_session_timeout = ${guards.idleInTransactionTimeoutMs}`,
    'set tcp_keepalives_idle = 30',
    'set tcp_keepalives_interval = 10',
    'set tcp_keepalives_count = 3',
    'set tcp_user_timeout = 60000',
  ].join('; ');
}

/** One pg client with the knowledge of whether it can still be trusted. */
export class Connection implements Queryable {
  #client: pg.ClientBase;
  #lost: Error | null = null;

  constructor(client: pg.ClientBase) {
    this.#client = client;
    // An 'error' event without a listener ends the process; it comes between statements too (terminated while idle).
    client.on('error', this.#onError);
  }

  /** Names of statements that the server has prepared, by text: as many as there are statements in the code. */
  readonly #prepared = new Map<string, string>();

  #onError = (error: Error): void => {
    this.#lost ??= error;
  };

  /** Why this connection must not be used any more, or null. */
  get lost(): Error | null {
    return this.#lost;
  }

  #note(error: unknown): void {
    if (endsConnection(error)) this.#lost ??= error instanceof Error ? error : new Error(String(error));
  }

  async query<R>(text: string, values?: readonly unknown[]): Promise<QueryAnswer<R>> {
    return await this.#answer(text, values);
  }

  /** The same for a statement that comes again and again: the server parses and plans it once for each connection. */
  async prepared<R>(text: string, values: readonly unknown[]): Promise<QueryAnswer<R>> {
    let name = this.#prepared.get(text);
    if (name === undefined) {
      name = `s${this.#prepared.size + 1}`;
      this.#prepared.set(text, name);
    }
    return await this.#answer({ name, text }, values);
  }

  async #answer<R>(
    statement: string | { readonly name: string; readonly text: string },
    values: readonly unknown[] | undefined,
  ): Promise<QueryAnswer<R>> {
    try {
      const answer = await this.#client.query(statement, values as unknown[] | undefined);
      // Several statements in one text answer with several results: the last one counts.
      const last = Array.isArray(answer) ? (answer.at(-1) as typeof answer) : answer;
      return { rows: last.rows as R[], rowCount: last.rowCount ?? 0, command: last.command };
    } catch (error) {
      this.#note(error);
      throw error;
    }
  }

  /** Several COPY ... FROM STDIN BINARY in one round trip; the rows of each. */
  async copy(sources: readonly CopySource[]): Promise<number[]> {
    try {
      return await CopyIn.run(this.#client, sources);
    } catch (error) {
      this.#note(error);
      throw error;
    }
  }

  /** The rows of a COPY ... TO STDOUT BINARY, which takes no parameters; all of them in memory. */
  async copyOut(text: string): Promise<CopiedRows> {
    try {
      return await CopyOut.run(this.#client, text);
    } catch (error) {
      this.#note(error);
      throw error;
    }
  }

  onNotification(handler: (payload: string, channel: string) => void): void {
    this.#client.on('notification', (n) => handler(n.payload ?? '', n.channel));
  }

  onEnd(handler: () => void): void {
    this.#client.on('end', handler);
  }

  /** Gives the client back to whoever made it; the error listener stays on a lost one (late errors still arrive). */
  detach(): void {
    if (this.#lost === null) this.#client.removeListener('error', this.#onError);
  }
}

/** A connection of its own, outside any pool, with its settings made and `setup` run. */
export async function connect(
  o: ConnectOptions & { setup?: readonly string[] },
): Promise<{ connection: Connection; end(): Promise<void> }> {
  const client = new pg.Client(clientConfig(o));
  const connection = new Connection(client);
  try {
    await client.connect();
    await connection.query(sessionSettings(o.guards));
    for (const statement of o.setup ?? []) await connection.query(statement);
  } catch (error) {
    await client.end();
    throw error;
  }
  return { connection, end: () => client.end() };
}

/**
 * Runs `attempt` until it connects, within the limits of `connectRetry`; what no other attempt can change (a wrong password,
 * a certificate) fails at once with a RefusedError. `attempt` is given the address to connect to.
 */
export async function connectPatiently<T>(
  attempt: (address: DatabaseAddress) => Promise<T>,
  o: { address: DatabaseAddress; log: Logger; signal?: AbortSignal; attempts?: number },
): Promise<T> {
  const { address } = o;
  const once = async (): Promise<T> => {
    try {
      return await attempt(address);
    } catch (error) {
      if (address.sslMode === 'prefer' && hasNoTls(error)) return await attempt({ ...address, tls: false });
      throw refusalOf(error, address) ?? error;
    }
  };
  try {
    return await retry(once, {
      ...connectRetry,
      attempts: o.attempts ?? connectRetry.attempts,
      retryable: (error) => !(error instanceof RefusedError) && isConnectRetryable(error),
      onRetry: (error, n) => {
        if (n === 3) o.log.warn({ err: error }, 'Postgres cannot be reached; trying again');
      },
      ...(o.signal === undefined ? {} : { signal: o.signal }),
    });
  } catch (error) {
    if (o.signal?.aborted || error instanceof RefusedError || !isConnectRetryable(error)) throw error;
    throw new Error(
      `Postgres does not answer at ${address.where} (${reasonOf(error)}): start it, or set DATABASE_URL to where it runs`,
      { cause: error },
    );
  }
}

/** Where a name has several addresses, Node's error has no message, only the code. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || ('code' in error ? String(error.code) : error.name);
}
