import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import kafkajs from 'kafkajs';
import { describe, expect, test } from 'vitest';
import { forbidden, isForbidden, isLoss, mismatch, refusalOf, triedAgain } from './refusals.ts';

const requestThatTimedOut = {
  broker: 'k:9093',
  clientId: 'test',
  correlationId: 1,
  createdAt: 0,
  sentAt: 0,
  pendingDuration: 0,
};
const at = { host: 'k', port: 9093 };
const scram = { mechanism: 'scram-sha-512', username: 'me' };

describe('what a listener speaks, against what we are set to speak', () => {
  test.each([
    ['TLS, and so do we', { ...at, ssl: {} }, { tls: true, mechanisms: null }, null],
    ['TLS, and we do not', at, { tls: true, mechanisms: undefined }, 'set KAFKA_TLS to true'],
    ['no TLS, but we do', { ...at, ssl: {} }, { tls: false, mechanisms: null }, 'set KAFKA_TLS to false, or'],
    ['our login', { ...at, sasl: scram }, { tls: false, mechanisms: ['PLAIN', 'SCRAM-SHA-512'] }, null],
    [
      'another login',
      { ...at, sasl: scram },
      { tls: false, mechanisms: ['PLAIN'] },
      '(it offers PLAIN): set KAFKA_SASL',
    ],
    ['a login, and we have none', at, { tls: false, mechanisms: ['PLAIN'] }, 'wants us to log in (it offers PLAIN)'],
    ['no login, but we have one', { ...at, sasl: scram }, { tls: false, mechanisms: null }, 'lets nobody log in'],
    ['it does not say', { ...at, ssl: {}, sasl: scram }, { tls: true, mechanisms: undefined }, null],
  ] as const)('%s', (_, attempt, listener, words) => {
    const refusal = mismatch(attempt, listener);
    if (words === null) expect(refusal).toBeNull();
    else expect(refusal?.message).toContain(words);
  });
});

/** kafkajs' type knows no argument of it. */
const Refused = kafkajs.KafkaJSSASLAuthenticationError as unknown as new (message: string) => Error;

test('a broker that goes away while somebody logs in has refused nobody', async () => {
  const lost = new Refused('SASL SCRAM SHA512 authentication failed: Closed connection');
  expect(isLoss(lost)).toBe(true);
  expect(await refusalOf(lost, { host: '127.0.0.1', port: 9, sasl: scram })).toBeNull();
  expect(triedAgain(lost, at)).toMatchObject({ retriable: true, broker: 'k:9093' });
  const refused = new Refused('SASL SCRAM SHA512 authentication failed: invalid credentials');
  expect(isLoss(refused)).toBe(false);
  expect(triedAgain(refused, at)).toBe(refused);
  expect((await refusalOf(refused, { ...at, sasl: scram }))?.message).toBe(
    'Kafka at k:9093 refuses user me with SCRAM-SHA-512 (invalid credentials): check KAFKA_USERNAME, KAFKA_PASSWORD and KAFKA_SASL_MECHANISM',
  );
});

test.each(['ECONNREFUSED', 'ENOTFOUND', 'EHOSTUNREACH'])(
  '%s: nobody is asked what the listener speaks',
  async (code) => {
    const error = new kafkajs.KafkaJSConnectionError('Connection error', { broker: 'k:9093', code });
    const begin = performance.now();
    expect(await refusalOf(error, { host: '192.0.2.1', port: 9093 })).toBeNull();
    expect(performance.now() - begin).toBeLessThan(3_000);
  },
);

test.each([
  new kafkajs.KafkaJSConnectionError('Connection timeout', { broker: 'k:9093' }),
  new kafkajs.KafkaJSRequestTimeoutError('Request ApiVersions timed out', requestThatTimedOut),
])('$message: a broker that says nothing is not asked more', async (error) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const begin = performance.now();
  expect(await refusalOf(error, { host: '127.0.0.1', port: (server.address() as AddressInfo).port })).toBeNull();
  expect(performance.now() - begin).toBeLessThan(3_000);
  server.close();
});

test('a rule that forbids several topics is found in the list of what failed', () => {
  const denied = Object.assign(new Error('Not authorized'), { type: 'TOPIC_AUTHORIZATION_FAILED', topic: 'a.calls' });
  const all = new kafkajs.KafkaJSAggregateError('Topic creation errors', [denied]);
  expect(isForbidden(all)).toBe(true);
  expect(isForbidden(new kafkajs.KafkaJSAggregateError('other', [new Error('else')]))).toBe(false);
  expect(forbidden(all, { sasl: scram }, 'k:9093').message).toBe(
    'Kafka at k:9093 does not allow user me what we need (Not authorized, topic a.calls): allow what docs/own-clusters.md lists',
  );
  expect(forbidden(all, { ssl: { cert: 'x' } }, 'k:9093').what).toContain(
    'does not allow the owner of our certificate',
  );
});
