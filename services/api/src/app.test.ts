import { createLogger, HealthState, Metrics } from '@leakage/runtime';
import type { FastifyInstance } from 'fastify';
import { afterEach, describe, expect, test } from 'vitest';
import type { Version } from './answers.ts';
import { type AppDependencies, createApp } from './app.ts';
import type { AuditEntry } from './audit-store.ts';
import type { ListedGenerations } from './generation-store.ts';
import type { Rows } from './gold-store.ts';
import { pseudonyms } from './pseudonym.ts';
import { resources } from './resources.ts';
import { NoGenerationError } from './snapshot.ts';

const rows: Rows = {
  generation: 1,
  as_of: '2026-11-22T10:00:00.000Z',
  truncated: false,
  rows: [{ leakage_type: 'billing' }],
};

const version = async () => ({ generation: 1, version: '1' });
const read = async () => ({ version: '1', ...rows });

const none: ListedGenerations = { active: null, generations: [], promotions: [] };

let app: FastifyInstance | undefined;
afterEach(async () => app?.close());

/** An app over stores that remember what they were asked. */
async function appWith(over: Partial<AppDependencies> = {}) {
  const asked: unknown[][] = [];
  const logged: string[] = [];
  const health = new HealthState();
  const metrics = new Metrics();
  app = await createApp({
    log: createLogger({ service: 'api', level: 'debug', stream: { write: (line: string) => void logged.push(line) } }),
    metrics,
    health,
    gold: {
      read: async (resource, filters, limit) => {
        asked.push(['read', resource.table, filters, limit]);
        return { version: '1', ...rows };
      },
      version,
      timeline: async (memberId, limit) => {
        asked.push(['timeline', memberId, limit]);
        return rows;
      },
    },
    audit: { write: async (entry) => void asked.push(['audit', entry]) },
    pseudonyms: pseudonyms('k'.repeat(32)),
    pipeline: { read: async () => Promise.reject(new NoGenerationError()) },
    generations: { list: async () => none, diff: async () => Promise.reject(new Error('nobody compares here')) },
    topicEnds: async () => null,
    topics: ['leakage.calls'],
    ...over,
  });
  return { app, asked, logged, health };
}

describe('gold', () => {
  test.each(resources.map(({ table }) => table))('%s is served under its name with dashes', async (table) => {
    const { app: api, asked } = await appWith();
    const answer = await api.inject(`/v1/${table.replaceAll('_', '-')}`);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ table, ...rows });
    expect(asked).toEqual([['read', table, {}, 1_000]]);
  });

  test('filters and the limit reach the store', async () => {
    const { app: api, asked } = await appWith();
    await api.inject('/v1/daily-leakage-history?leakage_type=id_card&from=2026-11-01&to=2026-11-07&limit=5');
    expect(asked).toEqual([
      ['read', 'daily_leakage_history', { leakage_type: 'id_card', from: '2026-11-01', to: '2026-11-07' }, 5],
    ]);
  });

  test.each([
    ['leakage_tpye=billing', 'leakage_tpye'],
    ['from=yesterday', 'from'],
    ['from=2026-13-01', 'from'],
    ['limit=0', 'limit'],
    ['limit=many', 'limit'],
    ['limit=100000000', 'limit'],
    ['leakage_type=', 'leakage_type'],
  ])('%s is a problem that names the parameter', async (query, name) => {
    const { app: api, asked } = await appWith();
    const answer = await api.inject(`/v1/daily-leakage-history?${query}`);
    expect(answer.statusCode).toBe(400);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.json()).toMatchObject({ type: 'about:blank', title: 'Bad Request', status: 400, errors: [{ name }] });
    expect(asked).toEqual([]);
  });

  test('a period that ends before it begins is a problem', async () => {
    const { app: api } = await appWith();
    expect((await api.inject('/v1/root-cause-analysis?from=2026-11-02&to=2026-11-01')).statusCode).toBe(400);
  });

  test('what has not changed is not sent again', async () => {
    const { app: api } = await appWith();
    const first = await api.inject('/v1/savings-model');
    const second = await api.inject({
      url: '/v1/savings-model',
      headers: { 'if-none-match': String(first.headers.etag) },
    });
    expect(second.statusCode).toBe(304);
    expect(second.body).toBe('');
  });

  test('a question is asked of the store once, until gold has another version', async () => {
    let present = '1';
    const asked: string[] = [];
    const { app: api } = await appWith({
      gold: {
        version: async () => ({ generation: Number(present), version: present }),
        timeline: async () => rows,
        read: async () => {
          asked.push(present);
          return { version: present, ...rows, generation: Number(present) };
        },
      },
    });
    const generationOf = async (url: string): Promise<number> => (await api.inject(url)).json<Rows>().generation;
    expect(await generationOf('/v1/savings-model')).toBe(1);
    expect(await generationOf('/v1/savings-model')).toBe(1);
    expect(await generationOf('/v1/savings-model?limit=5')).toBe(1);
    expect(asked).toEqual(['1', '1']);
    present = '2';
    await expect.poll(() => generationOf('/v1/savings-model')).toBe(2);
    expect(asked).toEqual(['1', '1', '2']);
  });

  test('whoever was told of another generation elsewhere is never told of the former one afterwards', async () => {
    let present = 1;
    const { app: api } = await appWith({
      gold: {
        version: async () => ({ generation: present, version: String(present) }),
        timeline: async () => rows,
        read: async () => ({ version: String(present), ...rows, generation: present }),
      },
      generations: { list: async () => ({ ...none, active: present }), diff: async () => Promise.reject(new Error()) },
    });
    const ask = async (url: string) => (await api.inject(url)).json<{ generation?: number; active?: number }>();
    expect(await ask('/v1/savings-model')).toMatchObject({ generation: 1 });
    present = 2;
    expect(await ask('/v1/generations')).toMatchObject({ active: 2 });
    expect(await ask('/v1/savings-model')).toMatchObject({ generation: 2 });
  });
});

test('what a diff is asked for reaches it, a price in cents; what is none is refused', async () => {
  const asked: unknown[] = [];
  const diff = async (one: unknown) => {
    asked.push(one);
    return Promise.reject(new Error('nobody compares here'));
  };
  const { app: api } = await appWith({ generations: { list: async () => none, diff } });
  await api.inject('/v1/generations/1/diff/2?from=2026-11-01&cost_per_call=9.53&examples=0');
  await api.inject('/v1/generations/1/diff/2');
  expect(asked).toEqual([
    { a: 1, b: 2, from: '2026-11-01', costPerCallCents: 953, examples: 0 },
    { a: 1, b: 2, costPerCallCents: undefined, examples: expect.any(Number) },
  ]);
  expect((await api.inject('/v1/generations/1/diff/2?cost_per_call=-1')).statusCode).toBe(400);
});

describe('problems', () => {
  test('an unknown address', async () => {
    const { app: api } = await appWith();
    const answer = await api.inject('/v1/nothing');
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({ status: 404, title: 'Not Found' });
  });

  test('an address that cannot be decoded', async () => {
    const { app: api } = await appWith();
    const answer = await api.inject('/v1/%ff');
    expect(answer.statusCode).toBe(400);
    expect(answer.headers['content-type']).toContain('application/problem+json');
  });

  test('a database that does not answer: 503, to be tried again', async () => {
    const refused = Object.assign(new Error('connect ECONNREFUSED 10.1.2.3:5432'), { code: 'ECONNREFUSED' });
    const { app: api } = await appWith({
      gold: { read: async () => Promise.reject(refused), timeline: async () => rows, version },
    });
    const answer = await api.inject('/v1/savings-model');
    expect(answer.statusCode).toBe(503);
    expect(answer.headers['retry-after']).toBe('2');
    expect(answer.body).not.toContain('10.1.2.3');
  });

  test('no generation yet: 503, and what it waits for', async () => {
    const { app: api } = await appWith();
    const answer = await api.inject('/v1/pipeline');
    expect(answer.statusCode).toBe(503);
    expect(answer.json<{ detail: string }>().detail).toContain('no generation is active yet');
  });

  test('an error that nobody expected says nothing about the inside', async () => {
    const { app: api, logged } = await appWith({
      gold: { read: async () => Promise.reject(new Error('secret inside')), timeline: async () => rows, version },
    });
    const answer = await api.inject('/v1/savings-model');
    expect(answer.statusCode).toBe(500);
    expect(answer.body).not.toContain('secret inside');
    expect(logged.join('')).toContain('secret inside');
  });
});

describe('the timeline of a member', () => {
  const url = '/v1/members/M-104382/timeline';

  test('is recorded before it is read', async () => {
    const { app: api, asked } = await appWith();
    const answer = await api.inject({ url: `${url}?purpose=complaint+17`, headers: { 'x-actor': 'ann' } });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(asked.map(([what]) => what)).toEqual(['audit', 'timeline']);
    const entry = asked[0]?.[1] as AuditEntry;
    expect(entry).toMatchObject({
      action: 'read_timeline',
      actor: 'claimed:ann',
      purpose: 'complaint 17',
      remoteAddress: '127.0.0.1',
    });
    expect(entry.memberPid).toMatch(/^[A-Z2-7]{12}$/);
    expect(entry.fields).toContain('error_code');
    expect(JSON.stringify(entry)).not.toContain('104382');
  });

  test('is not read if it cannot be recorded', async () => {
    const { app: api, asked } = await appWith({ audit: { write: async () => Promise.reject(new Error('disk full')) } });
    const answer = await api.inject(url);
    expect(answer.statusCode).toBe(503);
    expect(answer.json<{ detail: string }>().detail).toContain('could not be recorded');
    expect(asked).toEqual([]);
  });

  test.each([
    ['another machine', { remoteAddress: '10.0.0.5' }],
    ['a name that leads here (DNS rebinding)', { headers: { host: 'evil.example:8080' } }],
    ['a proxy', { headers: { 'x-forwarded-for': '127.0.0.1' } }],
    ['a page of another site', { headers: { 'sec-fetch-site': 'cross-site' } }],
  ])('is refused to %s, neither read nor recorded', async (_, request) => {
    const { app: api, asked } = await appWith();
    const answer = await api.inject({ url, ...request });
    expect(answer.statusCode).toBe(403);
    expect(answer.json()).toMatchObject({ title: 'Forbidden' });
    expect(asked).toEqual([]);
  });

  test('an id of 200 bytes, percent-encoded, arrives as it is', async () => {
    const { app: api, asked } = await appWith();
    const id = `ü/${'x'.repeat(100)}`;
    expect((await api.inject(`/v1/members/${encodeURIComponent(id)}/timeline`)).statusCode).toBe(200);
    expect(asked[1]).toEqual(['timeline', id, 1_000]);
  });

  test('a member of whom nothing is known is a 404', async () => {
    const { app: api } = await appWith({
      gold: { read, version, timeline: async () => ({ ...rows, rows: [] }) },
    });
    expect((await api.inject(url)).statusCode).toBe(404);
  });

  test('a program that lists members is stopped', async () => {
    const { app: api } = await appWith();
    let last = 0;
    for (let n = 0; n <= 120; n += 1) last = (await api.inject(`/v1/members/M-${n}/timeline`)).statusCode;
    expect(last).toBe(429);
  });

  test('no log line and no metric names a member', async () => {
    const failing = { read, version, timeline: async () => Promise.reject(new Error('broken')) };
    const { app: api, logged } = await appWith({ gold: failing });
    expect((await api.inject(url)).statusCode).toBe(500);
    const metrics = await api.inject('/metrics');
    expect(metrics.body).toContain('route="/v1/members/:member_id/timeline"');
    expect(`${logged.join('')}${metrics.body}`).not.toContain('104382');
  });
});

describe('the service itself', () => {
  test('live, ready and not ready', async () => {
    const { app: api, health } = await appWith();
    expect((await api.inject('/livez')).statusCode).toBe(200);
    expect((await api.inject('/readyz')).statusCode).toBe(200);
    health.setReady('views of gold', false, 'waiting');
    const waiting = await api.inject('/readyz');
    expect(waiting.statusCode).toBe(503);
    expect(waiting.json()).toEqual({ ready: false, checks: { 'views of gold': { ok: false, detail: 'waiting' } } });
  });

  test('describes itself as OpenAPI 3.1, with every filter and column, and has a page for people', async () => {
    const { app: api } = await appWith();
    const document = (await api.inject('/openapi.json')).json<{
      openapi: string;
      paths: Record<string, { get: { parameters: { name: string }[] } }>;
    }>();
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(Object.keys(document.paths).sort()).toEqual(
      [
        ...resources.map(({ table }) => `/v1/${table.replaceAll('_', '-')}`),
        '/v1/members/{member_id}/timeline',
        '/v1/pipeline',
        '/v1/generations',
        '/v1/generations/{a}/diff/{b}',
      ].sort(),
    );
    const names = document.paths['/v1/daily-leakage-history']?.get.parameters.map((parameter) => parameter.name);
    expect(names).toEqual(['leakage_type', 'from', 'to', 'limit']);
    expect(JSON.stringify(document)).toContain('fix_rate_10_pct_savings_low');
    const page = await api.inject('/docs');
    expect(page.statusCode).toBe(200);
    expect(page.headers['content-security-policy']).toContain("script-src 'self'");
    expect(page.headers['content-security-policy']).not.toMatch(/validator|upgrade-insecure/);
    expect(page.headers['x-frame-options']).toBe('SAMEORIGIN');
    expect((await api.inject('/')).headers.location).toBe('/docs');
  });
});

test('no browser shows data as a page or guesses what they are, a refusal neither', async () => {
  const { app: api } = await appWith();
  for (const path of ['/v1/daily-leakage-summary', '/v1/daily-leakage-summary?limit=0', '/nowhere', '/readyz']) {
    expect((await api.inject(path)).headers).toMatchObject({
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'x-content-type-options': 'nosniff',
    });
  }
});

test('requests that cannot be answered at once are turned away, not kept; afterwards there is room again', async () => {
  const answered = Promise.withResolvers<Rows & Version>();
  const gold = { read: () => answered.promise, timeline: async () => rows, version };
  const { app: api } = await appWith({ gold });
  const url = `${await api.listen({ host: '127.0.0.1', port: 0 })}/v1/savings-model`;
  const statusOf = async () => {
    const answer = await fetch(url);
    await answer.arrayBuffer();
    return answer.status;
  };
  const asked = Array.from({ length: 201 }, statusOf);
  expect(await Promise.race(asked)).toBe(503);
  answered.resolve({ version: '1', ...rows });
  const statuses = await Promise.all(asked);
  expect(statuses.filter((status) => status === 200)).toHaveLength(200);
  expect(await statusOf()).toBe(200);
});
