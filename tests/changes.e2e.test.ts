// What outsiders are told in the change stream is what silver holds: after crashes, refusals, a promotion and a rollback.

import { promote, type Queryable, rollback } from '@leakage/postgres';
import { shardOf } from '@leakage/schemas';
import { eventually, type ServiceProcess } from '@leakage/testing';
import { ConfigResourceTypes, Kafka, logLevel } from 'kafkajs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Workload } from './faults/support/workload.ts';
import { follow, loggedCalls, readChanges, relayed, shownFacts } from './support/change-stream.ts';
import { emptyPipeline, type Pipeline } from './support/pipeline.ts';
import { beginOn } from './support/rebuilding.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

const soon = { KAFKA_SESSION_TIMEOUT_MS: '6000' };
const one = { GENERATION: '1', SILVER_BATCH_RECORDS: '150', ...soon };
const two = { GENERATION: '2', SILVER_BATCH_RECORDS: '300', ...soon };
const orders = { layers: ['silver', 'gold'], waitMs: 30_000, force: { reason: 'a test' }, say: () => undefined };

let pipeline: Pipeline;
let workload: Workload;
let joiner: ServiceProcess;

beforeAll(async () => {
  pipeline = await emptyPipeline();
  [joiner] = await Promise.all([
    startJoiner(one),
    pipeline.start('bronze-sink'),
    pipeline.start('gold-aggregator', { env: { GENERATION: '1' } }),
  ]);
  // Nothing of the log is to be trimmed: it says what had to be told.
  await pipeline.pool.query(
    `insert into ops.reader (reader, generation, shard, next_seq) select 'test', 1, shard, 1 from ops.shard`,
  );
  workload = new Workload(pipeline.prefix, 20_261_129);
});
afterAll(async () => {
  await pipeline.stop();
});

const startJoiner = (env: Readonly<Record<string, string>>) => pipeline.start('silver-joiner', { env });
const told = () => readChanges(pipeline);
const metric = async (process: ServiceProcess, name: string): Promise<number> => {
  const text = await (await fetch(`http://127.0.0.1:${process.port}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1] ?? Number.NaN);
};

test('every change of a call, once and in order; whoever follows them has the facts of silver', async () => {
  await pipeline.feed(workload.tell(400));
  await relayed(pipeline.pool);
  const stream = await told();
  const follower = follow(stream);
  expect(follower.skipped).toBe(0);
  expect(follower.taken.toSorted()).toEqual(await loggedCalls(pipeline.pool, 1));
  expect(stream.filter(({ change }) => change.before !== null).length).toBeGreaterThan(100);
  expect(stream.filter(({ change }) => change.after === null).length).toBeGreaterThan(10);
  expect(follower.lines(1)).toEqual(await shownFacts(pipeline.pool, 1));
  // Everything about one member lies where its key leads, and that is its shard.
  for (const { key, partition, change } of stream) {
    expect([partition, change.shard]).toEqual([shardOf(key ?? ''), shardOf(key ?? '')]);
  }
});

test('a crash between the acknowledgement and the position tells some again, and leaves none out', async () => {
  await joiner.stop();
  const before = (await told()).length;
  const failPoint = { name: 'changes acknowledged', pass: 2, signal: 'SIGKILL' } as const;
  const dying = await pipeline.start('silver-joiner', { env: one, failPoint });
  await pipeline.publisher.publish(workload.tell(100));
  await dying.exited;
  joiner = await startJoiner(one);
  await pipeline.drained();
  await relayed(pipeline.pool);
  const stream = await told();
  const follower = follow(stream);
  expect(follower.skipped).toBeGreaterThan(0);
  expect(stream.length - before).toBeGreaterThan(follower.skipped);
  expect(follower.taken.toSorted()).toEqual(await loggedCalls(pipeline.pool, 1));
  expect(follower.lines(1)).toEqual(await shownFacts(pipeline.pool, 1));
});

test('a topic that takes nothing holds nobody up: the join goes on, it is said, and everything is told later', async () => {
  const before = (await told()).length;
  await configure('max.message.bytes', '60');
  await pipeline.feed(workload.tell(50));
  await eventually(async () => (await metric(joiner, 'leakage_changes_failures_total')) > 1, { what: 'failures' });
  expect(await metric(joiner, 'leakage_changes_lag_rows')).toBeGreaterThan(0);
  expect(await metric(joiner, 'leakage_changes_lag_seconds')).toBeGreaterThan(0);
  const ready = await fetch(`http://127.0.0.1:${joiner.port}/readyz`);
  expect([ready.status, await ready.text()]).toEqual([200, expect.stringContaining('not told, tried again: ')]);
  expect((await told()).length).toBe(before);
  await configure('max.message.bytes', '1048588');
  await relayed(pipeline.pool);
  const follower = follow(await told());
  expect(follower.taken.toSorted()).toEqual(await loggedCalls(pipeline.pool, 1));
  expect(follower.lines(1)).toEqual(await shownFacts(pipeline.pool, 1));
  await eventually(async () => (await metric(joiner, 'leakage_changes_lag_rows')) === 0, { what: 'no lag' });
});

test('another generation speaks from exactly where it became the active one, and after a rollback the first one again', async () => {
  await beginOn(pipeline, { rules: { windowMinutes: 45 }, source: 'topics' });
  await pipeline.pool.query(
    `insert into ops.reader (reader, generation, shard, next_seq) select 'test', 2, shard, 1 from ops.shard where generation = 2`,
  );
  await Promise.all([startJoiner(two), pipeline.start('gold-aggregator', { env: two })]);
  await pipeline.drained(120_000, [1, 2]);
  await relayed(pipeline.pool);
  const doubled = follow(await told()).skipped;
  const atStart = await places();

  // In the middle of the work: both are fed before, meanwhile and after.
  const promoted = await whileFeeding((published) => promote(pipeline.pool, 2, { ...orders, published }));
  const back = await whileFeeding((published) => rollback(pipeline.pool, { ...orders, published }));
  await pipeline.feed(workload.tell(30), [1, 2]);
  await relayed(pipeline.pool);

  const stream = await told();
  const follower = follow(stream);
  expect(follower.skipped).toBe(doubled);
  const [first, second] = [await loggedCalls(pipeline.pool, 1), await loggedCalls(pipeline.pool, 2)];
  const turns = [
    first.filter((place) => after(place, atStart) && !after(place, promoted.ends)),
    second.filter((place) => !before(place, promoted.begins) && !after(place, back.ends)),
    first.filter((place) => !before(place, back.begins)),
  ];
  expect(turns.every((turn) => turn.length > 0)).toBe(true);
  // What the first one changed while the second one spoke was told by nobody.
  expect(first.filter((place) => after(place, promoted.ends) && before(place, back.begins)).length).toBeGreaterThan(0);
  expect(follower.taken.toSorted()).toEqual(
    [...first.filter((place) => !after(place, atStart)), ...turns.flat()].sort(),
  );
  for (const [, ofOne] of Map.groupBy(stream, ({ partition }) => partition)) {
    const generations = ofOne.map(({ change }) => change.generation).filter((it, i, all) => it !== all[i - 1]);
    expect([[1], [1, 2], [1, 2, 1], [2], [2, 1]]).toContainEqual(generations);
  }
  const { rows } = await pipeline.pool.query(`select distinct generation from ops.reader where reader = 'changes'`);
  expect(rows).toEqual([{ generation: 1 }]);
});

type Places = ReadonlyMap<number, number>;
const [shardIn, seqIn] = [
  (place: string) => Number(place.split('/')[1]),
  (place: string) => Number(place.split('/')[2]),
];
const after = (place: string, places: Places) => seqIn(place) > (places.get(shardIn(place)) ?? 0);
const before = (place: string, places: Places) => seqIn(place) < (places.get(shardIn(place)) ?? 0);

/** The last seq of each shard of the first generation. */
async function places(): Promise<Places> {
  const { rows } = await pipeline.pool.query<{ shard: number; change_seq: number }>(
    'select shard, change_seq from ops.shard where generation = 1',
  );
  return new Map(rows.map((row) => [row.shard, row.change_seq]));
}

/** Where the one that spoke ends and the other one begins, as the transaction of the hand-over saw it. */
async function whileFeeding(
  change: (published: (tx: Queryable) => Promise<void>) => Promise<unknown>,
): Promise<{ ends: Places; begins: Places }> {
  const feeding = (async () => {
    for (let n = 0; n < 12; n++) await pipeline.publisher.publish(workload.tell(15));
  })();
  const found = { ends: new Map<number, number>(), begins: new Map<number, number>() };
  await change(async (tx) => {
    const { rows } = await tx.query<{ shard: number; next_seq: number; until_seq: number | null; turn: number }>(
      `select shard, next_seq, until_seq from ops.reader where reader = 'changes'`,
    );
    for (const { shard, next_seq, until_seq } of rows) {
      if (until_seq === null) found.begins.set(shard, next_seq);
      else found.ends.set(shard, until_seq);
    }
  });
  await feeding;
  await pipeline.drained(90_000, [1, 2]);
  return found;
}

async function configure(name: string, value: string): Promise<void> {
  const client = new Kafka({ brokers: [...pipeline.brokers], clientId: 'tests', logLevel: logLevel.NOTHING });
  const admin = client.admin();
  await admin.connect();
  try {
    const resource = { type: ConfigResourceTypes.TOPIC, name: `${pipeline.prefix}.changes` };
    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        {
          ...resource,
          configEntries: [
            { name, value },
            { name: 'message.timestamp.type', value: 'LogAppendTime' },
          ],
        },
      ],
    });
  } finally {
    await admin.disconnect();
  }
}
