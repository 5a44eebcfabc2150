import { createPool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { expect, test } from 'vitest';
import { freshDatabase, freshPrefix, testStack } from './index.ts';

const log = createLogger({ service: 'testing', level: 'error' });

test('the servers of a run have addresses', async () => {
  const { brokers, adminUrl } = await testStack();
  expect(brokers.every((broker) => /^[^:]+:\d+$/.test(broker))).toBe(true);
  expect(new URL(adminUrl).protocol).toMatch(/^postgres(ql)?:$/);
});

test('a fresh database is empty, another one than the administrator’s, and gone after drop, even in use', async () => {
  const { url, drop } = await freshDatabase();
  expect(url).not.toBe((await testStack()).adminUrl);
  const pool = createPool({ url, applicationName: 'test', max: 1, log });
  const { rows } = await pool.query<{ tables: number }>(
    `select count(*)::int as tables from pg_tables where schemaname = 'public'`,
  );
  expect(rows).toEqual([{ tables: 0 }]);
  await drop();
  await expect(pool.query('select 1')).rejects.toThrow(/terminat|has no database|closed/);
  await pool.stop();
});

test('prefixes differ and are names that Kafka accepts', () => {
  const [first, second] = [freshPrefix(), freshPrefix()];
  expect(first).not.toBe(second);
  expect(first).toMatch(/^[a-z0-9.]{1,100}$/);
});
