import { fileURLToPath } from 'node:url';
import type { Logger } from '@leakage/runtime';
import { runner } from 'node-pg-migrate';
import pg from 'pg';
import { type DatabaseAddress, readAddress } from './address.ts';
import { clientConfig, connectPatiently, defaultGuards, sessionSettings } from './connection.ts';

export interface MigrateOptions {
  url: string;
  /** The search_path of the migrations; the first one is created if missing and holds the history. */
  schemas: readonly string[];
  /** Holds only migrations (SQL files). */
  directory: string | URL;
  log: Logger;
}

// Any number, the same for all of us: one process migrates a database at a time, and the others wait for it.
const LOCK_KEY = 4_718_261;
const LOCK_WAIT_MS = 120_000;
/** One statement of a migration, which may have to rewrite a large table. */
const STATEMENT_MS = 30 * 60_000;
const guards = { ...defaultGuards, statementTimeoutMs: STATEMENT_MS, lockTimeoutMs: LOCK_WAIT_MS };

/** Brings a schema to its newest form; all or nothing. Several processes may do so at once: they take turns. */
export async function migrate(o: MigrateOptions): Promise<void> {
  for (const schema of o.schemas) assertIdentifier(schema);
  const client = await connectPatiently(openClient, { address: readAddress(o.url), log: o.log });
  try {
    await client.query(sessionSettings(guards));
    await client.query('select pg_advisory_lock($1)', [LOCK_KEY]);
    await client.query(`create schema if not exists "${o.schemas[0]}"`);
    const done = await runner({
      dbClient: client,
      direction: 'up',
      dir: typeof o.directory === 'string' ? o.directory : fileURLToPath(o.directory),
      schema: [...o.schemas],
      migrationsTable: 'migrations',
      singleTransaction: true,
      // Our lock is held already, and waits; the runner's own would be a second one.
      noLock: true,
      logger: {
        debug: (message) => o.log.trace(message),
        info: (message) => o.log.debug(message),
        warn: (message) => o.log.warn(message),
        error: (message) => o.log.error(message),
      },
    });
    if (done.length > 0) {
      o.log.info({ schema: o.schemas[0], migrations: done.map((m) => m.name) }, 'schema migrated');
    }
  } finally {
    // The session's end releases the lock.
    await client.end();
  }
}

/** The schema ops: positions, generations, shard locks. Every service needs it, so every service calls this first. */
export async function migrateOps(o: { url: string; log: Logger }): Promise<void> {
  await migrate({ ...o, schemas: ['ops'], directory: new URL('../migrations/', import.meta.url) });
}

async function openClient(address: DatabaseAddress): Promise<pg.Client> {
  const client = new pg.Client(clientConfig({ address, applicationName: 'leakage-migrate', guards }));
  try {
    await client.connect();
  } catch (error) {
    await client.end();
    throw error;
  }
  return client;
}

/** Schema names come from settings and end up in statements as they are. */
export function assertIdentifier(name: string): void {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name)) {
    throw new Error(`"${name}" is not usable as a schema name: lower case letters, digits and _ only`);
  }
}
