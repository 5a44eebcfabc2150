import { stripVTControlCharacters } from 'node:util';
import { createPool, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { freshDatabase } from '@leakage/testing';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { createWorld, type World } from '../../libs/oracle/src/testing/world.ts';
import { statusLines } from './status/lines.ts';
import type { End } from './status/positions.ts';
import { readStatus } from './status.ts';

let world: World;
let pool: Pool;
const log = createLogger({ service: 'test', level: 'silent' });
const topics = ['leakage.journeys', 'leakage.calls', 'leakage.members'];
const schemas = { bronze: 'bronze', silver: 'silver', gold: 'gold' };

beforeAll(async () => {
  world = await createWorld();
  pool = createPool({ url: world.url, applicationName: 'status-test', log });
});
afterAll(async () => {
  await pool.stop();
  await world.close();
});
beforeEach(async () => {
  await world.reset();
  const at = (minute: number) => `2026-03-02T15:${minute}:00Z`;
  const failure = {
    member_id: 'M-104382',
    session_id: 'S',
    timestamp: at(10),
    emitted_at: at(10),
    journey_type: 'billing',
  };
  await world.deliver([
    { source: 'journeys', event: { ...failure, event_id: 'e', action: 'error' } },
    { source: 'journeys', event: { ...failure, event_id: 'f', action: 'smile' } },
    {
      source: 'calls',
      event: {
        call_id: 'c',
        member_id: 'M-104382',
        call_timestamp: at(20),
        emitted_at: at(20),
        call_reason: 'billing_question',
        sentiment_score: -0.5,
      },
    },
  ]);
  await world.adopt();
});

const end = (topic: string, high: number): End => ({ topic, partition: 0, low: 0, high });
const read = (ends: End[] | string) =>
  readStatus({ pool, topics, schemas, measureMs: 1, ends: () => Promise.resolve(ends) });

test('all of the pipeline in one document, without a member id', async () => {
  const status = await read([end('leakage.journeys', 2), end('leakage.calls', 3), end('leakage.members', 0)]);
  expect(status).toMatchObject({
    generation: 1,
    rules: { windowMinutes: 30, timeZone: 'America/New_York', repeatScope: 'same_issue' },
    caughtUp: false,
    topics: [
      { topic: 'leakage.journeys', partitions: 1, end: 2, behind: { bronze: 0, silver: 0 } },
      { topic: 'leakage.calls', partitions: 1, end: 3, behind: { bronze: 2, silver: 2 } },
      { topic: 'leakage.members', partitions: 1, end: 0, behind: { bronze: 0, silver: 0 } },
    ],
    watermarks: {
      digital: '2026-03-02T15:10:00.000Z',
      calls: '2026-03-02T15:20:00.000Z',
      asOf: '2026-03-02T15:10:00.000Z',
    },
    timings: { newestEmittedAt: '2026-03-02T15:20:00.000Z', goldBehind: 0 },
    rows: {
      bronze: { journeys: 2, calls: 1, members: 0 },
      silver: { events: 1, calls: 1, callFacts: 1, journeyOutcomes: 1, quarantine: 1, conflicts: 0 },
      gold: { callCells: 1, journeyCells: 1 },
    },
    outcomes: { accepted: 2, quarantined: 1, records: 3, holes: 0 },
    conservation: { partitions: 4, broken: [] },
    quarantine: [{ reason: 'invalid', records: 1 }],
    summary: [{ journey: 'billing', dailyCalls: '1.0', dailyCost: '8.00', repeatPct: 0, sentiment: -0.5 }, {}, {}],
  });
  expect(status.validation.map((check) => check.ok)).toEqual([true, true, true, true, true, true]);
  expect(JSON.stringify(status)).not.toContain('104382');
});

test('is caught up when nothing is left in the topics', async () => {
  const status = await read([end('leakage.journeys', 2), end('leakage.calls', 1), end('leakage.members', 0)]);
  expect(status.caughtUp).toBe(true);
  expect(status.warnings).toEqual(['33.3 % of all records are in quarantine: npx leakage quarantine list.']);
});

test('what the world was not told yet is shown, and said when it waits for long', async () => {
  const ends = [end('leakage.journeys', 2), end('leakage.calls', 1), end('leakage.members', 0)];
  expect((await read(ends)).changeStream).toBeNull();
  await world.run(
    `insert into ops.reader (reader, generation, shard, next_seq) select 'changes', 1, shard, 1 from ops.shard`,
  );
  expect((await read(ends)).changeStream).toEqual({ untold: 0, oldestAt: null });
  await world.run('update ops.shard set change_seq = 3 where shard = 2');
  await world.run(`insert into silver_1.change_log (shard, seq, last_seq, changes, logged_at)
    values (2, 1, 2, '[]', '2026-03-01T00:00:00Z'), (2, 3, 3, '[]', '2026-03-02T00:00:00Z')`);
  await world.run(`update ops.reader set next_seq = 3 where reader = 'changes' and shard = 2`);
  const status = await read(ends);
  expect(status.changeStream).toEqual({ untold: 1, oldestAt: '2026-03-02T00:00:00.000Z' });
  expect(status.warnings).toContainEqual(expect.stringMatching(/^1 changes are not told in the change stream yet/));
  await world.run(`delete from silver_1.change_log`);
  await world.run('update ops.shard set change_seq = 0');
  await world.run(`delete from ops.reader where reader = 'changes'`);
});

test('a record that was repaired is in quarantine no more', async () => {
  await world.run(
    `insert into ops.repair (kafka_topic, kafka_partition, kafka_offset, status, reason, resolved_by, resolved_at)
     select kafka_topic, kafka_partition, kafka_offset, 'discarded', 'noise', 'ann', now() from silver_1.quarantine`,
  );
  const status = await read([end('leakage.journeys', 2), end('leakage.calls', 1), end('leakage.members', 0)]);
  expect(status).toMatchObject({ outcomes: { quarantined: 1 }, quarantine: [], resolved: 1, warnings: [] });
});

test('warns of what stands still and of what does not add up', async () => {
  await world.run('alter table ops.position disable trigger all');
  await world.run(`update ops.position set updated_at = now() - interval '1 hour'`);
  await world.run(`update ops.position set accepted = 0 where topic = 'leakage.calls'`);
  await world.run('update gold_1.call_cube set calls = 2');
  const status = await read([end('leakage.journeys', 2), end('leakage.calls', 3)]);
  await world.run('alter table ops.position enable trigger all');
  expect(status.conservation.broken).toEqual([
    { pipeline: 'bronze', topic: 'leakage.calls', partition: 0, offsets: 1, outcomes: 0 },
    { pipeline: 'silver_1', topic: 'leakage.calls', partition: 0, offsets: 1, outcomes: 0 },
  ]);
  expect(status.warnings).toEqual(
    expect.arrayContaining([
      'Some partitions do not add up: npx leakage verify shows where.',
      'gold counts the calls of silver: 2, should be 1.',
      expect.stringMatching(/^bronze-sink is behind and has made no progress since .*: is it running\?$/),
      expect.stringMatching(/^silver-joiner is behind/),
    ]),
  );
  const lines = statusLines(status).map((line) => stripVTControlCharacters(line));
  expect(lines.join('\n')).toContain('silver_1 leakage.calls/0: 1 offsets, 0 outcomes');
});

test('says why the last scheduled verification did not take place, and how often in a row', async () => {
  await world.run(`insert into ops.left_out_verification (generation, kind, reason, times, first_at, last_at)
    values (1, 'skipped', 'silver is 120000 records behind bronze, and goes first; and so on, and on', 3,
            now() - interval '3 hours', now() - interval '5 minutes')`);
  const status = await read([]);
  expect(status.verification.leftOut).toMatchObject({ kind: 'skipped', times: 3 });
  const lines = statusLines(status).map((line) => stripVTControlCharacters(line));
  const at = lines.findIndex((line) => line.startsWith('verified'));
  expect(lines.slice(at, at + 3)).toEqual([
    'verified     never (npx leakage verify recomputes everything)',
    '             the last scheduled one was left out (5 min ago; 3 in a row, the first 3 h ago): silver',
    '             is 120000 records behind bronze, and goes first; and so on, and on',
  ]);
});

test('fits into 100 columns, with and without Kafka', async () => {
  for (const ends of [
    [end('leakage.journeys', 123_456_789)],
    'Lag is not known: nothing listens at 127.0.0.1:9092 (KAFKA_BROKERS).',
  ]) {
    const lines = statusLines(await read(ends)).map((line) => stripVTControlCharacters(line).trimEnd());
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(lines.length).toBeLessThan(45);
  }
});

test('tells what there is before gold and silver have made their schemas', async () => {
  const status = await readStatus({
    pool,
    topics,
    schemas: { bronze: 'bronze', silver: 'nothing', gold: 'nothing' },
    measureMs: 1,
    ends: () => Promise.resolve([]),
  });
  expect(status).toMatchObject({
    rows: { bronze: { journeys: 2 }, silver: { calls: 0 } },
    summary: [],
    validation: [],
  });
  const empty = await freshDatabase();
  const nothing = createPool({ url: empty.url, applicationName: 'status-test', log });
  await expect(readStatus({ pool: nothing, topics, schemas, ends: () => Promise.resolve([]) })).rejects.toThrow(
    /no generation of silver yet/,
  );
  await nothing.stop();
  await empty.drop();
});
