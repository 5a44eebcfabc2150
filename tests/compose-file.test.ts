import { readFileSync } from 'node:fs';
import { brokerSettings, clusterLocale, kafkaVersion, postgresMajor, postgresSettings } from '@leakage/cli/local';
import { commonSettings, type Spec, settingRows } from '@leakage/runtime';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { images } from '../libs/testing/src/docker-servers.ts';
import * as api from '../services/api/src/config.ts';
import * as bronze from '../services/bronze-sink/src/config.ts';
import * as generator from '../services/generator/src/config.ts';
import * as gold from '../services/gold-aggregator/src/config.ts';
import * as silver from '../services/silver-joiner/src/config.ts';

interface ComposeService {
  readonly image: string;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string | number | null>>;
  readonly ports?: readonly string[];
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly mem_limit?: string;
  readonly restart?: string;
  readonly logging?: { readonly options: Readonly<Record<string, string>> };
}

const text = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8');
const { services } = parse(text('docker-compose.yml'), { merge: true }) as { services: Record<string, ComposeService> };
const everyService = Object.entries(services);

function service(name: string): ComposeService {
  const found = services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
  return found;
}

describe('versions stand in one place', () => {
  test('of the servers: locally, in tests and in docker-compose.yml', () => {
    expect(images).toEqual({ kafka: `apache/kafka:${kafkaVersion}`, postgres: `postgres:${postgresMajor}` });
    expect(service('kafka').image).toBe(images.kafka);
    expect(service('postgres').image).toBe(images.postgres);
    expect(text('cli/local/pom.xml')).toContain(kafkaVersion);
  });

  test('of Node: in the image, here and for version managers', () => {
    const major = text('.nvmrc').trim();
    expect(text('Dockerfile')).toContain(`\nARG NODE_IMAGE=node:${major}-slim\n`);
    expect(process.versions.node.split('.')[0]).toBe(major);
  });

  test('no image moves by itself', () => {
    for (const [name, { image }] of everyService) expect(image, name).toMatch(/:(?!latest)[\w.-]+\}?$/);
  });
});

describe('the servers are those of a local start', () => {
  test('Kafka', () => {
    const { 'group.min.session.timeout.ms': onlyForFaultTests, ...settings } = brokerSettings;
    expect(onlyForFaultTests).toBeDefined();
    const expected = Object.entries(settings).map(([property, value]) => [
      `KAFKA_${property.toUpperCase().replaceAll('.', '_')}`,
      String(value),
    ]);
    const found = Object.entries(service('kafka').environment).map(([name, value]) => [name, String(value)]);
    expect(found).toEqual(expect.arrayContaining(expected));
  });

  test('Postgres', () => {
    const { command, environment } = service('postgres');
    expect(environment.POSTGRES_INITDB_ARGS).toBe(clusterLocale.join(' '));
    // These depend on the size of the machine; a container has a size that is written beside them.
    const ofSize = ['shared_buffers', 'max_wal_size', 'dynamic_shared_memory_type', 'autovacuum'];
    const size = { memoryBytes: 2 ** 31, freeDiskBytes: 2 ** 34, sharedMemoryBytes: 2 ** 28 };
    const expected = Object.entries(postgresSettings(size)).filter(([key]) => !ofSize.includes(key));
    expect(command).toEqual(expect.arrayContaining(expected.map(([key, value]) => `-c${key}=${value}`)));
  });
});

describe('every container', () => {
  test.each(everyService)('%s is bounded and may become no more than it is', (_, container) => {
    expect(container.cap_drop).toEqual(['ALL']);
    expect(container.security_opt).toEqual(['no-new-privileges:true']);
    expect(container.logging?.options).toEqual({ 'max-size': '10m', 'max-file': '3' });
  });

  test.each(everyService.filter(([, { restart }]) => restart !== 'no'))('%s is started again', (_, container) => {
    expect(container.restart).toBe('unless-stopped');
    expect(container.mem_limit).toMatch(/^\d+[mg]$/);
  });

  test.each(everyService.filter(([, { ports }]) => ports))('%s is reached from this machine only', (_, { ports }) => {
    for (const port of ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\$\{\w+:-\d+\}:\d+$/);
  });
});

describe('each service', () => {
  const declared = <S>({ settings, metricsPort }: { settings: Spec<S>; metricsPort: number }) =>
    [...settingRows(settings), ...settingRows(commonSettings({ metricsPort }))].map(({ env }) => env);
  const table = [
    ['bronze-sink', declared(bronze), 'BRONZE'],
    ['silver-joiner', declared(silver), 'SILVER'],
    ['gold-aggregator', declared(gold), 'GOLD'],
    ['api', declared(api), 'API'],
    ['generator', declared(generator), null],
  ] as const;

  test.each(table)('%s gets settings that it knows', (name, known) => {
    const given = Object.keys(service(name).environment);
    expect(given.filter((variable) => !known.includes(variable))).toEqual([]);
  });

  test.each(table)('%s gets no login but its own', (name, _, role) => {
    const environment = JSON.stringify(service(name).environment);
    const secrets = environment.match(/\$\{\w*PASSWORD\b/g) ?? [];
    expect(secrets).toEqual(role === null ? [] : [`\${LEAKAGE_${role}_PASSWORD`]);
    if (role !== null) expect(environment).toContain(`postgres://leakage_${role.toLowerCase()}:`);
  });

  test.each(table)('%s runs its own main on a root that cannot be written', (name) => {
    expect(service(name).command).toEqual(['node', `services/${name}/src/main.ts`]);
    expect(service(name).read_only).toBe(true);
  });
});
