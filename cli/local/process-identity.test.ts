import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { identityOf, isAlive } from './process-identity.ts';

test('a process is itself for as long as it runs', async () => {
  const child = spawn('sleep', ['60']);
  const identity = identityOf(child.pid ?? 0);
  expect(identity).not.toBeNull();
  expect(identity && isAlive(identity)).toBe(true);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(identity && isAlive(identity)).toBe(false);
});

test('the same pid with another start is another process', () => {
  expect(isAlive({ pid: process.pid, startedAt: 'another-boot/1' })).toBe(false);
});

test('nobody has a pid that was never given', () => {
  expect(identityOf(2 ** 22 + 1)).toBeNull();
});
