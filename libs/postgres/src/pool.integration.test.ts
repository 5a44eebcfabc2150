import { type AddressInfo, createConnection, createServer } from 'node:net';
import { createLogger } from '@leakage/runtime';
import { freePort, freshDatabase, startPostgresProxy, type TestDatabase } from '@leakage/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readAddress } from './address.ts';
import { connect, connectPatiently, defaultGuards } from './connection.ts';
import { createPool, type Pool, PoolBusyError } from './pool.ts';

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await freshDatabase();
  const log = createLogger({ service: 'test', level: 'error' });
  pool = createPool({ url: database.url, applicationName: 'test', max: 1, waitingMax: 2, log });
});

afterAll(async () => {
  await pool.stop();
  await database.drop();
});

test('when enough wait for a connection, one more is told so at once; those who wait get theirs', async () => {
  const release = Promise.withResolvers<void>();
  const lent = Promise.withResolvers<void>();
  const holder = pool.withConnection(async () => {
    lent.resolve();
    await release.promise;
  });
  await lent.promise;
  const waiting = [pool.query('select 1 as one'), pool.query('select 2 as one')];
  await expect(pool.query('select 3 as one')).rejects.toThrow(PoolBusyError);
  release.resolve();
  await holder;
  const answers = await Promise.all(waiting);
  expect(answers.map(({ rows }) => rows[0]?.one)).toEqual([1, 2]);
  expect((await pool.query('select 4 as one')).rows).toEqual([{ one: 4 }]);
});

test('a connection that is lost before its settings are made is made again, also for a statement that is not repeated', async () => {
  const log = createLogger({ service: 'test', level: 'error' });
  const proxy = await startPostgresProxy(database.url);
  const through = createPool({ url: proxy.url, applicationName: 'cut', log });
  const cut = proxy.cutNext('at its first statement', 'cut');
  expect((await through.query('select 1 as one')).rows).toEqual([{ one: 1 }]);
  await cut;
  await through.stop();
  await proxy.stop();
});

test('where nobody answers, the error says where and what to do', async () => {
  const log = createLogger({ service: 'test', level: 'silent' });
  const url = `postgres://localhost:${await freePort()}/main`;
  const asked = connectPatiently((to) => connect({ address: to, applicationName: 'test', guards: defaultGuards }), {
    address: readAddress(url),
    log,
    attempts: 2,
  });
  await expect(asked).rejects.toThrow(
    /^Postgres does not answer at localhost:\d+ \(.*ECONNREFUSED.*\): start it, or set DATABASE_URL to where it runs$/,
  );
});

test('a connection that is terminated in the same packet that ends its handshake costs another one, not the process', async () => {
  const { hostname, port } = new URL(database.url);
  const message = (type: string, body: Buffer): Buffer => {
    const length = Buffer.alloc(4);
    length.writeInt32BE(body.length + 4);
    return Buffer.concat([Buffer.from(type), length, body]);
  };
  const welcome = Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))]);
  const fields = ['SFATAL', 'VFATAL', 'C57P01', 'Mterminating connection due to administrator command', ''];
  const farewell = message('E', Buffer.from(`${fields.join('\0')}\0`));
  let connections = 0;
  const server = createServer((client) => {
    connections += 1;
    if (connections > 1) {
      const real = createConnection({ host: hostname, port: Number(port) });
      for (const socket of [client, real]) socket.on('error', () => undefined);
      client.pipe(real).pipe(client);
    } else {
      client.once('data', () => client.end(Buffer.concat([welcome, farewell])));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = new URL(database.url);
  url.port = String((server.address() as AddressInfo).port);
  const log = createLogger({ service: 'test', level: 'error' });
  const pool = createPool({ url: url.href, applicationName: 'unlucky', log });
  expect((await pool.query<{ n: number }>('select 7 as n')).rows).toEqual([{ n: 7 }]);
  expect(connections).toBe(2);
  await pool.stop();
  server.close();
});
