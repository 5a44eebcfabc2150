import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually, freshPrefix, startServiceProcess, temporaryFolder, testStack } from '@leakage/testing';
import { afterEach, expect, test } from 'vitest';
import type { GeneratorState } from './state-file.ts';

type Running = ReturnType<typeof startServiceProcess>;
const running: Running[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((generator) => generator.stop()));
});

/** A day of a tenth of the preset small, then live at the highest speed. */
async function start(folder: string, prefix: string, env: Record<string, string> = {}): Promise<Running> {
  const { brokers } = await testStack();
  const generator = startServiceProcess('generator', {
    KAFKA_BROKERS: brokers.join(','),
    TOPIC_PREFIX: prefix,
    OUTPUT_PATH: folder,
    ANCHOR_DATE: '2026-03-10',
    HISTORY_DAYS: '1',
    NUM_MEMBERS: '1000',
    NUM_DIGITAL_JOURNEYS: '1285',
    NUM_CALLS: '30',
    SPEED: '3600',
    ...env,
  });
  running.push(generator);
  await generator.ready;
  return generator;
}

interface Answer {
  status: number;
  body: Record<string, unknown> & { error?: string; id?: number; from?: number; until?: number; paused?: boolean };
}

async function ask(folder: string, path: string, body?: object, token?: string): Promise<Answer> {
  const control = JSON.parse(await readFile(join(folder, 'control.json'), 'utf8')) as { port: number; token: string };
  const response = await fetch(`http://127.0.0.1:${control.port}${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { authorization: `Bearer ${token ?? control.token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

const stateOf = async (folder: string): Promise<GeneratorState> =>
  JSON.parse(await readFile(join(folder, 'state.json'), 'utf8')) as GeneratorState;
const planted = async (folder: string): Promise<Record<string, unknown>[]> =>
  (await readFile(join(folder, 'truth.jsonl'), 'utf8'))
    .split('\n')
    .filter((line) => line.startsWith('{"event"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const fix = { errorCode: 'ERR_BILLING_ELIGIBILITY', leakage: 0.8, repeats: 0.2, rolloutDays: 1 };
const outage = { kind: 'outage', source: 'journeys', minutes: 40 };

test('a fix and an outage are kept with the world, stand in its truth, and survive a restart', async () => {
  const [folder, prefix] = [temporaryFolder(), freshPrefix()];
  const generator = await start(folder, prefix);
  const before = await ask(folder, '/status');
  const change = await ask(folder, '/changes', fix);
  const disturbance = await ask(folder, '/disturbances', outage);
  expect([change.status, disturbance.status]).toEqual([200, 200]);
  expect(change.body).toMatchObject({ id: 1, leakage: 0.8, scope: { errorCode: 'ERR_BILLING_ELIGIBILITY' } });
  // Whole hours, which no simulated story has reached.
  expect((change.body.from ?? 1) % 3_600_000).toBe(0);
  expect(change.body.from).toBeGreaterThan(Date.parse(String(before.body.simulated)));
  expect((disturbance.body.until ?? 0) - (disturbance.body.from ?? 0)).toBe(40 * 60_000);
  expect(await generator.stop()).toBe(0);
  await expect(stat(join(folder, 'control.json'))).rejects.toThrow('ENOENT');

  const { changes, disturbances } = await stateOf(folder);
  expect([changes, disturbances]).toEqual([[change.body], [disturbance.body]]);
  expect(await planted(folder)).toMatchObject([
    { event: 'onset' },
    { event: 'change', id: 1 },
    { event: 'disturbance', kind: 'outage', lost: false },
  ]);
  await start(folder, prefix);
  expect((await ask(folder, '/changes', fix)).body.id).toBe(2);
  expect((await ask(folder, '/status')).body).toMatchObject({
    changes: [{ id: 1 }, { id: 2 }],
    disturbances: [{ id: 1 }],
  });
}, 60_000);

test('paused, nothing is sent; a step sends what it reaches', async () => {
  const folder = temporaryFolder();
  await start(folder, freshPrefix());
  await eventually(async () => (await ask(folder, '/status')).body.history === 'published');
  const paused = await ask(folder, '/pause', {});
  expect(paused.body).toMatchObject({ paused: true });
  await eventually(async () => {
    const { body } = await ask(folder, '/status');
    return Date.parse(String(body.nextRecord)) > Date.parse(String(body.simulated));
  });
  const still = await ask(folder, '/status');
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  expect((await ask(folder, '/status')).body).toEqual(still.body);
  await ask(folder, '/step', { minutes: 24 * 60 });
  await eventually(async () => Number((await ask(folder, '/status')).body.records) > Number(still.body.records) + 500);
  const stepped = await ask(folder, '/status');
  expect(Date.parse(String(stepped.body.simulated)) - Date.parse(String(still.body.simulated))).toBe(24 * 3_600_000);
  expect((await ask(folder, '/resume', {})).body.paused).toBe(false);
  expect((await ask(folder, '/speed', { speed: 60 })).body.speed).toBe(60);
}, 60_000);

test('only the owner may steer, and only with what it understands', async () => {
  const folder = temporaryFolder();
  await start(folder, freshPrefix());
  expect((await stat(join(folder, 'control.json'))).mode & 0o777).toBe(0o600);
  expect((await ask(folder, '/status', undefined, 'guess')).status).toBe(401);
  expect((await ask(folder, '/nothing', {})).status).toBe(404);
  const refused = async (path: string, body: object) => {
    const { status, body: answer } = await ask(folder, path, body);
    return [status, answer.error];
  };
  expect(await refused('/changes', { ...fix, leakage: 0 })).toEqual([400, 'leakage must be a number from 0.01 to 100']);
  expect(await refused('/changes', { ...fix, errorCode: 'ERR_NONE' })).toEqual([
    400,
    expect.stringContaining('no failure of this world is in that scope'),
  ]);
  expect(await refused('/disturbances', { ...outage, minutes: 1_000 })).toEqual([
    400,
    'minutes must be a number from 1 to 240',
  ]);
  expect(await refused('/disturbances', { ...outage, source: 'mails' })).toEqual([
    400,
    'source must be one of journeys, calls, members',
  ]);
  expect((await ask(folder, '/status')).body).toMatchObject({ changes: [], disturbances: [] });
}, 60_000);
