import { createRequire } from 'node:module';
import { connect as connectSocket, createServer, type Server, type Socket } from 'node:net';
import { sleep } from '@leakage/runtime';
import { testStack } from '@leakage/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { repairConnections } from './connection-repairs.ts';
import { until } from './test-pipeline.ts';

interface Connection {
  connect(): Promise<true>;
  disconnect(): Promise<true>;
  sendAuthRequest(o: object): Promise<unknown>;
  send(request: object): Promise<{ readonly errorCode: number; readonly apiVersions: readonly object[] }>;
}

const require = createRequire(import.meta.url);
const NewConnection = require('kafkajs/src/network/connection') as new (options: object) => Connection;
const { requests } = require('kafkajs/src/protocol/requests') as {
  requests: { ApiVersions: { protocol(o: { version: number }): () => object } };
};
const address = (await testStack()).brokers[0] ?? '';
const whole = Number.POSITIVE_INFINITY;
const eventMs = 50;
const mute = { namespace: () => mute, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

repairConnections();

/** Stands before a real broker; of the answers on one socket it lets so many bytes through, then closes it. */
let passes: number;
let open: Socket[];
let gate: Server;
let connection: Connection;

beforeEach(async () => {
  passes = whole;
  open = [];
  const at = address.lastIndexOf(':');
  gate = createServer({ allowHalfOpen: true }, (client) => {
    let left = passes;
    const broker = connectSocket({ host: address.slice(0, at), port: Number(address.slice(at + 1)) });
    open.push(client);
    client.pipe(broker).on('error', () => client.destroy());
    client.on('error', () => undefined).on('close', () => broker.destroy());
    broker.on('data', (answer: Buffer) => {
      client.write(answer.subarray(0, left));
      left -= answer.length;
      if (left <= 0) client.end();
    });
  });
  await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve));
  const gateAt = gate.address();
  connection = new NewConnection({
    host: '127.0.0.1',
    port: gateAt !== null && typeof gateAt === 'object' ? gateAt.port : 0,
    logger: mute,
    requestTimeout: 3_000,
    connectionTimeout: 3_000,
    socketFactory: ({ host, port, onConnect }: { host: string; port: number; onConnect: () => void }) =>
      connectSocket({ host, port }, onConnect),
  });
});

afterEach(async () => {
  for (const socket of open) socket.destroy();
  await connection.disconnect();
  gate.close();
});

const ask = () => connection.send(requests.ApiVersions.protocol({ version: 2 })());

test.each([0, 1, 3, 4, 8, 100])(
  'after a connection that was cut behind %i bytes of an answer, the next one is understood',
  async (bytes) => {
    passes = Math.max(bytes, 0.5);
    await connection.connect();
    await expect(ask()).rejects.toThrow('Closed connection');
    passes = whole;
    await connection.connect();
    expect(await ask()).toMatchObject({ errorCode: 0 });
  },
);

test('those who connect at the same time share one socket', async () => {
  await Promise.all([connection.connect(), connection.connect(), connection.connect()]);
  expect(await ask()).toMatchObject({ errorCode: 0 });
  expect(open.length).toBe(1);
});

test('the old socket may end late: the new one stays', async () => {
  await connection.connect();
  await connection.disconnect();
  await connection.connect();
  await until('the second socket', () => open.length === 2);
  open[0]?.end();
  await sleep(eventMs);
  expect(await ask()).toMatchObject({ errorCode: 0 });
});

test('whoever logs in while the connection is reset hears of it', async () => {
  await connection.connect();
  const login = connection.sendAuthRequest({ request: { encode: () => Buffer.alloc(1) }, response: {} });
  const [heard] = await Promise.allSettled([login, sleep(eventMs).then(() => open[0]?.resetAndDestroy())]);
  expect(heard).toMatchObject({ status: 'rejected', reason: { message: 'Connection closed by the server' } });
});
