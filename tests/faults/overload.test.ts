// More is sent than the joiner can take. What cannot be taken must stay in Kafka: lag grows, memory does not, nothing is lost.
//
// Producer and joiner share this machine's cores, so a producer of five times the joiner's speed would starve the joiner, and
// the backlog of a minute would take five minutes to drain. Therefore the joiner's speed is measured first; then the producer
// sends at that speed (or faster, until more waits than the buffers can hold), and the joiner is held to a sixth of it: a
// session holds the shard locks, as a slow database would, and lets one batch pass whenever six times as many records were
// sent. The process itself runs freely: it fetches, buffers and waits as it would behind any slow database. In the end it is
// let go, and drains at its own speed.
//
// FAULTS=long: a minute of that; else some seconds. The figures are printed.

import { setTimeout as sleep } from 'node:timers/promises';
import { createKafkaClient, type Publisher, startPublisher } from '@leakage/kafka';
import { createPool, lockShards, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { contracts, PARTITIONS, SOURCES, topicName } from '@leakage/schemas';
import { type MemorySampler, type ServiceProcess, sampleMemory } from '@leakage/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyPipeline } from '../../cli/src/verify.ts';
import { consumerLimits } from '../../libs/kafka/src/limits.ts';
import { dayOfDate } from '../../services/generator/src/domain/calendar.ts';
import { Feed } from '../../services/generator/src/domain/feed.ts';
import { DEFAULT_RATES } from '../../services/generator/src/domain/noise.ts';
import { DEFAULT_PARAMETERS, PRESETS } from '../../services/generator/src/domain/parameters.ts';
import { BEGINNING } from '../../services/generator/src/domain/stream.ts';
import { World } from '../../services/generator/src/domain/world.ts';
import { Encoder } from '../../services/generator/src/encoding.ts';
import { emptyPipeline, type Pipeline } from '../support/pipeline.ts';
import { report as endured, long } from './support/report.ts';

const burstMs = long ? 60_000 : 8_000;
const warmUpRecords = long ? 30_000 : 15_000;
const measuredRecords = long ? 60_000 : 20_000;
/** However fast this machine is, what is sent in the burst is bounded; and a slow one gets more time for it. */
const burstRecordsMax = long ? 250_000 : 170_000;
const burstMsMax = burstMs + 60_000;
/** Whoever is waited for may be slow on a busy machine, but has to move. */
const patienceMs = 60_000;

/** The joiner gets a sixth of what is sent, so that the producer is five times as fast with something to spare. */
const ratio = 6;
/** Small enough that a sixth is not one single batch. */
const batchRecords = 1_000;
const publishRecords = 2_000;
/** Far below lock_timeout (10 s), at which the joiner would run its transaction again. */
const holdMs = 5_000;
/** Below lock_timeout, above the time between two looks at the ends of the topics (5 s). */
const lagToldMs = 9_000;

/** A delivery is added while there is room: the buffers hold one more, which counts about three times its bytes in Kafka. */
const bufferedBytesMax = consumerLimits.bufferBytes + 3 * consumerLimits.fetchBytesPerPartition;
const bufferedRecordsMax = SOURCES.length * PARTITIONS * consumerLimits.bufferRecordsPerPartition;
/** More of these records than the buffers can hold: were they not bounded, this would show. */
const backlogRecords = 130_000;
/** Of a process: the runtime and the code (100 MB), buffers, two batches in work, and what waits for the garbage collector. */
const residentBytesMax = 768 * 1024 * 1024;

const services = ['bronze-sink', 'silver-joiner', 'gold-aggregator'] as const;
const consumers = ['bronze-sink', 'silver-joiner'] as const;
const log = createLogger({ service: 'tests', level: 'error' });

let pipeline: Pipeline;
let publisher: Publisher;
let lockPool: Pool;
let memory: MemorySampler;

beforeAll(async () => {
  pipeline = await emptyPipeline();
  publisher = await startPublisher(createKafkaClient({ brokers: [...pipeline.brokers], clientId: 'overload', log }), {
    log,
  });
  lockPool = createPool({ url: pipeline.databaseUrl, applicationName: 'slow database', max: 1, log });
  memory = sampleMemory();
});

afterAll(async () => {
  memory?.stop();
  await lockPool?.stop();
  await publisher?.stop();
  await pipeline?.stop();
});

test('five times more than the joiner takes: lag grows, memory does not, and everything is applied in the end', {
  timeout: long ? 900_000 : 400_000,
}, async () => {
  const processes = await startServices();
  const sender = senderOf(pipeline.prefix);

  await sender.send(warmUpRecords);
  await taken('silver_1', sender.sent);
  const perSecond = await joinerSpeed(sender);
  await pipeline.drained();

  const watch = watchConsumers(processes);
  const burstBegan = performance.now();
  const atLeast = (backlogRecords * 1.25) / (burstMs / 1000);
  const atMost = burstRecordsMax / (burstMs / 1000);
  const burst = await overload(sender, Math.min(atMost, Math.max(atLeast, perSecond)), watch.lagOfJoiner);
  const began = performance.now();
  await taken('silver_1', sender.sent);
  await pipeline.drained();
  const drainMs = performance.now() - began;
  const settled = performance.now();
  // Enough samples at rest for a judgement.
  await sleep(3_000);
  const seen = await watch.stop();

  const reports = services.map((name) => memory.report(name, { sinceMs: burstBegan }));
  const figures = {
    kind: 'overload',
    long,
    joinerAlonePerSecond: Math.round(perSecond),
    sentPerSecond: Math.round(burst.sent / burst.seconds),
    joinerPerSecond: Math.round(burst.applied / burst.seconds),
    timesFaster: Math.round((burst.sent / burst.applied) * 10) / 10,
    burstSeconds: Math.round(burst.seconds * 10) / 10,
    records: sender.sent,
    lag: burst.lag,
    bufferedRecordsMax: seen.recordsMax,
    bufferedBytesMax: seen.bytesMax,
    residentMegabytesMax: Object.fromEntries(reports.map((r) => [r.name, Math.round(r.maxBytes / 1e6)])),
    residentMegabytesEnd: Object.fromEntries(
      services.map((name) => [name, Math.round(memory.report(name, { sinceMs: settled }).lastThirdBytes / 1e6)]),
    ),
    drainSeconds: Math.round(drainMs / 100) / 10,
    drainPerSecond: Math.round((burst.sent - burst.applied) / (drainMs / 1000)),
  };
  show(figures, long ? reports.map(({ sentence }) => sentence) : []);

  expect(burst.sent / burst.applied, 'the producer was not fast enough for this test').toBeGreaterThanOrEqual(5);
  expect(burst.sent - burst.applied, 'records that waited').toBeGreaterThan(backlogRecords * 0.9);
  expect(burst.lag, 'lag that the joiner told').toBe(burst.sent - burst.applied);
  for (const name of consumers) {
    expect(seen.samples[name], `${name} was looked at`).toBeGreaterThan(5);
    expect(seen.bytesMax[name], `${name} buffers bytes`).toBeLessThanOrEqual(bufferedBytesMax);
    expect(seen.recordsMax[name], `${name} buffers records`).toBeLessThanOrEqual(bufferedRecordsMax);
  }
  // The joiner's buffers were full, and what did not fit was waiting in Kafka.
  // Half of the bytes are shared out among the partitions, and not all of these are busy.
  expect(seen.bytesMax['silver-joiner']).toBeGreaterThan(consumerLimits.bufferBytes * 0.45);
  for (const { name, maxBytes, flat, sentence } of reports) {
    expect(maxBytes, name).toBeLessThan(residentBytesMax);
    // Within seconds a process is still warming up: that memory does not go on growing shows in a minute.
    if (long) expect(flat, sentence).toBe(true);
  }
  expect(await recordsOf('bronze')).toBe(sender.sent);
  expect(await recordsOf('silver_1')).toBe(sender.sent);
  const verified = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
  expect(verified.checks.filter((check) => check.differences > 0)).toEqual([]);
  expect(verified.ok).toBe(true);
  expect(verified.records).toBe(sender.sent);
  endured({
    kind: 'overload',
    fault: 'records, in the burst five times more than the joiner takes',
    times: sender.sent,
  });
});

async function startServices(): Promise<Record<(typeof services)[number], ServiceProcess>> {
  const env = { SILVER_BATCH_RECORDS: String(batchRecords) };
  const [bronze, silver, gold] = await Promise.all([
    pipeline.start('bronze-sink'),
    pipeline.start('silver-joiner', { env }),
    pipeline.start('gold-aggregator'),
  ]);
  const processes = { 'bronze-sink': bronze, 'silver-joiner': silver, 'gold-aggregator': gold };
  for (const name of services) memory.watch(name, processes[name].pid);
  return processes;
}

interface Sender {
  readonly sent: number;
  send(records: number): Promise<void>;
}

/** The generator's own world, as it would be published: profiles, then hour after hour of journeys and calls, spoiled. */
function senderOf(prefix: string): Sender {
  const { members, events, calls } = PRESETS.small;
  const anchorDay = dayOfDate('2026-03-01');
  const world = new World({
    seed: 7,
    timeZone: 'America/New_York',
    anchorDay,
    firstDay: anchorDay - 34,
    members,
    eventsPerDay: events,
    callsPerDay: calls,
    parity: false,
    rates: DEFAULT_RATES,
    parameters: DEFAULT_PARAMETERS,
  });
  const feed = new Feed(world, BEGINNING);
  const partitions = new Map(SOURCES.map((source) => [topicName(prefix, source), PARTITIONS]));
  const encoder = new Encoder({ topicPrefix: prefix, partitions, encoders: contracts });
  let sent = 0;
  return {
    get sent() {
      return sent;
    },
    send: async (records) => {
      for (let left = records; left > 0; ) {
        const batch = feed.take(Number.POSITIVE_INFINITY, Math.min(left, publishRecords));
        await publisher.publish(batch.map((emission) => encoder.encode(emission)));
        sent += batch.length;
        left -= batch.length;
      }
    },
  };
}

/** Records a second of the joiner on a backlog, with bronze and gold at work beside it. */
async function joinerSpeed(sender: Sender): Promise<number> {
  const release = await holdShards();
  await sender.send(measuredRecords);
  await taken('bronze', sender.sent);
  const began = performance.now();
  await release();
  await taken('silver_1', sender.sent);
  return measuredRecords / ((performance.now() - began) / 1000);
}

/**
 * Sends at `perSecond` for the time of the burst, and until enough waits, while the joiner gets through a sixth of it. `lag` is
 * what it says in the end, while nothing moves: the ends of the topics that it counts from are some seconds old.
 */
async function overload(sender: Sender, perSecond: number, lagOfJoiner: () => number) {
  const before = sender.sent;
  const appliedBefore = await recordsOf('silver_1');
  const began = performance.now();
  let sending = true;
  const send = async (): Promise<void> => {
    const enough = (elapsed: number) =>
      elapsed > burstMsMax || (elapsed > burstMs && sender.sent - before > backlogRecords * 1.25);
    for (let elapsed = 0; !enough(elapsed); elapsed = performance.now() - began) {
      const due = (perSecond * elapsed) / 1000 - (sender.sent - before);
      if (due >= publishRecords) await sender.send(publishRecords);
      else await sleep(10);
    }
    sending = false;
  };
  const slow = async (): Promise<void> => {
    while (sending) {
      const release = await holdShards();
      const heldAt = performance.now();
      const allowed = async () => (await recordsOf('silver_1')) - appliedBefore + batchRecords;
      const next = await allowed();
      while (sending && performance.now() - heldAt < holdMs && (sender.sent - before) / ratio < next) await sleep(20);
      await release();
      // The joiner waits in the queue of the lock and is the next to have it.
      await sleep(20);
    }
  };
  await Promise.all([send(), slow()]);
  const seconds = (performance.now() - began) / 1000;
  const release = await holdShards();
  const sent = sender.sent - before;
  const applied = (await recordsOf('silver_1')) - appliedBefore;
  for (const heldAt = performance.now(); performance.now() - heldAt < lagToldMs; await sleep(100)) {
    if (lagOfJoiner() === sent - applied) break;
  }
  const lag = lagOfJoiner();
  await release();
  return { sent, applied, seconds, lag };
}

/** Takes all shard locks, as a long transaction would; gives back what lets go of them. */
async function holdShards(): Promise<() => Promise<void>> {
  const held = Promise.withResolvers<void>();
  const over = Promise.withResolvers<void>();
  const holding = lockPool.withConnection(async (connection) => {
    await connection.query('begin');
    await lockShards(
      connection,
      1,
      Array.from({ length: PARTITIONS }, (_, shard) => shard),
    );
    held.resolve();
    await over.promise;
    await connection.query('rollback');
  });
  holding.catch(held.reject);
  await held.promise;
  return async () => {
    over.resolve();
    await holding;
  };
}

async function recordsOf(name: 'bronze' | 'silver_1'): Promise<number> {
  const { rows } = await pipeline.pool.query<{ records: number }>(
    'select coalesce(sum(next_offset - first_offset), 0)::bigint as records from ops.position where pipeline = $1',
    [name],
  );
  return rows[0]?.records ?? 0;
}

async function taken(name: 'bronze' | 'silver_1', records: number): Promise<void> {
  let most = await recordsOf(name);
  for (let movedAt = performance.now(); most < records; await sleep(20)) {
    const now = await recordsOf(name);
    if (now > most) movedAt = performance.now();
    most = Math.max(most, now);
    if (performance.now() - movedAt > patienceMs)
      throw new Error(`${name} has ${most} of ${records} records and has not moved for ${patienceMs} ms`);
  }
}

/** What the consumers say about themselves in /metrics, several times a second. */
function watchConsumers(processes: Readonly<Record<(typeof consumers)[number], ServiceProcess>>) {
  const zero = () => ({ 'bronze-sink': 0, 'silver-joiner': 0 });
  const seen = { samples: zero(), recordsMax: zero(), bytesMax: zero() };
  let lag = 0;
  let over = false;
  const look = async (name: (typeof consumers)[number]): Promise<void> => {
    const answer = await fetch(`http://127.0.0.1:${processes[name].port}/metrics`);
    const text = await answer.text();
    const sum = (metric: string) =>
      [...text.matchAll(new RegExp(`^${metric}(?:\\{[^}]*\\})? ([\\d.e+]+)$`, 'gm'))].reduce(
        (all, m) => all + Number(m[1]),
        0,
      );
    seen.samples[name] += 1;
    seen.recordsMax[name] = Math.max(seen.recordsMax[name], sum('leakage_kafka_buffered_records'));
    seen.bytesMax[name] = Math.max(seen.bytesMax[name], sum('leakage_kafka_buffered_bytes'));
    if (name === 'silver-joiner') lag = sum('kafka_consumergroup_lag');
  };
  const looking = (async () => {
    while (!over) {
      for (const name of consumers) await look(name);
      await sleep(200);
    }
  })();
  looking.catch(() => undefined);
  return {
    lagOfJoiner: () => lag,
    stop: async () => {
      over = true;
      await looking;
      return seen;
    },
  };
}

function show(figures: object, sentences: readonly string[]): void {
  console.log([JSON.stringify(figures, null, 2), ...sentences].join('\n'));
}
