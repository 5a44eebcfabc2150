import { join } from 'node:path';
import { type LocalStack, startLocalStack } from '@leakage/cli/local';
import { createKafkaClient, ensureTopics, topicOffsets } from '@leakage/kafka';
import { createPool, type Pool } from '@leakage/postgres';
import { createLogger, dataDirectory } from '@leakage/runtime';
import { SOURCES, topicName, topicTable } from '@leakage/schemas';
import { type ServiceProcess, startServiceProcess } from '@leakage/testing/service-process';
import { none, type Usage, usageOfLiving } from './usage.ts';

type ServiceName = Parameters<typeof startServiceProcess>[0];

const log = createLogger({ service: 'benchmark', level: 'warn' });

interface StartOptions {
  readonly processes?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** Servers of a benchmark's own, empty, and the services on them; one at a time on a machine. */
export interface BenchStack {
  readonly brokers: string;
  readonly databaseUrl: string;
  readonly prefix: string;
  readonly pool: Pool;
  /** Starts processes of a service; returns when they are ready. */
  start(name: ServiceName, o?: StartOptions): Promise<ServiceProcess[]>;
  /** The same, without waiting: a joiner that reads bronze is ready when it has read it. */
  launch(name: ServiceName, o?: StartOptions): ServiceProcess[];
  /** By service and server: CPU seconds since their start, and peak memory. */
  usage(): Map<string, Usage>;
  /** Records in the topics. */
  topicRecords(): Promise<number>;
  stop(): Promise<void>;
}

/** `settings`: of Postgres, beside the product's own. */
export async function startBenchStack(settings: Readonly<Record<string, string>> = {}): Promise<BenchStack> {
  const dataDir = join(dataDirectory(), 'benchmarks', 'servers');
  const postgresExtras = { admission: [], files: {}, settings };
  const stack: LocalStack = await startLocalStack({ dataDir, empty: true, postgresExtras });
  const { brokers, databaseUrl } = stack;
  const prefix = 'bench';
  const kafka = createKafkaClient({ brokers: brokers.split(','), clientId: 'benchmark', log });
  const pool = createPool({ url: databaseUrl, applicationName: 'benchmark', max: 4, log });
  const services: { readonly name: ServiceName; readonly process: ServiceProcess }[] = [];
  /** The last that was seen of each process: one that was killed has used what it has used. */
  const seen = new Map<number, Usage>();
  const look = (pid: number): Usage => {
    const living = usageOfLiving(pid);
    if (living !== null) seen.set(pid, living);
    return living ?? { ...(seen.get(pid) ?? none), nowBytes: 0 };
  };
  await ensureTopics(kafka, topicTable(prefix));
  const launch = (name: ServiceName, { processes = 1, env = {} }: StartOptions = {}): ServiceProcess[] => {
    const all = { DATABASE_URL: databaseUrl, KAFKA_BROKERS: brokers, TOPIC_PREFIX: prefix, ...env };
    const started = Array.from({ length: processes }, () => startServiceProcess(name, all));
    // Who waits for it hears why it is not ready.
    for (const { ready } of started) ready.catch(() => undefined);
    services.push(...started.map((process) => ({ name, process })));
    return started;
  };
  return {
    brokers,
    databaseUrl,
    prefix,
    pool,
    launch,
    start: async (name, o) => {
      const started = launch(name, o);
      await Promise.all(started.map(({ ready }) => ready));
      return started;
    },
    usage: () => {
      const usage = new Map<string, Usage>();
      for (const { name, process } of services) add(usage, name, look(process.pid));
      for (const { name, pid } of stack.servers) add(usage, name, look(pid));
      return usage;
    },
    topicRecords: async () => {
      const ends = await topicOffsets(
        kafka,
        SOURCES.map((source) => topicName(prefix, source)),
      );
      return ends.reduce((sum, { low, high }) => sum + high - low, 0);
    },
    stop: async () => {
      await Promise.all(services.map(({ process }) => process.stop()));
      await pool.stop();
      await stack.stop({ forget: true });
    },
  };
}

function add(all: Map<string, Usage>, name: string, { cpuSeconds, peakBytes, nowBytes }: Usage): void {
  const before = all.get(name) ?? none;
  all.set(name, {
    cpuSeconds: cpuSeconds + before.cpuSeconds,
    peakBytes: peakBytes + before.peakBytes,
    nowBytes: nowBytes + before.nowBytes,
  });
}
