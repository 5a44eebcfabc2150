import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { RefusedError } from '@leakage/runtime';
import { contracts } from '@leakage/schemas';
import { type RegistryOptions, startTestRegistry, type TestRegistry } from '@leakage/testing';
import { afterEach, describe, expect, test } from 'vitest';
import { RegistryClient } from './client.ts';
import { RegistrySilentError } from './errors.ts';

const [v1, v2] = contracts.journeys.versions.map(({ schema }) => JSON.stringify(schema));
const SUBJECT = 'leakage.journeys-value';

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

async function registryOf(options: RegistryOptions = {}): Promise<{ registry: TestRegistry; client: RegistryClient }> {
  const registry = await startTestRegistry(options);
  stops.push(() => registry.stop());
  return { registry, client: new RegistryClient(registry.url) };
}

/** Something that answers every question in the same way. */
async function answering(status: number, body: string): Promise<RegistryClient> {
  const server = createServer((_, response) => response.writeHead(status).end(body));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stops.push(() => new Promise((resolve) => server.close(() => resolve())));
  return new RegistryClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}/apis/ccompat/v7/`);
}

describe('ids and schemas', () => {
  test('a registered schema has an id under its subject, and stands under that id', async () => {
    const { registry, client } = await registryOf();
    expect(await client.idOf(SUBJECT, v1 ?? '')).toBeNull();
    const id = await client.register(SUBJECT, v1 ?? '');
    expect(id).toBeGreaterThan(1_000);
    expect(await client.idOf(SUBJECT, v1 ?? '')).toBe(id);
    expect(await client.register(SUBJECT, v1 ?? '')).toBe(id);
    expect(await client.idOf(SUBJECT, v2 ?? '')).toBeNull();
    expect(await client.idOf('another', v1 ?? '')).toBeNull();
    expect(await client.schemaById(id)).toEqual({ kind: 'avro', schema: v1 });
    expect(await client.schemaById(id + 1)).toBeNull();
    expect(registry.versionsOf(SUBJECT)).toEqual([1]);
  });

  test('every version of a contract is taken beside the others', async () => {
    const { client } = await registryOf();
    const [first, second] = [await client.register(SUBJECT, v2 ?? ''), await client.register(SUBJECT, v1 ?? '')];
    expect(first).not.toBe(second);
  });

  test('what is there and is no Avro of one piece is said to be so', async () => {
    const { registry, client } = await registryOf();
    const proto = registry.add(SUBJECT, 'message Journey {}', 'PROTOBUF');
    expect(await client.schemaById(proto)).toEqual({ kind: 'other', why: 'it is of type PROTOBUF' });
    const refers = await answering(200, JSON.stringify({ schema: '"x.Y"', references: [{ name: 'x.Y' }] }));
    expect(await refers.schemaById(1)).toEqual({ kind: 'other', why: 'it refers to schemas of other subjects' });
    const long = await answering(200, JSON.stringify({ schema: 'x'.repeat(3_000_000) }));
    expect(await long.schemaById(1)).toMatchObject({
      kind: 'other',
      why: expect.stringContaining('longer than 2097152'),
    });
  });
});

describe('a login', () => {
  test('stands in the URL, is sent as basic authentication, and is shown to nobody', async () => {
    const { registry, client } = await registryOf({ login: { user: 'ann', password: 'p@ss:w/rd' } });
    await client.register(SUBJECT, v1 ?? '');
    expect(registry.url).toContain('p%40ss');
    expect(client.name).not.toMatch(/ann|p%40ss|p@ss/);
  });

  test('that is wrong is told without it', async () => {
    const { registry } = await registryOf({ login: { user: 'ann', password: 'right' } });
    const client = new RegistryClient(registry.url.replace('right', 'wrong'));
    const refused = client.idOf(SUBJECT, v1 ?? '');
    await expect(refused).rejects.toThrow(RefusedError);
    await expect(refused).rejects.toThrow(/refuses our login \(status 401\): check the user and the password/);
    await expect(refused).rejects.not.toThrow(/wrong/);
  });
});

describe('what the registry does not take', () => {
  test('a schema that is not compatible with a version that is there', async () => {
    const { client } = await registryOf();
    await client.register(SUBJECT, v1 ?? '');
    const other = v1?.replace('"session_id","type":["null","string"]', '"session_id","type":["null","int"]') ?? '';
    await expect(client.register(SUBJECT, other)).rejects.toThrow(
      /does not take our schema under leakage.journeys-value, because it is not compatible with a version that is there \(code 409: /,
    );
  });

  test('a schema that is none', async () => {
    const { client } = await registryOf();
    await expect(client.register(SUBJECT, '{"type":"nonsense"}')).rejects.toThrow(
      /status 422 \(code 42201: Invalid schema/,
    );
  });
});

describe('no answer is no word about an id', () => {
  test.each(['closed', 'broken'] as const)('%s', async (how) => {
    const { registry, client } = await registryOf();
    const id = await client.register(SUBJECT, v1 ?? '');
    await registry.fail(how);
    await expect(client.schemaById(id)).rejects.toThrow(RegistrySilentError);
    await expect(client.schemaById(id)).rejects.toThrow(/does not answer \((.*ECONNREFUSED.*|status 503)\)/);
    await registry.resume();
    expect(await client.schemaById(id)).toMatchObject({ kind: 'avro' });
  });

  test('silent', async () => {
    const { registry, client } = await registryOf();
    await registry.fail('silent');
    await expect(client.schemaById(7)).rejects.toThrow(/does not answer \(nothing within 5000 ms\)/);
    await registry.resume();
  });

  test('a question that is given up throws as its signal says', async () => {
    const { registry, client } = await registryOf();
    await registry.fail('silent');
    const abort = new AbortController();
    const asked = client.schemaById(7, abort.signal);
    abort.abort();
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
    await registry.resume();
  });

  test.each<[string, number, string]>([
    ['a page of a proxy', 404, '<h1>Not Found</h1>'],
    ['a 404 of the wrong path', 404, '{"error_code":404,"message":"HTTP 404 Not Found"}'],
    ['an unknown refusal', 400, '{}'],
  ])('%s', async (_what, status, body) => {
    const client = await answering(status, body);
    await expect(client.schemaById(7)).rejects.toThrow(RefusedError);
    await expect(client.idOf(SUBJECT, v1 ?? '')).rejects.toThrow(/check that SCHEMA_REGISTRY_URL leads to a registry/);
  });

  test.each(['', '<html>', '[]', 'null', '{"schema":7}', '{"id":"7"}', '{"id":-1}'])('200 with %s', async (body) => {
    const client = await answering(200, body);
    await expect(client.schemaById(7)).rejects.toThrow(RegistrySilentError);
    await expect(client.idOf(SUBJECT, v1 ?? '')).rejects.toThrow(RegistrySilentError);
  });
});
