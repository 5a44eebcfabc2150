import { describe, expect, test } from 'vitest';
import { BackendMissing, chooseBackend, type OwnServers, type Starters, startServers } from './backend.ts';

const both = { KAFKA_BROKERS: 'k:9092', DATABASE_URL: 'postgres://d/main' };
const given = { brokers: 'k:9092', databaseUrl: 'postgres://d/main' };

describe('the choice', () => {
  test('addresses that are given are used, each for its own server; Docker starts the rest, else this machine', () => {
    expect(chooseBackend(both)).toEqual({ given, startedBy: [] });
    expect(chooseBackend({ KAFKA_BROKERS: 'k:9092' })).toEqual({
      given: { brokers: 'k:9092' },
      startedBy: ['docker', 'local'],
    });
    expect(chooseBackend({ KAFKA_BROKERS: ' ', DATABASE_URL: '' })).toEqual({
      given: {},
      startedBy: ['docker', 'local'],
    });
  });

  test.each(['docker', 'local'] as const)('TEST_BACKEND=%s is that and nothing else, whatever is given', (backend) => {
    expect(chooseBackend({ ...both, TEST_BACKEND: backend })).toEqual({ given: {}, startedBy: [backend] });
  });

  test('TEST_BACKEND=env needs both addresses', () => {
    expect(chooseBackend({ ...both, TEST_BACKEND: 'env' })).toEqual({ given, startedBy: [] });
    expect(() => chooseBackend({ TEST_BACKEND: 'env', KAFKA_BROKERS: 'k:9092' })).toThrow(
      /needs KAFKA_BROKERS and DATABASE_URL/,
    );
  });

  test('any other is refused', () => {
    expect(() => chooseBackend({ TEST_BACKEND: 'podman' })).toThrow(/podman: it must be env, docker or local/);
  });
});

describe('the start', () => {
  const started = (origin: string): OwnServers => ({ ...given, origin, stop: async () => undefined });
  const missing = async () => Promise.reject(new BackendMissing('no engine answers'));
  const starters: Starters = { docker: async () => started('docker'), local: async () => started('local') };

  async function start(env: Record<string, string>, own: Partial<Starters> = {}) {
    const lines: string[] = [];
    const servers = await startServers(chooseBackend(env), { ...starters, ...own }, (line) => lines.push(line));
    return { origin: servers.origin, lines };
  }

  test('is by Docker where it is there', async () => {
    expect(await start({})).toEqual({ origin: 'docker', lines: [] });
  });

  test('is on this machine where it is not, and that is said', async () => {
    expect(await start({}, { docker: missing })).toEqual({
      origin: 'local',
      lines: ['Tests do not run on docker (no engine answers), but on local.'],
    });
  });

  test('fails where Docker was asked for by name and is not there', async () => {
    await expect(start({ TEST_BACKEND: 'docker' }, { docker: missing })).rejects.toThrow('no engine answers');
  });

  test('fails where Docker is there and the servers break: that is nothing to be passed over', async () => {
    const broken = async () => Promise.reject(new Error('Kafka has not started'));
    await expect(start({}, { docker: broken })).rejects.toThrow('Kafka has not started');
  });

  test('starts nothing when everything is given', async () => {
    const untouched = async () => Promise.reject(new Error('nobody asked for it'));
    expect(await start(both, { docker: untouched, local: untouched })).toEqual({
      origin: 'Kafka of KAFKA_BROKERS, Postgres of DATABASE_URL',
      lines: [],
    });
  });
});
