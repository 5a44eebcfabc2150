import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually, freshPrefix, temporaryFolder, testStack } from '@leakage/testing';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('../../bin/leakage.mjs', import.meta.url));

async function generate(...flags: string[]) {
  const { brokers } = await testStack();
  const env = {
    PATH: process.env.PATH,
    KAFKA_BROKERS: brokers.join(','),
    TOPIC_PREFIX: freshPrefix(),
    LEAKAGE_DATA_DIR: '/nonexistent',
  };
  const child = spawn(process.execPath, [program, 'generate', ...flags], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = once(child, 'close').then(([code]) => code as number | null);
  return { child, ended, output: () => output };
}

const small = ['--num-members', '1000', '--num-digital-journeys', '1285', '--num-calls', '30', '--history-days', '2'];

test('publishes a history and ends; the flags are its settings', async () => {
  const folder = temporaryFolder();
  const { ended, output } = await generate(...small, '--seed', '7', '--output-path', folder, '--history-only');
  expect([await ended, output()]).toEqual([0, expect.stringContaining('history published')]);
  expect(JSON.parse(await readFile(join(folder, 'state.json'), 'utf8'))).toMatchObject({
    shape: { seed: 7, members: 1_000 },
  });
});

test('goes on live until it is asked to stop, and ends in order', async () => {
  const { child, ended, output } = await generate(...small, '--output-path', temporaryFolder());
  await eventually(() => output().includes('history published'));
  child.kill('SIGTERM');
  expect([await ended, output()]).toEqual([0, expect.stringContaining('stopped')]);
});

test('settings that it does not know are wrong usage', async () => {
  const { ended, output } = await generate('--preset', 'huge');
  expect([await ended, output()]).toEqual([2, expect.stringContaining('PRESET must be one of')]);
});
