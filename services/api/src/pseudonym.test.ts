import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { pseudonyms } from './pseudonym.ts';

test('a pid is the first twelve base32 letters of the keyed hash', () => {
  const bytes = createHmac('sha256', 'k'.repeat(32)).update('M-104382').digest();
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const letters = Array.from(
    { length: 12 },
    (_, n) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(bits.slice(5 * n, 5 * n + 5), 2)],
  );
  expect(pseudonyms('k'.repeat(32)).pid('M-104382')).toBe(letters.join(''));
});

test('another key gives other pids, and says so', () => {
  const [a, b] = [pseudonyms('a'.repeat(32)), pseudonyms('b'.repeat(32))];
  expect(a.pid('M-1')).toBe(a.pid('M-1'));
  expect(a.pid('M-1')).not.toBe(a.pid('M-2'));
  expect(a.pid('M-1')).not.toBe(b.pid('M-1'));
  expect(a.keyId).not.toBe(b.keyId);
});
