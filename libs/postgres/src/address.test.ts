import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SettingsError } from '@leakage/runtime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readAddress, withAbsolutePaths } from './address.ts';

let folder: string;
let ca: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'address-'));
  ca = join(folder, 'ca.pem');
  const key = join(folder, 'key.pem');
  const subject = ['-subj', '/CN=test', '-days', '1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ed25519', '-keyout', key, '-out', ca, ...subject], {
    stdio: 'ignore',
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const at = (query: string): string => `postgres://me:p%40ss@db.example:6543/main${query}`;

test('a URL without sslmode means no TLS, whatever PGSSLMODE says, and is passed on as it is', () => {
  expect(readAddress(at(''))).toEqual({
    url: at(''),
    where: 'db.example:6543',
    user: 'me',
    database: 'main',
    sslMode: 'disable',
    tls: false,
  });
});

describe('sslmode as libpq means it', () => {
  test.each([
    ['?sslmode=disable', 'disable', false],
    ['?ssl=false', 'disable', false],
    ['?sslmode=prefer', 'prefer', { rejectUnauthorized: false }],
    ['?sslmode=require', 'require', { rejectUnauthorized: false }],
    ['?ssl=true', 'require', { rejectUnauthorized: false }],
    ['?sslmode=verify-full', 'verify-full', {}],
  ] as const)('%s: %s', (query, sslMode, tls) => {
    expect(readAddress(at(query))).toMatchObject({ sslMode, url: at('') });
    expect(readAddress(at(query)).tls).toEqual(tls);
  });

  test('with an authority, require and verify-ca verify all but the name, and verify-full the name as well', () => {
    const tls = (mode: string) => readAddress(at(`?sslmode=${mode}&sslrootcert=${ca}`)).tls || {};
    for (const mode of ['require', 'verify-ca']) {
      expect(tls(mode), mode).toEqual({
        ca: expect.stringContaining('BEGIN CERT'),
        checkServerIdentity: expect.any(Function),
      });
      expect(tls(mode).checkServerIdentity?.('other', {} as never), mode).toBeUndefined();
    }
    expect(tls('verify-full')).toEqual({ ca: expect.stringContaining('BEGIN CERT') });
    expect(tls('prefer')).toEqual({ ca: expect.stringContaining('BEGIN CERT'), rejectUnauthorized: false });
  });

  test('sslrootcert=system trusts the authorities of the machine', () => {
    const { tls } = readAddress(at('?sslmode=verify-full&sslrootcert=system'));
    expect(tls && Array.isArray(tls.ca) ? tls.ca.length : 0).toBeGreaterThan(50);
  });
});

test.each([
  [
    '?sslmode=no-verify',
    'sslmode in DATABASE_URL must be one of disable, prefer, require, verify-ca, verify-full, not "no-verify"',
  ],
  ['?sslmode=verify-ca', 'sslmode=verify-ca in DATABASE_URL needs sslrootcert'],
  ['?sslmode=require&sslrootcert=system', 'sslrootcert=system in DATABASE_URL needs sslmode=verify-full, not require'],
  ['?sslmode=require&sslcert=a.pem', 'sslcert and sslkey in DATABASE_URL belong together'],
  ['?sslrootcert=a.pem', 'DATABASE_URL has certificates but no sslmode'],
  [
    '?sslmode=verify-full&sslrootcert=/nowhere/ca.pem',
    'sslrootcert in DATABASE_URL leads to /nowhere/ca.pem, which cannot be read (there is no such file)',
  ],
  [`?sslmode=verify-full&sslrootcert=${import.meta.filename}`, 'which holds no certificate in PEM form'],
])('%s is refused', (query, problem) => {
  const asked = (): unknown => readAddress(at(query));
  expect(asked).toThrow(SettingsError);
  expect(asked).toThrow(problem);
});

test('other parameters stay, and where a socket is a file nothing is encrypted', () => {
  expect(readAddress(at('?sslmode=require&options=-c%20a%3Db')).url).toBe(at('?options=-c+a%3Db'));
  const socket = readAddress('postgres:///main?host=/run/postgresql&user=me&sslmode=require');
  expect(socket).toMatchObject({ tls: false, where: '/run/postgresql', user: 'me', database: 'main' });
  expect(readAddress('postgres://[::1]/main').where).toBe('[::1]:5432');
});

test('paths in a URL are made absolute for processes that work elsewhere', () => {
  expect(withAbsolutePaths(at('?sslmode=verify-full&sslrootcert=system'))).toBe(
    at('?sslmode=verify-full&sslrootcert=system'),
  );
  const given = new URL(withAbsolutePaths(at('?sslrootcert=ca.pem&sslkey=/abs/key.pem')));
  expect(given.searchParams.get('sslrootcert')).toBe(resolve('ca.pem'));
  expect(given.searchParams.get('sslkey')).toBe('/abs/key.pem');
  expect(given.password).toBe('p%40ss');
});
