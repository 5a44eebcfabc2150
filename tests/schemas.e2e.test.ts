import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createPool, ensureGeneration, migrate, migrateOps, publishViews } from '@leakage/postgres';
import { openEncoders } from '@leakage/registry';
import { createLogger } from '@leakage/runtime';
import { contracts, type DigitalJourneyEvent, topicName } from '@leakage/schemas';
import {
  call,
  eventually,
  journey,
  type ServiceProcess,
  startServiceProcess,
  startTestRegistry,
  type TestRegistry,
  temporaryFolder,
} from '@leakage/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { verifyPipeline } from '../cli/src/verify.ts';
import { DEFAULT_RULES, RULES_VERSION } from '../services/silver-joiner/src/domain/rules.ts';
import { emptyPipeline, type Pipeline, startPipeline } from './support/pipeline.ts';

const log = createLogger({ service: 'tests', level: 'error' });
/** Every wait has its own limit, with a message; this one only ends what nobody thought of. */
const MINUTES = 300_000;
const AT = Date.parse('2026-03-02T15:00:00Z');

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** Three days of a small world, of which the journeys are written by one version of the contract. */
async function generate(pipeline: Pipeline, lastDay: string, env: Record<string, string>): Promise<void> {
  const generator = startServiceProcess('generator', {
    ...pipeline.env,
    ANCHOR_DATE: lastDay,
    HISTORY_DAYS: '3',
    NUM_MEMBERS: '1000',
    NUM_DIGITAL_JOURNEYS: '1285',
    NUM_CALLS: '30',
    LIVE: 'false',
    OUTPUT_PATH: temporaryFolder(),
    ...env,
  });
  expect([await generator.exited, generator.output()]).toEqual([0, expect.stringContaining('history published')]);
}

async function equal(pipeline: Pipeline): Promise<void> {
  const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
  expect(report.checks.filter((check) => check.differences > 0)).toEqual([]);
}

interface Bronze {
  readonly schema_id: number | null;
  readonly records: number;
  readonly with_version: number;
}

/** What bronze has of the journeys' topic by schema id; of records that decoded. */
async function journeysById(pipeline: Pipeline): Promise<Bronze[]> {
  const { rows } = await pipeline.pool.query<Bronze>(
    `select schema_id, count(*) as records, count(app_version) as with_version
       from bronze.digital_journeys_raw where decode_error is null group by schema_id order by schema_id`,
  );
  return rows;
}

describe('two versions of the journey contract', { timeout: MINUTES }, () => {
  it('by old and new producers at once: rows of both in bronze and silver, and verify finds them equal', async () => {
    const pipeline = await startPipeline();
    ends.push(() => pipeline.stop());
    await Promise.all([
      generate(pipeline, '2026-03-03', { JOURNEY_SCHEMA_VERSION: '1' }),
      generate(pipeline, '2026-03-10', { JOURNEY_SCHEMA_VERSION: '2' }),
    ]);
    const [old, renewed] = [1, 2].map((version) =>
      contracts.journeys.encoder({ version, id: version === 1 ? 1 : contracts.journeys.schemaId }),
    );
    const send = async (encoder: typeof old, event: DigitalJourneyEvent) =>
      await pipeline.publisher.publish([
        { topic: topicName(pipeline.prefix, 'journeys'), key: event.member_id, value: encoder?.encode(event) ?? null },
      ]);
    const both = journey({ event_id: 'e-both', timestamp: AT });
    const corrected = journey({ event_id: 'e-corrected', timestamp: AT });
    for (const event of [both, corrected]) for (const encoder of [old, renewed, old]) await send(encoder, event);
    await send(renewed, { ...corrected, revision: 1 });
    await pipeline.drained();

    const [first, second] = await journeysById(pipeline);
    expect([first?.schema_id, first?.with_version, second?.schema_id]).toEqual([1, 0, 5]);
    expect(first?.records).toBeGreaterThan(1_000);
    expect(second?.with_version).toBeGreaterThan(500);
    const silver = await pipeline.pool.query<{ device_type: string; rows: number; versions: number }>(
      `select device_type, count(*) as rows, count(app_version) as versions from silver.digital_journeys_cleaned
        where source_topic = $1 and "timestamp" >= '2026-03-06' group by device_type order by device_type`,
      [topicName(pipeline.prefix, 'journeys')],
    );
    expect(silver.rows.map((row) => [row.device_type, row.versions])).toEqual([
      ['desktop', 0],
      ['mobile', silver.rows[1]?.rows],
      ['tablet', 0],
    ]);
    // What an event's producer says of the app is content: copies that differ in it are in conflict until a correction comes.
    const { rows } = await pipeline.pool.query(
      `select event_id, app_version, (select count(*) from silver.conflicts c where c.identity = event_id) as contents
         from silver.digital_journeys_cleaned where event_id = any ($1) order by event_id`,
      [['e-both', 'e-corrected']],
    );
    expect(rows).toEqual([
      { event_id: 'e-both', app_version: null, contents: 2 },
      { event_id: 'e-corrected', app_version: '7.14.2', contents: 0 },
    ]);
    await equal(pipeline);
  });

  it('a database of the version before gets the column by itself, in its place at the end of the view', async () => {
    const pipeline = await emptyPipeline();
    ends.push(() => pipeline.stop());
    const url = pipeline.databaseUrl;
    await migrateOps({ url, log });
    await migrate({ url, schemas: ['bronze'], directory: versionBefore('bronze-sink', '0001_bronze.sql'), log });
    await migrate({ url, schemas: ['silver_1'], directory: versionBefore('silver-joiner', '0001_silver.sql'), log });
    const owner = createPool({ url, applicationName: 'tests', max: 1, log });
    ends.push(() => owner.stop());
    const { reasons } = DEFAULT_RULES;
    const rules = { ...DEFAULT_RULES, reasons: { ...reasons, journeyTypes: [...reasons.journeyTypes] } };
    await ensureGeneration(owner, 1, { rules, rulesVersion: RULES_VERSION, shards: 12 });
    await publishViews(owner, 'silver', 1);
    await owner.query(`create view mine as select * from silver.digital_journeys_cleaned`);
    await owner.query(
      `insert into bronze.digital_journeys_raw (kafka_topic, kafka_partition, kafka_offset, kafka_timestamp, event_id)
       values ('earlier', 0, 0, now(), 'e-before')`,
    );
    await owner.query(
      `insert into silver_1.journey_event (event_id, event_day, member_id, session_id, "timestamp", journey_type, action,
          revision, deleted, emitted_at, shard, ingestion_timestamp, source_topic, source_partition, source_offset)
       values ('e-before', 0, 'm', 's', now(), 'billing', 'error', 0, false, now(), 0, now(), 'earlier', 0, 0)`,
    );

    await pipeline.start('bronze-sink');
    await pipeline.start('silver-joiner');
    await pipeline.publisher.publish([
      {
        topic: topicName(pipeline.prefix, 'journeys'),
        key: 'member-1',
        value: contracts.journeys.encode(journey({ event_id: 'e-after', timestamp: AT })),
      },
    ]);
    const read = async (sql: string) => (await owner.query<{ event_id: string; app_version: string | null }>(sql)).rows;
    const expected = [
      { event_id: 'e-after', app_version: '7.14.2' },
      { event_id: 'e-before', app_version: null },
    ];
    await eventually(async () => (await read('select event_id from silver.digital_journeys_cleaned')).length === 2, {
      withinMs: 30_000,
      everyMs: 100,
      what: 'the new record in silver',
    });
    expect(await read('select event_id, app_version from silver.digital_journeys_cleaned order by 1')).toEqual(
      expected,
    );
    await eventually(async () => (await read('select event_id from bronze.digital_journeys_raw')).length === 2, {
      withinMs: 30_000,
      everyMs: 100,
      what: 'the new record in bronze',
    });
    expect(await read('select event_id, app_version from bronze.digital_journeys_raw order by 1')).toEqual(expected);
    const { rows } = await owner.query<{ name: string; count: number }>(
      `select (array_agg(column_name::text order by ordinal_position desc))[1] as name, count(*) as count
         from information_schema.columns where table_schema = 'silver' and table_name = 'digital_journeys_cleaned'`,
    );
    expect(rows).toEqual([{ name: 'app_version', count: 18 }]);
    // Somebody's own view over it was not in the way, and still stands.
    expect((await owner.query('select event_id from mine')).rows.length).toBe(2);
  });
});

/** A folder with the migrations that the version before had. */
function versionBefore(service: string, file: string): string {
  const folder = join(temporaryFolder(), service);
  mkdirSync(folder);
  copyFileSync(new URL(`../services/${service}/migrations/${file}`, import.meta.url), join(folder, file));
  return folder;
}

describe('a schema registry', { timeout: MINUTES }, () => {
  const consumers = ['bronze-sink', 'silver-joiner'] as const;
  const login = { user: 'leakage', password: 'p@ss word' };

  async function world(): Promise<{ pipeline: Pipeline; registry: TestRegistry; env: Record<string, string> }> {
    const registry = await startTestRegistry({ login });
    ends.push(() => registry.stop());
    const pipeline = await emptyPipeline();
    ends.push(() => pipeline.stop());
    return { pipeline, registry, env: { SCHEMA_REGISTRY_URL: registry.url, SCHEMA_REGISTRY_WAIT_SECONDS: '3' } };
  }

  /** Records of `count` members by one version, under the id that a registry gave it. */
  async function producer(pipeline: Pipeline, url: string, version: number) {
    const encoders = await openEncoders({
      url,
      register: true,
      topicPrefix: pipeline.prefix,
      versions: { journeys: version },
      log,
    });
    return async (name: string, count = 24): Promise<void> => {
      const members = Array.from({ length: count }, (_, nr) => `${name}-${nr}`);
      await pipeline.publisher.publish(
        members.flatMap((member) => [
          {
            topic: topicName(pipeline.prefix, 'journeys'),
            key: member,
            value: encoders.journeys.encode(journey({ event_id: `e-${member}`, member_id: member, timestamp: AT })),
          },
          {
            topic: topicName(pipeline.prefix, 'calls'),
            key: member,
            value: encoders.calls.encode(
              call({ call_id: `c-${member}`, member_id: member, call_timestamp: AT + 60_000 }),
            ),
          },
        ]),
      );
    };
  }

  const start = (pipeline: Pipeline, env: Record<string, string>): ServiceProcess[] => {
    const started = consumers.map((name) => startServiceProcess(name, { ...pipeline.env, ...env }));
    ends.push(() => Promise.all(started.map((one) => one.stop())));
    return started;
  };

  const readyz = async ({ port }: ServiceProcess) =>
    (await (await fetch(`http://127.0.0.1:${port}/readyz`)).json()) as {
      checks: Record<string, { ok: boolean; detail?: string }>;
    };

  it('gives the ids; while it is out, known schemas go on and unknown ones wait', async () => {
    const { pipeline, registry, env } = await world();
    const old = await producer(pipeline, registry.url, 1);
    let running = start(pipeline, env);
    await Promise.all(running.map((one) => one.ready));
    await pipeline.start('gold-aggregator');
    await old('old');
    await pipeline.drained();

    await registry.fail('closed');
    await old('out');
    await pipeline.drained();
    // A start asks nothing of a registry either.
    expect(await Promise.all(running.map((one) => one.stop()))).toEqual([0, 0]);
    running = start(pipeline, env);
    await Promise.all(running.map((one) => one.ready));
    await old('restarted');
    await pipeline.drained();

    // A new version is registered and written while our readers cannot ask what it is.
    await registry.resume();
    const renewed = await producer(pipeline, registry.url, 2);
    await registry.fail('closed');
    await renewed('new');
    await eventually(async () => !(await readyz(running[1] as ServiceProcess)).checks['schema registry']?.ok, {
      withinMs: 10_000,
      everyMs: 50,
      what: 'a word about waiting',
    });
    expect((await readyz(running[1] as ServiceProcess)).checks['schema registry']?.detail).toMatch(
      /^records of schema id 1004 wait: the schema registry at http:\/\/127.0.0.1:\d+ does not answer/,
    );
    expect(await Promise.all(running.map((one) => one.exited))).toEqual([1, 1]);
    for (const one of running) {
      expect(one.output()).toMatch(
        /records of schema id 1004 have waited 3 s for it, and nothing of their batch was kept/,
      );
      expect(one.output()).not.toMatch(/p@ss|p%40ss/);
    }
    const quarantined = async () =>
      (
        await pipeline.pool.query<{ reasons: string[]; records: number }>(
          'select reasons, count(*) as records from silver.quarantine group by reasons order by reasons',
        )
      ).rows;
    expect(await quarantined()).toEqual([]);

    running = start(pipeline, { ...env, SCHEMA_REGISTRY_WAIT_SECONDS: '120' });
    await old('waiting behind');
    await eventually(async () => running.every((one) => one.output().includes('records of schema id 1004 wait')), {
      withinMs: 30_000,
      everyMs: 100,
      what: 'both to wait again',
    });
    await registry.resume();
    await pipeline.drained();
    expect(await quarantined()).toEqual([]);

    const byId = await journeysById(pipeline);
    expect(byId).toEqual([
      { schema_id: 1001, records: 96, with_version: 0 },
      { schema_id: 1004, records: 24, with_version: 24 },
    ]);

    // What the registry answers is a reason: no such id, and an id of something else.
    const foreign = registry.add('foreign-value', { type: 'record', name: 'Foreign', fields: [] });
    await pipeline.publisher.publish(
      [999_999, foreign, 5].map((id) => ({
        topic: topicName(pipeline.prefix, 'journeys'),
        key: 'm',
        value: contracts.journeys.encoder({ version: 2, id }).encode(journey({ member_id: 'm' })),
      })),
    );
    await pipeline.drained();
    expect(await quarantined()).toEqual([
      { reasons: [`incompatible_schema:${foreign}`], records: 1 },
      { reasons: ['unknown_schema_id:5'], records: 1 },
      { reasons: ['unknown_schema_id:999999'], records: 1 },
    ]);
    await equal(pipeline);
  });

  it('is asked by a generator for the ids of its schemas, and filled only where that is allowed', async () => {
    const { pipeline, registry } = await world();
    const refused = startServiceProcess('generator', {
      ...pipeline.env,
      SCHEMA_REGISTRY_URL: registry.url,
      OUTPUT_PATH: temporaryFolder(),
    });
    expect([await refused.exited, refused.output()]).toEqual([
      1,
      expect.stringContaining(
        `version 2 of the schema of journeys is not registered under ${pipeline.prefix}.journeys-value`,
      ),
    ]);
    expect(refused.output()).not.toMatch(/p@ss|p%40ss/);
    const env = { SCHEMA_REGISTRY_URL: registry.url };
    const running = start(pipeline, env);
    await Promise.all(running.map((one) => one.ready));
    await pipeline.start('gold-aggregator');
    const registering = { ...env, SCHEMA_REGISTRY_REGISTER: 'true' };
    await Promise.all([
      generate(pipeline, '2026-03-03', { ...registering, JOURNEY_SCHEMA_VERSION: '1' }),
      generate(pipeline, '2026-03-10', registering),
    ]);
    await pipeline.drained();
    expect(registry.versionsOf(`${pipeline.prefix}.journeys-value`)).toEqual([1, 2]);
    const byId = await journeysById(pipeline);
    expect(byId.map(({ with_version }) => with_version > 0).sort()).toEqual([false, true]);
    for (const { schema_id: id, records } of byId) {
      expect(id).toBeGreaterThan(1_000);
      expect(records).toBeGreaterThan(1_000);
    }
    await equal(pipeline);
  });
});
