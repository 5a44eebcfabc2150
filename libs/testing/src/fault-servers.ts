import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LocalStack, openDataFolder, Problem, startLocalStack } from '@leakage/cli/local';
import { dataDirectory } from '@leakage/runtime';

/** A real server that is hurt on purpose. Whatever is done to it, it has the same address afterwards. */
export interface FaultyServer {
  readonly pid: () => number;
  /** Of the server and of everything that it has started. */
  readonly pids: () => number[];
  /** SIGSTOP: connections stay open and nobody answers. */
  readonly pause: () => void;
  readonly resume: () => void;
  /** SIGKILL, then a start on the same data. `downMs`: how long nobody listens. */
  readonly killAndStart: (downMs?: number) => Promise<void>;
  /** Stopped in order, then started on the same data. */
  readonly restart: (downMs?: number) => Promise<void>;
  /** Stopped; a server with other, empty data takes over its address. What is called afterwards is about that one. */
  readonly replace: () => Promise<void>;
  /** Stopped, and the one that was replaced comes back. */
  readonly bringBack: () => Promise<void>;
  /** The file that it writes its log to. */
  readonly logFile: () => string;
}

export interface FaultServers {
  readonly brokers: string;
  /** A database from which others can be created. */
  readonly adminUrl: string;
  readonly kafka: FaultyServer;
  readonly postgres: Omit<FaultyServer, 'replace' | 'bringBack'>;
  readonly stop: () => Promise<void>;
}

const startWithinMs = 60_000;
const atOnce = 8;

/** A Kafka and a Postgres of a test's own, for what no other test should have to endure. Always local ones. */
export async function startFaultServers(): Promise<FaultServers> {
  const kafka = await firstFree((n) => openServer(placeOf('kafka', n), startKafka));
  const postgres = await firstFree((n) => openServer(placeOf('postgres', n), startPostgres));
  return {
    brokers: kafka.first.brokers,
    adminUrl: postgres.first.databaseUrl,
    kafka: kafka.server,
    postgres: postgres.server,
    stop: async () => {
      await Promise.all([kafka.stop(), postgres.stop()]);
    },
  };
}

type Start = (o: { dataDir: string; empty: boolean }) => Promise<LocalStack>;
const startKafka: Start = (o) => startLocalStack({ ...o, databaseUrl: 'postgres://not-here' });
const startPostgres: Start = (o) => startLocalStack({ ...o, brokers: 'not-here:9092' });

/** Fixed places, so that the next run finds and stops what a killed one left behind. */
function placeOf(server: string, n: number): string {
  return join(dataDirectory(), 'tests', `faults-${n}`, server);
}

/** What can be opened at the first place that no other run holds. */
export async function firstFree<T>(open: (n: number) => Promise<T>): Promise<T> {
  for (let n = 1; ; n++) {
    try {
      return await open(n);
    } catch (error) {
      if (!(error instanceof Problem && error.reason === 'in-use') || n === atOnce) throw error;
    }
  }
}

interface Held {
  readonly server: FaultyServer;
  readonly first: LocalStack;
  readonly stop: () => Promise<void>;
}

async function openServer(place: string, start: Start): Promise<Held> {
  const folders = { own: place, other: `${place}-other` };
  const first = await start({ dataDir: folders.own, empty: true });
  let folder = folders.own;
  let stack = first;
  const pid = (): number => stack.servers[0]?.pid ?? -1;
  const ports = first.folder.remembered();
  const again = async (downMs = 0, empty = false): Promise<void> => {
    await sleep(downMs);
    stack = await patiently(async () => {
      remember(folder, ports);
      const started = await start({ dataDir: folder, empty });
      if (started.brokers === first.brokers && started.databaseUrl === first.databaseUrl) return started;
      await started.stop();
      throw new Problem('The port is in use for a moment.', 'Try again.');
    });
  };
  const server: FaultyServer = {
    pid,
    pids: () => [pid(), ...childrenOf(pid())],
    pause: () => signal(pid(), 'SIGSTOP'),
    resume: () => signal(pid(), 'SIGCONT'),
    killAndStart: async (downMs) => {
      process.kill(pid(), 'SIGKILL');
      await stack.broken;
      await stack.stop();
      await again(downMs);
    },
    restart: async (downMs) => {
      await stack.stop();
      await again(downMs);
    },
    replace: async () => {
      await stack.stop();
      folder = folders.other;
      await again(0, true);
    },
    bringBack: async () => {
      await stack.stop();
      folder = folders.own;
      await again();
    },
    logFile: () => join(stack.folder.logs, stack.servers[0]?.name === 'Kafka' ? 'kafka.log' : 'postgres.log'),
  };
  const stop = async (): Promise<void> => {
    if (stack.servers.length > 0) server.resume();
    await stack.stop();
    for (const made of Object.values(folders)) forget(made);
  };
  return { server, first, stop };
}

/** To a server and to every process that it has started: Postgres has one for each connection. */
function signal(pid: number, name: 'SIGSTOP' | 'SIGCONT'): void {
  for (const one of [pid, ...childrenOf(pid)]) {
    try {
      process.kill(one, name);
    } catch {
      // It has just ended.
    }
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Only while it is held: another run may be about to take the same place. */
function forget(path: string): void {
  if (!existsSync(path)) return;
  try {
    const folder = openDataFolder(path);
    folder.forget();
    folder.release();
  } catch (error) {
    // Another run has it already, and forgets what it finds.
    if (!(error instanceof Problem && error.reason === 'in-use')) throw error;
  }
}

/** Has a start in this folder take these ports, whatever was there before. */
function remember(path: string, ports: Record<string, number>): void {
  const folder = openDataFolder(path);
  folder.remember(ports);
  folder.release();
}

/** What a killed server held (shared memory, its port) is free after a moment. */
async function patiently(start: () => Promise<LocalStack>): Promise<LocalStack> {
  for (const until = performance.now() + startWithinMs; ; await sleep(300)) {
    try {
      return await start();
    } catch (error) {
      if (!(error instanceof Problem) || performance.now() > until) throw error;
    }
  }
}
