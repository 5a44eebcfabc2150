import { afterEach, beforeEach, expect, test } from 'vitest';
import { type HealthServer, HealthState, startHealthServer } from './health.ts';
import { Metrics } from './metrics.ts';

let server: HealthServer;
let health: HealthState;
beforeEach(async () => {
  health = new HealthState();
  server = await startHealthServer({ host: '127.0.0.1', port: 0, health, metrics: new Metrics() });
});
afterEach(() => server.stop());

const status = async (path: string): Promise<number> => (await fetch(`http://127.0.0.1:${server.port}${path}`)).status;

test('ready is what every declared check says, whichever came last', async () => {
  health.setReady('database', true);
  expect(await status('/readyz')).toBe(200);
  health.setReady('views of gold', false, 'waiting for gold-aggregator');
  const answer = await fetch(`http://127.0.0.1:${server.port}/readyz?verbose`);
  expect(answer.status).toBe(503);
  expect(await answer.json()).toEqual({
    ready: false,
    checks: { database: { ok: true }, 'views of gold': { ok: false, detail: 'waiting for gold-aggregator' } },
  });
  health.setReady('views of gold', true);
  expect(await status('/readyz')).toBe(200);
});

test('a process that failed is neither live nor ready', async () => {
  expect(await status('/livez')).toBe(200);
  health.fail('the log was replaced');
  expect(await status('/livez')).toBe(503);
  expect(await status('/readyz')).toBe(503);
});

test('an answer ends its connection: no later question meets the end of an idle one', async () => {
  const answer = await fetch(`http://127.0.0.1:${server.port}/livez`);
  expect(answer.headers.get('connection')).toBe('close');
});
