import { readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Logger } from '@leakage/runtime';
import { runner } from 'node-pg-migrate';
import pg from 'pg';
import { type DatabaseAddress, readAddress } from './address.ts';
import { clientConfig, connectPatiently, defaultGuards, type Queryable, sessionSettings } from './connection.ts';
import { insufficientPrivilege, OwnerNeededError, sqlState } from './errors.ts';

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
const UNDEFINED_TABLE = '42P01';
/** One statement of a migration, which may have to rewrite a large table. */
const STATEMENT_MS = 30 * 60_000;
const guards = { ...defaultGuards, statementTimeoutMs: STATEMENT_MS, lockTimeoutMs: LOCK_WAIT_MS };

/**
 * Brings a schema to its newest form; all or nothing. Several processes may do so at once: they take turns. Where nothing is
 * pending it only looks: no lock, and no right but to read the schema's history. Throws OwnerNeededError where something is
 * pending that this login may not do.
 */
export async function migrate(o: MigrateOptions): Promise<void> {
  for (const schema of o.schemas) assertIdentifier(schema);
  const [schema = ''] = o.schemas;
  const directory = typeof o.directory === 'string' ? o.directory : fileURLToPath(o.directory);
  const client = await connectPatiently((address) => openClient(address, o.log), {
    address: readAddress(o.url),
    log: o.log,
  });
  try {
    await client.query(sessionSettings(guards));
    const pending = await pendingMigrations(client, { schema, directory });
    if (pending.length === 0) return;
    await mustBeAllowed(client, { schema, pending });
    await client.query('select pg_advisory_lock($1)', [LOCK_KEY]);
    await client.query(`create schema if not exists "${schema}"`);
    const done = await runner({
      dbClient: client,
      direction: 'up',
      dir: directory,
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
    if (done.length > 0) o.log.info({ schema, migrations: done.map((m) => m.name) }, 'schema migrated');
  } finally {
    // The session's end releases the lock.
    await client.end();
  }
}

/** The migrations of a directory that a schema does not have, in order. Needs nothing but to read the schema's history. */
async function pendingMigrations(
  db: { query(text: string): Promise<{ rows: unknown[] }> },
  o: { schema: string; directory: string | URL },
): Promise<string[]> {
  assertIdentifier(o.schema);
  const names = readdirSync(o.directory)
    .filter((file) => file.endsWith('.sql'))
    .map((file) => basename(file, '.sql'))
    .sort();
  try {
    const { rows } = await db.query(`select name from "${o.schema}".migrations`);
    const done = new Set((rows as { name: string }[]).map((row) => row.name));
    return names.filter((name) => !done.has(name));
  } catch (error) {
    if (sqlState(error) === UNDEFINED_TABLE) return names;
    if (sqlState(error) !== insufficientPrivilege) throw error;
    throw new OwnerNeededError(`this login may not read which migrations schema ${o.schema} has`, { cause: error });
  }
}

/** A sentence about each schema that is not in its newest form, `ops` and a service's own, for somebody who only wants to know. */
export async function schemaProblems(
  db: Queryable,
  own: { readonly schema: string; readonly directory: string | URL },
): Promise<string[]> {
  const problems: string[] = [];
  for (const { schema, directory } of [{ schema: 'ops', directory: opsMigrations }, own]) {
    try {
      const pending = await pendingMigrations(db, { schema, directory });
      if (pending.length > 0) problems.push(`schema ${schema} lacks its migrations ${pending.join(', ')}`);
    } catch (error) {
      if (!(error instanceof OwnerNeededError)) throw error;
      problems.push(error.what);
    }
  }
  return problems;
}

async function mustBeAllowed(client: pg.Client, o: { schema: string; pending: readonly string[] }): Promise<void> {
  const { rows } = await client.query<{ allowed: boolean; login: string; database: string }>(
    `select coalesce((select has_schema_privilege(n.oid, 'CREATE') from pg_namespace n where n.nspname = $1),
                     has_database_privilege(current_database(), 'CREATE')) as allowed,
            current_user::text as login, current_database()::text as database`,
    [o.schema],
  );
  const [answer] = rows;
  if (answer === undefined || answer.allowed) return;
  throw new OwnerNeededError(
    `schema ${o.schema} of database ${answer.database} lacks its migrations ${o.pending.join(', ')}, ` +
      `and login ${answer.login} may not make them`,
  );
}

const opsMigrations = new URL('../migrations/', import.meta.url);

/** The schema ops: positions, generations, shard locks. Every service needs it, so every service calls this first. */
export async function migrateOps(o: { url: string; log: Logger }): Promise<void> {
  await migrate({ ...o, schemas: ['ops'], directory: opsMigrations });
}

async function openClient(address: DatabaseAddress, log: Logger): Promise<pg.Client> {
  const client = new pg.Client(clientConfig({ address, applicationName: 'leakage-migrate', guards }));
  // A connection that is lost says so to the statement, and again as an event, which would end the process were nobody to listen.
  client.on('error', (error) => log.debug({ err: error }, 'the connection of the migrations was lost'));
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
