import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import {
  brokerSettings,
  clusterLocale,
  freePorts,
  kafkaVersion,
  postgresMajor,
  postgresSettings,
} from '@leakage/cli/local';
import type { ContainerRuntimeClient, StartedTestContainer } from 'testcontainers';
import { BackendMissing, type Given, type OwnServers, origin } from './backend.ts';

/** The same versions as locally and in docker-compose.yml. */
export const images = { kafka: `apache/kafka:${kafkaVersion}`, postgres: `postgres:${postgresMajor}` } as const;

const startWithinMs = 120_000;
const label = 'leakage.tests';
const MiB = 1024 * 1024;
const containerSize = { memoryBytes: 2048 * MiB, freeDiskBytes: 4096 * MiB, sharedMemoryBytes: 64 * MiB };
const keeperFile = fileURLToPath(new URL('./container-keeper.ts', import.meta.url));

/**
 * What is not given, in containers. They are gone when `stop` is done, when the start has failed, and soon after the
 * process has ended in whatever way.
 */
export async function startDockerServers(given: Given): Promise<OwnServers> {
  const client = await engine();
  const owner = randomBytes(8).toString('hex');
  const keeper = startKeeper(owner);
  const stop = async (): Promise<void> => {
    await removeContainers(owner);
    keeper.stdin?.end();
  };
  const [kafka, postgres] = await Promise.allSettled([
    given.brokers ?? startKafka(client, owner),
    given.databaseUrl ?? startPostgres(owner),
  ]);
  if (kafka.status === 'fulfilled' && postgres.status === 'fulfilled') {
    const ours = `in a container (engine ${client.info.containerRuntime.serverVersion})`;
    return { brokers: kafka.value, databaseUrl: postgres.value, origin: origin(given, ours), stop };
  }
  const created = await containersOf(owner);
  await stop();
  const reason: unknown =
    kafka.status === 'rejected' ? kafka.reason : postgres.status === 'rejected' && postgres.reason;
  // Nothing was even created: an image that is not there and cannot be fetched, or an engine that refuses us.
  throw created.length === 0 ? new BackendMissing(`no container can be made: ${messageOf(reason)}`) : reason;
}

/** Ends and forgets every container of an owner, with its data. */
export async function removeContainers(owner: string): Promise<void> {
  const { container } = await engine();
  for (const { Id } of await containersOf(owner)) {
    await container.dockerode.getContainer(Id).remove({ force: true, v: true });
  }
}

async function containersOf(owner: string): Promise<{ Id: string }[]> {
  const { container } = await engine();
  return await container.dockerode.listContainers({ all: true, filters: { label: [`${label}=${owner}`] } });
}

/** Loaded only here: it is large, and whoever has no engine need not wait for it. */
async function engine(): Promise<ContainerRuntimeClient> {
  const { getContainerRuntimeClient } = await import('testcontainers');
  try {
    return await getContainerRuntimeClient();
  } catch (error) {
    throw new BackendMissing(`no engine answers: ${messageOf(error)}`, { cause: error });
  }
}

async function startKafka(client: ContainerRuntimeClient, owner: string): Promise<string> {
  const { GenericContainer, Wait } = await import('testcontainers');
  // A broker tells its clients where it is, so the port must be known before it starts.
  const [port = 0] = await freePorts([0]);
  const address = `${client.info.containerRuntime.host}:${port}`;
  const settings = {
    ...brokerSettings,
    'controller.quorum.voters': '1@localhost:9093',
    listeners: 'PLAINTEXT://:9092,INTERNAL://localhost:9094,CONTROLLER://localhost:9093',
    'advertised.listeners': `PLAINTEXT://${address},INTERNAL://localhost:9094`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'INTERNAL',
  };
  const variable = (property: string) => `KAFKA_${property.toUpperCase().replaceAll('.', '_')}`;
  const environment = Object.fromEntries(
    Object.entries(settings).map(([property, value]): [string, string] => [variable(property), String(value)]),
  );
  await new GenericContainer(images.kafka)
    .withLabels({ [label]: owner })
    .withEnvironment({ ...environment, KAFKA_HEAP_OPTS: '-Xms256m -Xmx768m' })
    .withExposedPorts({ container: 9092, host: port })
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .withStartupTimeout(startWithinMs)
    .start();
  return address;
}

async function startPostgres(owner: string): Promise<string> {
  const { GenericContainer, Wait } = await import('testcontainers');
  const password = randomBytes(16).toString('hex');
  const flags = Object.entries(postgresSettings(containerSize)).map(([key, value]) => `-c${key}=${value}`);
  const started: StartedTestContainer = await new GenericContainer(images.postgres)
    .withLabels({ [label]: owner })
    .withEnvironment({
      POSTGRES_USER: 'postgres',
      POSTGRES_PASSWORD: password,
      POSTGRES_DB: 'main',
      POSTGRES_INITDB_ARGS: clusterLocale.join(' '),
    })
    .withCommand(['postgres', ...flags])
    .withExposedPorts(5432)
    // Once by the server that only prepares the database, once by the real one.
    .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/, 2))
    .withStartupTimeout(startWithinMs)
    .start();
  return `postgres://postgres:${password}@${started.getHost()}:${started.getMappedPort(5432)}/main`;
}

/** A process that outlives us by a moment, however we end: then it removes what we have not. */
function startKeeper(owner: string): ChildProcess {
  const keeper = spawn(process.execPath, [keeperFile, owner], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
  keeper.unref();
  return keeper;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
