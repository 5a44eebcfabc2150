import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf, Problem } from './problem.ts';
import { identityOf, isAlive, type ProcessIdentity } from './process-identity.ts';

export interface Launch {
  /** As in messages: `Kafka`, `Postgres`. */
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly account?: { readonly uid: number; readonly gid: number };
  /** What the process prints is appended here. A file, not a pipe: it outlives us. */
  readonly outputFile: string;
  /** Says which process runs, so that the next start can find what a kill -9 of this one left behind. */
  readonly recordFile: string;
  /** For our own services: a channel whose end tells them that we are gone. */
  readonly ipc?: boolean;
}

/** How a process ended. The code is null when a signal ended it or it could not be started. */
export interface Ending {
  readonly code: number | null;
  /** Words that follow the process's name: `was ended by SIGKILL`. */
  readonly text: string;
}

/** A signal and how long to wait for it to work before the next, stronger one. */
export type StopStep = readonly [signal: NodeJS.Signals, waitMs: number];

export interface ServerProcess {
  readonly pid: number;
  readonly ended: Promise<Ending>;
  running(): boolean;
  stop(steps: readonly StopStep[]): Promise<void>;
}

/**
 * Starts a server in a session of its own: Ctrl-C in the terminal reaches only us, and we decide who stops when.
 * The record is written in the same turn as the start, so there is no moment in which a crash leaves an unknown server.
 */
export function launch(o: Launch): ServerProcess {
  const output = openSync(o.outputFile, 'a', 0o600);
  let child: ChildProcess;
  try {
    child = spawn(o.command, o.args, {
      cwd: o.cwd,
      env: o.env,
      detached: true,
      stdio: o.ipc ? ['ignore', output, output, 'ipc'] : ['ignore', output, output],
      ...(o.account ? { uid: o.account.uid, gid: o.account.gid } : {}),
    });
  } finally {
    closeSync(output);
  }
  const identity = child.pid === undefined ? null : identityOf(child.pid);
  if (identity) writeFileSync(o.recordFile, JSON.stringify(identity), { mode: 0o600 });
  let over = false;
  const ended = new Promise<Ending>((resolve) => {
    child.once('error', (error) => resolve({ code: null, text: `could not be started: ${error.message}` }));
    child.once('exit', (code, signal) =>
      resolve({ code, text: signal ? `was ended by ${signal}` : `ended with code ${code}` }),
    );
  }).finally(() => {
    over = true;
    rmSync(o.recordFile, { force: true });
  });
  return {
    pid: child.pid ?? -1,
    ended,
    running: () => !over,
    stop: async (steps) => {
      for (const [signal, waitMs] of steps) {
        if (over) return;
        child.kill(signal);
        await Promise.race([ended, sleep(waitMs, undefined, { ref: false })]);
      }
      if (!over) throw new Problem(`${o.title} (pid ${child.pid}) does not stop.`, `End it with kill -9 ${child.pid}.`);
    },
  };
}

/** Stops what an earlier, killed start left behind. True when there was something. */
export async function stopLeftover(title: string, recordFile: string, steps: readonly StopStep[]): Promise<boolean> {
  const identity = readRecord(recordFile);
  if (identity === null) return false;
  let found = false;
  for (const [signal, waitMs] of steps) {
    if (!isAlive(identity)) break;
    found = true;
    signalTo(title, identity.pid, signal);
    await waitForEnd(identity, waitMs);
  }
  if (isAlive(identity)) {
    throw new Problem(
      `${title} of an earlier start (pid ${identity.pid}) does not stop.`,
      `End it with kill -9 ${identity.pid}.`,
    );
  }
  rmSync(recordFile, { force: true });
  return found;
}

function signalTo(title: string, pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return;
    throw new Problem(
      `${title} of an earlier start (pid ${pid}) belongs to another user and cannot be stopped.`,
      `End it as that user, or use another data folder (LEAKAGE_DATA_DIR).`,
      { cause: error },
    );
  }
}

async function waitForEnd(identity: ProcessIdentity, waitMs: number): Promise<void> {
  for (const until = Date.now() + waitMs; Date.now() < until && isAlive(identity); ) await sleep(50);
}

function readRecord(recordFile: string): ProcessIdentity | null {
  let text: string;
  try {
    text = readFileSync(recordFile, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    const record: unknown = JSON.parse(text);
    if (typeof record !== 'object' || record === null || !('pid' in record) || !('startedAt' in record)) return null;
    const { pid, startedAt } = record;
    return Number.isSafeInteger(pid) && Number(pid) > 1 ? { pid: Number(pid), startedAt: String(startedAt) } : null;
  } catch {
    return null; // half-written by a machine that lost power: no process has survived that
  }
}
