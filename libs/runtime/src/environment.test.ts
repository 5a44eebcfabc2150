import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  dataDirectory,
  environmentFile,
  formatEnvironmentFile,
  readEnvironment,
  readEnvironmentFile,
} from './environment.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'environment-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('the data folder is .data of the project, whatever the working directory, unless LEAKAGE_DATA_DIR says otherwise', () => {
  expect(dataDirectory({})).toBe(resolve(import.meta.dirname, '../../../.data'));
  expect(dataDirectory({ LEAKAGE_DATA_DIR: folder })).toBe(folder);
  expect(environmentFile({ LEAKAGE_DATA_DIR: folder })).toBe(join(folder, 'env'));
});

test('what is written is read back exactly', () => {
  const values = {
    DATABASE_URL: "postgres://me:p%23'w@127.0.0.1:5432/main?a=b#c",
    KAFKA_BROKERS: '127.0.0.1:9092',
    ODD: 'say "hi" # not a comment',
    PASSWORD: 'p$HOME`id`\\n',
  };
  writeFileSync(join(folder, 'env'), formatEnvironmentFile(values));
  expect(readEnvironmentFile(join(folder, 'env'))).toEqual(values);
});

test.each(['two\nlines', `both ' and "`])('a value that the file could not hold is refused', (value) => {
  expect(() => formatEnvironmentFile({ BAD: value })).toThrow('BAD cannot be written');
});

test('the file fills in only what is not set', () => {
  writeFileSync(join(folder, 'env'), 'A="file"\nB="file"\nC="file"\n');
  const env = readEnvironment({ LEAKAGE_DATA_DIR: folder, A: 'set', B: '' });
  expect(env).toMatchObject({ A: 'set', B: 'file', C: 'file' });
});

test('a password for the Kafka of the file is not for another Kafka', () => {
  writeFileSync(join(folder, 'env'), 'KAFKA_BROKERS="file:9092"\nKAFKA_PASSWORD="file"\nDATABASE_URL="file"\n');
  const at = (env: Record<string, string>) => readEnvironment({ LEAKAGE_DATA_DIR: folder, ...env });
  expect(at({})).toMatchObject({ KAFKA_BROKERS: 'file:9092', KAFKA_PASSWORD: 'file' });
  expect(at({ KAFKA_BROKERS: 'other:9092' })).toEqual({
    LEAKAGE_DATA_DIR: folder,
    KAFKA_BROKERS: 'other:9092',
    DATABASE_URL: 'file',
  });
});

test('no file, no variables; a file that cannot be read is an error that names it', () => {
  expect(readEnvironmentFile(join(folder, 'none'))).toEqual({});
  mkdirSync(join(folder, 'env'));
  expect(() => readEnvironmentFile(join(folder, 'env'))).toThrow(join(folder, 'env'));
});
