import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BoundedFiles } from './bounded-files.ts';
import { codeOf, Problem } from './problem.ts';

/** The folder of one local installation: data of the servers, their logs, and who runs. */
export interface DataFolder {
  readonly path: string;
  readonly logs: string;
  readonly run: string;
  /** What an earlier start remembered (ports), so that addresses stay the same where they can. */
  remembered(): Record<string, number>;
  remember(values: Record<string, number>): void;
  /** A file that other processes append to: kept below a size for as long as we run, the part before it as `<file>.1`. */
  keepBounded(file: string): void;
  /** Deletes the data of the servers and what tells of them: logs, addresses, the generator's state. Only while none runs. */
  forget(): void;
  /** Lets the next start in. */
  release(): void;
}

const needFreeBytes = 1_000_000_000;

/** Takes the folder for this process alone; a second start on it is refused while this one lives. */
export function openDataFolder(folder: string): DataFolder {
  const path = resolve(folder);
  const logs = join(path, 'logs');
  const run = join(path, 'run');
  makeFolders(path, logs, run);
  const space = statfsSync(path);
  if (space.bavail * space.bsize < needFreeBytes) {
    throw new Problem(
      `Only ${Math.floor((space.bavail * space.bsize) / 1e6)} MB are free where the data folder ${path} is.`,
      'Free at least 1 GB, or choose another folder with LEAKAGE_DATA_DIR.',
    );
  }
  const lock = takeLock(path, run);
  const memory = join(run, 'ports.json');
  const logFiles = new BoundedFiles();
  return {
    path,
    logs,
    run,
    remembered: () => readNumbers(memory),
    remember: (values) => replaceFile(memory, JSON.stringify({ ...readNumbers(memory), ...values })),
    keepBounded: (file) => logFiles.add(file),
    forget: () => {
      for (const name of ['kafka', 'postgres', 'postgres.new', 'postgres-password', 'generator', 'env']) {
        rmSync(join(path, name), { recursive: true, force: true });
      }
      for (const name of readdirSync(logs)) rmSync(join(logs, name));
    },
    release: () => {
      logFiles.close();
      lock.close();
    },
  };
}

/** The pid of whoever runs on this folder (0 where it cannot be told), or null when nobody does. Changes nothing. */
export function holderOf(folder: string): number | null {
  const run = join(resolve(folder), 'run');
  if (!existsSync(join(run, 'lock'))) return null;
  const lock = tryLock(run);
  lock?.close();
  return lock === null ? readHolder(run) : null;
}

/** Says where the data would be, or throws why they cannot be there. Changes nothing. */
export function folderCanBeWritten(folder: string): string {
  const path = resolve(folder);
  let existing = path;
  while (!existsSync(existing)) existing = dirname(existing);
  try {
    accessSync(existing, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notWritable(path, error);
  }
  return path;
}

/** Writes a file so that a reader sees the old or the new content, never half of it. */
export function replaceFile(file: string, content: string, mode = 0o600): void {
  const next = `${file}.${process.pid}.new`;
  writeFileSync(next, content, { mode });
  chmodSync(next, mode);
  renameSync(next, file);
}

function makeFolders(path: string, ...inside: readonly string[]): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o711 }); // the user postgres passes through; members' data is nobody else's
    for (const folder of inside) mkdirSync(folder, { recursive: true, mode: 0o700 });
    for (const folder of [path, ...inside]) accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw notWritable(path, error);
  }
}

function notWritable(path: string, error: unknown): Problem {
  return new Problem(
    `The data folder ${path} cannot be written (${codeOf(error) ?? 'unknown reason'}).`,
    'Give this user the right to write there, or choose another folder with LEAKAGE_DATA_DIR.',
    { cause: error },
  );
}

function takeLock(path: string, run: string): DatabaseSync {
  const lock = tryLock(run);
  if (lock === null) {
    const pid = readHolder(run);
    throw new Problem(
      `Leakage is already running on the data folder ${path}${pid > 0 ? ` (pid ${pid})` : ''}.`,
      'Stop it first (Ctrl-C there), or choose another folder with LEAKAGE_DATA_DIR.',
      { reason: 'in-use' },
    );
  }
  replaceFile(join(run, 'holder'), String(process.pid));
  return lock;
}

/**
 * The lock is one that the operating system takes back when its holder dies, however it dies: no stale lock can exist.
 * SQLite is the only such lock that Node has on board.
 */
function tryLock(run: string): DatabaseSync | null {
  const lock = new DatabaseSync(join(run, 'lock'), { timeout: 0 });
  try {
    lock.exec('pragma journal_mode = memory; begin exclusive');
    return lock;
  } catch (error) {
    lock.close();
    const busy = error instanceof Error && 'errcode' in error && error.errcode === 5;
    if (busy) return null;
    throw error;
  }
}

function readHolder(run: string): number {
  try {
    return Number.parseInt(readFileSync(join(run, 'holder'), 'utf8'), 10) || 0;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return 0; // it has the lock but has not yet written its name
    throw error;
  }
}

function readNumbers(file: string): Record<string, number> {
  try {
    const value: unknown = JSON.parse(readFileSync(file, 'utf8'));
    return Object.fromEntries(
      Object.entries(value ?? {}).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
    );
  } catch {
    return {}; // nothing remembered: any free port will do
  }
}
