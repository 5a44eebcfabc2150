import { kafkaSettings, loadSettings, SettingsError } from '@leakage/runtime';
import { expect, test } from 'vitest';
import { kafkaEnvironment, loadUpSettings } from './settings.ts';

const secured = {
  KAFKA_BROKERS: 'k:9093',
  KAFKA_SASL_MECHANISM: 'PLAIN',
  KAFKA_USERNAME: 'me',
  KAFKA_PASSWORD: 'secret',
  KAFKA_TLS: 'on',
};

test('services get what somebody has set for Kafka, and read the same from it', () => {
  const settings = loadUpSettings(secured);
  const environment = kafkaEnvironment(settings, 'k:9093');
  expect(environment).toEqual({ ...secured, KAFKA_SASL_MECHANISM: 'plain', KAFKA_TLS: 'true' });
  expect(loadSettings(kafkaSettings, environment)).toMatchObject({ kafkaTls: true, kafkaPassword: 'secret' });
});

test('with a Kafka of our own there is only its address', () => {
  expect(kafkaEnvironment(loadUpSettings({}), '127.0.0.1:1234')).toEqual({ KAFKA_BROKERS: '127.0.0.1:1234' });
});

test('a URL of a database leads other processes to the same files', () => {
  const url = 'postgres://me@db/main?sslmode=verify-full&sslrootcert=';
  expect(() => loadUpSettings({ DATABASE_URL: `${url}ca.pem` })).toThrow(`leads to ca.pem, which cannot be read`);
  expect(loadUpSettings({ DATABASE_URL: `${url}system` }).databaseUrl).toBe(`${url}system`);
});

test.each([
  [
    { KAFKA_TLS: 'on', KAFKA_PASSWORD: 'x' },
    /^a setting is wrong: KAFKA_TLS, KAFKA_PASSWORD belong to a Kafka of yours/,
  ],
  [{ ...secured, KAFKA_PASSWORD: '' }, /KAFKA_SASL_MECHANISM is plain and needs KAFKA_PASSWORD/],
  [{ DATABASE_URL: 'postgres://me@db/main?sslmode=sometimes' }, /sslmode in DATABASE_URL must be one of/],
])('%j is refused before anything is started', (env, sentence) => {
  expect(() => loadUpSettings(env)).toThrow(SettingsError);
  expect(() => loadUpSettings(env)).toThrow(sentence);
});
