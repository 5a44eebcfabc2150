import { createLogger } from '@leakage/runtime';
import { freePort, freshDatabase, startPostgresProxy, type TestDatabase } from '@leakage/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
  const asked = connectPatiently(() => connect({ url, applicationName: 'test', guards: defaultGuards }), {
    url,
    log,
    attempts: 2,
  });
  await expect(asked).rejects.toThrow(
    /^Postgres does not answer at localhost:\d+ \(.*ECONNREFUSED.*\): start it, or set DATABASE_URL to where it runs$/,
  );
});
