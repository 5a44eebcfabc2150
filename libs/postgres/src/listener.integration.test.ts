import { createLogger } from '@leakage/runtime';
import { eventually, freshDatabase } from '@leakage/testing';
import { expect, test } from 'vitest';
import { startListener } from './listener.ts';
import { createPool } from './pool.ts';

const log = createLogger({ service: 'test', level: 'silent' });

test('a listener hears what is notified, also after its connection was cut', async () => {
  const database = await freshDatabase();
  const pool = createPool({ url: database.url, applicationName: 'test', log });
  const heard: string[] = [];
  const listener = await startListener({
    url: database.url,
    applicationName: 'listening',
    channel: 'leakage_changes_1',
    onNotify: (payload) => heard.push(payload),
    log,
  });
  expect(heard).toEqual(['']);
  await pool.query(`notify leakage_changes_1, 'a'`);
  await eventually(() => heard.at(-1) === 'a');
  await pool.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'listening'`);
  // Told at once after the reconnect, because something may have been missed.
  await eventually(() => heard.length === 3);
  await pool.query(`notify leakage_changes_1, 'b'`);
  await eventually(() => heard.at(-1) === 'b');
  await listener.stop();
  await pool.stop();
  await database.drop();
});
