import { expect, test } from 'vitest';
import { chooseBackend } from './global-setup.ts';

const both = { KAFKA_BROKERS: 'k:9092', DATABASE_URL: 'postgres://d/main' };

test('addresses that are given are used, each for its own server', () => {
  expect(chooseBackend(both)).toEqual({ brokers: 'k:9092', databaseUrl: 'postgres://d/main' });
  expect(chooseBackend({ KAFKA_BROKERS: 'k:9092' })).toEqual({ brokers: 'k:9092', databaseUrl: undefined });
  expect(chooseBackend({ KAFKA_BROKERS: ' ', DATABASE_URL: '' })).toEqual({
    brokers: undefined,
    databaseUrl: undefined,
  });
});

test('TEST_BACKEND forces one of them, and fails where it cannot', () => {
  expect(chooseBackend({ ...both, TEST_BACKEND: 'local' })).toEqual({});
  expect(() => chooseBackend({ TEST_BACKEND: 'env', KAFKA_BROKERS: 'k:9092' })).toThrow(
    /needs KAFKA_BROKERS and DATABASE_URL/,
  );
  expect(() => chooseBackend({ ...both, TEST_BACKEND: 'docker' })).toThrow(/must be env or local/);
});
