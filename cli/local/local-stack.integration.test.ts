import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createKafkaClient, ensureTopics } from '@leakage/kafka';
import { createPool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { eventually } from '@leakage/testing';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { holderOf, type LocalStack, startLocalStack } from './index.ts';
import { recordFile } from './launch-record.ts';
import { identityOf, isAlive } from './process-identity.ts';

// A JVM takes seconds to start: where a test is not about Kafka, the brokers count as given, and nobody calls them.
const withoutKafka = { brokers: '127.0.0.1:9' };
const log = createLogger({ service: 'testing', level: 'error' });
const holderScript = fileURLToPath(new URL('./fixtures/hold-stack.ts', import.meta.url));
// A JVM that starts beside everything else that the machine is doing takes its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 });

const folders: string[] = [];
const stacks: LocalStack[] = [];
const children: ChildProcess[] = [];

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const stack of stacks.splice(0)) await stack.stop();
});
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'leakage-stack-'));
  folders.push(folder);
  return folder;
}

async function start(dataDir: string, given: { brokers?: string; databaseUrl?: string } = {}) {
  const said: string[] = [];
  const stack = await startLocalStack({ dataDir, ...given, say: (line) => said.push(line) });
  stacks.push(stack);
  return { stack, said };
}

async function query<T>(url: string, text: string): Promise<T[]> {
  const pool = createPool({ url, applicationName: 'test', max: 1, log });
  try {
    return (await pool.query<T>(text)).rows;
  } finally {
    await pool.stop();
  }
}

const createTopic = (brokers: string) =>
  ensureTopics(createKafkaClient({ brokers: brokers.split(','), clientId: 'test', log }), [
    { name: 'kept', partitions: 3, config: {} },
  ]);

const clusterId = (folder: string) =>
  /cluster\.id=(\S+)/.exec(readFileSync(join(folder, 'kafka', 'log', 'meta.properties'), 'utf8'))?.[1];

const listens = (url: string) =>
  new Promise<boolean>((resolve) => {
    const { hostname, port } = new URL(url.includes('://') ? url : `kafka://${url}`);
    const socket = createConnection({ host: hostname, port: Number(port) });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

test('a second start continues with the data of the first, on other ports, and Kafka says its new address', async () => {
  const folder = newFolder();
  const first = await start(folder);
  await query(first.stack.databaseUrl, 'create table kept as select 42 as answer');
  expect((await createTopic(first.stack.brokers)).created).toEqual(['kept']);
  const firstCluster = clusterId(folder);
  await first.stack.stop();
  for (const { pid } of first.stack.servers) expect(identityOf(pid)).toBeNull();
  expect(await listens(first.stack.brokers)).toBe(false);

  writeFileSync(join(folder, 'run', 'ports.json'), '{}'); // as if the ports of the first start were taken
  const second = await start(folder);
  expect(second.stack.brokers).not.toBe(first.stack.brokers);
  expect(await query(second.stack.databaseUrl, 'select answer from kept')).toEqual([{ answer: 42 }]);
  expect((await createTopic(second.stack.brokers)).created).toEqual([]);
  expect(clusterId(folder)).toBe(firstCluster);
});

test('the database is called main and is empty, the server is version 18 and demands its password', async () => {
  const { stack } = await start(newFolder(), withoutKafka);
  const rows = await query<{ name: string; version: number }>(
    stack.databaseUrl,
    `select current_database() as name, current_setting('server_version_num')::int / 10000 as version`,
  );
  expect(rows).toEqual([{ name: 'main', version: 18 }]);
  const wrong = new URL(stack.databaseUrl);
  wrong.password = 'guess';
  await expect(query(wrong.href, 'select 1')).rejects.toThrow(/password/);
});

test('two starts at once on one folder: one wins, the other is refused with one sentence', async () => {
  const folder = newFolder();
  const results = await Promise.allSettled([1, 2].map(() => holdStack(folder, withoutKafka).ready));
  expect(results.map((result) => result.status).toSorted()).toEqual(['fulfilled', 'rejected']);
  const refused = results.find((result) => result.status === 'rejected');
  expect(String(refused?.reason)).toMatch(/Leakage is already running on the data folder \S+.*\. Stop it first/);
});

test.each([
  ['SIGINT', {}],
  ['SIGTERM', withoutKafka],
] as const)('%s stops everything; the folder is free afterwards', async (signal, given) => {
  const folder = newFolder();
  const holder = holdStack(folder, given);
  const { pids } = await holder.ready;
  expect(pids).not.toEqual([]);
  expect(holderOf(folder)).toBe(holder.child.pid);
  holder.child.kill(signal);
  await eventually(() => holder.child.exitCode !== null, { what: 'the end of the parent', withinMs: 120_000 });
  for (const pid of pids) expect(identityOf(pid)).toBeNull();
  expect(holderOf(folder)).toBeNull();
  for (const name of ['kafka', 'postgres']) expect(existsSync(recordFile(join(folder, 'run'), name))).toBe(false);
});

test('after kill -9 of the parent its servers stop by themselves, and the next start continues with the data', async () => {
  const folder = newFolder();
  const holder = holdStack(folder);
  const { pids, databaseUrl } = await holder.ready;
  await query(databaseUrl, 'create table kept as select 42 as answer');
  holder.child.kill('SIGKILL');
  await eventually(() => pids.every((pid) => identityOf(pid) === null), {
    what: 'the end of the servers',
    withinMs: 60_000,
  });
  const { stack } = await start(folder, withoutKafka);
  expect(await query(stack.databaseUrl, 'select answer from kept')).toEqual([{ answer: 42 }]);
});

test('after kill -9 of the parent and of its keeper too, the next start stops what was left and continues', async () => {
  const folder = newFolder();
  const holder = holdStack(folder);
  const { pids, databaseUrl } = await holder.ready;
  await query(databaseUrl, 'create table kept as select 42 as answer');
  const left = pids.map((pid) => identityOf(pid)).filter((identity) => identity !== null);
  expect(left).toHaveLength(2);
  process.kill(keeperOf(holder.child.pid ?? 0), 'SIGKILL');
  holder.child.kill('SIGKILL');
  await eventually(() => holderOf(folder) === null, { what: 'the lock of the killed parent given back' });
  await sleep(500);
  expect(left.filter(isAlive)).toEqual(left); // the leftovers this test is about

  const { stack, said } = await start(folder, withoutKafka);
  expect(left.filter(isAlive)).toEqual([]);
  expect(said.join('\n')).toContain('killed start had left running');
  expect(await query(stack.databaseUrl, 'select answer from kept')).toEqual([{ answer: 42 }]);
});

function keeperOf(parent: number): number {
  const children = execFileSync('ps', ['-A', '-o', 'pid=,ppid=,args='], { encoding: 'utf8' }).split('\n');
  const line = children.find((text) => Number(text.trim().split(/\s+/)[1]) === parent && text.includes('keeper.ts'));
  return Number(line?.trim().split(/\s+/)[0]);
}

test('a pid that now belongs to another process is left alone', async () => {
  const folder = newFolder();
  const bystander = spawn('sleep', ['60']);
  children.push(bystander);
  mkdirSync(join(folder, 'run'));
  const plan = { title: 'Kafka', order: 2, steps: [['SIGKILL', 1_000]], endsWithParent: false };
  const record = JSON.stringify({ pid: bystander.pid, startedAt: 'another-boot/1', ...plan });
  for (const name of ['kafka', 'postgres']) writeFileSync(recordFile(join(folder, 'run'), name), record);
  const { said } = await start(folder, withoutKafka);
  expect(said.join('\n')).not.toContain('left running');
  expect([bystander.exitCode, bystander.signalCode]).toEqual([null, null]);
});

test('an address that is given replaces that server alone', async () => {
  const onlyPostgres = await start(newFolder(), withoutKafka);
  expect(onlyPostgres.stack.servers.map((server) => server.name)).toEqual(['Postgres']);
  expect(onlyPostgres.stack.brokers).toBe(withoutKafka.brokers);
  const databaseUrl = 'postgres://somebody@127.0.0.1:9/main';
  const onlyKafka = await start(newFolder(), { databaseUrl });
  expect(onlyKafka.stack.servers.map((server) => server.name)).toEqual(['Kafka']);
  expect(onlyKafka.stack.databaseUrl).toBe(databaseUrl);
});

test('a server that ends by itself is noticed', async () => {
  const { stack } = await start(newFolder(), withoutKafka);
  for (const { pid } of stack.servers) process.kill(pid, 'SIGINT');
  expect(await stack.broken).toMatch(/^Postgres ended with code 0; see /);
});

test('forgetting leaves no data, and the next start makes an empty database', async () => {
  const folder = newFolder();
  const first = await start(folder, withoutKafka);
  await query(first.stack.databaseUrl, 'create table gone as select 1');
  await first.stack.stop({ forget: true });
  expect(existsSync(join(folder, 'postgres'))).toBe(false);
  const second = await start(folder, withoutKafka);
  expect(await query(second.stack.databaseUrl, `select to_regclass('gone') as gone`)).toEqual([{ gone: null }]);
});

test('a data folder that cannot be written is named, with the remedy', async () => {
  const folder = join(newFolder(), 'file');
  writeFileSync(folder, '');
  await expect(start(folder, withoutKafka)).rejects.toThrow(/The data folder \S+ cannot be written .*LEAKAGE_DATA_DIR/);
});

interface Holder {
  readonly child: ChildProcess;
  readonly ready: Promise<{ pids: number[]; databaseUrl: string }>;
}

/** A stack held by a process of its own, as `leakage up` holds one; `ready` rejects with what it says when it is refused. */
function holdStack(dataDir: string, given: { brokers?: string } = {}): Holder {
  const child = spawn(process.execPath, [holderScript, dataDir, ...Object.values(given)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  const ready = new Promise<{ pids: number[]; databaseUrl: string }>((resolve, reject) => {
    let [output, problems] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes('\n')) resolve(JSON.parse(output) as { pids: number[]; databaseUrl: string });
    });
    child.stderr.on('data', (chunk: Buffer) => {
      problems += chunk.toString();
    });
    child.once('close', () => reject(new Error(problems)));
  });
  return { child, ready };
}
