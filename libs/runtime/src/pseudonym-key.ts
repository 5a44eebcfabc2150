import { createHash, randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { dataDirectory } from './environment.ts';
import { SettingsError, type SettingsOf, setting } from './settings.ts';

const KEY_CHARACTERS_MIN = 32;

/** The key of every hash that stands for a member where the id must not be. All processes of an installation have the same. */
export const pseudonymKeySettings = {
  pseudonymKey: setting.string({
    env: 'PSEUDONYM_KEY',
    secret: true,
    valid: (text) => text.length >= KEY_CHARACTERS_MIN,
    kind: 'a text of at least 32 characters',
    help: 'Key of the hashes that stand for a member in the audit and for those who were erased; the same for every process. Without it, the one in PSEUDONYM_KEY_FILE.',
  }),
  pseudonymKeyFile: setting.string({
    env: 'PSEUDONYM_KEY_FILE',
    help: 'File with that key; default: LEAKAGE_DATA_DIR/pseudonym.key. The api, and the first erasure, make it where it is missing.',
  }),
};
type KeySettings = SettingsOf<typeof pseudonymKeySettings>;

/** Names a key without revealing it: hashes of two keys cannot be compared. */
export function pseudonymKeyId(key: string): string {
  return createHash('sha256').update('key id\0').update(key).digest('hex').slice(0, 8);
}

/** The key as it is set or kept; null where there is none yet. Throws SettingsError for a file that holds no key. */
export function readPseudonymKey(s: KeySettings): string | null {
  return s.pseudonymKey ?? readKey(fileOf(s));
}

/** The same; where there is none, one is made and kept (mode 600), by one process even if several start at once. */
export function ensurePseudonymKey(s: KeySettings): string {
  return readPseudonymKey(s) ?? makeKey(fileOf(s));
}

function fileOf({ pseudonymKeyFile }: KeySettings): string {
  return pseudonymKeyFile ?? join(dataDirectory(), 'pseudonym.key');
}

function readKey(path: string): string | null {
  let key: string;
  try {
    key = readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ENOTDIR') return null;
    throw keyProblem(path, error);
  }
  if (key.length >= KEY_CHARACTERS_MIN) return key;
  throw new SettingsError([
    `${path} does not hold a key: a text of at least ${KEY_CHARACTERS_MIN} characters is wanted`,
  ]);
}

function makeKey(path: string): string {
  const draft = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(draft, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  } catch (error) {
    throw keyProblem(path, error);
  }
  try {
    linkSync(draft, path);
  } catch (error) {
    // Another process was faster: its key counts.
    if (codeOf(error) !== 'EEXIST') throw keyProblem(path, error);
  } finally {
    rmSync(draft);
  }
  return readFileSync(path, 'utf8').trim();
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function keyProblem(path: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  return new Error(`the key of pseudonyms cannot be kept in ${path} (${reason}): set PSEUDONYM_KEY`, { cause: error });
}
