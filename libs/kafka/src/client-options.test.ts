import { kafkaConnectionSettings, loadSettings, SettingsError } from '@leakage/runtime';
import { describe, expect, test } from 'vitest';
import { type KafkaAccess, kafkaClientOptions } from './client-options.ts';

const access = (env: Readonly<Record<string, string>>): KafkaAccess =>
  kafkaClientOptions(loadSettings(kafkaConnectionSettings, { KAFKA_BROKERS: 'a:9092,b:9092', ...env }));

function problemsOf(env: Readonly<Record<string, string>>): readonly string[] {
  try {
    access(env);
    return [];
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
}

const password = { KAFKA_USERNAME: 'me', KAFKA_PASSWORD: 'secret' };
const token = {
  KAFKA_OAUTH_TOKEN_URL: 'https://id.example/token',
  KAFKA_OAUTH_CLIENT_ID: 'me',
  KAFKA_OAUTH_CLIENT_SECRET: 'secret',
};

test('without a word about it there is neither TLS nor a login', () => {
  expect(access({})).toEqual({ brokers: ['a:9092', 'b:9092'] });
});

test('TLS alone trusts whom Node trusts; a mechanism may be written as Kafka writes it', () => {
  expect(access({ KAFKA_TLS: 'on' })).toMatchObject({ tls: {} });
  expect(access({ KAFKA_TLS: 'on', KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512', ...password })).toEqual({
    brokers: ['a:9092', 'b:9092'],
    tls: {},
    login: { mechanism: 'scram-sha-512', username: 'me', password: 'secret' },
  });
});

test('a token has its endpoint, and extensions that the cluster may want', () => {
  const more = { KAFKA_OAUTH_SCOPE: 'kafka', KAFKA_OAUTH_EXTENSIONS: 'logicalCluster=lkc-1,identityPoolId=pool=2' };
  expect(access({ KAFKA_SASL_MECHANISM: 'oauthbearer', ...token, ...more }).login).toEqual({
    mechanism: 'oauthbearer',
    token: { url: 'https://id.example/token', clientId: 'me', clientSecret: 'secret', scope: 'kafka' },
    extensions: { logicalCluster: 'lkc-1', identityPoolId: 'pool=2' },
  });
});

describe('what does not fit together is refused', () => {
  test.each<[Record<string, string>, string]>([
    [{ KAFKA_TLS_CA_FILE: 'ca.pem' }, 'KAFKA_TLS_CA_FILE is set, but KAFKA_TLS is not: set it to true'],
    [
      { KAFKA_TLS: 'true', KAFKA_TLS_CERT_FILE: 'a.pem' },
      'KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE belong together: set both, or neither',
    ],
    [
      { KAFKA_TLS: 'true', KAFKA_TLS_KEY_PASSWORD: 'x' },
      'KAFKA_TLS_KEY_PASSWORD is set, but KAFKA_TLS_KEY_FILE is not',
    ],
    [
      password,
      'KAFKA_USERNAME and KAFKA_PASSWORD are set, but KAFKA_SASL_MECHANISM is not: set it to how the cluster wants you to log in',
    ],
    [{ KAFKA_SASL_MECHANISM: 'plain', KAFKA_USERNAME: 'me' }, 'KAFKA_SASL_MECHANISM is plain and needs KAFKA_PASSWORD'],
    [
      { KAFKA_SASL_MECHANISM: 'oauthbearer' },
      'KAFKA_SASL_MECHANISM is oauthbearer and needs KAFKA_OAUTH_TOKEN_URL, KAFKA_OAUTH_CLIENT_ID and KAFKA_OAUTH_CLIENT_SECRET',
    ],
    [
      { KAFKA_SASL_MECHANISM: 'oauthbearer', ...token, KAFKA_PASSWORD: 'x' },
      'KAFKA_PASSWORD is set, but KAFKA_SASL_MECHANISM is oauthbearer, which logs in with a token',
    ],
    [
      { KAFKA_SASL_MECHANISM: 'scram-sha-256', ...password, KAFKA_OAUTH_SCOPE: 'x' },
      'KAFKA_OAUTH_SCOPE is set, but KAFKA_SASL_MECHANISM is scram-sha-256, which logs in with a password',
    ],
    [
      { KAFKA_TLS: 'true', KAFKA_TLS_CA_FILE: '/nowhere/ca.pem' },
      'KAFKA_TLS_CA_FILE leads to /nowhere/ca.pem, which cannot be read (there is no such file)',
    ],
    [
      { KAFKA_TLS: 'true', KAFKA_TLS_CA_FILE: import.meta.filename },
      `KAFKA_TLS_CA_FILE leads to ${import.meta.filename}, which holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)`,
    ],
  ])('%j', (env, problem) => {
    expect(problemsOf(env)).toEqual([problem]);
  });

  test('everything is said at once, and no secret is', () => {
    const problems = problemsOf({ KAFKA_TLS_SERVER_NAME: 'x', KAFKA_SASL_MECHANISM: 'plain', KAFKA_PASSWORD: 'hush' });
    expect(problems).toHaveLength(2);
    expect(problems.join()).not.toContain('hush');
  });
});
