// Listeners that say one thing, for what a real broker cannot be made to say; what it does say is in secured.integration.test.ts.

import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { createLogger, kafkaConnectionSettings, loadSettings, RefusedError } from '@leakage/runtime';
import { type Certificates, createCertificates, temporaryFolder } from '@leakage/testing';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { createKafkaClient } from './client.ts';
import { kafkaClientOptions } from './client-options.ts';
import { type Address, probeListener } from './listener-probe.ts';
import { ensureTopics } from './topics.ts';

let certificates: Certificates;
beforeAll(() => {
  certificates = createCertificates(temporaryFolder());
});

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** Says what `answer` makes of the first that it hears, and goes. */
type Answer = (heard: Buffer) => Buffer | null;

async function listen(answer: Answer, certificate?: Certificates['good']): Promise<Address> {
  const address = { host: '127.0.0.1', port: 0 };
  const serve = (socket: Socket): void => {
    socket.on('error', () => undefined);
    socket.once('data', (heard) => {
      const said = answer(heard);
      if (said === null) socket.destroy();
      else socket.end(said);
    });
  };
  const server =
    certificate === undefined
      ? createServer(serve)
      : createTlsServer({ cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) }, serve).on(
          'tlsClientError',
          () => undefined,
        );
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  address.port = (server.address() as AddressInfo).port;
  return address;
}

/** The answer to SaslHandshake: its correlation id, an error code, names. */
function handshake(code: number, ...names: string[]): Answer {
  return (heard) => {
    if (heard.readInt16BE(4) !== 17) return null;
    const list = names.flatMap((name) => [Buffer.from([0, name.length]), Buffer.from(name)]);
    const body = Buffer.concat([heard.subarray(8, 12), Buffer.from([0, code, 0, 0, 0, names.length]), ...list]);
    const length = Buffer.alloc(4);
    length.writeInt32BE(body.length);
    return Buffer.concat([length, body]);
  };
}

test('a listener says whether it wants TLS and a login', async () => {
  const login = handshake(33, 'PLAIN', 'SCRAM-SHA-512');
  expect(await probeListener(await listen(login), null)).toEqual({
    tls: false,
    mechanisms: ['PLAIN', 'SCRAM-SHA-512'],
  });
  expect(await probeListener(await listen(handshake(34)), {})).toEqual({ tls: false, mechanisms: null });
  expect(await probeListener(await listen(login, certificates.good), null)).toEqual({
    tls: true,
    mechanisms: ['PLAIN', 'SCRAM-SHA-512'],
  });
  expect(await probeListener(await listen(handshake(34), certificates.otherAuthority), {})).toEqual({
    tls: true,
    mechanisms: null,
  });
});

test('of something that does not speak Kafka, nothing is said but that it speaks TLS', async () => {
  const hello: Answer = () => Buffer.from('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n');
  expect(await probeListener(await listen(hello), null)).toBeNull();
  expect(await probeListener(await listen(() => null), null)).toBeNull();
  expect(await probeListener(await listen(hello, certificates.good), null)).toEqual({
    tls: true,
    mechanisms: undefined,
  });
  expect(await probeListener(await listen(() => Buffer.alloc(9_000, 1)), null)).toBeNull();
  expect(await probeListener({ host: '127.0.0.1', port: 9 }, null)).toBeNull();
});

test.each([
  ['expired', /^Kafka at 127\.0\.0\.1:\d+ has a certificate that has expired: have it renewed/],
  [
    'otherName',
    /^Kafka at 127\.0\.0\.1:\d+ has a certificate for another name \(.*127\.0\.0\.1.*\): set KAFKA_TLS_SERVER/,
  ],
  [
    'otherAuthority',
    /^Kafka at 127\.0\.0\.1:\d+ has a certificate of an authority that is not trusted \(.*\): set KAFKA_TLS_CA/,
  ],
] as const)(
  'a certificate (%s) that will not do is looked at once, and kafkajs does not try again',
  async (which, words) => {
    const address = await listen(() => null, certificates[which]);
    const settings = loadSettings(kafkaConnectionSettings, {
      KAFKA_BROKERS: `${address.host}:${address.port}`,
      KAFKA_TLS: 'true',
      KAFKA_TLS_CA_FILE: certificates.ours.caFile,
    });
    const log = createLogger({ service: 'test', level: 'silent' });
    const client = createKafkaClient({ ...kafkaClientOptions(settings), clientId: 'test', log });
    const begin = performance.now();
    const error: unknown = await ensureTopics(client, []).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(RefusedError);
    expect((error as Error).message).toMatch(words);
    expect(performance.now() - begin).toBeLessThan(8_000);
  },
);
