import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readEnvironmentFile } from '@leakage/runtime';
import { eventually, freshDatabase, freshPrefix, type TestDatabase, testStack } from '@leakage/testing';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 60_000 });

const bin = fileURLToPath(new URL('../../bin/leakage.mjs', import.meta.url));
let database: TestDatabase;
let dataDir: string;
let children: ChildProcess[];

beforeEach(async () => {
  database = await freshDatabase();
  dataDir = mkdtempSync(join(tmpdir(), 'leakage-up-'));
  children = [];
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  await eventually(() => running() === 0, { what: 'the end of all services', withinMs: 60_000 });
  await database.drop();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Services whose record says that they run. Each stops by itself when its parent is gone. */
const records = () => (existsSync(join(dataDir, 'run')) ? readdirSync(join(dataDir, 'run')) : []).filter(isRecord);
const isRecord = (file: string) => file.endsWith('.process.json');
const pids = () =>
  records().map((file) => (JSON.parse(readFileSync(join(dataDir, 'run', file), 'utf8')) as { pid: number }).pid);
const running = () => pids().filter((pid) => existsSync(`/proc/${pid}`)).length;

async function up(args: readonly string[], env: Record<string, string> = {}) {
  const { brokers } = await testStack();
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [bin, 'up', ...args], {
    env: {
      PATH,
      HOME,
      KAFKA_BROKERS: brokers.join(','),
      DATABASE_URL: database.url,
      TOPIC_PREFIX: freshPrefix(),
      LEAKAGE_DATA_DIR: dataDir,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const says = async (text: RegExp) => {
    await eventually(() => text.test(output) || child.exitCode !== null, { withinMs: 180_000 }).catch(() => undefined);
    const found = text.exec(output);
    if (found === null) throw new Error(`${text} is not in the output:\n${output}`);
    return found;
  };
  return { child, says, output: () => output };
}

test('up shows how a small world fills, then its figures, and Ctrl-C leaves nothing behind', async () => {
  const { child, says, output } = await up([], {
    NUM_MEMBERS: '400',
    NUM_DIGITAL_JOURNEYS: '500',
    NUM_CALLS: '12',
    HISTORY_DAYS: '3',
  });
  await says(/Leakage is live/);
  const [, api = ''] = await says(/api\s+(http:\/\/\S+)/);
  await says(/Try next/);
  expect((await fetch(`${api}/v1/daily-leakage-summary`)).status).toBe(200);
  expect(output()).toMatch(/billing\s+\d/);
  expect(output()).toMatch(/events .*calls joined .*leakage = \$/);
  const file = join(dataDir, 'env');
  expect(readEnvironmentFile(file)).toMatchObject({ DATABASE_URL: database.url, TOPIC_PREFIX: expect.any(String) });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect(output()).not.toContain(new URL(database.url).password || 'no password');
  const before = pids();
  expect(before).toHaveLength(6);

  child.kill('SIGINT');
  child.kill('SIGINT'); // the terminal and npm both send it: one wish
  await once(child, 'close');
  expect(child.exitCode).toBe(0);
  expect(output()).toMatch(/Stopping \.\.\.\nStopped\. The data stay in /);
  expect(before.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
  expect(records()).toEqual([]);
  expect(existsSync(file)).toBe(false);
});

test('without the generator it says that it is ready; a taken port is told and replaced; a crash is repaired', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const address = taken.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const { child, says } = await up(['--no-generator'], { API_PORT: String(port) });
  const [, other] = await says(new RegExp(`Port ${port} is taken: the api listens on (\\d+) instead`));
  await says(/Ready: no calls yet/);
  expect((await fetch(`http://127.0.0.1:${other}/livez`)).status).toBe(200);
  expect(records()).not.toContain('generator.process.json');

  const record = JSON.parse(readFileSync(join(dataDir, 'run', 'gold-aggregator.process.json'), 'utf8')) as {
    pid: number;
  };
  process.kill(record.pid, 'SIGKILL');
  await says(/gold-aggregator was ended by SIGKILL.*it starts again in 1 s/);
  await eventually(() => pids().length === 4 && running() === 4, { what: 'four services again' });
  child.kill('SIGTERM');
  await once(child, 'close');
  expect(child.exitCode).toBe(0);
  taken.close();
});

test('after kill -9 of up its services stop by themselves, and another up takes over', async () => {
  const first = await up(['--no-generator']);
  await first.says(/Ready: no calls yet/);
  first.child.kill('SIGKILL');
  const second = await up(['--no-generator']);
  await second.says(/Ready: no calls yet/);
  // The verifier is started behind the others.
  await eventually(() => running() === 5, { what: 'five services again' });
  second.child.kill('SIGINT');
  await once(second.child, 'close');
  expect(second.child.exitCode).toBe(0);
});

test('settings that a service refuses end up with code 1, naming the service and what is wrong', async () => {
  const { child, output } = await up(['--no-generator'], { COST_PER_CALL: 'much' });
  await once(child, 'close');
  expect(child.exitCode).toBe(1);
  expect(output()).toMatch(/gold-aggregator ended with code 2: COST_PER_CALL/);
});
