import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@leakage/testing';
import { expect, test } from 'vitest';
import { LINE_BYTES_MAX, linesOf } from './lines.ts';

async function linesIn(content: string | Buffer): Promise<(string | null)[]> {
  const path = join(temporaryFolder(), 'file');
  await writeFile(path, content);
  const found: (string | null)[] = [];
  let bytes = 0;
  for await (const lines of linesOf(path, (n) => (bytes += n))) {
    for (const line of lines) {
      expect(line.number).toBe(found.length + 1);
      found.push(line.bytes?.toString() ?? null);
    }
  }
  expect(bytes).toBe(Buffer.byteLength(content));
  return found;
}

test('lines with and without a line feed at the end, empty lines, a byte order mark', async () => {
  expect(await linesIn('a\n\nb\r\nc')).toEqual(['a', '', 'b\r', 'c']);
  expect(await linesIn('a\n')).toEqual(['a']);
  expect(await linesIn('')).toEqual([]);
  expect(await linesIn('\ufeffa\n\ufeffb')).toEqual(['a', '\ufeffb']);
});

test('lines across the chunks of a file', async () => {
  const lines = Array.from({ length: 30_000 }, (_, i) => `${i} ${'x'.repeat(i % 37)}é`);
  expect(await linesIn(lines.join('\n'))).toEqual(lines);
});

test('a line that is too long is not held, wherever it is', async () => {
  const long = 'x'.repeat(LINE_BYTES_MAX + 1);
  expect(await linesIn(`a\n${long}\nb`)).toEqual(['a', null, 'b']);
  expect(await linesIn(`${long}${long}`)).toEqual([null]);
  expect(await linesIn(`${long.slice(1)}\nb`)).toEqual([long.slice(1), 'b']);
});
