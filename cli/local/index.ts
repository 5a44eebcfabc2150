import { type DataFolder, openDataFolder } from './data-folder.ts';
import { type LocalServer, startKafka, stopKafkaLeftover } from './kafka-server.ts';
import { freePorts } from './ports.ts';
import { startPostgres, stopPostgresLeftover } from './postgres-server.ts';

export type { DataFolder } from './data-folder.ts';
export { replaceFile } from './data-folder.ts';
export { freePorts, isFree } from './ports.ts';
export { Problem } from './problem.ts';

export interface LocalStackOptions {
  readonly dataDir: string;
  /** Each one that is given replaces that server alone. */
  readonly brokers?: string | undefined;
  readonly databaseUrl?: string | undefined;
  /** Hears what is being done, a line at a time. */
  readonly say?: (line: string) => void;
}

export interface LocalStack {
  readonly folder: DataFolder;
  readonly brokers: string;
  readonly databaseUrl: string;
  /** The servers that run here, as opposed to those that were given. */
  readonly servers: readonly { readonly name: 'Kafka' | 'Postgres'; readonly pid: number }[];
  /** Settles with a sentence when a server ends that nobody stopped; never, when all is well. */
  readonly broken: Promise<string>;
  /** Postgres first, then Kafka; the folder is free for the next start afterwards. */
  stop(): Promise<void>;
}

/** Starts (or continues) real Kafka and real Postgres under a data folder, and cleans up after an earlier, killed start. */
export async function startLocalStack(o: LocalStackOptions): Promise<LocalStack> {
  const say = o.say ?? (() => undefined);
  const folder = openDataFolder(o.dataDir);
  try {
    const leftovers = await Promise.all([stopPostgresLeftover(folder), stopKafkaLeftover(folder)]);
    if (leftovers.includes(true)) say('Stopped the servers that an earlier, killed start had left running');
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
    o.brokers ? null : startKafka({ folder, ports, say }),
    o.databaseUrl ? null : startPostgres({ folder, ports, say }),
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
  const stop = async () => {
    const results = await Promise.allSettled([postgres?.stop()]);
    results.push(...(await Promise.allSettled([kafka?.stop()])));
    folder.release();
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  };
  const running = [
    ...(postgres ? [{ name: 'Postgres' as const, server: postgres }] : []),
    ...(kafka ? [{ name: 'Kafka' as const, server: kafka }] : []),
  ];
  const ends = running.map(async ({ name, server }) => {
    const how = await server.ended;
    return stopping ? never : `${name} ${how}; see ${folder.logs}.`;
  });
  return {
    folder,
    brokers: o.brokers ?? kafka?.url ?? '',
    databaseUrl: o.databaseUrl ?? postgres?.url ?? '',
    servers: running.map(({ name, server }) => ({ name, pid: server.pid })),
    broken: Promise.race([never, ...ends]),
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}
