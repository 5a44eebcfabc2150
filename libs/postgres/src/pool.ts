import type { Logger, Part } from '@leakage/runtime';
import pg from 'pg';
import { type DatabaseAddress, readAddress } from './address.ts';
import {
  Connection,
  clientConfig,
  connectPatiently,
  defaultGuards,
  type Guards,
  type QueryAnswer,
  type Queryable,
  sessionSettings,
} from './connection.ts';

const CONNECTIONS_MAX = 4;
/** Callers that may wait for a connection at once: whoever comes then is told so, and memory does not fill with them. */
const WAITING_MAX = 200;
const IDLE_MS = 30_000;

/** So many wait for a connection already that one more would only wait in vain. */
export class PoolBusyError extends Error {
  constructor(waiting: number) {
    super(`${waiting} callers wait for a connection to Postgres already: try again later`);
    this.name = 'PoolBusyError';
  }
}

export interface PoolOptions extends Partial<Guards> {
  url: string;
  applicationName: string;
  /** Connections at most; default 4. */
  max?: number;
  /** Callers waiting for one at most; default 200. */
  waitingMax?: number;
  log: Logger;
}

/** A few connections shared by everything in a process that is not a sink. Every one runs with the guards set. */
export class Pool implements Queryable, Part {
  readonly name = 'Postgres pool';
  readonly #pool: pg.Pool;
  readonly #address: DatabaseAddress;
  readonly #log: Logger;
  readonly #settings: string;
  readonly #prepared = new WeakSet<pg.PoolClient>();
  readonly #waitingMax: number;
  #waiting = 0;

  constructor(o: PoolOptions) {
    const guards: Guards = {
      statementTimeoutMs: o.statementTimeoutMs ?? defaultGuards.statementTimeoutMs,
      lockTimeoutMs: o.lockTimeoutMs ?? defaultGuards.lockTimeoutMs,
      idleInTransactionTimeoutMs: o.idleInTransactionTimeoutMs ?? defaultGuards.idleInTransactionTimeoutMs,
    };
    this.#address = readAddress(o.url);
    this.#log = o.log;
    this.#waitingMax = o.waitingMax ?? WAITING_MAX;
    this.#settings = sessionSettings(guards);
    this.#pool = new pg.Pool({
      ...clientConfig({ address: this.#address, applicationName: o.applicationName, guards }),
      max: o.max ?? CONNECTIONS_MAX,
      idleTimeoutMillis: IDLE_MS,
    });
    // An idle client that the server closes ends the process unless somebody listens. The pool has removed it already.
    this.#pool.on('error', (error) => o.log.debug({ err: error }, 'an idle connection to Postgres was closed'));
    // Nor does anybody listen between the end of the handshake, with which an error may come in one packet, and the turn in
    // which we are given the client.
    this.#pool.on('connect', (client) => {
      client.on('error', (error) => o.log.debug({ err: error }, 'a connection to Postgres was lost'));
    });
  }

  /** One statement on any connection. It is not retried: whether a failed write was applied is for the caller to know. */
  async query<R = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<QueryAnswer<R>> {
    return await this.withConnection((connection) => connection.query<R>(text, values));
  }

  /**
   * Lends a connection for several statements of one session (advisory locks, a snapshot); a lost one is destroyed.
   * Throws PoolBusyError when too many wait for one already.
   */
  async withConnection<T>(fn: (connection: Connection) => Promise<T>): Promise<T> {
    const { client, connection } = await this.#connect();
    try {
      return await fn(connection);
    } finally {
      giveBack(client, connection);
    }
  }

  async #connect(): Promise<Lent> {
    if (this.#waiting >= this.#waitingMax) throw new PoolBusyError(this.#waiting);
    this.#waiting += 1;
    try {
      return await connectPatiently((address) => this.#prepare(address), { address: this.#address, log: this.#log });
    } finally {
      this.#waiting -= 1;
    }
  }

  /** A connection that is lost before its settings are made was never there: it counts as one that could not be made. */
  async #prepare({ tls }: DatabaseAddress): Promise<Lent> {
    this.#pool.options.ssl = tls;
    const client = await this.#pool.connect();
    const connection = new Connection(client);
    if (this.#prepared.has(client)) return { client, connection };
    try {
      await connection.query(this.#settings);
    } catch (error) {
      giveBack(client, connection);
      throw error;
    }
    this.#prepared.add(client);
    return { client, connection };
  }

  async stop(): Promise<void> {
    await this.#pool.end();
  }
}

interface Lent {
  readonly client: pg.PoolClient;
  readonly connection: Connection;
}

function giveBack(client: pg.PoolClient, connection: Connection): void {
  connection.detach();
  client.release(connection.lost !== null);
}

export function createPool(o: PoolOptions): Pool {
  return new Pool(o);
}
