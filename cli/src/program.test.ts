import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Command } from 'commander';
import { afterAll, expect, test, vi } from 'vitest';
import { createProgram } from './main.ts';
import { owningServices } from './service-once.ts';

vi.setConfig({ testTimeout: 120_000 }); // a Node process for each question

const bin = fileURLToPath(new URL('../bin/leakage.mjs', import.meta.url));
const projectFolder = fileURLToPath(new URL('../../', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'leakage-program-'));
afterAll(() => rmSync(home, { recursive: true }));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly problems: string;
}

/** Runs the program as a person does, in an environment of its own. */
function leakage(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const own = { PATH: process.env.PATH ?? '', HOME: home, LEAKAGE_DATA_DIR: join(home, 'data'), ...env };
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, ...args], { env: own, timeout: 60_000 }, (error, out, problems) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), out, problems });
    });
  });
}

test('every command has a summary, a description and an example', () => {
  const commands = createProgram().commands;
  expect(commands.map((command) => command.name())).toEqual(
    expect.arrayContaining(['up', 'doctor', 'import', 'verify']),
  );
  for (const command of commands) {
    expect(command.summary(), command.name()).not.toBe('');
    expect(helpOf(command), command.name()).toMatch(/Examples?:\n {2}\$ .*npx leakage /);
  }
});

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => (text += part) });
  command.outputHelp();
  return text;
}

test('help is no failure, and wrong usage is code 2 with a sentence', async () => {
  expect((await leakage(['--help'])).code).toBe(0);
  expect((await leakage(['up', '--help'])).code).toBe(0);
  const unknown = await leakage(['upp']);
  expect(unknown.code).toBe(2);
  expect(unknown.problems).toMatch(/unknown command 'upp'/);
  expect((await leakage(['doctor', '--bogus'])).code).toBe(2);
});

test('every service answers --help, and those that own a part of the database can prepare and check it', async () => {
  const help = (name: string) =>
    promisify(execFile)(process.execPath, [join(projectFolder, 'services', name, 'src', 'main.ts'), '--help']);
  const services = readdirSync(join(projectFolder, 'services'));
  expect(services).toEqual(expect.arrayContaining([...owningServices]));
  for (const name of services) {
    const { stdout } = await help(name);
    expect(stdout, name).toContain(`Usage: npx node services/${name}/src/main.ts`);
    expect(stdout, name).toContain('  LOG_LEVEL  (');
    const owns = owningServices.some((one) => one === name);
    expect([stdout.includes('  --prepare '), stdout.includes('  --check ')], name).toEqual([owns, owns]);
  }
});

test('all wrong settings of up are said at once, with code 2, before anything starts', async () => {
  const { code, problems } = await leakage(['up'], { API_PORT: 'http', KAFKA_BROKERS: 'nowhere' });
  expect(code).toBe(2);
  expect(problems).toMatch(/KAFKA_BROKERS/);
  expect(problems).toMatch(/API_PORT/);
});

test('up says at once that a server that was given does not answer', async () => {
  const nowhere = { KAFKA_BROKERS: '127.0.0.1:9', DATABASE_URL: 'postgres://u:secret@127.0.0.1:9/main' };
  const { code, problems } = await leakage(['up'], nowhere);
  expect(code).toBe(1);
  expect(problems).toMatch(/^Kafka: nothing listens at 127\.0\.0\.1:9\. Start it, or set KAFKA_BROKERS/);
});

test('--empty asks, and where nobody can answer it wants --yes; data that are elsewhere it never touches', async () => {
  const silent = await leakage(['up', '--empty']);
  expect(silent).toMatchObject({ code: 2, problems: expect.stringContaining('add --yes') });
  const elsewhere = await leakage(['up', '--empty', '--yes'], { DATABASE_URL: 'postgres://somewhere/main' });
  expect(elsewhere).toMatchObject({ code: 2, problems: expect.stringContaining('DATABASE_URL points elsewhere') });
});

test('a command that needs the servers says how to start them when there are none', async () => {
  const { code, problems } = await leakage(['verify']);
  expect(code).toBe(1);
  expect(problems).toMatch(/^DATABASE_URL is set neither in the environment nor in \S+env: start .* npm start/);
});

test('a command says at once that the servers it was told of are not there', async () => {
  const nowhere = { KAFKA_BROKERS: '127.0.0.1:9', DATABASE_URL: 'postgres://u:secret@127.0.0.1:9/main' };
  const { code, problems } = await leakage(['verify'], nowhere);
  expect(code).toBe(1);
  expect(problems).toMatch(/^Postgres does not answer at postgres:\/\/u:\*\*\*@127.+nothing listens there.+npm start/);
});

test('doctor lists what is missing with its remedy, as text and as JSON, with code 3', async () => {
  const onlyNode = join(home, 'bin');
  mkdirSync(onlyNode);
  symlinkSync(process.execPath, join(onlyNode, 'node'));
  for (const tool of ['id', 'setpriv', 'true']) linkTool(tool, onlyNode);
  const env = { PATH: onlyNode, XDG_CACHE_HOME: join(home, 'cache'), JAVA_HOME: '' };
  const text = await leakage(['doctor'], env);
  expect(text.code).toBe(3);
  expect(text.out).toMatch(/no\s+Java\s+Java is not installed\.\n\s+Install a JDK of version 17 or newer/);
  expect(text.out).toMatch(/no\s+Maven\s+Maven \(mvn\) is not installed/);
  const json = await leakage(['doctor', '--json'], env);
  expect(json.code).toBe(3);
  const report = JSON.parse(json.out) as {
    ok: boolean;
    checks: { name: string; state: string; remedy: string | null }[];
  };
  expect(report.ok).toBe(false);
  expect(report.checks.filter((check) => check.state === 'no').map((check) => check.name)).toEqual(['Java', 'Maven']);
});

function linkTool(tool: string, folder: string): void {
  for (const place of ['/usr/bin', '/bin', dirname(process.execPath)]) {
    try {
      symlinkSync(join(place, tool), join(folder, tool));
      return;
    } catch (error) {
      if (error instanceof Error && error.message.includes('EEXIST')) return;
      throw error;
    }
  }
}

test('doctor says that nothing listens at an address that was given', async () => {
  const { code, out } = await leakage(['doctor'], {
    KAFKA_BROKERS: '127.0.0.1:9',
    DATABASE_URL: 'postgres://u:secret@127.0.0.1:9/main',
  });
  expect(code).toBe(3);
  expect(out).toMatch(/no\s+Kafka\s+nothing listens at 127\.0\.0\.1:9/);
  expect(out).toMatch(/no\s+Postgres\s+nothing listens at postgres:\/\/u:\*\*\*@127\.0\.0\.1:9\/main/);
});
