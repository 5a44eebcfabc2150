import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const bin = fileURLToPath(new URL('../../cli/bin/leakage.mjs', import.meta.url));

export interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly problems: string;
}

/** `leakage <words>`, as a person runs it. */
export interface RunningCommand {
  readonly ended: Promise<Said>;
  /** What it has said to the person so far. */
  readonly problems: () => string;
  readonly interrupt: () => void;
  /** SIGKILL. */
  readonly kill: () => void;
  /** The processes that it has started and that still run. */
  readonly children: () => number[];
}

/** What node is told before the command (`editedCode`). */
export interface CommandOptions {
  readonly execArgv?: readonly string[];
}

export function startLeakage(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
  { execArgv = [] }: CommandOptions = {},
): RunningCommand {
  const { PATH = '', HOME = '' } = process.env;
  const nowhere = join(tmpdir(), 'leakage-no-data-folder');
  const child = spawn(process.execPath, [...execArgv, bin, ...words], {
    env: { PATH, HOME, LEAKAGE_DATA_DIR: nowhere, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let problems = '';
  child.stdout.on('data', (text: Buffer) => {
    out += text.toString();
  });
  child.stderr.on('data', (text: Buffer) => {
    problems += text.toString();
  });
  const ended = new Promise<Said>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, out, problems }));
  });
  return {
    ended,
    problems: () => problems,
    interrupt: () => void child.kill('SIGINT'),
    kill: () => void child.kill('SIGKILL'),
    children: () => {
      const list = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim();
      return list === '' ? [] : list.split(' ').map(Number);
    },
  };
}

export async function leakage(
  words: readonly string[],
  env: Readonly<Record<string, string>>,
  o: CommandOptions = {},
): Promise<Said> {
  return await startLeakage(words, env, o).ended;
}
