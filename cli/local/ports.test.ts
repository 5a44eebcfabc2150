import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { freePorts, isFree } from './ports.ts';

test('many ports asked for at once are all different', async () => {
  const ports = await freePorts(Array.from({ length: 50 }, () => 0));
  expect(new Set(ports).size).toBe(50);
});

test('a wish is granted when the port is free, and replaced when it is taken', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  const taken = typeof address === 'object' && address ? address.port : 0;
  expect(await isFree(taken)).toBe(false);
  const [other] = await freePorts([taken]);
  expect(other).not.toBe(taken);
  await new Promise((resolve) => server.close(resolve));
  expect(await freePorts([taken])).toEqual([taken]);
});
