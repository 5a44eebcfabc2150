import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readTlsFiles, type TlsEnd, tlsFault, tlsRefusal } from './tls.ts';

let folder: string;
const at = (file: string): string => join(folder, file);
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tls-'));
  const make = (name: string, ...more: string[]): void => {
    const args = ['req', '-x509', '-newkey', 'ed25519', '-keyout', at(`${name}.key`), '-out', at(`${name}.pem`)];
    execFileSync('openssl', [...args, '-subj', `/CN=${name}`, '-days', '1', ...more], { stdio: 'ignore' });
  };
  make('one', '-nodes');
  make('other', '-nodes');
  make('locked', '-passout', 'pass:open sesame');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (setting: string, path: string) => ({ setting, path: at(path) });

describe('files', () => {
  test('a pair is read as it is, a locked key with its password', () => {
    expect(readTlsFiles({ cert: file('CERT', 'one.pem'), key: file('KEY', 'one.key') })).toEqual({
      cert: expect.stringMatching(/^-----BEGIN CERTIFICATE-----/),
      key: expect.stringMatching(/^-----BEGIN PRIVATE KEY-----/),
    });
    const keyPassword = { setting: 'PASSWORD', text: 'open sesame' };
    const locked = readTlsFiles({ cert: file('CERT', 'locked.pem'), key: file('KEY', 'locked.key'), keyPassword });
    expect(locked.passphrase).toBe('open sesame');
  });

  test("somebody else's key, a locked one without its password or with a wrong one", () => {
    const cert = file('CERT', 'locked.pem');
    const key = file('KEY', 'locked.key');
    expect(() => readTlsFiles({ cert, key: file('KEY', 'one.key') })).toThrow(/CERT leads to \S+, which is not of KEY/);
    expect(() => readTlsFiles({ cert, key })).toThrow(/KEY leads to \S+, which .* \(.*; does it have a password\?\)/);
    expect(() => readTlsFiles({ cert, key, keyPassword: { setting: 'PASSWORD', text: 'guess' } })).toThrow(
      /KEY leads to \S+, which .* \(.*; is PASSWORD its password\?\)/,
    );
  });

  test('a key where a certificate should be', () => {
    expect(() => readTlsFiles({ ca: file('CA', 'one.key') })).toThrow(/CA leads to \S+, which holds no certificate/);
    expect(() => readTlsFiles({ key: file('KEY', 'one.pem') })).toThrow(/KEY leads to \S+, which holds no private key/);
  });
});

const coded = (code: string): Error => Object.assign(new Error(`reason of ${code}`), { code });

test.each([
  ['CERT_HAS_EXPIRED', 'expired'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'other name'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'unknown authority'],
  ['ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED', 'ours wanted'],
  ['ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE', 'ours refused'],
  ['ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE', 'ours refused'],
  ['ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED', 'ours refused'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'ours refused'],
  ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'nothing in common'],
  ['ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE', 'nothing in common'],
  ['ECONNRESET', null],
  ['ERR_SSL_UNEXPECTED_EOF_WHILE_READING', null],
])('%s means: %s', (code, fault) => {
  expect(tlsFault(coded(code))).toBe(fault);
});

test('a certificate that we do not have cannot be a wrong one, and one that we have is not missing', () => {
  const settings = { ca: 'CA', cert: 'CERT', host: 'HOST' };
  const end = (ownCertificate: boolean): TlsEnd => ({ server: 'It', settings, ownCertificate });
  const refused = coded('ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE');
  const wanted = coded('ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
  for (const error of [refused, wanted]) {
    expect(tlsRefusal(error, end(false))?.message).toBe('It wants a certificate of ours: set CERT');
    expect(tlsRefusal(error, end(true))?.message).toMatch(
      /^It does not accept our certificate \(.*\): set CERT to one/,
    );
  }
  expect(tlsRefusal(coded('ECONNRESET'), end(true))).toBeNull();
});
