import { isAbsolute, resolve } from 'node:path';
import { type ConnectionOptions, getCACertificates } from 'node:tls';
import { readTlsFiles, SettingsError } from '@leakage/runtime';

export const sslModes = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;
export type SslMode = (typeof sslModes)[number];

/** A database, as its URL says. */
export interface DatabaseAddress {
  /** The URL without what says how TLS is spoken: that is `tls`. */
  readonly url: string;
  /** For sentences: host and port. */
  readonly where: string;
  readonly user: string;
  readonly database: string;
  readonly sslMode: SslMode;
  /** What pg takes as `ssl`. */
  readonly tls: ConnectionOptions | false;
}

/** The parameters of a URL that name files. */
const fileParameters = ['sslrootcert', 'sslcert', 'sslkey'] as const;
const tlsParameters = [...fileParameters, 'sslmode', 'sslpassword', 'ssl', 'uselibpqcompat'] as const;
/** Instead of a file: the authorities that this machine trusts. */
const systemAuthorities = 'system';

/**
 * Reads a URL as libpq does, because psql and everything else that people point at a database does too; pg gives the same
 * words another meaning. Two differences: without `sslmode` no TLS is spoken (libpq: `prefer`), and `verify-full` without
 * `sslrootcert` trusts the authorities that Node trusts (libpq: a file in the home directory). Throws a SettingsError.
 */
export function readAddress(text: string): DatabaseAddress {
  const url = new URL(text);
  const given = Object.fromEntries(url.searchParams);
  const host = given.host ?? decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1');
  for (const name of tlsParameters) url.searchParams.delete(name);
  const sslMode = host.startsWith('/') ? 'disable' : sslModeOf(given);
  return {
    url: url.href,
    where: host.startsWith('/') ? host : `${host.includes(':') ? `[${host}]` : host}:${given.port || url.port || 5432}`,
    user: given.user ?? decodeURIComponent(url.username),
    database: decodeURIComponent(url.pathname.slice(1)),
    sslMode,
    tls: sslMode === 'disable' ? false : tlsOf(sslMode, given),
  };
}

/** The same URL for a process that works in another folder. */
export function withAbsolutePaths(text: string): string {
  const url = new URL(text);
  const relative = fileParameters.flatMap((name): [string, string][] => {
    const path = url.searchParams.get(name);
    return path === null || path === systemAuthorities || isAbsolute(path) ? [] : [[name, resolve(path)]];
  });
  for (const [name, path] of relative) url.searchParams.set(name, path);
  return relative.length === 0 ? text : url.href;
}

type Parameters = Readonly<Record<string, string | undefined>>;

function sslModeOf({ sslmode, ssl, sslrootcert, sslcert, sslkey }: Parameters): SslMode {
  const mode = sslmode ?? (ssl === undefined ? undefined : oldWord(ssl));
  if (mode === undefined) {
    if (sslrootcert ?? sslcert ?? sslkey) {
      throw new SettingsError([
        'DATABASE_URL has certificates but no sslmode: add sslmode=verify-full (or another of disable, prefer, require, verify-ca)',
      ]);
    }
    return 'disable';
  }
  const known = sslModes.find((one) => one === mode);
  if (known !== undefined) return known;
  throw new SettingsError([
    `sslmode in DATABASE_URL must be one of ${sslModes.join(', ')}, not ${JSON.stringify(mode)}`,
  ]);
}

/** `ssl=true` is how JDBC says it, and libpq understands that too. */
function oldWord(ssl: string): string {
  if (/^(true|1)$/.test(ssl)) return 'require';
  return /^(false|0)$/.test(ssl) ? 'disable' : ssl;
}

function tlsOf(sslMode: Exclude<SslMode, 'disable'>, given: Parameters): ConnectionOptions {
  const { sslrootcert, sslcert, sslkey, sslpassword } = given;
  const system = sslrootcert === systemAuthorities;
  if (system && sslMode !== 'verify-full') {
    throw new SettingsError([`sslrootcert=system in DATABASE_URL needs sslmode=verify-full, not ${sslMode}`]);
  }
  if (sslMode === 'verify-ca' && sslrootcert === undefined) {
    throw new SettingsError([
      'sslmode=verify-ca in DATABASE_URL needs sslrootcert: add it, or say verify-full to trust public authorities',
    ]);
  }
  if ((sslcert === undefined) !== (sslkey === undefined)) {
    throw new SettingsError(['sslcert and sslkey in DATABASE_URL belong together: give both, or neither']);
  }
  const { ca, ...own } = readTlsFiles({
    ca: sslrootcert === undefined || system ? undefined : named('sslrootcert', sslrootcert),
    cert: sslcert === undefined ? undefined : named('sslcert', sslcert),
    key: sslkey === undefined ? undefined : named('sslkey', sslkey),
    ...(sslpassword === undefined || sslkey === undefined
      ? {}
      : { keyPassword: { setting: 'sslpassword in DATABASE_URL', text: sslpassword } }),
  });
  const authorities = system ? { ca: [...getCACertificates('default'), ...getCACertificates('system')] } : { ca };
  return { ...own, ...(authorities.ca === undefined ? {} : { ca: authorities.ca }), ...verification(sslMode, ca) };
}

/** Where nothing is verified TLS helps against those who listen, not against those who pretend to be the server. */
function verification(sslMode: Exclude<SslMode, 'disable'>, ca: string | undefined): ConnectionOptions {
  switch (sslMode) {
    case 'prefer':
      return { rejectUnauthorized: false };
    case 'require':
      // libpq: with an authority at hand `require` is `verify-ca`.
      return ca === undefined ? { rejectUnauthorized: false } : { checkServerIdentity: anyName };
    case 'verify-ca':
      return { checkServerIdentity: anyName };
    case 'verify-full':
      return {};
  }
}

const anyName = (): undefined => undefined;
const named = (parameter: string, path: string) => ({ setting: `${parameter} in DATABASE_URL`, path });
