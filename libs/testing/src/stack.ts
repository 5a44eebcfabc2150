import { randomBytes } from 'node:crypto';
import { inject } from 'vitest';
import { withAdmin } from './admin.ts';
import type { ProvidedStack } from './provided.ts';

export interface TestStack {
  readonly brokers: string[];
  /** A database from which others can be created. */
  readonly adminUrl: string;
}

export interface TestDatabase {
  readonly url: string;
  readonly drop: () => Promise<void>;
}

/** The servers of this run: real ones, always; without them the run has failed before its first test. */
export async function testStack(): Promise<TestStack> {
  const { brokers, adminUrl } = provided();
  return { brokers: brokers.split(','), adminUrl };
}

/**
 * An empty database of its own for a test file. Dropped by `drop`, and by the end of the run whatever happens.
 * `server`: a database of another server than that of the run, from which it can be created.
 */
export async function freshDatabase(server?: string): Promise<TestDatabase> {
  const { run } = provided();
  const adminUrl = server ?? provided().adminUrl;
  const name = `${run}_${randomBytes(4).toString('hex')}`;
  const administer = (statement: string) =>
    withAdmin(adminUrl, async (pool) => {
      await pool.query(statement);
    });
  await administer(`create database ${name}`);
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => administer(`drop database if exists ${name} with (force)`) };
}

/** The first part of the names of topics and consumer groups, for a test file of its own. */
export function freshPrefix(): string {
  return `${provided().run}.${randomBytes(4).toString('hex')}`;
}

function provided(): ProvidedStack {
  const stack = inject('leakageStack');
  if (stack === undefined) {
    throw new Error('no servers: a test that needs them is named *.integration.test.ts or tests/*.e2e.test.ts');
  }
  return stack;
}
