import { existsSync, statfsSync } from 'node:fs';
import { totalmem } from 'node:os';
import { dirname } from 'node:path';
import { dataDirectory, readEnvironment } from '@leakage/runtime';
import {
  findJava,
  findMaven,
  folderCanBeWritten,
  holderOf,
  isFree,
  kafkaJarsFolder,
  kafkaVersion,
  Problem,
  postgresBinaries,
  postgresMayRun,
} from '../../local/index.ts';
import { type Check, no, note, ok } from './check.ts';
import { connectionChecks } from './connections.ts';

const GB = 1e9;
const defaultApiPort = 8080;

/** Every check, in the order in which a start would need it. Changes nothing on the machine. */
export async function examine(rolePrefix: string): Promise<Check[]> {
  const dataDir = dataDirectory();
  const environment = readEnvironment();
  const ownKafka = !process.env.KAFKA_BROKERS?.trim();
  const ownPostgres = !process.env.DATABASE_URL?.trim();
  const holder = holderOf(dataDir);
  return [
    checkNode(),
    memory(),
    disk(dataDir),
    attempt('data folder', () => folderCanBeWritten(dataDir)),
    ...(ownKafka ? await kafkaChecks(dataDir) : []),
    ...(ownPostgres ? [await attemptAsync('Postgres 18', () => postgresCheck(dataDir))] : []),
    await apiPort(holder !== null),
    ...(await connectionChecks(environment, {
      running: holder !== null,
      ownKafka,
      ownPostgres,
      thorough: { rolePrefix },
    })),
  ];
}

function checkNode(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 18)) return ok('Node', process.version);
  return no(
    'Node',
    process.version,
    'Node 22.18 or newer is needed: run npm ci, then npx leakage (which brings Node 24).',
  );
}

function memory(): Check {
  const limit = process.constrainedMemory();
  const bytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  const found = `${(bytes / GB).toFixed(1)} GB`;
  if (bytes >= 3.5 * GB) return ok('memory', found);
  const remedy = 'Kafka, Postgres and the services want about 3 GB: give the machine or the container 4 GB.';
  return bytes >= 2 * GB ? note('memory', found, remedy) : no('memory', found, remedy);
}

function disk(dataDir: string): Check {
  let folder = dataDir;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  const found = `${((bavail * bsize) / GB).toFixed(1)} GB free at ${folder}`;
  if (bavail * bsize >= 10 * GB) return ok('disk', found);
  const remedy = 'Free some space, or choose another place with LEAKAGE_DATA_DIR; a month of events wants about 10 GB.';
  return bavail * bsize >= 2 * GB ? note('disk', found, remedy) : no('disk', found, remedy);
}

async function kafkaChecks(dataDir: string): Promise<Check[]> {
  const jars = kafkaJarsFolder(dataDir);
  return [
    await attemptAsync('Java', async () => {
      const { version, command } = await findJava();
      return `${version} (${command})`;
    }),
    existsSync(jars)
      ? ok(`Kafka ${kafkaVersion}`, jars)
      : await attemptAsync(
          'Maven',
          async () => `${await findMaven()}, to fetch Kafka ${kafkaVersion} at the first start`,
        ),
  ];
}

async function postgresCheck(dataDir: string): Promise<string> {
  const { postgres } = postgresBinaries();
  return `${postgres} (${await postgresMayRun(dataDir)})`;
}

async function apiPort(running: boolean): Promise<Check> {
  const port = Number(process.env.API_PORT?.trim() || defaultApiPort);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    return no('api port', `API_PORT is ${process.env.API_PORT}`, 'Set it to a number from 0 to 65535, or unset it.');
  }
  if (port === 0 || (await isFree(port, process.env.API_HOST?.trim() || '127.0.0.1')))
    return ok('api port', `${port} is free`);
  if (running) return ok('api port', `${port} is in use, and Leakage is running`);
  return note('api port', `${port} is taken`, 'A start takes another one and says which; API_PORT chooses.');
}

function attempt(name: string, find: () => string): Check {
  try {
    return ok(name, find());
  } catch (error) {
    return fromError(name, error);
  }
}

async function attemptAsync(name: string, find: () => Promise<string>): Promise<Check> {
  try {
    return ok(name, await find());
  } catch (error) {
    return fromError(name, error);
  }
}

function fromError(name: string, error: unknown): Check {
  if (error instanceof Problem) return no(name, error.what, error.remedy);
  throw error;
}
