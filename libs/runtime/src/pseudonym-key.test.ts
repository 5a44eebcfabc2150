import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensurePseudonymKey, pseudonymKeyId, readPseudonymKey } from './pseudonym-key.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pseudonym-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const kept = (path: string) => ({ pseudonymKey: undefined, pseudonymKeyFile: join(folder, path) });

test('the key of a file is made once, for its owner only; who only reads makes none', () => {
  const settings = kept('data/pseudonym.key');
  expect(readPseudonymKey(settings)).toBeNull();
  const key = ensurePseudonymKey(settings);
  expect(key).toMatch(/^[0-9a-f]{64}$/);
  expect(ensurePseudonymKey(settings)).toBe(key);
  expect(readPseudonymKey(settings)).toBe(key);
  expect(statSync(join(folder, 'data/pseudonym.key')).mode & 0o777).toBe(0o600);
});

test('a key that is set goes before the file', () => {
  const settings = { ...kept('pseudonym.key'), pseudonymKey: 'k'.repeat(32) };
  expect(ensurePseudonymKey(settings)).toBe('k'.repeat(32));
  expect(readPseudonymKey(kept('pseudonym.key'))).toBeNull();
});

test('a file that holds no key is no key', () => {
  writeFileSync(join(folder, 'pseudonym.key'), '\n');
  expect(() => readPseudonymKey(kept('pseudonym.key'))).toThrow('does not hold a key');
});

test('where no key can be kept, the message says what to set', () => {
  writeFileSync(join(folder, 'file'), '');
  expect(() => ensurePseudonymKey(kept('file/pseudonym.key'))).toThrow('set PSEUDONYM_KEY');
});

test('the name of a key differs from that of another, and is not the key', () => {
  expect(pseudonymKeyId('a'.repeat(32))).not.toBe(pseudonymKeyId('b'.repeat(32)));
  expect(pseudonymKeyId('a'.repeat(32))).toMatch(/^[0-9a-f]{8}$/);
});
