import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePorts, type KafkaExtras, type PostgresExtras, startLocalStack } from '@leakage/cli/local';
import { dataDirectory } from '@leakage/runtime';
import { withAdmin } from './admin.ts';
import { type Authority, type Certificate, createAuthority } from './certificates.ts';
import { firstFree } from './fault-servers.ts';

/** One authority that a test trusts, one that it does not, and servers' certificates of every kind. */
export interface Certificates {
  readonly ours: Authority;
  readonly theirs: Authority;
  readonly good: Certificate;
  readonly expired: Certificate;
  readonly otherName: Certificate;
  readonly otherAuthority: Certificate;
}

/** The name in the certificate that is for another name. */
export const otherName = 'elsewhere.example';

export function createCertificates(folder: string): Certificates {
  const ours = createAuthority(folder, 'ours');
  const theirs = createAuthority(folder, 'theirs');
  const names = 'DNS:localhost,IP:127.0.0.1';
  return {
    ours,
    theirs,
    good: ours.issue({ commonName: 'localhost', names }),
    expired: ours.issue({ commonName: 'localhost', names, from: -20, until: -10 }),
    otherName: ours.issue({ commonName: otherName, names: `DNS:${otherName}` }),
    otherAuthority: theirs.issue({ commonName: 'localhost', names }),
  };
}

/** The listeners of a secured broker: what each one wants, or what is wrong with its certificate. */
const listeners = {
  tls: 'SSL',
  mutual: 'SSL',
  expired: 'SSL',
  othername: 'SSL',
  otherauthority: 'SSL',
  sasltls: 'SASL_SSL',
  sasl: 'SASL_PLAINTEXT',
} as const;
export type SecuredListener = keyof typeof listeners;

/** May do nothing until a rule says so. */
export const saslUser = { name: 'leakage', password: 'op/en:%41$es' } as const;

export interface SecuredKafka {
  /** Without any security; whoever comes here may do everything. */
  readonly plain: string;
  readonly at: Readonly<Record<SecuredListener, string>>;
  readonly stop: () => Promise<void>;
}

export interface SecuredKafkaOptions {
  readonly certificates: Certificates;
  /** After so long a client has to log in again. */
  readonly sessionMs?: number;
}

/** A broker of a test's own that lets nobody do anything without a rule (ACL), except at its plain listener. */
export async function startSecuredKafka(o: SecuredKafkaOptions): Promise<SecuredKafka> {
  const names = Object.keys(listeners) as SecuredListener[];
  const ports = await freePorts(names.map(() => 0));
  const places = names.map((name, i) => ({ name: name.toUpperCase(), protocol: listeners[name], port: ports[i] ?? 0 }));
  const scram = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].map(
    (mechanism) => `${mechanism}=[name=${saslUser.name},password=${saslUser.password}]`,
  );
  const kafkaExtras: KafkaExtras = { listeners: places, properties: brokerProperties(o), scram };
  const stack = await firstFree((n) =>
    startLocalStack({
      dataDir: placeOf('kafka', n),
      databaseUrl: 'postgres://not-here',
      empty: true,
      kafkaExtras,
    }),
  );
  return {
    plain: stack.brokers,
    at: Object.fromEntries(places.map(({ port }, i) => [names[i], `127.0.0.1:${port}`])) as SecuredKafka['at'],
    stop: () => stack.stop({ forget: true }),
  };
}

function brokerProperties({ certificates: c, sessionMs }: SecuredKafkaOptions): Record<string, string> {
  const shown: Record<SecuredListener, Certificate> = {
    tls: c.good,
    mutual: c.good,
    expired: c.expired,
    othername: c.otherName,
    otherauthority: c.otherAuthority,
    sasltls: c.good,
    sasl: c.good,
  };
  const properties: Record<string, string> = {
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS',
    'listener.name.mutual.ssl.client.auth': 'required',
    'listener.name.sasltls.sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    'listener.name.sasl.sasl.enabled.mechanisms': 'PLAIN',
    'listener.name.sasltls.scram-sha-256.sasl.jaas.config': `${login('scram.ScramLoginModule')};`,
    'listener.name.sasltls.scram-sha-512.sasl.jaas.config': `${login('scram.ScramLoginModule')};`,
    // Kafka's own, for tests: it believes every token that is not signed.
    'listener.name.sasltls.oauthbearer.sasl.jaas.config': `${login('oauthbearer.OAuthBearerLoginModule')} unsecuredLoginStringClaim_sub="broker";`,
    ...(sessionMs === undefined ? {} : { 'connections.max.reauth.ms': String(sessionMs) }),
  };
  for (const [name, certificate] of Object.entries(shown)) {
    const prefix = `listener.name.${name}.`;
    properties[`${prefix}ssl.keystore.type`] = 'PEM';
    properties[`${prefix}ssl.keystore.location`] = certificate.bundleFile;
    properties[`${prefix}ssl.truststore.type`] = 'PEM';
    properties[`${prefix}ssl.truststore.location`] = c.ours.caFile;
  }
  for (const name of ['sasltls', 'sasl']) {
    properties[`listener.name.${name}.plain.sasl.jaas.config`] =
      `${login('plain.PlainLoginModule')} user_${saslUser.name}="${saslUser.password}";`;
  }
  return properties;
}

const login = (module: string): string => `org.apache.kafka.common.security.${module} required`;

/** Fixed places, so that the next run finds and stops what a killed one left behind. */
function placeOf(server: string, n: number): string {
  return join(dataDirectory(), 'tests', `secured-${n}`, server);
}

/** Users of the secured database server. */
export const databaseUsers = {
  /** With a password, and with TLS only. */
  secured: { name: 'secured', password: 'op/en:%41$es' },
  /** With a certificate whose common name is this, and with a password. */
  certified: { name: 'certified', password: 'second' },
} as const;

export interface SecuredPostgres {
  /** As the owner of everything; from here TLS is not demanded. */
  readonly adminUrl: string;
  /** The same server and database for a user of `databaseUsers`, without any word about TLS. */
  readonly urlOf: (user: keyof typeof databaseUsers) => URL;
  /** New connections meet this certificate. */
  readonly present: (certificate: Certificate) => Promise<void>;
  readonly stop: () => Promise<void>;
}

/** A database server of a test's own that speaks TLS. */
export async function startSecuredPostgres({ ours, good }: Certificates): Promise<SecuredPostgres> {
  const { secured, certified } = databaseUsers;
  const postgresExtras: PostgresExtras = {
    settings: { ssl: 'on', ssl_cert_file: 'tls.pem', ssl_key_file: 'tls.key', ssl_ca_file: 'tls-ca.pem' },
    admission: [
      `hostssl all ${secured.name} 127.0.0.1/32 scram-sha-256`,
      `hostnossl all ${secured.name},${certified.name} 127.0.0.1/32 reject`,
      `hostssl all ${certified.name} 127.0.0.1/32 scram-sha-256 clientcert=verify-full`,
    ],
    files: {
      'tls.pem': readFileSync(good.certFile, 'utf8'),
      'tls.key': readFileSync(good.keyFile, 'utf8'),
      'tls-ca.pem': readFileSync(ours.caFile, 'utf8'),
    },
  };
  const stack = await firstFree((n) =>
    startLocalStack({ dataDir: placeOf('postgres', n), brokers: 'not-here:9092', empty: true, postgresExtras }),
  );
  await withAdmin(stack.databaseUrl, async (pool) => {
    for (const { name, password } of Object.values(databaseUsers)) {
      await pool.query(`create role ${name} login password '${password}'`);
      await pool.query(`grant create, connect, temporary on database main to ${name}`);
    }
  });
  return {
    adminUrl: stack.databaseUrl,
    urlOf: (user) => {
      const url = new URL(stack.databaseUrl);
      url.username = databaseUsers[user].name;
      url.password = encodeURIComponent(databaseUsers[user].password);
      return url;
    },
    present: async ({ certFile, keyFile }) => {
      const folder = join(stack.folder.path, 'postgres');
      // Written into the files that are there: they keep their owner, on whom the server insists.
      writeFileSync(join(folder, 'tls.pem'), readFileSync(certFile));
      writeFileSync(join(folder, 'tls.key'), readFileSync(keyFile));
      await withAdmin(stack.databaseUrl, async (pool) => {
        await pool.query('select pg_reload_conf()');
      });
    },
    stop: () => stack.stop({ forget: true }),
  };
}
