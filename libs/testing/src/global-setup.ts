import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type LocalStack, Problem, startLocalStack } from '@leakage/cli/local';
import { createKafkaClient, ensureTopics } from '@leakage/kafka';
import { createLogger, dataDirectory } from '@leakage/runtime';
import type { TestProject } from 'vitest/node';
import { withAdmin } from './admin.ts';
import { chooseBackend, type Given, type OwnServers, origin, startServers } from './backend.ts';
import { startDockerServers } from './docker-servers.ts';
import type { ProvidedStack } from './provided.ts';

const log = createLogger({ service: 'testing', level: 'error' });
const foldersAtOnce = 8;

/**
 * One Kafka and one Postgres for a whole run: those of KAFKA_BROKERS and DATABASE_URL where they are set, else containers,
 * else processes. Whatever was chosen is printed, and a run without servers fails.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const choice = chooseBackend(process.env);
  const servers = await startServers(choice, { docker: startDockerServers, local: startHere }, console.log);
  const stack: ProvidedStack = {
    brokers: servers.brokers,
    adminUrl: servers.databaseUrl,
    origin: servers.origin,
    run: `t${randomBytes(4).toString('hex')}`,
  };
  try {
    await check(stack);
  } catch (error) {
    await servers.stop();
    throw error;
  }
  project.provide('leakageStack', stack);
  return async () => {
    if (choice.given.databaseUrl !== undefined) await dropDatabases(stack);
    await servers.stop();
  };
}

async function startHere(given: Given): Promise<OwnServers> {
  const stack = await startForTests(given);
  return {
    brokers: stack.brokers,
    databaseUrl: stack.databaseUrl,
    origin: origin(given, `started here (${stack.folder.path})`),
    stop: () => stack.stop({ forget: true }),
  };
}

/** A fixed place, so that the next run finds and stops what a killed one left behind; several runs at once have several. */
async function startForTests(given: Given): Promise<LocalStack> {
  for (let n = 1; ; n++) {
    try {
      return await startLocalStack({ ...given, dataDir: join(dataDirectory(), 'tests', String(n)) });
    } catch (error) {
      if (!(error instanceof Problem && error.reason === 'in-use') || n === foldersAtOnce) throw error;
    }
  }
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
