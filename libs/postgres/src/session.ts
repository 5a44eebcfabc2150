import { type Logger, type Part, retry } from '@leakage/runtime';
import { readAddress } from './address.ts';
import {
  type Connection,
  connect,
  connectPatiently,
  defaultGuards,
  type Guards,
  type Queryable,
} from './connection.ts';
import type { CopySource } from './copy-in.ts';
import { isTransient } from './errors.ts';
import { retries, runTransaction } from './transaction.ts';

export interface SinkTx extends Queryable {
  /** The same object as long as it is the same connection: what was read on another one may be of another past. */
  readonly connection: object;
  /** COPY ... FROM STDIN BINARY; the number of rows. `data` must not change until this returns. */
  copy(table: string, columns: readonly string[], data: readonly Buffer[]): Promise<number>;
  /** Several of them in one round trip. */
  copyAll(sources: readonly CopySource[]): Promise<number[]>;
}

export interface SessionOptions extends Partial<Guards> {
  url: string;
  applicationName: string;
  /** Run after every connect: temporary tables (`on commit delete rows`), planner settings. */
  setup?: readonly string[];
  log: Logger;
}

/** Staging tables have no statistics and plans flip (measured): a sink puts these into its `setup`. */
export const indexedPlansOnly: readonly string[] = [
  'set enable_seqscan = off',
  'set enable_hashjoin = off',
  'set enable_mergejoin = off',
];

/**
 * One connection of a sink, with its temporary tables. One transaction at a time. After a lost connection the next
 * transaction connects again and runs the setup again.
 */
export class Session implements Part {
  readonly name: string;
  readonly #options: SessionOptions;
  readonly #stopping = new AbortController();
  #open: { connection: Connection; end(): Promise<void> } | null = null;
  #busy = false;

  constructor(o: SessionOptions) {
    this.#options = o;
    this.name = `Postgres session ${o.applicationName}`;
  }

  /**
   * Applied exactly once when this returns. Throws CommitUnknownError when the connection was lost, before or during
   * COMMIT: the caller reads the positions either way. Transient errors are retried inside; `fn` then runs again.
   */
  async transaction<T>(fn: (tx: SinkTx) => Promise<T>): Promise<T> {
    if (this.#busy) throw new Error('a session runs one transaction at a time');
    this.#busy = true;
    try {
      return await retry(() => this.#attempt(fn), {
        ...retries(),
        retryable: isTransient,
        signal: this.#stopping.signal,
      });
    } finally {
      this.#busy = false;
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#close();
  }

  async #attempt<T>(fn: (tx: SinkTx) => Promise<T>): Promise<T> {
    const connection = await this.#connection();
    try {
      return await runTransaction(connection, () => fn(sinkTx(connection)), {});
    } finally {
      if (connection.lost !== null) await this.#close();
    }
  }

  async #connection(): Promise<Connection> {
    if (this.#open !== null && this.#open.connection.lost === null) return this.#open.connection;
    await this.#close();
    const o = this.#options;
    const guards: Guards = { ...defaultGuards, ...definedGuards(o) };
    const { signal } = this.#stopping;
    signal.throwIfAborted();
    const { applicationName, setup = [], log } = o;
    const open = await connectPatiently((address) => connect({ address, applicationName, guards, setup }), {
      address: readAddress(o.url),
      log,
      signal,
    });
    if (signal.aborted) await open.end();
    signal.throwIfAborted();
    this.#open = open;
    return open.connection;
  }

  async #close(): Promise<void> {
    const open = this.#open;
    this.#open = null;
    await open?.end();
  }
}

function sinkTx(connection: Connection): SinkTx {
  return {
    connection,
    // Statements of a sink are constants with parameters: no others are remembered.
    query: (text, values) => (values === undefined ? connection.query(text) : connection.prepared(text, values)),
    async copy(table, columns, data) {
      const [rows = 0] = await connection.copy([{ table, columns, data }]);
      return rows;
    },
    copyAll: (sources) => connection.copy(sources),
  };
}

function definedGuards(o: Partial<Guards>): Partial<Guards> {
  const { statementTimeoutMs, lockTimeoutMs, idleInTransactionTimeoutMs } = o;
  return {
    ...(statementTimeoutMs === undefined ? {} : { statementTimeoutMs }),
    ...(lockTimeoutMs === undefined ? {} : { lockTimeoutMs }),
    ...(idleInTransactionTimeoutMs === undefined ? {} : { idleInTransactionTimeoutMs }),
  };
}
