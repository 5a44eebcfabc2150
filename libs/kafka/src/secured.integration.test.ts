import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  createLogger,
  kafkaConnectionSettings,
  loadSettings,
  Metrics,
  RefusedError,
  SettingsError,
  sleep,
} from '@leakage/runtime';
import {
  type Certificates,
  createCertificates,
  otherName,
  type SecuredKafka,
  saslUser,
  startSecuredKafka,
  temporaryFolder,
} from '@leakage/testing';
import kafkajs, { type AclEntry } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKafkaClient, type KafkaClient, kafkaOf } from './client.ts';
import { kafkaClientOptions } from './client-options.ts';
import { startConsumer } from './consumer.ts';
import { startPublisher } from './publisher.ts';
import { TestPipeline, until } from './test-pipeline.ts';
import { ensureTopics, topicOffsets } from './topics.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const topic = 'secured.journeys';
const hidden = 'hidden.journeys';
const group = 'secured.reader';
/** kafkajs logs in again 10 s before a session ends: soon and often. */
const sessionMs = 12_000;
/** Less than one wait of a client that tries again for half a minute. */
const atOnceMs = 10_000;

let certificates: Certificates;
let kafka: SecuredKafka;
let identity: TestIdentityProvider;

beforeAll(async () => {
  certificates = createCertificates(temporaryFolder());
  kafka = await startSecuredKafka({ certificates, sessionMs });
  identity = await startIdentityProvider();
  const open = clientOf({ KAFKA_BROKERS: kafka.plain });
  await ensureTopics(open, [
    { name: topic, partitions: 2, config: {} },
    { name: hidden, partitions: 1, config: {} },
  ]);
  const admin = kafkaOf(open).admin();
  await admin.connect();
  await admin.createAcls({ acl: [`User:${saslUser.name}`, 'User:CN=leakage'].flatMap(rulesFor) });
  await admin.disconnect();
});

afterAll(async () => {
  await identity?.stop();
  await kafka?.stop();
});

/** What docs/own-clusters.md says of a service that reads, and of one that writes. */
function rulesFor(principal: string): AclEntry[] {
  const { AclResourceTypes: on, AclOperationTypes: to, AclPermissionTypes, ResourcePatternTypes } = kafkajs;
  const rule = (resourceType: number, resourceName: string, operation: number): AclEntry => ({
    principal,
    host: '*',
    resourceType,
    resourceName,
    operation,
    permissionType: AclPermissionTypes.ALLOW,
    resourcePatternType: ResourcePatternTypes.PREFIXED,
  });
  return [
    rule(on.TOPIC, 'secured.', to.READ),
    rule(on.TOPIC, 'secured.', to.WRITE),
    rule(on.GROUP, 'secured.', to.READ),
  ];
}

function clientOf(env: Readonly<Record<string, string>>): KafkaClient {
  const settings = loadSettings(kafkaConnectionSettings, env);
  return createKafkaClient({ ...kafkaClientOptions(settings), clientId: 'secured-test', log });
}

const tls = () => ({ KAFKA_TLS: 'true', KAFKA_TLS_CA_FILE: certificates.ours.caFile });
const password = { KAFKA_USERNAME: saslUser.name, KAFKA_PASSWORD: saslUser.password };
const token = () => ({
  KAFKA_SASL_MECHANISM: 'oauthbearer',
  KAFKA_OAUTH_TOKEN_URL: identity.url,
  KAFKA_OAUTH_CLIENT_ID: identity.client.id,
  KAFKA_OAUTH_CLIENT_SECRET: identity.client.secret,
});
const scram = () => ({ KAFKA_BROKERS: kafka.at.sasltls, ...tls(), KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512', ...password });
const owned = (commonName: string, authority = certificates.ours) => {
  const { certFile, keyFile } = authority.issue({ commonName });
  return { KAFKA_TLS_CERT_FILE: certFile, KAFKA_TLS_KEY_FILE: keyFile };
};

describe('a cluster lets in whoever has what it wants', () => {
  test.each<[string, () => Record<string, string>]>([
    ['TLS', () => ({ KAFKA_BROKERS: kafka.at.tls, ...tls() })],
    ['mutual TLS', () => ({ KAFKA_BROKERS: kafka.at.mutual, ...tls(), ...owned('leakage') })],
    [
      'TLS under another name',
      () => ({ KAFKA_BROKERS: kafka.at.othername, ...tls(), KAFKA_TLS_SERVER_NAME: otherName }),
    ],
    ['PLAIN over TLS', () => ({ ...scram(), KAFKA_SASL_MECHANISM: 'plain' })],
    ['SCRAM-SHA-256 over TLS', () => ({ ...scram(), KAFKA_SASL_MECHANISM: 'scram-sha-256' })],
    ['SCRAM-SHA-512 over TLS', scram],
    ['OAUTHBEARER over TLS', () => ({ KAFKA_BROKERS: kafka.at.sasltls, ...tls(), ...token() })],
    ['PLAIN without TLS', () => ({ KAFKA_BROKERS: kafka.at.sasl, KAFKA_SASL_MECHANISM: 'plain', ...password })],
  ])('%s', async (_, env) => {
    expect(await topicOffsets(clientOf(env()), [topic])).toHaveLength(2);
  });
});

describe('what a cluster refuses is said at once, in one sentence, with the setting to mend', () => {
  const cases: [string, () => Record<string, string>, RegExp][] = [
    [
      'a wrong password (PLAIN)',
      () => ({ ...scram(), KAFKA_SASL_MECHANISM: 'plain', KAFKA_PASSWORD: 'guess' }),
      /^Kafka at 127\.0\.0\.1:\d+ refuses user leakage with PLAIN \(.*invalid.*\): check KAFKA_USERNAME, KAFKA_PASSWORD and KAFKA_SASL_MECHANISM$/i,
    ],
    [
      'a wrong password (SCRAM)',
      () => ({ ...scram(), KAFKA_PASSWORD: 'guess' }),
      /^Kafka at 127\.0\.0\.1:\d+ refuses user leakage with SCRAM-SHA-512 \(.*credentials.*\): check KAFKA_USERNAME/,
    ],
    [
      'an unknown user',
      () => ({ ...scram(), KAFKA_USERNAME: 'nobody' }),
      /^Kafka at 127\.0\.0\.1:\d+ refuses user nobody with SCRAM-SHA-512 \(.*\): check KAFKA_USERNAME/,
    ],
    [
      'a mechanism that is not offered',
      () => ({ KAFKA_BROKERS: kafka.at.sasl, KAFKA_SASL_MECHANISM: 'scram-sha-512', ...password }),
      /^Kafka at 127\.0\.0\.1:\d+ does not know the login SCRAM-SHA-512 \(it offers PLAIN\): set KAFKA_SASL_MECHANISM to one that it offers$/,
    ],
    [
      'no login where one is wanted',
      () => ({ KAFKA_BROKERS: kafka.at.sasltls, ...tls() }),
      /^Kafka at 127\.0\.0\.1:\d+ wants us to log in \(it offers .*SCRAM-SHA-512.*\): set KAFKA_SASL_MECHANISM and what belongs to it$/,
    ],
    [
      'a login where nobody can log in',
      () => ({ ...scram(), KAFKA_BROKERS: kafka.at.tls }),
      /^Kafka at 127\.0\.0\.1:\d+ lets nobody log in on this port: unset KAFKA_SASL_MECHANISM/,
    ],
    [
      'no TLS where it is spoken',
      () => ({ KAFKA_BROKERS: kafka.at.tls }),
      /^Kafka at 127\.0\.0\.1:\d+ speaks TLS on this port: set KAFKA_TLS to true$/,
    ],
    [
      'TLS where it is not spoken',
      () => ({ KAFKA_BROKERS: kafka.plain, ...tls() }),
      /^Kafka at 127\.0\.0\.1:\d+ does not speak TLS on this port: set KAFKA_TLS to false, or KAFKA_BROKERS to the port of its listener SSL or SASL_SSL$/,
    ],
    [
      'a certificate that has expired',
      () => ({ KAFKA_BROKERS: kafka.at.expired, ...tls() }),
      /^Kafka at 127\.0\.0\.1:\d+ has a certificate that has expired: have it renewed, or mend the clock of this machine$/,
    ],
    [
      'a certificate for another name',
      () => ({ KAFKA_BROKERS: kafka.at.othername, ...tls() }),
      /^Kafka at 127\.0\.0\.1:\d+ has a certificate for another name \(.*127\.0\.0\.1.*\): set KAFKA_TLS_SERVER_NAME/,
    ],
    [
      'a certificate of an unknown authority',
      () => ({ KAFKA_BROKERS: kafka.at.otherauthority, ...tls() }),
      /^Kafka at 127\.0\.0\.1:\d+ has a certificate of an authority that is not trusted \(.*\): set KAFKA_TLS_CA_FILE to the PEM file of the authority that has signed it$/,
    ],
    [
      'no CA file for a private authority',
      () => ({ KAFKA_BROKERS: kafka.at.tls, KAFKA_TLS: 'true' }),
      /authority that is not trusted \(.*\): set KAFKA_TLS_CA_FILE/,
    ],
    [
      'no certificate of ours where one is wanted',
      () => ({ KAFKA_BROKERS: kafka.at.mutual, ...tls() }),
      /^Kafka at 127\.0\.0\.1:\d+ wants a certificate of ours: set KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE$/,
    ],
    [
      'a certificate of ours by another authority',
      () => ({ KAFKA_BROKERS: kafka.at.mutual, ...tls(), ...owned('leakage', certificates.theirs) }),
      /^Kafka at 127\.0\.0\.1:\d+ does not accept our certificate \(.*\): set KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE to one/,
    ],
    [
      'a token that the broker does not accept',
      () => ({ KAFKA_BROKERS: kafka.at.sasltls, ...tls(), ...token(), KAFKA_OAUTH_SCOPE: 'expired' }),
      /^Kafka at 127\.0\.0\.1:\d+ refuses the token of client leakage-client \(.*invalid_token.*\): check KAFKA_OAUTH_SCOPE/,
    ],
    [
      'a client that the token endpoint does not know',
      () => ({ KAFKA_BROKERS: kafka.at.sasltls, ...tls(), ...token(), KAFKA_OAUTH_CLIENT_SECRET: 'guess' }),
      /^The token endpoint http:\S+ refuses client leakage-client \(status 401, invalid_client\): check KAFKA_OAUTH_CLIENT_ID and KAFKA_OAUTH_CLIENT_SECRET$/,
    ],
  ];

  test.each(cases)('%s', async (_, env, sentence) => {
    const client = clientOf(env());
    const begin = performance.now();
    const error: unknown = await ensureTopics(client, []).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(RefusedError);
    expect(String(error)).toMatch(new RegExp(sentence.source.replace('^', '^RefusedError: '), sentence.flags));
    expect(performance.now() - begin).toBeLessThan(atOnceMs);
  });

  test.each(cases.slice(0, 4))('%s: a publisher is told as well', async (_, env, sentence) => {
    const begin = performance.now();
    await expect(startPublisher(clientOf(env()), { log })).rejects.toThrow(sentence);
    expect(performance.now() - begin).toBeLessThan(atOnceMs);
  });

  test('a topic that a rule keeps from us', async () => {
    const client = clientOf(scram());
    const sentence =
      /^Kafka at 127\.0\.0\.1:\d+ does not allow user leakage what we need \(.*uthorized.*\): allow what docs\/own-clusters\.md lists$/;
    await expect(topicOffsets(client, [hidden])).rejects.toThrow(sentence);
    await expect(ensureTopics(client, [{ name: hidden, partitions: 1, config: {} }])).rejects.toThrow(sentence);
  });

  test('a CA file that is not there, before anything is connected', () => {
    expect(() => clientOf({ ...scram(), KAFKA_TLS_CA_FILE: '/nowhere/ca.pem' })).toThrow(SettingsError);
  });
});

test('a topic of which only the data may be read: nobody can say whether its settings differ', async () => {
  const { created, differences } = await ensureTopics(clientOf(scram()), [
    { name: topic, partitions: 2, config: { 'cleanup.policy': 'delete' } },
  ]);
  expect(created).toEqual([]);
  expect(differences).toEqual([`topic ${topic} may not be checked: allow us DescribeConfigs on it`]);
});

test.each<[string, () => Record<string, string>]>([
  ['SCRAM-SHA-512', scram],
  ['OAUTHBEARER', () => ({ KAFKA_BROKERS: kafka.at.sasltls, ...tls(), ...token() })],
])('%s over TLS: records go in and come out, and go on doing so when sessions end', async (mechanism, env) => {
  const client = clientOf(env());
  const pipeline = new TestPipeline();
  const publisher = await startPublisher(client, { log });
  const consumer = await startConsumer({
    kafka: client,
    groupId: `${group}-${mechanism}`,
    topics: [topic],
    positions: pipeline.store,
    stage: pipeline.stage(),
    log,
    metrics: new Metrics(),
  });
  const before = (await topicOffsets(client, [topic])).reduce((sum, { high }) => sum + high, 0);
  const asked = identity.tokens();
  let sent = before;
  for (const end = performance.now() + sessionMs + 4_000; performance.now() < end; sent += 20) {
    const batch = Array.from({ length: 20 }, (_, i) => ({ topic, key: `M${i}`, value: Buffer.from(`${sent + i}`) }));
    await Promise.race([publisher.publish(batch), consumer.failed]);
    await sleep(250);
  }
  await Promise.race([until('everything is applied', () => pipeline.total >= sent), consumer.failed]);
  expect(pipeline.total).toBe(sent);
  if (mechanism === 'OAUTHBEARER') expect(identity.tokens() - asked).toBeGreaterThan(2);
  await consumer.stop();
  await publisher.stop();
});

interface TestIdentityProvider {
  readonly url: string;
  readonly client: { readonly id: string; readonly secret: string };
  /** How many tokens it has given. */
  readonly tokens: () => number;
  readonly stop: () => Promise<void>;
}

/** A token endpoint as RFC 6749 wants it, with tokens that are not signed. The scope "expired" gives one that is over. */
async function startIdentityProvider(): Promise<TestIdentityProvider> {
  const client = { id: 'leakage-client', secret: 's%/e :c' };
  const tokenSeconds = 20;
  let tokens = 0;
  const authorization = `Basic ${Buffer.from(`${client.id}:${encodeURIComponent(client.secret).replace('%20', '+')}`).toString('base64')}`;
  const grant = (sent: string | undefined, form: URLSearchParams): [number, object] => {
    if (sent !== authorization) return [401, { error: 'invalid_client' }];
    if (form.get('grant_type') !== 'client_credentials') return [400, { error: 'unsupported_grant_type' }];
    tokens += 1;
    const now = Math.floor(Date.now() / 1000);
    const life = form.get('scope') === 'expired' ? -600 : tokenSeconds;
    const part = (content: object) => Buffer.from(JSON.stringify(content)).toString('base64url');
    const claims = part({ sub: saslUser.name, iat: now - 1_000, exp: now + life });
    return [200, { access_token: `${part({ alg: 'none' })}.${claims}.`, expires_in: tokenSeconds }];
  };
  const server: Server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
    request.on('end', () => {
      const [status, content] = grant(request.headers.authorization, new URLSearchParams(body));
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(content));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    client,
    tokens: () => tokens,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
