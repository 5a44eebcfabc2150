import { existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { postgresBinaries } from './postgres-binaries.ts';
import { Problem } from './problem.ts';
import { run } from './run-command.ts';

export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/** What to start, and as whom (absent: as ourselves). */
export interface Invocation {
  readonly command: string;
  readonly args: readonly string[];
  readonly account?: Ids;
}

/** How Postgres, which refuses to run as root, is run: as ourselves, or from root as the user `postgres`. */
export interface PostgresAccount {
  /** Whose its files are. Null: ours. */
  readonly owner: Ids | null;
  readonly invocation: (command: string, args: readonly string[]) => Invocation;
}

const name = 'postgres';

export async function postgresAccount(paths: readonly string[]): Promise<PostgresAccount> {
  if (process.getuid?.() !== 0) return { owner: null, invocation: (command, args) => ({ command, args }) };
  const owner = (await lookUp()) ?? (await create());
  if (paths.every((path) => mayReach(path, owner))) {
    return { owner, invocation: (command, args) => ({ command, args, account: owner }) };
  }
  return { owner, invocation: await throughClosedFolders(owner) };
}

/** As whom Postgres would run, in words, or a Problem when it could not. Creates no user. */
export async function postgresMayRun(dataDir: string): Promise<string> {
  if (process.getuid?.() !== 0) return 'runs as you';
  const owner = await lookUp();
  if (owner === null) return 'runs as the user postgres, who will be created, because it refuses to run as root';
  const paths = [join(dataDir, 'postgres', 'PG_VERSION'), postgresBinaries().postgres];
  if (!paths.every((path) => mayReach(path, owner))) await throughClosedFolders(owner);
  return 'runs as the user postgres, because it refuses to run as root';
}

async function lookUp(): Promise<Ids | null> {
  try {
    const ids = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, name], { timeoutMs: 10_000 })));
    const [uid, gid] = ids.map((text) => Number.parseInt(text, 10));
    return uid !== undefined && gid !== undefined && uid > 0 ? { uid, gid } : null;
  } catch {
    return null; // id answers 1 for a user that does not exist
  }
}

async function create(): Promise<Ids> {
  const args = ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin', name];
  try {
    await run('useradd', args, { timeoutMs: 30_000 });
  } catch (error) {
    throw new Problem(
      'Postgres refuses to run as root, and the user postgres could not be created.',
      'Create it (useradd --system postgres), run as an ordinary user, or set DATABASE_URL to a Postgres of yours.',
      { cause: error },
    );
  }
  const owner = await lookUp();
  if (owner === null) {
    throw new Problem('The user postgres was created but is not found.', 'Run as an ordinary user instead.');
  }
  return owner;
}

/** Whether every folder on the way to this file lets that user through. */
function mayReach(path: string, owner: Ids): boolean {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    if (existsSync(folder)) {
      const { mode, uid, gid } = statSync(folder);
      const bit = uid === owner.uid ? 0o100 : gid === owner.gid ? 0o010 : 0o001;
      if ((mode & bit) === 0) return false;
    }
    if (folder === dirname(folder)) return true;
  }
}

/** For a project under /root, whose mode is 700: setpriv leaves the user postgres the one right to pass closed folders. */
async function throughClosedFolders(owner: Ids): Promise<PostgresAccount['invocation']> {
  const prefix = [`--reuid=${owner.uid}`, `--regid=${owner.gid}`, '--clear-groups'];
  prefix.push('--inh-caps=+dac_override', '--ambient-caps=+dac_override', '--');
  try {
    await run('setpriv', [...prefix, 'true'], { timeoutMs: 10_000 });
  } catch (error) {
    throw new Problem(
      'Postgres has to run as the user postgres, who may not enter the folder of this project.',
      'Move the project to a folder that everybody may enter (chmod o+x), run as an ordinary user, or set DATABASE_URL.',
      { cause: error },
    );
  }
  return (command, args) => ({ command: 'setpriv', args: [...prefix, command, ...args] });
}
