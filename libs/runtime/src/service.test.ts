import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

const fixture = resolve(import.meta.dirname, '../fixtures/service.ts');
let dataDir: string;
/** Whatever a failed test leaves behind is ended. */
const started: ChildProcess[] = [];

beforeAll(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'runtime-'));
});
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

interface Line {
  readonly level: string;
  readonly msg: string;
  readonly health?: string;
  readonly name?: string;
  readonly [field: string]: unknown;
}

class Running {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';

  constructor(child: ChildProcess) {
    this.child = child;
    started.push(child);
    child.stdout?.on('data', (chunk: Buffer) => (this.stdout += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (this.stderr += chunk.toString()));
  }

  get lines(): Line[] {
    return this.stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line);
  }

  async said(msg: string): Promise<Line> {
    for (;;) {
      const line = this.lines.find((one) => one.msg === msg);
      if (line !== undefined) return line;
      if (this.child.exitCode !== null) throw new Error(`it ended without "${msg}": ${this.stdout}${this.stderr}`);
      await new Promise((wake) => setTimeout(wake, 10));
    }
  }

  async end(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    await new Promise((wake) => setTimeout(wake, 20));
    return this.child.exitCode;
  }

  stoppedParts(): unknown[] {
    return this.lines.filter((line) => line.msg === 'part stopped').map((line) => line.name);
  }
}

function run(env: Record<string, string> = {}, args: readonly string[] = []): Running {
  return new Running(
    spawn(process.execPath, [fixture, ...args], {
      env: { LEAKAGE_DATA_DIR: dataDir, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
}

test('it starts, is live and ready, serves metrics, and SIGTERM stops its parts in reverse with exit code 0', async () => {
  const service = run();
  await service.said('started');
  const address = (await service.said('starting')).health ?? '';
  expect(await (await fetch(`${address}/livez`)).json()).toEqual({ alive: true, failure: null });
  const ready = await fetch(`${address}/readyz`);
  expect(ready.status).toBe(200);
  expect(await ready.json()).toEqual({ ready: true, checks: { running: { ok: true }, work: { ok: true } } });
  expect(await (await fetch(`${address}/metrics`)).text()).toContain('process_cpu_seconds_total');
  expect((await fetch(`${address}/other`)).status).toBe(404);
  service.child.kill('SIGTERM');
  expect(await service.end()).toBe(0);
  expect(service.stoppedParts()).toEqual(['last', 'first']);
  expect(service.lines.at(-1)).toMatchObject({ msg: 'stopped', clean: true });
});

test('SIGTERM during the start aborts it, and what was started is stopped', async () => {
  const service = run({ MODE: 'slow-start' });
  const address = (await service.said('starting')).health ?? '';
  await service.said('waiting');
  const notReady = await fetch(`${address}/readyz`);
  expect(notReady.status).toBe(503);
  service.child.kill('SIGTERM');
  expect(await service.end()).toBe(0);
  expect(service.stoppedParts()).toEqual(['first']);
});

test('a start that does not heed the request to stop ends at the deadline, with exit code 1', async () => {
  const service = run({ MODE: 'deaf-start' });
  await service.said('waiting');
  service.child.kill('SIGTERM');
  expect(await service.end()).toBe(1);
  expect(service.stdout).toContain('the start did not heed the request to stop');
});

test('a failed start is rolled back, said in one sentence, exit code 1', async () => {
  const service = run({ MODE: 'broken-start' });
  expect(await service.end()).toBe(1);
  expect(service.stoppedParts()).toEqual(['first']);
  expect(service.lines.filter((line) => line.level === 'fatal').map((line) => line.msg)).toEqual([
    'start failed: no database at all',
  ]);
});

test('a part that does not stop in time costs the exit code, not the other parts', async () => {
  const service = run({ MODE: 'hangs' });
  await service.said('started');
  service.child.kill('SIGTERM');
  expect(await service.end()).toBe(1);
  expect(service.stdout).toContain('stuck did not stop cleanly');
  expect(service.stoppedParts()).toContain('last');
});

test('a second signal ends a stop that takes too long at once', async () => {
  const service = run({ MODE: 'hangs' });
  await service.said('started');
  service.child.kill('SIGTERM');
  await service.said('stopping');
  service.child.kill('SIGTERM');
  expect(await service.end()).toBe(1);
  expect(service.stdout).toContain('asked twice to stop');
});

test('a part that fails stops the others and ends the service with exit code 1', async () => {
  const service = run({ MODE: 'part-fails' });
  expect(await service.end()).toBe(1);
  expect(service.lines.some((line) => line.level === 'fatal' && line.msg === 'weak failed: the log was replaced')).toBe(
    true,
  );
  expect(service.stoppedParts()).toContain('first');
});

test.each(['throws', 'rejects'])(
  'an error that nobody expected (%s) ends the process with exit code 1',
  async (mode) => {
    const service = run({ MODE: mode });
    expect(await service.end()).toBe(1);
    expect(service.lines.filter((line) => line.level === 'fatal')).toHaveLength(1);
  },
);

test('a service that has done its work ends with exit code 0', async () => {
  const service = run({ MODE: 'done' });
  expect(await service.end()).toBe(0);
  expect(service.lines.some((line) => line.msg === 'stopping' && line.reason === 'all is done')).toBe(true);
});

test('it stops when the parent that started it goes away', async () => {
  const service = new Running(fork(fixture, { env: { LEAKAGE_DATA_DIR: dataDir }, silent: true }));
  await service.said('started');
  service.child.disconnect();
  expect(await service.end()).toBe(0);
  expect(service.stdout).toContain('the parent process is gone');
});

test('all problems with settings are said at once, without secrets, exit code 2', async () => {
  const service = run({ MODE: 'wild', COUNT: '12', SECRET_URL: 'mysql://me:hunter2@host/db' });
  expect(await service.end()).toBe(2);
  expect(service.stderr.trim().split('\n')).toHaveLength(3);
  expect(service.stderr).toContain('COUNT must be an integer from 1 to 9, not "12"');
  expect(service.stderr).not.toContain('hunter2');
  expect(service.stdout).toBe('');
});

test('--help shows every setting with its default; another argument is refused', async () => {
  const help = run({}, ['--help']);
  expect(await help.end()).toBe(0);
  for (const name of ['MODE', 'COUNT', 'SECRET_URL', 'LOG_LEVEL', 'METRICS_PORT'])
    expect(help.stdout).toContain(`  ${name}  (`);
  const wrong = run({}, ['--fast']);
  expect(await wrong.end()).toBe(2);
});

test('--prepare does that and ends: nothing is started, and a failure is the last line', async () => {
  const done = run({}, ['--prepare']);
  expect(await done.end()).toBe(0);
  expect(done.lines.map((line) => line.msg)).toEqual(['prepared']);
  const failed = run({ MODE: 'broken-start' }, ['--prepare']);
  expect(await failed.end()).toBe(1);
  expect(failed.lines.map((line) => line.msg)).toEqual(['--prepare failed: no right to do this']);
  const both = run({}, ['--prepare', '--fast']);
  expect(await both.end()).toBe(2);
});

test('--check says what is missing, with exit code 3', async () => {
  const fine = run({}, ['--check']);
  expect([await fine.end(), fine.stdout]).toEqual([0, '']);
  const lacking = run({ MODE: 'broken-start' }, ['--check']);
  expect(await lacking.end()).toBe(3);
  expect(lacking.lines.map((line) => line.msg)).toEqual(['a table is missing']);
});

test('--judge answers every line in order, keeps stdout for that, and ends with its questions', async () => {
  const asked = (mode: string, text: string): Running => {
    const child = spawn(process.execPath, [fixture, '--judge'], {
      env: { LEAKAGE_DATA_DIR: dataDir, MODE: mode },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.end(text);
    return new Running(child);
  };
  // More than a pipe holds, and no end of line behind the last one.
  const many = Array.from({ length: 5_000 }, (_, nr) => `question ${nr} ${'x'.repeat(100)}`);
  const judged = asked('well', many.join('\n'));
  expect(await judged.end()).toBe(0);
  expect(judged.stdout.split('\n')).toEqual([...many.map((question) => question.toUpperCase()), '']);
  expect(judged.stderr).toContain('"msg":"judging"');
  const failed = asked('broken-start', 'why\n');
  expect([await failed.end(), failed.stdout]).toEqual([1, '']);
  expect(failed.stderr).toContain('--judge failed: no rules at all');
});

test('a variable that is not set comes from the file of the local stack', async () => {
  writeFileSync(join(dataDir, 'env'), 'COUNT="77"\n');
  const fromFile = run();
  expect(await fromFile.end()).toBe(2);
  expect(fromFile.stderr).toContain('not "77"');
  const overruled = run({ COUNT: '3' });
  await overruled.said('started');
  overruled.child.kill('SIGINT');
  expect(await overruled.end()).toBe(0);
  rmSync(join(dataDir, 'env'));
});

test('a port that is taken is said clearly', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const service = run({ METRICS_PORT: String(port) });
  expect(await service.end()).toBe(1);
  expect(service.stdout).toContain('another program uses that port');
  server.close();
});
