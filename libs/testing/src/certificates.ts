import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** PEM files. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
  /** Both in one, as Kafka wants them. */
  readonly bundleFile: string;
}

export interface Wanted {
  readonly commonName: string;
  /** Such as `DNS:localhost,IP:127.0.0.1`; a client needs none. */
  readonly names?: string;
  /** Days from now; negative ones are over. */
  readonly from?: number;
  readonly until?: number;
}

export interface Authority {
  readonly caFile: string;
  readonly issue: (wanted: Wanted) => Certificate;
}

const dayMs = 86_400_000;

/** An authority that nobody trusts but those who are given its file. Made by openssl, which must be installed. */
export function createAuthority(folder: string, name: string): Authority {
  const home = join(folder, name);
  mkdirSync(join(home, 'issued'), { recursive: true });
  const at = (file: string): string => join(home, file);
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: home, stdio: ['ignore', 'ignore', 'pipe'] });
  };
  const request = (commonName: string, key: string, out: string): void => {
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    const files = ['-config', at('ca.conf'), '-keyout', key, '-out', out];
    openssl('req', '-new', ...kind, ...files, '-subj', `/CN=${commonName}`);
  };
  /** Not `openssl x509`: in most of its versions only `ca` can make a certificate that is over already. */
  const sign = (wanted: Wanted, from: string, to: string, ...more: string[]): void => {
    const names = wanted.names === undefined ? 'keyUsage=digitalSignature' : `subjectAltName=${wanted.names}`;
    writeFileSync(at('names.conf'), `${names}\n`);
    const files = ['-config', at('ca.conf'), '-in', from, '-out', to];
    const times = ['-startdate', timeText(wanted.from ?? -1), '-enddate', timeText(wanted.until ?? 30)];
    openssl('ca', '-batch', '-notext', ...files, ...times, ...more);
  };
  writeFileSync(at('index.txt'), '');
  writeFileSync(at('ca.conf'), configuration);
  request(`${name} authority`, 'ca.key', 'ca.csr');
  sign({ commonName: name }, 'ca.csr', 'ca.pem', '-selfsign', '-extensions', 'authority');
  let issued = 0;
  const issue = (wanted: Wanted): Certificate => {
    issued += 1;
    const file = (end: string): string => at(`${issued}.${end}`);
    request(wanted.commonName, file('key'), file('csr'));
    sign(wanted, file('csr'), file('pem'), '-extfile', at('names.conf'));
    writeFileSync(file('bundle'), readFileSync(file('key'), 'utf8') + readFileSync(file('pem'), 'utf8'));
    return { certFile: file('pem'), keyFile: file('key'), bundleFile: file('bundle') };
  };
  return { caFile: at('ca.pem'), issue };
}

function timeText(days: number): string {
  return `${new Date(Date.now() + days * dayMs).toISOString().replace(/[-:T]|\..*/g, '')}Z`;
}

const configuration = `
[ca]
default_ca = here
[here]
database = index.txt
new_certs_dir = issued
rand_serial = yes
unique_subject = no
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = any
[any]
commonName = supplied
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
`;
