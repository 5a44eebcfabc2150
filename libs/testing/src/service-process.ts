import { type ChildProcess, spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePorts } from '@leakage/cli/local';
import { type CodeEdit, editedCode } from './code-edits.ts';
import { archiveFailPoints, type FailPointOrder, failPoints } from './fail-points.ts';
import type { ServiceName } from './service-name.ts';

export interface ServiceProcess {
  /** Sends the signal (SIGTERM) and waits; the exit code, or null when a signal ended it. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<number | null>;
  /** Its /readyz says yes; rejects with what it printed when it ends before. */
  readonly ready: Promise<void>;
  /** Settles when it has ended, with the exit code. */
  readonly exited: Promise<number | null>;
  /** What it has printed, the latest part of it. */
  readonly output: () => string;
  readonly pid: number;
  /** Where /livez, /readyz and /metrics are. Known as soon as it is ready. */
  readonly port: number;
}

const projectFolder = fileURLToPath(new URL('../../../', import.meta.url));
const readyWithinMs = 60_000;
const stopWithinMs = 30_000;
const keptCharacters = 400_000;
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** What a test does to the code that a process runs. Without any of it the process runs exactly what production runs. */
export interface Tampering {
  /** Lines that are changed while the code is loaded: for tests that plant a bug or switch a guard off. */
  readonly edits?: readonly CodeEdit[];
  readonly failPoint?: FailPointOrder;
  /** A file with the milliseconds by which the process is wrong about the time. */
  readonly clockFile?: string;
}

/** Starts a service as a process of its own, as in production; it ends with the test process at the latest. */
export function startServiceProcess(
  name: ServiceName,
  env: Readonly<Record<string, string>>,
  tampering: Tampering = {},
): ServiceProcess {
  const tampered = tamperedWith(name, tampering);
  const main = join(projectFolder, 'services', name, 'src', 'main.ts');
  const child = spawn(process.execPath, [...tampered.execArgv, main], {
    cwd: projectFolder,
    env: { ...serviceEnvironment(env), ...tampered.env },
    // A service that finds an IPC channel stops when it closes: nothing survives a test process that was killed.
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  running.add(child);
  let output = '';
  const collect = (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-keptCharacters);
  };
  child.stdout?.on('data', collect);
  child.stderr?.on('data', collect);
  let ended = false;
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  }).finally(() => {
    ended = true;
    running.delete(child);
  });
  let port = 0;
  const untilReady = async () => {
    for (const until = Date.now() + readyWithinMs; Date.now() < until; await sleep(50)) {
      if (ended) throw new Error(`${name} ended with code ${await exited} before it was ready:\n${output}`);
      port = port || healthPort(output);
      if (port > 0 && (await saysYes(port))) return;
    }
    throw new Error(`${name} was not ready within ${readyWithinMs} ms:\n${output}`);
  };
  const ready = untilReady();
  ready.catch(() => undefined); // whoever awaits it hears of it; a test that expects a failed start need not
  return {
    pid: child.pid ?? -1,
    ready,
    exited,
    output: () => output,
    get port() {
      if (port === 0) throw new Error(`${name} has not said its port yet: await ready first`);
      return port;
    },
    stop: async (signal = 'SIGTERM') => {
      if (!ended) child.kill(signal);
      const code = await Promise.race([exited, sleep(stopWithinMs, 'late' as const, { ref: false })]);
      if (code !== 'late') return code;
      child.kill('SIGKILL');
      throw new Error(`${name} did not stop within ${stopWithinMs} ms of ${signal}:\n${output}`);
    },
  };
}

function tamperedWith(name: ServiceName, { edits = [], failPoint, clockFile }: Tampering) {
  const ofService = [...failPoints, ...archiveFailPoints].filter(({ service }) => service === name);
  const points = failPoint === undefined ? [] : ofService.filter((point) => point.name === failPoint.name);
  if (failPoint !== undefined && points.length !== 1) throw new Error(`${name} has no fail point ${failPoint.name}`);
  return editedCode([...edits, ...points.map((point) => point.edit)], {
    ...(failPoint === undefined ? {} : { LEAKAGE_FAIL_POINT: JSON.stringify(failPoint) }),
    ...(clockFile === undefined ? {} : { LEAKAGE_CLOCK_FILE: clockFile }),
  });
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const [port] = await freePorts([0]);
  if (port === undefined) throw new Error('no port');
  return port;
}

/** Only what a test gives decides: no variable of the caller's shell, no addresses of a local stack that happens to run. */
function serviceEnvironment(env: Readonly<Record<string, string>>): Record<string, string> {
  const { PATH = '', HOME = '' } = process.env;
  const nowhere = join(tmpdir(), 'leakage-no-data-folder');
  return { PATH, HOME, TZ: 'UTC', LEAKAGE_DATA_DIR: nowhere, METRICS_PORT: '0', API_PORT: '0', ...env };
}

/** The first log line names the address of the health server. */
function healthPort(output: string): number {
  return Number(/"health":"http:\/\/[^"]*?:(\d+)"/.exec(output)?.[1] ?? 0);
}

async function saysYes(port: number): Promise<boolean> {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { signal: AbortSignal.timeout(5_000) });
    await answer.arrayBuffer();
    return answer.status === 200;
  } catch {
    return false; // not listening yet
  }
}
