import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DataFolder } from './data-folder.ts';
import { findMaven } from './java.ts';
import { Problem } from './problem.ts';
import { identityOf } from './process-identity.ts';
import { launch } from './server-process.ts';

export const kafkaVersion = '4.3.1';
const fetchDeadlineMs = 600_000;
const stopPlan = {
  title: 'Maven',
  order: 0,
  steps: [
    ['SIGTERM', 5_000],
    ['SIGKILL', 5_000],
  ],
} as const;
const pom = fileURLToPath(new URL('./pom.xml', import.meta.url));

/** Where Kafka's jars are, or would be: a folder named after what it holds, shared by all clones of this user. */
export function kafkaJarsFolder(dataDir: string): string {
  const content = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 8);
  return join(cacheFolder(dataDir), `kafka-${kafkaVersion}-${content}`);
}

/** The jars, fetched by Maven when they are not there yet (44 MB, some seconds). */
export async function kafkaJars({ folder, say, signal }: FetchOptions): Promise<string> {
  const jars = kafkaJarsFolder(folder.path);
  if (existsSync(jars)) return jars;
  await findMaven();
  say(`Fetching Apache Kafka ${kafkaVersion} with Maven into ${jars} (once, 44 MB)`);
  const unfinished = `${jars}.${process.pid}.new`;
  mkdirSync(unfinished, { recursive: true });
  removeAbandoned(dirname(jars));
  try {
    await copyDependencies(unfinished, { folder, say, signal });
    renameSync(unfinished, jars);
  } catch (error) {
    if (!existsSync(jars)) throw error; // else somebody was quicker
  } finally {
    rmSync(unfinished, { recursive: true, force: true });
  }
  return jars;
}

interface FetchOptions {
  readonly folder: DataFolder;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

async function copyDependencies(target: string, { folder, signal }: FetchOptions): Promise<void> {
  const log = join(folder.logs, 'maven.log');
  const args = ['-B', '-q', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime'];
  args.push(`-DoutputDirectory=${target}`);
  if (!homeIsWritable()) args.push(`-Dmaven.repo.local=${join(cacheFolder(folder.path), 'maven')}`);
  writeFileSync(log, '');
  const maven = launch({
    name: 'maven',
    runFolder: folder.run,
    stop: stopPlan,
    command: 'mvn',
    args,
    cwd: folder.path,
    env: process.env,
    outputFile: log,
  });
  const onAbort = () => void maven.stop();
  signal?.addEventListener('abort', onAbort);
  const late = setTimeout(() => void maven.stop(), fetchDeadlineMs);
  const ending = await maven.ended;
  clearTimeout(late);
  signal?.removeEventListener('abort', onAbort);
  signal?.throwIfAborted();
  if (ending.code === 0) return;
  const line = readFileSync(log, 'utf8')
    .split('\n')
    .find((text) => text.includes('ERROR'))
    ?.replace(/^.*?ERROR\]?\s*/, '');
  throw new Problem(
    `Maven could not fetch Apache Kafka ${kafkaVersion} (it ${line ? `says: ${line}` : ending.text}).`,
    'Check that Maven Central (or your mirror in ~/.m2/settings.xml) is reached, or set KAFKA_BROKERS to a broker of yours.',
  );
}

/** Folders of fetches that were killed; their names end with the pid of who fetched. */
function removeAbandoned(cache: string): void {
  for (const name of readdirSync(cache)) {
    const pid = /^kafka-.*\.(\d+)\.new$/.exec(name)?.[1];
    if (pid !== undefined && Number(pid) !== process.pid && identityOf(Number(pid)) === null) {
      rmSync(join(cache, name), { recursive: true, force: true });
    }
  }
}

function cacheFolder(dataDir: string): string {
  if (process.env.XDG_CACHE_HOME) return join(process.env.XDG_CACHE_HOME, 'leakage');
  return homeIsWritable() ? join(homedir(), '.cache', 'leakage') : join(dataDir, 'cache');
}

function homeIsWritable(): boolean {
  try {
    accessSync(homedir(), constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
