import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadSettings, readEnvironmentFile } from '@leakage/runtime';
import { temporaryFolder } from '@leakage/testing';
import { expect, test } from 'vitest';
import { inventPasswords, keepUrls, passwordSettings } from './passwords.ts';

const folder = temporaryFolder();

test('a password is invented for a role that neither exists nor was given one', () => {
  const invented = inventPasswords({ silver: 'given-by-somebody' }, (role) => role === 'gold');
  expect(Object.keys(invented)).toEqual(['bronze', 'api', 'reader']);
  expect(new Set(Object.values(invented)).size).toBe(3);
  for (const password of Object.values(invented)) expect(password).toMatch(/^[\w-]{32}$/);
});

test('a password that is too short or could not be typed is refused without being shown', () => {
  for (const bad of ['short', 'has a space in it', 'schlüssel-schlüssel']) {
    const load = () => loadSettings(passwordSettings, { LEAKAGE_API_PASSWORD: bad });
    expect(load).toThrow('LEAKAGE_API_PASSWORD must be 8 to 200 printable ASCII characters without spaces');
    expect(load).not.toThrow(bad);
  }
  const odd = `it's"@:/?#%&`;
  expect(loadSettings(passwordSettings, { LEAKAGE_API_PASSWORD: odd }).api).toBe(odd);
});

test('the file is for its owner only, keeps what it held, and its addresses work with any password', () => {
  const file = join(folder, 'deep', 'urls.env');
  const url = 'postgres://owner:secret@db.example:5433/main?sslmode=verify-full';
  keepUrls(file, { url, prefix: 'lk', passwords: { bronze: 'p@ss:w/rd?#%' } });
  keepUrls(file, { url, prefix: 'lk', passwords: { api: 'other-one' } });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const held = readEnvironmentFile(file);
  expect(Object.keys(held).sort()).toEqual(['API_DATABASE_URL', 'BRONZE_DATABASE_URL']);
  const bronze = new URL(held.BRONZE_DATABASE_URL ?? '');
  expect([bronze.username, decodeURIComponent(bronze.password), bronze.host, bronze.pathname, bronze.search]).toEqual([
    'lk_bronze',
    'p@ss:w/rd?#%',
    'db.example:5433',
    '/main',
    '?sslmode=verify-full',
  ]);
  expect(readFileSync(file, 'utf8')).not.toContain('secret');
});

test('a file that others may read becomes one that they may not', () => {
  const file = join(folder, 'open.env');
  writeFileSync(file, 'API_DATABASE_URL="postgres://x"\n', { mode: 0o644 });
  keepUrls(file, { url: 'postgres://o:p@h/main', prefix: 'lk', passwords: { gold: 'password' } });
  expect(statSync(file).mode & 0o777).toBe(0o600);
});
