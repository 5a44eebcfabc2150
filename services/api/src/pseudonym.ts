import { createHash, createHmac, randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Stands for a member where the id itself must not be. */
export interface Pseudonyms {
  /** Names the key without revealing it: pids of two keys cannot be compared. */
  readonly keyId: string;
  /** Twelve base32 letters, the same for the same member and key. */
  pid(memberId: string): string;
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const pidLetters = 12;

export function pseudonyms(key: string): Pseudonyms {
  return {
    keyId: createHash('sha256').update('key id\0').update(key).digest('hex').slice(0, 8),
    pid: (memberId) => base32(createHmac('sha256', key).update(memberId).digest()).slice(0, pidLetters),
  };
}

function base32(bytes: Buffer): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += alphabet[(held >>> (bits - 5)) & 31];
    held &= (1 << bits) - 1;
  }
  return text;
}

/** The key in `<folder>/pseudonym.key`; made (mode 600) if there is none, by one process even if several start at once. */
export function keyOfFolder(folder: string): string {
  const path = join(folder, 'pseudonym.key');
  return readKey(path) ?? makeKey(path);
}

function readKey(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw keyProblem(path, error);
  }
}

function makeKey(path: string): string {
  const draft = `${path}.${process.pid}`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(draft, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
    linkSync(draft, path);
  } catch (error) {
    // Another process was faster: its key counts.
    if (codeOf(error) !== 'EEXIST') throw keyProblem(path, error);
  } finally {
    rmSync(draft, { force: true });
  }
  return readFileSync(path, 'utf8').trim();
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function keyProblem(path: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  return new Error(`the key of the audit cannot be kept in ${path} (${reason}): set PSEUDONYM_KEY`, { cause: error });
}
