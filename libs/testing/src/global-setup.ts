import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type LocalStack, Problem, startLocalStack } from '@leakage/cli/local';
import { createKafkaClient, ensureTopics } from '@leakage/kafka';
import { createLogger, dataDirectory } from '@leakage/runtime';
import type { TestProject } from 'vitest/node';
import { withAdmin } from './admin.ts';
import type { ProvidedStack } from './provided.ts';

const log = createLogger({ service: 'testing', level: 'error' });
const foldersAtOnce = 8;

/**
 * One Kafka and one Postgres for a whole run: those of KAFKA_BROKERS and DATABASE_URL where they are set, else real local
 * ones. TEST_BACKEND=env or local forces one. Whatever was chosen is printed, and a run without servers fails.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = chooseBackend(process.env);
  const local = given.brokers && given.databaseUrl ? null : await startForTests(given);
  const run = `t${randomBytes(4).toString('hex')}`;
  const stack: ProvidedStack = {
    brokers: given.brokers ?? local?.brokers ?? '',
    adminUrl: given.databaseUrl ?? local?.databaseUrl ?? '',
    origin: describe(local),
    run,
  };
  const teardown = async () => {
    if (local === null) await dropDatabases(stack);
    else await local.stop({ forget: true });
  };
  try {
    await check(stack);
  } catch (error) {
    await local?.stop({ forget: true });
    throw error;
  }
  project.provide('leakageStack', stack);
  return teardown;
}

interface Given {
  readonly brokers?: string | undefined;
  readonly databaseUrl?: string | undefined;
}

export function chooseBackend(env: Readonly<Record<string, string | undefined>>): Given {
  const brokers = env.KAFKA_BROKERS?.trim() || undefined;
  const databaseUrl = env.DATABASE_URL?.trim() || undefined;
  switch (env.TEST_BACKEND?.trim() || undefined) {
    case undefined:
      return { brokers, databaseUrl };
    case 'local':
      return {};
    case 'env':
      if (brokers && databaseUrl) return { brokers, databaseUrl };
      throw new Error('TEST_BACKEND=env needs KAFKA_BROKERS and DATABASE_URL, and at least one of them is not set.');
    default:
      throw new Error(`TEST_BACKEND is ${env.TEST_BACKEND}: it must be env or local (or not set).`);
  }
}

/** A fixed place, so that the next run finds and stops what a killed one left behind; several runs at once have several. */
async function startForTests(given: Given): Promise<LocalStack> {
  for (let n = 1; ; n++) {
    try {
      return await startLocalStack({ ...given, shortLived: true, dataDir: join(dataDirectory(), 'tests', String(n)) });
    } catch (error) {
      if (!(error instanceof Problem && error.reason === 'in-use') || n === foldersAtOnce) throw error;
    }
  }
}

function describe(local: LocalStack | null): string {
  const started = local?.servers.map((server) => server.name) ?? [];
  const where = (name: 'Kafka' | 'Postgres', variable: string) =>
    `${name} ${started.includes(name) ? `started here (${local?.folder.path})` : `of ${variable}`}`;
  return `${where('Kafka', 'KAFKA_BROKERS')}, ${where('Postgres', 'DATABASE_URL')}`;
}

async function check(stack: ProvidedStack): Promise<void> {
  await ensureTopics(createKafkaClient({ brokers: stack.brokers.split(','), clientId: 'leakage-testing', log }), []);
  const version = await withAdmin(stack.adminUrl, async (pool) => {
    const { rows } = await pool.query<{ version: number }>(
      `select current_setting('server_version_num')::int as version`,
    );
    return rows[0]?.version ?? 0;
  });
  if (version < 180_000) throw new Error(`Postgres 18 is needed, DATABASE_URL leads to ${version}.`);
  console.log(`Tests run on: ${stack.origin}`);
}

async function dropDatabases(stack: ProvidedStack): Promise<void> {
  await withAdmin(stack.adminUrl, async (pool) => {
    const { rows } = await pool.query<{ name: string }>(
      `select quote_ident(datname) as name from pg_database where starts_with(datname, $1)`,
      [`${stack.run}_`],
    );
    for (const { name } of rows) await pool.query(`drop database if exists ${name} with (force)`);
  });
}
