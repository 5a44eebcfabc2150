import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, Problem, reasonOf } from './problem.ts';
import { run } from './run-command.ts';

export interface Java {
  readonly command: string;
  readonly major: number;
  readonly version: string;
}

const oldestMajor = 17;
const remedy =
  'Install a JDK of version 17 or newer (Debian: apt-get install openjdk-17-jdk-headless; macOS: brew install openjdk) ' +
  'and set JAVA_HOME, or set KAFKA_BROKERS to a broker of yours.';

/** The Java that would run Kafka: JAVA_HOME's, else the first on the PATH. */
export async function findJava(): Promise<Java> {
  const home = process.env.JAVA_HOME;
  const inHome = home ? join(home, 'bin', 'java') : null;
  if (inHome && !existsSync(inHome)) throw new Problem(`JAVA_HOME is ${home}, but there is no bin/java in it.`, remedy);
  const command = inHome ?? 'java';
  let output: string;
  try {
    output = await run(command, ['-version'], { timeoutMs: 30_000 });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new Problem('Java is not installed.', remedy);
    throw new Problem(`Java does not start (${reasonOf(error).split('\n')[0]}).`, remedy, { cause: error });
  }
  const version = /version "([^"]+)"/.exec(output)?.[1] ?? 'unknown';
  const [first, second] = version.split('.').map((part) => Number.parseInt(part, 10));
  const major = (first === 1 ? second : first) ?? 0;
  if (!(major >= oldestMajor)) throw new Problem(`Java ${version} is too old for Kafka.`, remedy);
  return { command, major, version };
}

/** The version of Maven that would fetch Kafka. */
export async function findMaven(): Promise<string> {
  try {
    const output = await run('mvn', ['-B', '-v'], { timeoutMs: 60_000 });
    return /Apache Maven ([\d.]+)/.exec(output)?.[1] ?? 'unknown';
  } catch (error) {
    if (codeOf(error) === 'ENOENT') {
      throw new Problem('Maven (mvn) is not installed, and Kafka has to be fetched once.', mavenRemedy);
    }
    throw new Problem(`Maven does not start (${reasonOf(error).split('\n')[0]}).`, mavenRemedy, { cause: error });
  }
}

const mavenRemedy =
  'Install it (Debian: apt-get install maven; macOS: brew install maven), or set KAFKA_BROKERS to a broker of yours.';
