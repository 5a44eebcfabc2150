import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { BoundedFiles } from './bounded-files.ts';
import { folderCanBeWritten, holderOf, openDataFolder, replaceFile } from './data-folder.ts';

const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'leakage-folder-'));
  made.push(folder);
  return join(folder, 'data');
}

test('a folder that somebody holds is refused, and says who holds it; afterwards it is free', () => {
  const path = newFolder();
  expect(holderOf(path)).toBeNull();
  const folder = openDataFolder(path);
  expect(() => openDataFolder(path)).toThrow(`already running on the data folder ${path} (pid ${process.pid})`);
  expect(holderOf(path)).toBe(process.pid);
  folder.release();
  expect(holderOf(path)).toBeNull();
  openDataFolder(path).release();
});

test('what is remembered is there at the next start, and damage is forgotten', () => {
  const path = newFolder();
  const first = openDataFolder(path);
  first.remember({ kafka: 1234 });
  first.remember({ postgres: 5678 });
  first.release();
  const second = openDataFolder(path);
  expect(second.remembered()).toEqual({ kafka: 1234, postgres: 5678 });
  writeFileSync(join(second.run, 'ports.json'), '{"kafka": 12');
  expect(second.remembered()).toEqual({});
  second.release();
});

test('forgetting removes data, addresses and logs, and leaves what is not ours', () => {
  const path = newFolder();
  const folder = openDataFolder(path);
  for (const name of ['kafka', 'postgres', 'generator', 'mine']) mkdirSync(join(path, name));
  writeFileSync(join(path, 'env'), '');
  writeFileSync(join(folder.logs, 'kafka.log'), '');
  folder.forget();
  expect(['kafka', 'postgres', 'generator', 'env', 'mine'].filter((name) => existsSync(join(path, name)))).toEqual([
    'mine',
  ]);
  expect(existsSync(join(folder.logs, 'kafka.log'))).toBe(false);
  folder.release();
});

test('the members’ data are for their owner alone', () => {
  const folder = openDataFolder(newFolder());
  expect(statSync(folder.logs).mode & 0o777).toBe(0o700);
  expect(statSync(folder.path).mode & 0o777).toBe(0o711);
  folder.release();
});

test('a place that does not exist yet is judged by its nearest folder, and is not made', () => {
  const path = join(newFolder(), 'deep', 'down');
  expect(folderCanBeWritten(path)).toBe(path);
  expect(existsSync(path)).toBe(false);
});

test('replacing a file sets its mode, whatever it was before', () => {
  const path = newFolder();
  mkdirSync(path);
  const file = join(path, 'env');
  writeFileSync(file, 'old', { mode: 0o644 });
  replaceFile(file, 'new');
  expect(readFileSync(file, 'utf8')).toBe('new');
  expect(statSync(file).mode & 0o777).toBe(0o600);
});

test('a log that has grown too long begins anew, the old part stays beside it', () => {
  const path = newFolder();
  mkdirSync(path);
  const [file, small] = [join(path, 'long.log'), join(path, 'small.log')];
  writeFileSync(file, 'x'.repeat(100));
  writeFileSync(small, 'x');
  const files = new BoundedFiles();
  for (const name of [file, small, join(path, 'missing.log')]) files.add(name);
  files.check(10);
  files.close();
  appendFileSync(file, 'next');
  expect(readFileSync(file, 'utf8')).toBe('next');
  expect(readFileSync(`${file}.1`, 'utf8')).toHaveLength(100);
  expect(readFileSync(small, 'utf8')).toBe('x');
});
