import { type DataFolder, openDataFolder } from './data-folder.ts';
import { type KafkaExtras, type LocalServer, type PostgresExtras, startKafka } from './kafka-server.ts';
import { stopLeftovers } from './launch-record.ts';
import { freePorts } from './ports.ts';
import { startPostgres } from './postgres-server.ts';

export type { DataFolder } from './data-folder.ts';
export { folderCanBeWritten, holderOf, openDataFolder, replaceFile } from './data-folder.ts';
export { findJava, findMaven } from './java.ts';
export { kafkaJarsFolder, kafkaVersion } from './kafka-jars.ts';
export { brokerSettings, type KafkaExtras, type PostgresExtras } from './kafka-server.ts';
export { freePorts, isFree } from './ports.ts';
export { postgresMayRun } from './postgres-account.ts';
export { postgresBinaries } from './postgres-binaries.ts';
export { clusterLocale, postgresMajor } from './postgres-server.ts';
export { postgresSettings } from './postgres-settings.ts';
export { Problem } from './problem.ts';
export { type Ending, launch, type ServerProcess } from './server-process.ts';

export interface LocalStackOptions {
  readonly dataDir: string;
  /** Each one that is given replaces that server alone. */
  readonly brokers?: string | undefined;
  readonly databaseUrl?: string | undefined;
  /** Forgets the data of an earlier start first. */
  readonly empty?: boolean;
  /** For tests of what somebody's own servers may demand. */
  readonly kafkaExtras?: KafkaExtras;
  readonly postgresExtras?: PostgresExtras;
  /** Hears what is being done, a line at a time. */
  readonly say?: (line: string) => void;
  /** Gives the start up: what has been started by then is stopped, and the start fails with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface LocalStack {
  readonly folder: DataFolder;
  readonly brokers: string;
  readonly databaseUrl: string;
  /** The servers that run here, as opposed to those that were given. */
  readonly servers: readonly { readonly name: 'Kafka' | 'Postgres'; readonly pid: number }[];
  /** Settles with a sentence when a server ends that nobody stopped; never, when all is well. */
  readonly broken: Promise<string>;
  /** Postgres first, then Kafka; the folder is free for the next start afterwards. `forget` deletes the data too. */
  stop(o?: { forget?: boolean }): Promise<void>;
}

/** Starts (or continues) real Kafka and real Postgres under a data folder, and cleans up after an earlier, killed start. */
export async function startLocalStack(o: LocalStackOptions): Promise<LocalStack> {
  const say = o.say ?? (() => undefined);
  const folder = openDataFolder(o.dataDir);
  try {
    if (await stopLeftovers(folder.run)) say('Stopped what an earlier, killed start had left running');
    if (o.empty) folder.forget();
    const servers = await startServers(folder, o, say);
    return stackOf(folder, o, servers);
  } catch (error) {
    folder.release();
    throw error;
  }
}

interface Servers {
  readonly kafka: LocalServer | null;
  readonly postgres: LocalServer | null;
}

async function startServers(folder: DataFolder, o: LocalStackOptions, say: (line: string) => void): Promise<Servers> {
  const before = folder.remembered();
  const wishes = [before.kafka ?? 0, before.kafkaController ?? 0, before.postgres ?? 0];
  const [kafkaPort = 0, kafkaController = 0, postgresPort = 0] = await freePorts(wishes);
  const ports = { kafka: kafkaPort, kafkaController, postgres: postgresPort };
  const [kafka, postgres] = await Promise.allSettled([
    o.brokers ? null : startKafka({ ...o, folder, ports, say }),
    o.databaseUrl ? null : startPostgres({ ...o, folder, ports, say }),
  ]);
  folder.remember(ports);
  if (kafka.status === 'fulfilled' && postgres.status === 'fulfilled') {
    return { kafka: kafka.value, postgres: postgres.value };
  }
  for (const started of [postgres, kafka]) if (started.status === 'fulfilled') await started.value?.stop();
  throw kafka.status === 'rejected' ? kafka.reason : postgres.status === 'rejected' ? postgres.reason : new Error();
}

const never = new Promise<never>(() => undefined);

function stackOf(folder: DataFolder, o: LocalStackOptions, { kafka, postgres }: Servers): LocalStack {
  let stopping: Promise<void> | null = null;
  const stop = async (forget: boolean) => {
    const results = await Promise.allSettled([postgres?.stop()]);
    results.push(...(await Promise.allSettled([kafka?.stop()])));
    const failed = results.find((result) => result.status === 'rejected');
    if (forget && !failed) folder.forget();
    folder.release();
    if (failed) throw failed.reason;
  };
  const running = [
    ...(postgres ? [{ name: 'Postgres' as const, server: postgres }] : []),
    ...(kafka ? [{ name: 'Kafka' as const, server: kafka }] : []),
  ];
  const ends = running.map(async ({ name, server }) => {
    const { text } = await server.ended;
    return stopping ? never : `${name} ${text}; see ${folder.logs}.`;
  });
  return {
    folder,
    brokers: o.brokers ?? kafka?.url ?? '',
    databaseUrl: o.databaseUrl ?? postgres?.url ?? '',
    servers: running.map(({ name, server }) => ({ name, pid: server.pid })),
    broken: Promise.race([never, ...ends]),
    stop: ({ forget = false } = {}) => {
      stopping ??= stop(forget);
      return stopping;
    },
  };
}
