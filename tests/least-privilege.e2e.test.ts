// The product with a login for each service that may do what that service does and nothing else; the owner is away.

import { createKafkaClient, topicOffsets } from '@leakage/kafka';
import { createLogger } from '@leakage/runtime';
import { contracts, SOURCES, type Source, topicName } from '@leakage/schemas';
import { call, freePort, journey, profile, type ServiceProcess, startServiceProcess } from '@leakage/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { RoleName } from '../cli/src/init/role-table.ts';
import { beginReplay } from '../cli/src/replay/begin.ts';
import { endReplay } from '../cli/src/replay/replay-store.ts';
import { type Installation, newInstallation } from '../cli/src/testing/installation.ts';
import { verifyPipeline } from '../cli/src/verify.ts';
import { readChanges, relayed } from './support/change-stream.ts';
import { type Pipeline, pipelineOn } from './support/pipeline.ts';

const log = createLogger({ service: 'tests', level: 'error' });
vi.setConfig({ testTimeout: 240_000, hookTimeout: 180_000 });

const minute = 60_000;
const monday = Date.parse('2026-03-02T15:00:00Z');

let it: Installation;
let pipeline: Pipeline;
beforeAll(async () => {
  it = await newInstallation();
  pipeline = await pipelineOn({ url: it.url, drop: it.stop, prefix: it.topicPrefix });
});
afterAll(async () => await pipeline.stop());

const record = (source: Source, key: string, value: Buffer) => ({
  topic: topicName(pipeline.prefix, source),
  key,
  value,
});

/** A member who fails and calls; a correction, a duplicate and something that cannot be read come along. */
function story(nr: number) {
  const member_id = `member ${nr}`;
  const at = monday + nr * 7 * minute;
  const failed = journey({ member_id, session_id: `session ${nr}`, timestamp: at, event_id: `event ${nr}` });
  const called = call({ member_id, call_id: `call ${nr}`, call_timestamp: at + 10 * minute });
  const sent = contracts.calls.encode(called);
  return [
    record('members', member_id, contracts.members.encode(profile({ member_id }))),
    record('journeys', member_id, contracts.journeys.encode(failed)),
    record('calls', member_id, sent),
    record('calls', member_id, sent),
    record('calls', member_id, contracts.calls.encode({ ...called, revision: 1, deleted: nr % 5 === 0 })),
    record('calls', member_id, contracts.calls.encode({ ...called, revision: 1, handle_time_seconds: 12 })),
    record('journeys', member_id, Buffer.from('nothing that anybody could read')),
  ];
}
const stories = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => story(from + i)).flat();

const loginOf: Readonly<Record<string, RoleName>> = {
  'bronze-sink': 'bronze',
  'silver-joiner': 'silver',
  'gold-aggregator': 'gold',
  api: 'api',
};
const services = ['bronze-sink', 'silver-joiner', 'gold-aggregator'] as const;

/** The settings of a service under its own login. */
const own = (name: string) => ({ env: { DATABASE_URL: it.urlOf(loginOf[name] ?? 'reader') } });
const live: ServiceProcess[] = [];

test('services that the owner began go on while init runs, and under their own logins afterwards; everything is equal', async () => {
  // 1. As on one machine: the owner does everything.
  const owned = await Promise.all(services.map((name) => pipeline.start(name)));
  await pipeline.feed(stories(0, 20));

  // 2. While records come, twice: the second time nothing is left to do.
  const feeding = pipeline.feed(stories(20, 60));
  const first = await it.init();
  expect(first.out).toContain(`${it.rolePrefix}_bronze`);
  await feeding;
  expect((await it.init()).out).toMatch(/rights +were as they should be/);
  for (const one of owned) expect(await one.stop()).toBe(0);

  // 3. Each with its own login. Nobody else is connected but this test, which reads.
  live.push(...(await Promise.all(services.map((name) => pipeline.start(name, own(name))))));
  await pipeline.feed(stories(60, 140));
  const { rows } = await pipeline.pool.query<{ login: string }>(
    `select distinct usename::text as login from pg_stat_activity
      where datname = current_database() and application_name in ('bronze-sink', 'bronze-sink partitions', 'silver-joiner', 'silver-joiner relay', 'gold-aggregator')
      order by 1`,
  );
  expect(rows.map(({ login }) => login)).toEqual(
    ['bronze', 'gold', 'silver'].map((role) => `${it.rolePrefix}_${role}`),
  );

  // 4. Gold counts anew from silver, which needs other rights than folding.
  await pipeline.pool.query(`delete from ops.reader where reader = 'gold'`);
  await pipeline.feed(stories(140, 150));

  // 5. Silver tells the world, also where it has no place in the log yet.
  await relayed(pipeline.pool);
  await pipeline.pool.query(`delete from ops.reader where reader = 'changes'`);
  await relayed(pipeline.pool);
  const before = (await readChanges(pipeline)).length;
  await pipeline.feed(stories(150, 155));
  await relayed(pipeline.pool);
  expect((await readChanges(pipeline)).length).toBeGreaterThan(before);

  const report = await verifyPipeline({ databaseUrl: it.url });
  expect(report.checks.filter((check) => check.differences > 0)).toEqual([]);
  expect(report.ok).toBe(true);
});

test('replays under their own logins: bronze gets back what was deleted, and silver finds what was given up', async () => {
  const ends = await positions();
  await Promise.all(live.splice(0).map((service) => service.stop()));
  await pipeline.publisher.publish(stories(155, 160));
  const kafka = createKafkaClient({ brokers: [...pipeline.brokers], clientId: 'tests', log });
  const topics = SOURCES.map((source) => topicName(pipeline.prefix, source));
  for (const { topic, partition, high } of await topicOffsets(kafka, topics)) {
    for (const name of ['bronze', 'silver_1']) {
      const at = ends.get(`${topic}/${partition}`) ?? 0;
      if (high > at)
        await pipeline.pool.query('select ops.accept_loss($1, $2, $3, $4, $5)', [name, topic, partition, at, high]);
    }
  }
  live.push(...(await Promise.all(services.map((name) => pipeline.start(name, own(name))))));
  await pipeline.feed(stories(160, 162));
  await pipeline.pool.query('delete from bronze.call_logs_raw where kafka_offset % 5 = 0');

  for (const [name, generation] of [
    ['bronze-sink', null],
    ['silver-joiner', 1],
  ] as const) {
    const id = await beginReplay({
      pool: pipeline.pool,
      kafka,
      topicPrefix: pipeline.prefix,
      service: name,
      generation,
      beginning: { kind: 'earliest' },
      begins: 'earliest',
      recordsPerSecond: null,
      note: () => undefined,
    });
    const replay = startServiceProcess(name, { ...pipeline.env, ...own(name).env, REPLAY: String(id) });
    expect([await replay.exited, replay.output()]).toEqual([0, expect.not.stringContaining('"level":"warn"')]);
    expect(await endReplay(pipeline.pool, id ?? 0, 'done')).toBe(true);
  }
  await pipeline.drained();
  const report = await verifyPipeline({ databaseUrl: it.url });
  expect(report.checks.filter((check) => check.differences > 0)).toEqual([]);
  expect(report.warnings.filter(({ rule }) => rule === 'ops.loss')).toEqual([]);
});

/** Where live stands, by topic/partition. */
async function positions(): Promise<Map<string, number>> {
  const { rows } = await pipeline.pool.query<{ place: string; at: number }>(
    `select topic || '/' || partition as place, next_offset as at from ops.position where pipeline = 'silver_1'`,
  );
  return new Map(rows.map(({ place, at }) => [place, at]));
}

test('the api serves figures, a member and the pipeline, and its own login cannot read who looked', async () => {
  const port = await freePort();
  const env = { DATABASE_URL: it.urlOf('api'), API_PORT: String(port), PSEUDONYM_KEY: 'k'.repeat(32) };
  await pipeline.start('api', { env });
  const get = async (path: string, headers: Record<string, string> = {}) => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
    return { status: answer.status, text: await answer.text() };
  };
  for (const path of ['/v1/daily-leakage-summary', '/v1/savings-model', '/v1/root-cause-analysis', '/v1/pipeline']) {
    expect(await get(path), path).toMatchObject({ status: 200 });
  }
  const timeline = await get(`/v1/members/${encodeURIComponent('member 3')}/timeline?purpose=a+test`);
  expect(timeline).toMatchObject({ status: 200, text: expect.stringContaining('billing') as string });
  const { rows } = await pipeline.pool.query('select action, purpose from app.audit');
  expect(rows).toEqual([{ action: 'read_timeline', purpose: 'a test' }]);
});

test('the questions of the README are answered to a reader who can see no member', async () => {
  await it.as(it.urlOf('reader'), async (pool) => {
    const { rows } = await pool.query<{ journey: string; daily_calls: number }>(
      'select leakage_type as journey, sum(daily_calls) as daily_calls from gold.daily_leakage_summary group by 1',
    );
    expect(rows.map(({ journey }) => journey)).toContain('billing');
    await expect(pool.query('select member_id from gold.journey_timeline')).rejects.toThrow(/permission denied/);
  });
});
