import { createLogger } from '@leakage/runtime';
import { freshDatabase, type TestDatabase } from '@leakage/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
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
