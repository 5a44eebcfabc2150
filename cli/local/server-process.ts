import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type LaunchRecord, recordFile, type StopPlan } from './launch-record.ts';
import { Problem } from './problem.ts';
import { identityOf } from './process-identity.ts';

export interface Launch {
  /** Names its record in `runFolder`, by which the next start finds what a crash of this one left behind. */
  readonly name: string;
  readonly runFolder: string;
  readonly stop: Omit<StopPlan, 'endsWithParent'>;
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly account?: { readonly uid: number; readonly gid: number };
  /** What the process prints is appended here. A file, not a pipe: it outlives us. */
  readonly outputFile: string;
  /** For our own services: a channel whose end tells them that we are gone. */
  readonly ipc?: boolean;
}

/** How a process ended. The code is null when a signal ended it or it could not be started. */
export interface Ending {
  readonly code: number | null;
  /** Words that follow the process's name: `was ended by SIGKILL`. */
  readonly text: string;
}

export interface ServerProcess {
  readonly pid: number;
  readonly ended: Promise<Ending>;
  running(): boolean;
  stop(): Promise<void>;
}

/**
 * Starts a server in a session of its own: Ctrl-C in the terminal reaches only us, and we decide who stops when.
 * It is written down in the same turn as it starts, so there is no moment in which a crash leaves an unknown server.
 */
export function launch(o: Launch): ServerProcess {
  const child = start(o);
  const file = recordFile(o.runFolder, o.name);
  const identity = child.pid === undefined ? null : identityOf(child.pid);
  if (identity) {
    const record: LaunchRecord = { ...identity, ...o.stop, endsWithParent: o.ipc ?? false };
    writeFileSync(file, JSON.stringify(record), { mode: 0o600 });
    tellKeeper(record);
  }
  let over = false;
  const ended = new Promise<Ending>((resolve) => {
    child.once('error', (error) => resolve({ code: null, text: `could not be started: ${error.message}` }));
    child.once('exit', (code, signal) =>
      resolve({ code, text: signal ? `was ended by ${signal}` : `ended with code ${code}` }),
    );
  }).finally(() => {
    over = true;
    rmSync(file, { force: true });
  });
  return {
    pid: child.pid ?? -1,
    ended,
    running: () => !over,
    stop: async () => {
      for (const [signal, waitMs] of o.stop.steps) {
        if (over) return;
        child.kill(signal);
        await Promise.race([ended, sleep(waitMs, undefined, { ref: false })]);
      }
      if (over) return;
      throw new Problem(`${o.stop.title} (pid ${child.pid}) does not stop.`, `End it with kill -9 ${child.pid}.`);
    },
  };
}

function start(o: Launch): ChildProcess {
  const output = openSync(o.outputFile, 'a', 0o600);
  try {
    return spawn(o.command, o.args, {
      cwd: o.cwd,
      env: o.env,
      detached: true,
      stdio: o.ipc ? ['ignore', output, output, 'ipc'] : ['ignore', output, output],
      ...(o.account ? { uid: o.account.uid, gid: o.account.gid } : {}),
    });
  } finally {
    closeSync(output);
  }
}

let keeper: Writable | null = null;

/** The first launch starts the keeper; it does not keep us from ending, and ends with us when all was stopped. */
function tellKeeper(record: LaunchRecord): void {
  if (keeper === null) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'keeper.ts')], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.unref();
    (child.stdin as Socket).unref();
    // Without a keeper the next start still finds the records.
    child.on('error', () => undefined);
    child.stdin.on('error', () => undefined);
    keeper = child.stdin;
  }
  keeper.write(`${JSON.stringify(record)}\n`);
}
