import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { DataFolder } from './data-folder.ts';
import { findJava } from './java.ts';
import { kafkaJars } from './kafka-jars.ts';
import { Problem, reasonOf } from './problem.ts';
import { run } from './run-command.ts';
import { type Ending, launch, type ServerProcess } from './server-process.ts';

export interface StartOptions {
  readonly folder: DataFolder;
  readonly ports: { readonly kafka: number; readonly kafkaController: number; readonly postgres: number };
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  readonly kafkaExtras?: KafkaExtras | undefined;
  readonly postgresExtras?: PostgresExtras | undefined;
}

/** What a broker has beside its listener without security, for tests. */
export interface KafkaExtras {
  readonly listeners: readonly { readonly name: string; readonly protocol: string; readonly port: number }[];
  readonly properties: Readonly<Record<string, string>>;
  /** SCRAM users, as `kafka-storage format --add-scram` takes them. */
  readonly scram: readonly string[];
}

/** What a database server has beside the user postgres with a password, for tests. */
export interface PostgresExtras {
  readonly settings: Readonly<Record<string, string>>;
  /** Lines of pg_hba.conf, in front of ours. */
  readonly admission: readonly string[];
  /** Files in the data folder, which belong to the server. */
  readonly files: Readonly<Record<string, string>>;
}

export interface LocalServer {
  readonly url: string;
  readonly pid: number;
  readonly ended: Promise<Ending>;
  stop(): Promise<void>;
}

const stopPlan = {
  title: 'Kafka',
  order: 2,
  steps: [
    ['SIGTERM', 20_000],
    ['SIGKILL', 5_000],
  ],
} as const;
/** Compiles in one step and collects in one thread: half the work of a start, and a broker beside everything else is cheaper so. */
const smallJava = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC'];
const startDeadlineMs = 120_000;
const log4j = fileURLToPath(new URL('./log4j2.xml', import.meta.url));

/** One real broker in KRaft mode, broker and controller in one process, listening on 127.0.0.1 only. */
export async function startKafka({ folder, ports, say, signal, kafkaExtras }: StartOptions): Promise<LocalServer> {
  const java = await findJava();
  const jars = await kafkaJars({ folder, say, signal });
  const home = join(folder.path, 'kafka');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  writeFileSync(join(home, 'server.properties'), serverProperties(ports.kafka, ports.kafkaController, kafkaExtras));
  const javaArgs = ['-cp', join(jars, '*'), `-Dleakage.logs=${folder.logs}`, `-Dlog4j2.configurationFile=${log4j}`];
  if (!existsSync(join(home, 'log', 'meta.properties'))) {
    say('Preparing storage for Kafka');
    await format({ java: java.command, javaArgs, home, scram: kafkaExtras?.scram ?? [] });
  }
  const log = join(folder.logs, 'kafka.log');
  if (existsSync(log)) renameSync(log, `${log}.1`); // what we wait for below must come from this start
  const server = launch({
    name: 'kafka',
    runFolder: folder.run,
    stop: stopPlan,
    command: java.command,
    args: [...smallJava, '-Xms256m', '-Xmx768m', '-XX:+ExitOnOutOfMemoryError', '-Djava.awt.headless=true']
      .concat(javaArgs)
      .concat('kafka.Kafka', 'server.properties'),
    cwd: home,
    env: process.env,
    outputFile: join(folder.logs, 'kafka.out'),
  });
  folder.keepBounded(join(folder.logs, 'kafka.out'));
  try {
    await untilStarted(server, log, signal);
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    url: `127.0.0.1:${ports.kafka}`,
    pid: server.pid,
    ended: server.ended,
    stop: () => server.stop(),
  };
}

interface FormatOptions {
  readonly java: string;
  readonly javaArgs: readonly string[];
  readonly home: string;
  readonly scram: readonly string[];
}

/** The cluster id is made here, once, and stays with the data: a position in Postgres names it. */
async function format({ java, javaArgs, home, scram }: FormatOptions): Promise<void> {
  let clusterId = randomBytes(16).toString('base64url');
  while (clusterId.startsWith('-')) clusterId = randomBytes(16).toString('base64url'); // it would read as an option
  try {
    await run(
      java,
      [
        ...smallJava,
        ...javaArgs,
        'kafka.tools.StorageTool',
        'format',
        '-t',
        clusterId,
        '-c',
        'server.properties',
      ].concat(
        '--ignore-formatted',
        scram.flatMap((user) => ['--add-scram', user]),
      ),
      { cwd: home, timeoutMs: 60_000 },
    );
  } catch (error) {
    throw new Problem(
      `Kafka's storage in ${home} could not be prepared (${reasonOf(error).trim().split('\n').at(-1)}).`,
      `Remove ${home} if its data may be forgotten, and start again.`,
      { cause: error },
    );
  }
}

async function untilStarted(server: ServerProcess, log: string, signal?: AbortSignal): Promise<void> {
  for (const until = Date.now() + startDeadlineMs; Date.now() < until; await sleep(50)) {
    signal?.throwIfAborted();
    if (!server.running()) throw failure((await server.ended).text, log);
    if (existsSync(log) && readFileSync(log, 'utf8').includes('Kafka Server started')) return;
  }
  throw failure(`has not started within ${startDeadlineMs / 1000} s`, log);
}

function failure(what: string, log: string): Problem {
  const lines = existsSync(log) ? readFileSync(log, 'utf8').split('\n') : [];
  const line = lines.findLast((text) => / (ERROR|FATAL) /.test(text));
  return new Problem(`Kafka ${what}${line ? `: ${line}` : ''}.`, `See ${log} and kafka.out beside it.`);
}

/** Of one broker that is a whole cluster; where it listens and keeps its data is said beside them. Containers use them too. */
export const brokerSettings: Readonly<Record<string, string | number | boolean>> = {
  'process.roles': 'broker,controller',
  'node.id': 1,
  'controller.listener.names': 'CONTROLLER',
  'auto.create.topics.enable': false,
  'default.replication.factor': 1,
  'offsets.topic.replication.factor': 1,
  'offsets.topic.num.partitions': 4,
  'transaction.state.log.replication.factor': 1,
  'transaction.state.log.min.isr': 1,
  'transaction.state.log.num.partitions': 4,
  'share.coordinator.state.topic.replication.factor': 1,
  'share.coordinator.state.topic.min.isr': 1,
  'share.coordinator.state.topic.num.partitions': 1,
  'group.initial.rebalance.delay.ms': 0,
  'group.min.session.timeout.ms': 1000, // fault tests use short sessions
  'log.cleaner.threads': 1,
  'log.cleaner.dedupe.buffer.size': 16_777_216,
  'log.index.size.max.bytes': 1_048_576,
  'num.network.threads': 2,
  'num.io.threads': 4,
};

/** Relative paths: the process runs in its own folder, so no character of a path needs escaping here. */
function serverProperties(port: number, controllerPort: number, extras?: KafkaExtras): string {
  const more = extras?.listeners ?? [];
  const own = [`PLAINTEXT://127.0.0.1:${port}`, ...more.map((l) => `${l.name}://127.0.0.1:${l.port}`)];
  return `${Object.entries({
    ...brokerSettings,
    // Fixed voters rather than a dynamic quorum: the controller's port may then change between starts.
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: [...own, `CONTROLLER://127.0.0.1:${controllerPort}`].join(','),
    'advertised.listeners': own.join(','),
    'listener.security.protocol.map': [
      'PLAINTEXT:PLAINTEXT',
      'CONTROLLER:PLAINTEXT',
      ...more.map((l) => `${l.name}:${l.protocol}`),
    ].join(','),
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': 'log',
    ...extras?.properties,
  })
    .map(([key, value]) => `${key}=${value}`)
    .join('\n')}\n`;
}
