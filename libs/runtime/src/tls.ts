import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { RefusedError } from './refused-error.ts';
import { SettingsError } from './settings.ts';

/** A file, and the setting that led to it. */
interface Named {
  readonly setting: string;
  readonly path: string;
}

export interface TlsFiles {
  readonly ca?: Named | undefined;
  readonly cert?: Named | undefined;
  readonly key?: Named | undefined;
  readonly keyPassword?: { readonly setting: string; readonly text: string } | undefined;
}

export interface TlsMaterial {
  ca?: string;
  cert?: string;
  key?: string;
  passphrase?: string;
}

/** The texts of PEM files. Throws a SettingsError that names the setting when one is missing, is none, or does not fit. */
export function readTlsFiles({ ca, cert, key, keyPassword }: TlsFiles): TlsMaterial {
  const material: TlsMaterial = {
    ...(ca === undefined ? {} : { ca: readPem(ca, 'CERTIFICATE') }),
    ...(cert === undefined ? {} : { cert: readPem(cert, 'CERTIFICATE') }),
    ...(key === undefined ? {} : { key: readPem(key, 'PRIVATE KEY') }),
    ...(keyPassword === undefined ? {} : { passphrase: keyPassword.text }),
  };
  check(material, ca, 'holds certificates that cannot be read', () => ({ ca: material.ca }));
  check(material, cert, 'holds a certificate that cannot be read', () => ({ cert: material.cert }));
  const lockedKey = keyPassword === undefined ? 'does it have a password?' : `is ${keyPassword.setting} its password?`;
  check(
    material,
    key,
    'holds a key that cannot be read',
    ({ key: text, passphrase }) => ({ key: text, passphrase }),
    lockedKey,
  );
  check(material, key && cert, `is not of ${key?.setting}`, (all) => all);
  return material;
}

function readPem({ setting, path }: Named, what: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new SettingsError([`${setting} leads to ${path}, which cannot be read (${reasonOf(error)})`]);
  }
  if (new RegExp(`^-----BEGIN [A-Z ]*${what}-----`, 'm').test(text)) return text;
  const form = what === 'CERTIFICATE' ? 'certificate' : 'private key';
  throw new SettingsError([
    `${setting} leads to ${path}, which holds no ${form} in PEM form (-----BEGIN ${what}-----)`,
  ]);
}

function check(
  all: TlsMaterial,
  file: Named | undefined,
  trouble: string,
  part: (all: TlsMaterial) => object,
  question?: string,
): void {
  if (file === undefined) return;
  try {
    createSecureContext(part(all));
  } catch (error) {
    const reason = `${reasonOf(error)}${question === undefined ? '' : `; ${question}`}`;
    throw new SettingsError([`${file.setting} leads to ${file.path}, which ${trouble} (${reason})`]);
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return 'code' in error && error.code === 'ENOENT' ? 'there is no such file' : error.message;
}

/** What is wrong between two ends of a TLS connection, as far as trying again cannot mend it. */
export type TlsFault =
  /** The server's certificate. */
  | 'expired'
  | 'not yet valid'
  | 'other name'
  | 'unknown authority'
  /** Our certificate: the server demands one, or does not take the one that we have. */
  | 'ours wanted'
  | 'ours refused'
  /** No version or cipher that both know. */
  | 'nothing in common';

const faults: Readonly<Record<string, TlsFault>> = {
  CERT_HAS_EXPIRED: 'expired',
  CERT_NOT_YET_VALID: 'not yet valid',
  ERR_TLS_CERT_ALTNAME_INVALID: 'other name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'unknown authority',
  SELF_SIGNED_CERT_IN_CHAIN: 'unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unknown authority',
  CERT_SIGNATURE_FAILURE: 'unknown authority',
  CERT_UNTRUSTED: 'unknown authority',
  CERT_REJECTED: 'unknown authority',
  CERT_CHAIN_TOO_LONG: 'unknown authority',
  INVALID_CA: 'unknown authority',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'nothing in common',
};

/** What the other end says before it goes; the beginning of the code is another one in every OpenSSL. */
const alerts: readonly (readonly [RegExp, TlsFault])[] = [
  [/_ALERT_CERTIFICATE_REQUIRED$/, 'ours wanted'],
  [/_ALERT_(?:\w+_CERTIFICATE|CERTIFICATE_(?:EXPIRED|REVOKED|UNKNOWN)|UNKNOWN_CA|ACCESS_DENIED)$/, 'ours refused'],
  [/_ALERT_(?:HANDSHAKE_FAILURE|PROTOCOL_VERSION|INSUFFICIENT_SECURITY)$/, 'nothing in common'],
];

/** By the code that Node gives an error; null for everything that another attempt may not meet again. */
export function tlsFault(error: unknown): TlsFault | null {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return faults[code] ?? alerts.find(([pattern]) => pattern.test(code))?.[1] ?? null;
}

/** How a server and the settings that lead to it are called in a sentence. */
export interface TlsEnd {
  /** Such as "Kafka at broker-1:9093". */
  readonly server: string;
  readonly settings: { readonly ca: string; readonly cert: string; readonly host: string };
  /** Whether we have a certificate of our own. */
  readonly ownCertificate: boolean;
}

/** The sentence for an error between two ends of a TLS connection; null for an error that is none. */
export function tlsRefusal(error: unknown, { server, settings, ownCertificate }: TlsEnd): RefusedError | null {
  const fault = tlsFault(error);
  if (fault === null) return null;
  const reason = reasonOf(error)
    .replace(/^Connection error: /, '')
    .trim();
  const refused = (what: string, remedy: string) => new RefusedError(`${server} ${what}`, remedy);
  const own = ownCertificate && fault === 'ours wanted' ? 'ours refused' : fault;
  switch (!ownCertificate && own === 'ours refused' ? 'ours wanted' : own) {
    case 'expired':
      return refused('has a certificate that has expired', 'have it renewed, or mend the clock of this machine');
    case 'not yet valid':
      return refused('has a certificate that is not valid yet', 'mend the clock of this machine, or of who made it');
    case 'other name':
      return refused(
        `has a certificate for another name (${reason})`,
        `set ${settings.host} to a name that it holds, or have one made that holds this name`,
      );
    case 'unknown authority':
      return refused(
        `has a certificate of an authority that is not trusted (${reason})`,
        `set ${settings.ca} to the PEM file of the authority that has signed it`,
      );
    case 'ours wanted':
      return refused('wants a certificate of ours', `set ${settings.cert}`);
    case 'ours refused':
      return refused(
        `does not accept our certificate (${reason})`,
        `set ${settings.cert} to one that has not expired, of an authority that the server trusts`,
      );
    case 'nothing in common':
      return refused(
        `speaks no version of TLS that we speak (${reason})`,
        'let it speak TLS 1.2 or 1.3 with the usual ciphers',
      );
  }
}
