// Generations of what Kafka got in a time: from Kafka and from bronze they are one, hold nothing else, and come to an end.

import { eventually, type ServiceProcess, startServiceProcess, temporaryFolder } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { readWorkedOn } from '../cli/src/generations/worked-on.ts';
import type { Part } from '../cli/src/rebuild/part.ts';
import { verifyPipeline } from '../cli/src/verify.ts';
import { generationStore } from '../services/api/src/generation-store.ts';
import { Workload } from './faults/support/workload.ts';
import { dump } from './support/dump.ts';
import { leakage } from './support/leakage.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { addPartition, beginOn, forget, offsetsRead, untilBuilt } from './support/rebuilding.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 180_000 });

const data = temporaryFolder();
const killed: ServiceProcess[] = [];
let pipeline: Pipeline;
let workload: Workload;
/** Instants between three waves of records: everything of a wave came before the next one. */
let from: number;
let to: number;

beforeAll(async () => {
  pipeline = await startPipeline();
  workload = new Workload(pipeline.prefix, 20_261_130);
  await pipeline.feed(workload.tell(120));
  from = await afterEverything();
  await pipeline.feed(workload.tell(150));
  to = await afterEverything();
  await pipeline.feed(workload.tell(120));
});
afterAll(async () => {
  await Promise.all(killed.map((one) => one.stop()));
  await pipeline.stop();
});

/** The millisecond after the newest record, once it is over. */
async function afterEverything(): Promise<number> {
  const { rows } = await pipeline.pool.query<{ newest: number }>(
    `select max(kafka_timestamp) as newest
       from (select kafka_timestamp from bronze.digital_journeys_raw union all
             select kafka_timestamp from bronze.call_logs_raw union all
             select kafka_timestamp from bronze.member_profiles_raw) r`,
  );
  const after = (rows[0]?.newest ?? 0) + 1;
  await eventually(() => Date.now() > after + 5, { what: 'the clock to go on' });
  return after;
}

/** Commands write logs of the processes that they run. */
const commandEnv = () => ({ ...pipeline.env, LEAKAGE_DATA_DIR: data });
const env = (generation: number) => ({ GENERATION: String(generation), SILVER_BATCH_RECORDS: '50' });
const start = async (generation: number): Promise<ServiceProcess[]> =>
  await Promise.all([
    pipeline.start('silver-joiner', { env: env(generation) }),
    pipeline.start('gold-aggregator', { env: env(generation) }),
  ]);

async function finished(generation: number): Promise<void> {
  await untilBuilt(pipeline, generation);
  const isLeft = async () => !(await readWorkedOn(pipeline.pool)).some(({ id }) => id === generation);
  await eventually(isLeft, { withinMs: 30_000, what: `generation ${generation} to be finished` });
}

/** Records within its positions that are not of the part, and records of the part that are not within them: by bronze's columns. */
async function misplaced(generation: number, part: Part): Promise<number> {
  const { rows } = await pipeline.pool.query<{ misplaced: number; within: number }>(
    `select count(*) filter (where (at >= first_offset and at < coalesce(until_offset, at + 1)) <> of_part) as misplaced,
            count(*) filter (where of_part) as within
       from (select p.first_offset, p.until_offset, r.at,
                    (r.profile or r.got >= coalesce($2::timestamptz, '-infinity')) and r.got < coalesce($3::timestamptz, 'infinity') as of_part
               from ops.position p
               join (select kafka_topic, kafka_partition, kafka_offset as at, kafka_timestamp as got, false as profile from bronze.digital_journeys_raw
                     union all select kafka_topic, kafka_partition, kafka_offset, kafka_timestamp, false from bronze.call_logs_raw
                     union all select kafka_topic, kafka_partition, kafka_offset, kafka_timestamp, true from bronze.member_profiles_raw) r
                 on r.kafka_topic = p.topic and r.kafka_partition = p.partition
              where p.pipeline = 'silver_' || $1::int) x`,
    [generation, iso(part.from), iso(part.to)],
  );
  expect(rows[0]?.within).toBeGreaterThan(100);
  return rows[0]?.misplaced ?? -1;
}

const iso = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
const verified = async (generation: number) => {
  const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl, generation });
  return report.checks.filter(({ differences }) => differences > 0);
};

let fromTopics: number;

test('from Kafka and from bronze it is the same, holds nothing else, and the oracle agrees', async () => {
  const part = { from, to };
  const first = await beginOn(pipeline, { part, purpose: 'what_if', source: 'topics' });
  const second = await beginOn(pipeline, { part, purpose: 'what_if', source: 'bronze' });
  expect([first.source, second.source]).toEqual(['topics', 'bronze']);
  const feeding = pipeline.feed(workload.tell(30));
  await Promise.all([start(first.generation), start(second.generation)]);
  await feeding;
  for (const { generation } of [first, second]) {
    await finished(generation);
    expect(await misplaced(generation, part)).toBe(0);
    expect(await verified(generation)).toEqual([]);
  }
  const lines = await dump(pipeline.pool, first.generation);
  expect(await dump(pipeline.pool, second.generation)).toEqual(lines);
  expect(lines.length).toBeGreaterThan(300);
  expect(lines).not.toEqual(await dump(pipeline.pool));
  fromTopics = first.generation;
});

test('what comes later is never read, however long its processes stay', async () => {
  const before = await dump(pipeline.pool, fromTopics);
  await pipeline.feed(workload.tell(30));
  expect(await misplaced(fromTopics, { from, to })).toBe(0);
  expect(await dump(pipeline.pool, fromTopics)).toEqual(before);
});

test('with a beginning only it follows live, with an end only it begins at the beginning', async () => {
  const open = await beginOn(pipeline, { part: { from: to, to: null }, purpose: 'what_if' });
  const early = await beginOn(pipeline, { part: { from: null, to: from }, purpose: 'what_if', source: 'bronze' });
  await Promise.all([start(open.generation), start(early.generation)]);
  await untilBuilt(pipeline, open.generation);
  await pipeline.feed(workload.tell(20));
  await untilBuilt(pipeline, open.generation);
  await finished(early.generation);
  expect(await misplaced(open.generation, { from: to, to: null })).toBe(0);
  expect(await misplaced(early.generation, { from: null, to: from })).toBe(0);
  expect(await verified(open.generation)).toEqual([]);
  expect(await verified(early.generation)).toEqual([]);
  expect((await readWorkedOn(pipeline.pool)).map(({ id }) => id)).toEqual([1, open.generation]);
});

describe('when Kafka has forgotten its beginning', () => {
  test('bronze says where it lies; killed again and again in the middle, it ends as the one from Kafka', async () => {
    await forget(pipeline);
    const part = { from, to };
    const { generation, source } = await beginOn(pipeline, { part, purpose: 'what_if', recordsPerSecond: 300 });
    expect(source).toBe('bronze');
    expect(await misplaced(generation, part)).toBe(0);
    await pipeline.start('gold-aggregator', { env: env(generation) });
    for (let kills = 0; kills < 3; kills++) {
      const before = await offsetsRead(pipeline, generation);
      const victim = startServiceProcess('silver-joiner', { ...pipeline.env, ...env(generation) });
      killed.push(victim);
      await eventually(async () => (await offsetsRead(pipeline, generation)) > before, { what: 'some records' });
      await victim.stop('SIGKILL');
    }
    const { rows } = await pipeline.pool.query<{ left: number }>(
      `select sum(until_offset - next_offset)::int as left from ops.position where pipeline = 'silver_' || $1::int`,
      [generation],
    );
    expect(rows[0]?.left).toBeGreaterThan(0);
    await pipeline.start('silver-joiner', { env: env(generation) });
    await finished(generation);
    expect(await misplaced(generation, part)).toBe(0);
    expect(await dump(pipeline.pool, generation)).toEqual(await dump(pipeline.pool, fromTopics));
    expect(await verified(generation)).toEqual([]);
  });

  test('the command builds it to its end and says what it is; it is compared and never promoted', async () => {
    const words = ['--from', String(iso(from)), '--to', String(iso(to)), '--share', '100', '--json'];
    const { code, out, problems } = await leakage(['rebuild', ...words], commandEnv());
    expect({ code, problems }).toMatchObject({ code: 0 });
    const { generation } = JSON.parse(out) as { generation: number };
    expect(JSON.parse(out)).toMatchObject({ built: true, progress: { ends: true, goldBehind: 0 } });
    expect(problems).toMatch(/from bronze \(Kafka has forgotten/);
    expect(problems).toMatch(/made of what Kafka got from .* on and before .*: a what-if/);
    expect(await dump(pipeline.pool, generation)).toEqual(await dump(pipeline.pool, fromTopics));

    const again = await leakage(['rebuild', '--resume', String(generation)], commandEnv());
    expect(again).toMatchObject({ code: 0 });
    expect(again.problems).toMatch(/has all of what Kafka got from .* and before/);
    expect(again.problems).not.toMatch(/promote|follows live/);

    const listed = JSON.parse((await leakage(['generations', '--json'], commandEnv())).out) as {
      generations: { id: number }[];
    };
    expect(listed.generations.find(({ id }) => id === generation)).toMatchObject({
      purpose: 'what_if',
      partOf: { from: iso(from), to: iso(to) },
    });
    const ofApi = await generationStore(pipeline.pool, { silver: 'silver', gold: 'gold' }).list();
    expect(ofApi.generations.find(({ id }) => id === generation)).toMatchObject({
      partOf: { from: iso(from), to: iso(to) },
      recordsBehindActive: 0,
    });
    const lines = (await leakage(['generations'], commandEnv())).out;
    expect(lines).toMatch(new RegExp(`^${generation} +building, what-if .* nowhere .*of what Kafka got from `, 'm'));

    const refused = await leakage(['promote', String(generation), '--force', '--reason', 'x'], commandEnv());
    expect(refused).toMatchObject({ code: 3 });
    expect(refused.problems).toMatch(/made of a part of the records/);
    // Its events are of days long before Kafka got them: no day of them can be complete.
    const compared = await leakage(['diff', '1', String(generation)], commandEnv());
    expect(compared).toMatchObject({ code: 1 });
    expect(compared.problems).toMatch(/no complete local day in common.*made of what Kafka received from/);
  });
});

test.each([
  ['an end before the beginning', () => ['--from', iso(to), '--to', iso(from)], /is not before/],
  ['an end in the future', () => ['--to', iso(Date.now() + 3_600_000)], /lies in the future/],
  ['a beginning before there was anything', () => ['--from', '2026-01-01'], /Bronze has journeys and calls from .* on/],
  ['an end before there was anything', () => ['--to', '2026-01-01'], /--to 2026-01-01T.* lies before that/],
  ['no record', () => ['--from', iso(to), '--to', iso(to + 3)], /no journeys and no calls in what Kafka got from/],
  ['no time', () => ['--from', 'yesterday'], /yesterday is no time/],
  ['another part for one that is there', () => ['--resume', '2', '--from', iso(from)], /never changes/],
])('%s is wrong usage, and makes no generation', async (_what, words, reason) => {
  const count = async () => (await pipeline.pool.query('select from ops.generation')).rowCount;
  const before = await count();
  const { code, problems } = await leakage(['rebuild', ...words().map(String)], commandEnv());
  expect({ code, problems }).toMatchObject({ code: 2, problems: expect.stringMatching(reason) as string });
  expect(await count()).toBe(before);
});

test('a partition that comes later is none of an ended generation, whoever works on it', async () => {
  const { generation } = await beginOn(pipeline, { part: { from, to }, purpose: 'what_if' });
  await addPartition(pipeline, 'calls');
  await pipeline.start('silver-joiner', { env: env(generation) });
  await pipeline.start('gold-aggregator', { env: env(generation) });
  await finished(generation);
  const { rows } = await pipeline.pool.query<{ partitions: number }>(
    `select count(*) as partitions from ops.position where pipeline = 'silver_' || $1::int and topic like '%.calls'`,
    [generation],
  );
  expect(rows).toEqual([{ partitions: 12 }]);
});

test('bronze that lacks a row of the part is not taken for the archive that it should be', async () => {
  const { generation } = await beginOn(pipeline, { part: { from, to }, purpose: 'what_if', source: 'bronze' });
  const { rows } = await pipeline.pool.query<{ place: string }>(
    `delete from bronze.call_logs_raw where ctid = (
       select r.ctid from bronze.call_logs_raw r
         join ops.position p on p.topic = r.kafka_topic and p.partition = r.kafka_partition
        where p.pipeline = 'silver_' || $1::int and r.kafka_offset >= p.first_offset and r.kafka_offset < p.until_offset
        limit 1)
     returning kafka_topic || '/' || kafka_partition as place`,
    [generation],
  );
  const reading = startServiceProcess('silver-joiner', { ...pipeline.env, ...env(generation) });
  killed.push(reading);
  expect(await reading.exited).toBe(1);
  expect(reading.output()).toContain(`bronze holds fewer records than it has taken of ${rows[0]?.place} (1;`);
});
