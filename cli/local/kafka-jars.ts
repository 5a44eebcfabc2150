import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { mavenMissing } from './java.ts';
import { codeOf, Problem } from './problem.ts';
import { run } from './run-command.ts';

export const kafkaVersion = '4.3.1';
const pom = fileURLToPath(new URL('./pom.xml', import.meta.url));

/** Where Kafka's jars are, or would be: a folder named after what it holds, shared by all clones of this user. */
export function kafkaJarsFolder(dataDir: string): string {
  const content = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 8);
  return join(cacheFolder(dataDir), `kafka-${kafkaVersion}-${content}`);
}

/** The jars, fetched by Maven when they are not there yet (44 MB, some seconds). */
export async function kafkaJars(
  dataDir: string,
  { say, signal }: { readonly say: (line: string) => void; readonly signal?: AbortSignal | undefined },
): Promise<string> {
  const folder = kafkaJarsFolder(dataDir);
  if (existsSync(folder)) return folder;
  say(`Fetching Apache Kafka ${kafkaVersion} with Maven into ${folder} (once, 44 MB)`);
  const unfinished = `${folder}.${process.pid}.new`;
  mkdirSync(unfinished, { recursive: true });
  try {
    await copyDependencies(unfinished, dataDir, signal);
    renameSync(unfinished, folder);
  } catch (error) {
    if (!existsSync(folder)) throw error;
  } finally {
    rmSync(unfinished, { recursive: true, force: true }); // somebody else was quicker, or it failed
  }
  return folder;
}

async function copyDependencies(folder: string, dataDir: string, signal?: AbortSignal): Promise<void> {
  const args = ['-B', '-q', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime'];
  args.push(`-DoutputDirectory=${folder}`);
  if (!homeIsWritable()) args.push(`-Dmaven.repo.local=${join(cacheFolder(dataDir), 'maven')}`);
  try {
    await run('mvn', args, { timeoutMs: 600_000, signal });
  } catch (error) {
    signal?.throwIfAborted();
    if (codeOf(error) === 'ENOENT') {
      throw mavenMissing();
    }
    const line = error instanceof Error ? error.message.split('\n').find((text) => text.includes('ERROR')) : undefined;
    throw new Problem(
      `Maven could not fetch Apache Kafka ${kafkaVersion}${line ? `: ${line.replace(/^.*?ERROR\]?\s*/, '')}` : ''}.`,
      'Check that Maven Central (or your mirror in ~/.m2/settings.xml) is reached, or set KAFKA_BROKERS to a broker of yours.',
      { cause: error },
    );
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
