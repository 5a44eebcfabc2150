import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@leakage/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type DataFolder, openDataFolder } from '../../local/index.ts';
import { type RestartLimits, SupervisedService } from './supervisor.ts';

const quick: RestartLimits = { firstPauseMs: 10, longestPauseMs: 40, crashesMax: 3, calmMs: 60_000 };
let base: string;
let folder: DataFolder;
let services: SupervisedService[];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'leakage-supervisor-'));
  folder = openDataFolder(join(base, 'data'));
  services = [];
});
afterEach(async () => {
  await Promise.all(services.map((service) => service.stop()));
  folder.release();
  rmSync(base, { recursive: true });
});

function supervise(code: string, o: { mayFinish?: boolean; limits?: RestartLimits } = {}) {
  const script = join(base, 'service.mjs');
  writeFileSync(script, code);
  const said: string[] = [];
  const service = new SupervisedService(
    { name: 'service', script, env: process.env, mayFinish: o.mayFinish ?? false },
    { folder, cwd: base, say: (line) => said.push(line) },
    o.limits ?? quick,
  );
  services.push(service);
  return { service, said };
}

const countStarts = `import { appendFileSync } from 'node:fs'; appendFileSync('starts', 'x');`;
const starts = () => {
  try {
    return readFileSync(join(base, 'starts'), 'utf8').length;
  } catch {
    return 0;
  }
};

test('what crashes is started again, with its last words in one line, and given up after the cap', async () => {
  const { service, said } = supervise(
    `${countStarts} console.log(JSON.stringify({ level: 'fatal', msg: 'the cellar is flooded' })); process.exit(1);`,
  );
  expect(await service.broken).toMatch(/^service ended with code 1: the cellar is flooded\. See \S+service\.log\.$/);
  expect(starts()).toBe(4);
  expect(said).toHaveLength(3);
  expect(said[0]).toMatch(/^service ended with code 1: the cellar is flooded; it starts again in 1 s \(/);
});

test('wrong settings are not tried again', async () => {
  const { service, said } = supervise(`${countStarts} console.error('SPEED is 0'); process.exit(2);`);
  expect(await service.broken).toMatch(/^service ended with code 2: SPEED is 0\./);
  expect(starts()).toBe(1);
  expect(said).toEqual([]);
});

test('one that may finish is not started again after code 0, any other is', async () => {
  const finishing = supervise(countStarts, { mayFinish: true });
  await eventually(() => finishing.service.over);
  expect(starts()).toBe(1);
  const other = supervise(`${countStarts} process.exit(0);`);
  await other.service.broken;
  expect(starts()).toBe(1 + 4);
});

test('stopping ends it with SIGTERM, and one that was waiting to start again does not', async () => {
  const running = supervise(`${countStarts} process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1e6);`);
  await eventually(() => starts() === 1);
  await running.service.stop();
  const waiting = supervise(`${countStarts} process.exit(1);`, {
    limits: { ...quick, firstPauseMs: 60_000, longestPauseMs: 60_000 },
  });
  await eventually(() => waiting.said.length === 1);
  await waiting.service.stop();
  await sleep(50);
  expect(starts()).toBe(2);
});
