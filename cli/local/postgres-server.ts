import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type DataFolder, replaceFile } from './data-folder.ts';
import type { LocalServer, PostgresExtras, StartOptions } from './kafka-server.ts';
import { type PostgresAccount, postgresAccount } from './postgres-account.ts';
import { type PostgresBinaries, postgresBinaries } from './postgres-binaries.ts';
import { machineSize, postgresSettings } from './postgres-settings.ts';
import { codeOf, Problem, reasonOf } from './problem.ts';
import { run } from './run-command.ts';
import { launch, type ServerProcess } from './server-process.ts';

const stopPlan = {
  title: 'Postgres',
  order: 1,
  // Fast shutdown, which writes a checkpoint; then immediate, after which the next start recovers from the log.
  steps: [
    ['SIGINT', 30_000],
    ['SIGQUIT', 10_000],
  ],
} as const;
const startDeadlineMs = 300_000; // recovery after a kill -9 replays up to 8 GB of log
export const postgresMajor = '18';
/** The same order of texts everywhere, whatever the machine's language. Containers use it too. */
export const clusterLocale = ['--encoding=UTF8', '--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
const database = 'main';
const admission = 'host all all 127.0.0.1/32 scram-sha-256';

/** A real Postgres 18 with the database `main`, listening on 127.0.0.1 only, behind a password made for this folder. */
export async function startPostgres({
  folder,
  ports,
  say,
  signal,
  postgresExtras: extras,
}: StartOptions): Promise<LocalServer> {
  const binaries = postgresBinaries();
  const cluster = join(folder.path, 'postgres');
  const account = await postgresAccount([join(cluster, 'PG_VERSION'), binaries.postgres]);
  const password = passwordOf(folder);
  if (!existsSync(cluster)) {
    say('Creating the database (Postgres 18)');
    await createCluster({ folder, cluster, binaries, account, password });
  }
  checkVersion(cluster);
  if (extras) addExtras(cluster, account, extras);
  const settings = {
    ...postgresSettings(machineSize(folder.path)),
    port: ports.postgres,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    ...extras?.settings,
  };
  const log = join(folder.logs, 'postgres.log');
  const logStart = existsSync(log) ? statSync(log).size : 0;
  const flags = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  const server = launch({
    name: 'postgres',
    runFolder: folder.run,
    stop: stopPlan,
    ...account.invocation(binaries.postgres, ['-D', cluster, ...flags]),
    cwd: '/',
    env: cleanEnvironment(),
    outputFile: log,
  });
  folder.keepBounded(log);
  try {
    await untilReady({ server, cluster, signal, log: () => readFileSync(log).subarray(logStart).toString('utf8') });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${ports.postgres}/${database}`,
    pid: server.pid,
    ended: server.ended,
    stop: () => server.stop(),
  };
}

interface ClusterOptions {
  readonly folder: DataFolder;
  readonly cluster: string;
  readonly binaries: PostgresBinaries;
  readonly account: PostgresAccount;
  readonly password: string;
}

/** Made beside its place and moved there when complete: a start that is killed half-way leaves nothing to repair. */
async function createCluster(o: ClusterOptions): Promise<void> {
  const unfinished = `${o.cluster}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  mkdirSync(unfinished, { mode: 0o700 });
  if (o.account.owner) chownSync(unfinished, o.account.owner.uid, o.account.owner.gid);
  const runAs = async (program: string, programArgs: readonly string[], input?: string) => {
    const { command, args, account } = o.account.invocation(program, programArgs);
    await run(command, args, {
      cwd: '/',
      env: cleanEnvironment(),
      timeoutMs: 120_000,
      ...(input === undefined ? {} : { input }),
      ...(account ? { account } : {}),
    });
  };
  try {
    await runAs(o.binaries.initdb, ['-D', unfinished, '-U', 'postgres', '--auth=trust', '--no-sync', ...clusterLocale]);
    // The single-user mode needs no client, no port and no password file: one statement a line on standard input.
    const statements = `alter user postgres password '${o.password}';\ncreate database ${database};\n`;
    await runAs(o.binaries.postgres, ['--single', '-D', unfinished, 'postgres'], statements);
    writeFileSync(join(unfinished, 'pg_hba.conf'), `${admission}\n`);
  } catch (error) {
    appendFileSync(join(o.folder.logs, 'postgres.log'), `${reasonOf(error)}\n`);
    throw new Problem(
      `The database could not be created (${reasonOf(error).split('\n')[0]}).`,
      `See ${join(o.folder.logs, 'postgres.log')}.`,
      { cause: error },
    );
  }
  renameSync(unfinished, o.cluster);
}

function addExtras(cluster: string, { owner }: PostgresAccount, extras: PostgresExtras): void {
  const files = { ...extras.files, 'pg_hba.conf': `${[...extras.admission, admission].join('\n')}\n` };
  for (const [name, content] of Object.entries(files)) {
    replaceFile(join(cluster, name), content);
    if (owner) chownSync(join(cluster, name), owner.uid, owner.gid);
  }
}

/** Hexadecimal, so that it needs no escaping in a URL or in SQL. */
function passwordOf(folder: DataFolder): string {
  const file = join(folder.path, 'postgres-password');
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
  const password = randomBytes(16).toString('hex');
  replaceFile(file, `${password}\n`);
  return password;
}

function checkVersion(cluster: string): void {
  const version = readFileSync(join(cluster, 'PG_VERSION'), 'utf8').trim();
  if (version !== postgresMajor) {
    throw new Problem(
      `The data in ${cluster} was made by Postgres ${version}, and this is Postgres ${postgresMajor}.`,
      'Use the version it was made with, or start with another data folder (LEAKAGE_DATA_DIR).',
    );
  }
}

interface Waiting {
  readonly server: ServerProcess;
  readonly cluster: string;
  readonly signal: AbortSignal | undefined;
  readonly log: () => string;
}

/** The server says in its own pid file whether it accepts connections; words in a log depend on the language. */
async function untilReady({ server, cluster, signal, log }: Waiting): Promise<void> {
  const pidFile = join(cluster, 'postmaster.pid');
  for (const until = Date.now() + startDeadlineMs; Date.now() < until; await sleep(20)) {
    signal?.throwIfAborted();
    if (!server.running()) throw failure((await server.ended).text, log());
    const lines = existsSync(pidFile) ? readFileSync(pidFile, 'utf8').split('\n') : [];
    if (Number(lines[0]) === server.pid && lines[7]?.trim() === 'ready') return;
  }
  throw failure(`has not started within ${startDeadlineMs / 1000} s`, log());
}

function failure(what: string, log: string): Problem {
  const line = log.split('\n').findLast((text) => /(FATAL|PANIC|ERROR|error while loading)/.test(text));
  return new Problem(`Postgres ${what}${line ? `: ${line}` : ''}.`, 'See logs/postgres.log in the data folder.');
}

/** Without the PG* variables of whoever calls us: PGDATA, PGPORT and the like would change the server. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(([key]) => !key.startsWith('PG') && !key.startsWith('LC_'));
  return { ...Object.fromEntries(entries), LC_ALL: 'C' };
}
