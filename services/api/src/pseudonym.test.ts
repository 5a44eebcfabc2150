import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { keyOfFolder, pseudonyms } from './pseudonym.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pseudonym-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a pid is the first twelve base32 letters of the keyed hash', () => {
  const bytes = createHmac('sha256', 'k'.repeat(32)).update('M-104382').digest();
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const letters = Array.from(
    { length: 12 },
    (_, n) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(bits.slice(5 * n, 5 * n + 5), 2)],
  );
  expect(pseudonyms('k'.repeat(32)).pid('M-104382')).toBe(letters.join(''));
});

test('another key gives other pids, and says so', () => {
  const [a, b] = [pseudonyms('a'.repeat(32)), pseudonyms('b'.repeat(32))];
  expect(a.pid('M-1')).toBe(a.pid('M-1'));
  expect(a.pid('M-1')).not.toBe(a.pid('M-2'));
  expect(a.pid('M-1')).not.toBe(b.pid('M-1'));
  expect(a.keyId).not.toBe(b.keyId);
});

test('the key of a folder is made once, for its owner only', () => {
  const nested = join(folder, 'data');
  const key = keyOfFolder(nested);
  expect(key).toMatch(/^[0-9a-f]{64}$/);
  expect(keyOfFolder(nested)).toBe(key);
  expect(statSync(join(nested, 'pseudonym.key')).mode & 0o777).toBe(0o600);
});

test('where no key can be kept, the message says what to set', () => {
  writeFileSync(join(folder, 'file'), '');
  expect(() => keyOfFolder(join(folder, 'file'))).toThrow('set PSEUDONYM_KEY');
});
