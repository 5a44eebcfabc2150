import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseEnv } from 'node:util';

export type Environment = Readonly<Record<string, string | undefined>>;

/** The project's own folder: where package.json of the whole is. */
const projectDirectory = resolve(import.meta.dirname, '../../..');

/** Where the local stack keeps its data: LEAKAGE_DATA_DIR (relative to the working directory), else `.data` of the project. */
export function dataDirectory(env: Environment = process.env): string {
  const given = env.LEAKAGE_DATA_DIR?.trim();
  return given === undefined || given === '' ? resolve(projectDirectory, '.data') : resolve(given);
}

/** The file into which `leakage up` writes the addresses of its servers. */
export function environmentFile(env: Environment = process.env): string {
  return resolve(dataDirectory(env), 'env');
}

/**
 * `env`, completed from the local stack's file: a variable that is set is never overruled. What the file knows of its
 * Kafka (TLS, user, password) is not for another one: where `env` says which Kafka is meant, it says all about it.
 */
export function readEnvironment(env: Environment = process.env): Environment {
  const given = definedOnly(env);
  const file = Object.entries(readEnvironmentFile(environmentFile(env)));
  const fits = ([name]: [string, unknown]) => given.KAFKA_BROKERS === undefined || !name.startsWith('KAFKA_');
  return { ...Object.fromEntries(file.filter(fits)), ...given };
}

/** The variables of a file of `NAME="value"` lines; none if there is no such file. */
export function readEnvironmentFile(path: string): Environment {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return {};
    throw new Error(`cannot read ${path}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  return parseEnv(text);
}

/** The text of such a file. A value with a line break or both kinds of quotes cannot be written. */
export function formatEnvironmentFile(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => {
      if (value.includes('\n') || (value.includes('"') && value.includes("'")))
        throw new Error(`${name} cannot be written to an env file`);
      // In single quotes nothing has a meaning, neither for a shell nor for Node; not every value can stand in them.
      const quote = /["$`\\]/.test(value) && !value.includes("'") ? "'" : '"';
      return `${name}=${quote}${value}${quote}\n`;
    })
    .join('');
}

// An empty variable counts as not set, so that `DATABASE_URL= npm start` means the local server.
function definedOnly(env: Environment): Environment {
  return Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value.trim() !== ''));
}
