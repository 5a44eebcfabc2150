import { createLogger, HealthState } from '@leakage/runtime';
import { contracts } from '@leakage/schemas';
import { call, journey, startTestRegistry, type TestRegistry } from '@leakage/testing';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { openReaders, type Reading, type SchemaStore } from './readers.ts';

const log = createLogger({ service: 'registry-test', level: 'silent' });
const [v1, v2] = contracts.journeys.versions.map(({ schema }) => schema);

let registry: TestRegistry;
let health: HealthState;
let abort: AbortController;
let stored: Map<string, string>;

beforeEach(async () => {
  registry = await startTestRegistry();
  health = new HealthState();
  abort = new AbortController();
  stored = new Map();
});
afterEach(async () => await registry.stop());

/** What Postgres is in production: here a test looks into it. */
const store: SchemaStore = {
  load: async (name, id) => stored.get(`${name} ${id}`) ?? null,
  save: async (name, id, schema) => {
    stored.set(`${name} ${id}`, schema);
  },
};

function open(o: { waitMs?: number; url?: string | undefined } = {}): Reading {
  const { waitMs = 300, url = registry.url } = 'url' in o ? { ...o, url: o.url } : o;
  return openReaders({ url, waitMs, store, log, health, signal: abort.signal });
}

const encoded = (id: number, version = 2) => contracts.journeys.encoder({ version, id }).encode(journey());
const batch = (...values: (Buffer | null)[]) => [
  { source: 'journeys' as const, records: values.map((value) => ({ value })) },
];

describe('the readers of a consumer', () => {
  test('without a registry read the ids of the contracts', async () => {
    const reading = openReaders({ url: undefined, waitMs: 300, store, log, health, signal: abort.signal });
    await reading.learn(batch(encoded(5), encoded(99)));
    expect(reading.readers.journeys.decode(encoded(5))).toMatchObject({ ok: true, schemaId: 5 });
    expect(reading.readers.journeys.decode(encoded(99))).toMatchObject({ error: 'unknown_schema_id:99' });
  });

  test('read the ids of the registry and no others, each asked for once', async () => {
    const [one, two] = [registry.add('a', v1), registry.add('a', v2)];
    const reading = open();
    const values = [encoded(one, 1), encoded(two), encoded(two), encoded(5)];
    for (let again = 0; again < 3; again += 1) await reading.learn(batch(...values, null, Buffer.from('{}')));
    const decoded = values.map((value) => reading.readers.journeys.decode(value));
    expect(decoded.map((d) => (d.ok ? d.event.app_version : d.error))).toEqual([
      null,
      '7.14.2',
      '7.14.2',
      'unknown_schema_id:5',
    ]);
    expect(registry.questions.toSorted()).toEqual([
      'GET /schemas/ids/1001',
      'GET /schemas/ids/1002',
      'GET /schemas/ids/5',
    ]);
    expect(health.checks()).toEqual({ 'schema registry': { ok: true } });
  });

  test('judge what stands under an id for each topic alone', async () => {
    const id = registry.add('a', contracts.calls.versions[0]?.schema);
    const value = contracts.calls.encoder({ version: 1, id }).encode(call());
    const reading = open();
    await reading.learn([...batch(value), { source: 'calls', records: [{ value }] }]);
    expect(reading.readers.calls.decode(value)).toMatchObject({ ok: true });
    expect(reading.readers.journeys.decode(value)).toMatchObject({ error: `incompatible_schema:${id}` });
  });

  test.each<[string, unknown, string]>([
    ['Protobuf', 'message A {}', 'PROTOBUF'],
    ['no record', '"string"', 'AVRO'],
    ['another type of a field', { ...v1, fields: [{ name: 'action', type: 'int' }] }, 'AVRO'],
  ])('refuse records of %s by name, and do not ask again', async (_what, schema, type) => {
    const id = registry.add('a', schema, type);
    const reading = open();
    for (let again = 0; again < 2; again += 1) await reading.learn(batch(encoded(id)));
    expect(reading.readers.journeys.decode(encoded(id))).toMatchObject({
      error: `incompatible_schema:${id}`,
      schemaId: id,
    });
    expect(registry.questions.length).toBe(1);
  });

  test('know whatever one batch needs, and forget between batches what is too much', async () => {
    const ids = Array.from({ length: 260 }, (_, nr) => registry.add('a', { ...v2, doc: `${nr}` }));
    const reading = open();
    await reading.learn(batch(...ids.map((id) => encoded(id))));
    const refused = ids.filter((id) => !reading.readers.journeys.decode(encoded(id)).ok);
    expect([refused, registry.questions.length]).toEqual([[], 260]);
    await reading.learn(batch(encoded(ids[0] ?? 0)));
    expect(registry.questions.length).toBe(261);
    expect(reading.readers.journeys.decode(encoded(ids[0] ?? 0))).toMatchObject({ ok: true });
  });

  test('ask again after a while for an id that was not there', async () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    try {
      const reading = open();
      await reading.learn(batch(encoded(1_001)));
      registry.add('a', v2);
      await reading.learn(batch(encoded(1_001)));
      expect(reading.readers.journeys.decode(encoded(1_001))).toMatchObject({ error: 'unknown_schema_id:1001' });
      vi.advanceTimersByTime(60_001);
      await reading.learn(batch(encoded(1_001)));
      expect(reading.readers.journeys.decode(encoded(1_001))).toMatchObject({ ok: true });
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('while the registry does not answer', () => {
  test.each(['closed', 'broken'] as const)('%s: known schemas are read, and nobody is asked', async (how) => {
    const id = registry.add('a', v2);
    const reading = open();
    await reading.learn(batch(encoded(id)));
    await registry.fail(how);
    await reading.learn(batch(encoded(id), encoded(id)));
    expect(reading.readers.journeys.decode(encoded(id))).toMatchObject({ ok: true });
    expect(registry.questions.length).toBe(1);
  });

  test('a process that starts reads what was learned before it, also what was deleted since', async () => {
    const id = registry.add('a', v2);
    await open().learn(batch(encoded(id)));
    await registry.fail('closed');
    const restarted = open();
    await restarted.learn(batch(encoded(id)));
    expect(restarted.readers.journeys.decode(encoded(id))).toMatchObject({ ok: true });
    await registry.stop();
    registry = await startTestRegistry();
    const emptied = open({ url: registry.url });
    stored = new Map([[`${registry.url} ${id}`, JSON.stringify(v2)]]);
    await emptied.learn(batch(encoded(id)));
    expect(emptied.readers.journeys.decode(encoded(id))).toMatchObject({ ok: true });
  });

  test('a batch with an unknown id waits, says so, and goes on when the answer comes', async () => {
    const id = registry.add('a', v2);
    await registry.fail('closed');
    const reading = open({ waitMs: 20_000 });
    const learning = reading.learn(batch(encoded(id)));
    await vi.waitFor(() => expect(health.ready).toBe(false), 5_000);
    expect(health.checks()['schema registry']?.detail).toMatch(
      /^records of schema id 1001 wait: the schema registry at http/,
    );
    await registry.resume();
    await learning;
    expect(health.ready).toBe(true);
    expect(reading.readers.journeys.decode(encoded(id))).toMatchObject({ ok: true });
  });

  test('a batch that has waited too long ends in a sentence, and nothing was judged', async () => {
    const id = registry.add('a', v2);
    await registry.fail('broken');
    const reading = open({ waitMs: 1_000 });
    await expect(reading.learn(batch(encoded(id)))).rejects.toThrow(
      /does not answer \(status 503\); records of schema id 1001 have waited 1 s for it, and nothing of their batch was kept: start the registry/,
    );
    await registry.resume();
    await reading.learn(batch(encoded(id)));
    expect(reading.readers.journeys.decode(encoded(id))).toMatchObject({ ok: true });
  });

  test('a proxy that answers in its place is no answer either', async () => {
    const locked = await startTestRegistry({ login: { user: 'ann', password: 'right' } });
    const id = locked.add('a', v2);
    const url = locked.url.replace('right', 'wrong');
    await expect(open({ url }).learn(batch(encoded(id)))).rejects.toThrow(/refuses our login .*have waited/);
    stored.set(`${locked.url.replace('ann:right@', '')} ${id}`, JSON.stringify(v2));
    const reading = open({ url });
    await reading.learn(batch(encoded(id)));
    expect(reading.readers.journeys.decode(encoded(id))).toMatchObject({ ok: true });
    await locked.stop();
  });

  test('a stop ends the waiting at once', async () => {
    await registry.fail('silent');
    const learning = open({ waitMs: 60_000 }).learn(batch(encoded(7)));
    setTimeout(() => abort.abort(), 50);
    await expect(learning).rejects.toMatchObject({ name: 'AbortError' });
    await registry.resume();
  });

  test('a store that fails changes nothing while the registry answers', async () => {
    const id = registry.add('a', v2);
    const failing: SchemaStore = {
      load: () => Promise.reject(new Error('down')),
      save: () => Promise.reject(new Error('down')),
    };
    const reading = openReaders({ url: registry.url, waitMs: 300, store: failing, log, health, signal: abort.signal });
    await reading.learn(batch(encoded(id)));
    expect(reading.readers.journeys.decode(encoded(id))).toMatchObject({ ok: true });
    await registry.fail('closed');
    await expect(reading.learn(batch(encoded(77)))).rejects.toThrow(/have waited/);
  });
});
