// Somebody's own servers: Kafka with TLS, SCRAM and rules (ACLs), Postgres with TLS and a password; docs/own-clusters.md in practice.

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createKafkaClient, kafkaClientOptions, startPublisher } from '@leakage/kafka';
import { createPool, type Pool } from '@leakage/postgres';
import { createLogger, kafkaConnectionSettings, loadSettings, readEnvironmentFile } from '@leakage/runtime';
import { contracts, topicName } from '@leakage/schemas';
import {
  type Certificates,
  createCertificates,
  databaseUsers,
  eventually,
  freePort,
  journey,
  type SecuredKafka,
  type SecuredPostgres,
  saslUser,
  startSecuredKafka,
  startSecuredPostgres,
  startServiceProcess,
  temporaryFolder,
} from '@leakage/testing';
import {
  type AclEntry,
  AclOperationTypes,
  AclPermissionTypes,
  AclResourceTypes,
  Kafka,
  logLevel,
  ResourcePatternTypes,
} from 'kafkajs';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

const log = createLogger({ service: 'tests', level: 'silent' });
const bin = fileURLToPath(new URL('../cli/bin/leakage.mjs', import.meta.url));
const prefix = 'leakage';

let folder: string;
let certificates: Certificates;
let kafka: SecuredKafka;
let postgres: SecuredPostgres;
let pool: Pool;
/** What docs/own-clusters.md tells people to set. */
let env: Record<string, string>;
const children: ChildProcess[] = [];

beforeAll(async () => {
  folder = temporaryFolder();
  certificates = createCertificates(folder);
  [kafka, postgres] = await Promise.all([startSecuredKafka({ certificates }), startSecuredPostgres(certificates)]);
  const url = postgres.urlOf('secured');
  url.searchParams.set('sslmode', 'verify-full');
  url.searchParams.set('sslrootcert', certificates.ours.caFile);
  env = {
    KAFKA_BROKERS: kafka.at.sasltls,
    KAFKA_TLS: 'true',
    KAFKA_TLS_CA_FILE: certificates.ours.caFile,
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_USERNAME: saslUser.name,
    KAFKA_PASSWORD: saslUser.password,
    DATABASE_URL: url.href,
    TOPIC_PREFIX: prefix,
  };
  pool = createPool({ url: postgres.adminUrl, applicationName: 'tests', max: 1, log });
  await allowWhatIsDocumented();
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'close');
  }
});
afterAll(async () => {
  await pool?.stop();
  await Promise.all([kafka?.stop(), postgres?.stop()]);
});

/** The two commands of docs/own-clusters.md. */
async function allowWhatIsDocumented(): Promise<void> {
  const rule = (resourceType: AclResourceTypes, operation: AclOperationTypes): AclEntry => ({
    principal: `User:${saslUser.name}`,
    host: '*',
    resourceType,
    resourceName: `${prefix}.`,
    resourcePatternType: ResourcePatternTypes.PREFIXED,
    operation,
    permissionType: AclPermissionTypes.ALLOW,
  });
  const { READ, WRITE, CREATE, DESCRIBE_CONFIGS } = AclOperationTypes;
  const admin = new Kafka({ brokers: [kafka.plain], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createAcls({
    acl: [
      ...[READ, WRITE, CREATE, DESCRIBE_CONFIGS].map((operation) => rule(AclResourceTypes.TOPIC, operation)),
      rule(AclResourceTypes.GROUP, READ),
    ],
  });
  await admin.disconnect();
}

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly problems: string;
}

function leakage(args: readonly string[], own: Readonly<Record<string, string>>, cwd = folder): Promise<Outcome> {
  const { PATH = '', HOME = '' } = process.env;
  const environment = { PATH, HOME, LEAKAGE_DATA_DIR: join(folder, 'nothing'), ...own };
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, ...args], { cwd, env: environment, timeout: 60_000 }, (error, out, problems) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, problems });
    });
  });
}

async function publish(count: number): Promise<void> {
  const access = kafkaClientOptions(loadSettings(kafkaConnectionSettings, env));
  const publisher = await startPublisher(createKafkaClient({ ...access, clientId: 'tests', log }), { log });
  await publisher.publish(
    Array.from({ length: count }, (_, i) => ({
      topic: topicName(prefix, 'journeys'),
      key: `member ${i}`,
      value: contracts.journeys.encode(journey({ member_id: `member ${i}`, event_id: `event ${i}` })),
    })),
  );
  await publisher.stop();
}

async function rowsOfBronze(): Promise<number> {
  const { rows } = await pool.query<{ count: number }>('select count(*) as count from bronze.digital_journeys_raw');
  return rows[0]?.count ?? 0;
}

test('bronze-sink makes its topics and schema and archives what comes, over TLS on both sides', async () => {
  const sink = startServiceProcess('bronze-sink', env);
  await sink.ready;
  await publish(500);
  await eventually(async () => (await rowsOfBronze()) === 500);
  const { rows } = await pool.query<{ name: string; user: string; tls: boolean }>(
    `select distinct split_part(application_name, ' ', 1) as name, usename as user, ssl as tls
       from pg_stat_activity join pg_stat_ssl using (pid) where usename = $1`,
    [databaseUsers.secured.name],
  );
  expect(rows).toEqual([{ name: 'bronze-sink', user: 'secured', tls: true }]);
  expect(sink.output()).not.toMatch(/may not be checked|expected/);
  expect(sink.output()).not.toContain(saslUser.password);
  expect(await sink.stop()).toBe(0);
});

test.each<[string, () => Record<string, string>, number, RegExp]>([
  [
    'a wrong password for Kafka',
    () => ({ KAFKA_PASSWORD: 'guess' }),
    1,
    /start failed: Kafka at 127\.0\.0\.1:\d+ refuses user leakage with SCRAM-SHA-512 \(.*\): check KAFKA_USERNAME, KAFKA_PASSWORD/,
  ],
  [
    'a wrong password for Postgres',
    () => ({ DATABASE_URL: env.DATABASE_URL?.replace(/:[^:@]+@/, ':guess@') ?? '' }),
    1,
    /start failed: Postgres at 127\.0\.0\.1:\d+ refuses user secured \(.*\): check user and password in DATABASE_URL/,
  ],
  [
    'a user without a mechanism',
    () => ({ KAFKA_SASL_MECHANISM: '' }),
    2,
    /KAFKA_USERNAME and KAFKA_PASSWORD are set, but KAFKA_SASL_MECHANISM is not/,
  ],
  [
    'a CA file that is not there',
    () => ({ DATABASE_URL: env.DATABASE_URL?.replace(/sslrootcert=[^&]+/, 'sslrootcert=/nowhere/ca.pem') ?? '' }),
    2,
    /sslrootcert in DATABASE_URL leads to \/nowhere\/ca\.pem, which cannot be read \(there is no such file\)/,
  ],
])('%s ends a service at once, with the sentence as its last', async (_, wrong, code, sentence) => {
  const begin = performance.now();
  const sink = startServiceProcess('bronze-sink', { ...env, ...wrong() });
  expect(await sink.exited).toBe(code);
  expect(sink.output()).toMatch(sentence);
  expect(sink.output()).not.toMatch(/guess|op\/en/);
  expect(performance.now() - begin).toBeLessThan(20_000);
});

interface Report {
  readonly checks: readonly { readonly name: string; readonly state: string; found: string; remedy: string | null }[];
}

async function doctor(own: Readonly<Record<string, string>>) {
  const { checks } = JSON.parse((await leakage(['doctor', '--json'], own)).out) as Report;
  const of = (name: string) => checks.find((check) => check.name === name);
  return { kafka: of('Kafka'), postgres: of('Postgres') };
}

test('doctor tries both connections as they are set, and has a remedy for each refusal', async () => {
  expect(await doctor(env)).toMatchObject({ kafka: { state: 'ok' }, postgres: { state: 'ok' } });
  const { KAFKA_TLS: _tls, KAFKA_TLS_CA_FILE: _ca, ...open } = env;
  const plain = new URL(env.DATABASE_URL ?? '');
  plain.search = '';
  expect(await doctor({ ...open, DATABASE_URL: plain.href })).toMatchObject({
    kafka: {
      state: 'no',
      found: expect.stringMatching(/^Kafka at 127\.0\.0\.1:\d+ speaks TLS on this port$/),
      remedy: 'Set KAFKA_TLS to true.',
    },
    postgres: {
      state: 'no',
      found: expect.stringMatching(/^Postgres at 127\.0\.0\.1:\d+ refuses user secured \(.*no encryption\)$/),
      remedy: expect.stringMatching(/^Add sslmode=verify-full/),
    },
  });
});

test('a command says what is refused and nothing else, without a stack', async () => {
  const wrong = { ...env, DATABASE_URL: env.DATABASE_URL?.replace(/:[^:@]+@/, ':guess@') ?? '' };
  const { code, problems } = await leakage(['status'], wrong);
  expect(code).toBe(1);
  expect(problems).toMatch(/^Postgres at \S+ refuses user secured \(.*\): check user and password in DATABASE_URL\n$/);
});

test('settings for a Kafka of ones own are refused where the product would bring its own', async () => {
  const { KAFKA_BROKERS: _, ...rest } = env;
  const { code, problems } = await leakage(['up'], rest);
  expect(code).toBe(2);
  expect(problems).toMatch(/KAFKA_TLS, .*KAFKA_PASSWORD belong to a Kafka of yours, but KAFKA_BROKERS is not set/);
});

test('up hands everything to its services and, in a file of its own, to other commands; relative paths are no hindrance', async () => {
  const dataDir = join(folder, 'data');
  const caFile = relative(folder, certificates.ours.caFile);
  const given = new URL(env.DATABASE_URL ?? '');
  given.searchParams.set('sslrootcert', caFile);
  const { PATH = '', HOME = '' } = process.env;
  const own = { KAFKA_TLS_CA_FILE: caFile, DATABASE_URL: given.href, LEAKAGE_DATA_DIR: dataDir };
  const child = spawn(process.execPath, [bin, 'up', '--no-generator'], {
    cwd: folder,
    env: { PATH, HOME, ...env, ...own, API_PORT: String(await freePort()) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await eventually(() => /Try next|Ready: no calls yet/.test(output) || child.exitCode !== null, { withinMs: 120_000 });
  expect(child.exitCode, output).toBe(null);

  const file = join(dataDir, 'env');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { DATABASE_URL: _, ...kafkaEnv } = env;
  expect(readEnvironmentFile(file)).toMatchObject(kafkaEnv);
  const status = await leakage(['status'], { LEAKAGE_DATA_DIR: dataDir }, '/');
  expect(status, status.problems).toMatchObject({ code: 0, out: expect.stringContaining('leakage.journeys') });
  expect(status.out).not.toContain('Lag is not known');
  expect(output).not.toContain(saslUser.password);

  child.kill('SIGINT');
  await once(child, 'close');
  expect(child.exitCode, output).toBe(0);
  expect(existsSync(file)).toBe(false);
});
