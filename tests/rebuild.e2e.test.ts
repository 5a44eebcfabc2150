// Generations that are built beside live, from Kafka and from bronze, are what live is.

import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, type ServiceProcess, startServiceProcess } from '@leakage/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openDataFolder } from '../cli/local/index.ts';
import { GenerationRunner } from '../cli/src/generations/runner.ts';
import type { RebuildOrder } from '../cli/src/rebuild/begin.ts';
import { changeOrders } from '../cli/src/rebuild/orders.ts';
import { startGeneration } from '../cli/src/up/services.ts';
import { verifyPipeline } from '../cli/src/verify.ts';
import { Workload } from './faults/support/workload.ts';
import { dump } from './support/dump.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { beginOn, forget, offsetsRead, untilBuilt } from './support/rebuilding.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 180_000 });

const reading: ServiceProcess[] = [];
let pipeline: Pipeline;
let workload: Workload;
beforeAll(async () => {
  pipeline = await startPipeline();
  workload = new Workload(pipeline.prefix, 20_261_129);
  await pipeline.feed(workload.tell(300));
});
afterAll(async () => {
  await Promise.all(reading.map((one) => one.stop()));
  await pipeline.stop();
});

const begin = (order?: Partial<RebuildOrder>) => beginOn(pipeline, order);
const built = (generation: number) => untilBuilt(pipeline, generation);
const read = (generation: number) => offsetsRead(pipeline, generation);
const env = (generation: number) => ({ env: { GENERATION: String(generation), SILVER_BATCH_RECORDS: '200' } });
const startJoiner = (generation: number) => pipeline.start('silver-joiner', env(generation));
const startGold = (generation: number) => pipeline.start('gold-aggregator', env(generation));

async function start(generation: number): Promise<ServiceProcess[]> {
  return await Promise.all([startJoiner(generation), startGold(generation)]);
}

async function expectLive(generation: number): Promise<void> {
  expect(await dump(pipeline.pool, generation)).toEqual(await dump(pipeline.pool));
  expect((await verifyPipeline({ databaseUrl: pipeline.databaseUrl, generation })).ok).toBe(true);
}

test('from Kafka and from bronze, while records come: live, in every compared column', async () => {
  const fromTopics = await begin();
  const fromBronze = await begin({ source: 'bronze', note: 'a note' });
  expect(fromTopics).toMatchObject({ source: 'topics', why: 'Kafka still has everything' });
  expect(fromBronze).toMatchObject({ source: 'bronze', generation: fromTopics.generation + 1 });
  const feeding = pipeline.feed(workload.tell(150));
  await Promise.all([start(fromTopics.generation), start(fromBronze.generation)]);
  await feeding;
  await pipeline.feed(workload.tell(20));
  for (const { generation } of [fromTopics, fromBronze]) {
    await built(generation);
    await expectLive(generation);
  }
  const { rows } = await pipeline.pool.query(
    `select state, source, note, caught_up_at is not null as caught_up from ops.generation where id = $1`,
    [fromBronze.generation],
  );
  expect(rows).toEqual([{ state: 'building', source: 'bronze', note: 'a note', caught_up: true }]);
});

test('with a window of 45 minutes it is what the oracle says with 45', async () => {
  const { generation } = await begin({ rules: { windowMinutes: 45 }, purpose: 'what_if', source: 'bronze' });
  await start(generation);
  await built(generation);
  const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl, generation });
  expect(report.ok).toBe(true);
  const { rows } = await pipeline.pool.query<{ later: number }>(
    `select count(*) as later from silver_${generation}.call_fact where time_to_call_ms > 30 * 60000`,
  );
  expect(rows[0]?.later).toBeGreaterThan(0);
  expect(await dump(pipeline.pool, generation)).not.toEqual(await dump(pipeline.pool));
});

test('what Kafka has forgotten comes from bronze, and Kafka goes on at exactly the next offset', async () => {
  await forget(pipeline);
  await expect(begin({ source: 'topics' })).rejects.toThrow(/Kafka has forgotten [\d,]+ records that bronze has/);
  const { generation, source, why } = await begin();
  expect(source).toBe('bronze');
  expect(why).toMatch(/^Kafka has forgotten [\d,]+ records that bronze has$/);
  await start(generation);
  await built(generation);
  await pipeline.feed(workload.tell(20));
  await built(generation);
  await expectLive(generation);
});

test('killed again and again while it reads bronze, and paused in between, it ends as live', async () => {
  const { generation } = await begin({ source: 'bronze', recordsPerSecond: 2_000 });
  const gold = await startGold(generation);
  for (let kills = 0; kills < 4; kills++) {
    const before = await read(generation);
    const victim = startReading(generation);
    await eventually(async () => (await read(generation)) > before, { withinMs: 30_000, what: 'some records' });
    await victim.stop('SIGKILL');
  }
  await changeOrders(pipeline.pool, generation, { paused: true });
  const resting = startReading(generation);
  await eventually(() => resting.output().includes('told to rest'), { what: 'the order to be heard' });
  const held = await restingAt(generation);
  await changeOrders(pipeline.pool, generation, { paused: false, recordsPerSecond: 1_000_000 });
  await built(generation);
  expect(held).toBeLessThan(await read(generation));
  await expectLive(generation);
  expect(await gold.stop()).toBe(0);
});

test('two processes share out bronze, and what one that is killed has left is read by the other; gold counts once', async () => {
  const { generation } = await begin({ source: 'bronze', recordsPerSecond: 300 });
  const gold = await startGold(generation);
  const [one, two] = [startReading(generation, halves), startReading(generation, halves)];
  await eventually(async () => (await partsRead(generation)).length === 2, {
    withinMs: 60_000,
    what: 'a part to each of them',
  });
  await two.stop('SIGKILL');
  await changeOrders(pipeline.pool, generation, { recordsPerSecond: 1_000_000 });
  await built(generation);
  await expectLive(generation);
  for (const part of [1, 2]) expect(one.output()).toContain(`"part":${part},"of":2`);
  const { rows } = await pipeline.pool.query(`select from silver_${generation}.change_log limit 1`);
  expect(rows).toEqual([]);
  const metrics = await (await fetch(`http://127.0.0.1:${gold.port}/metrics`)).text();
  expect(metrics).toMatch(/^leakage_gold_folds_total\{outcome="recounted"\} 1$/m);
});

test('with more than half of the machine two joiners build it, and one of them goes on', async () => {
  const { generation } = await begin({ source: 'bronze', sharePercent: 51, recordsPerSecond: 300 });
  const place = mkdtempSync(join(tmpdir(), 'leakage-runner-'));
  const folder = openDataFolder(place);
  const said: string[] = [];
  const runner = new GenerationRunner({
    db: pipeline.pool,
    serves: ({ id }) => id === generation,
    start: (one) => startGeneration({ folder, env: { ...process.env, ...pipeline.env }, say: say(said) }, one),
    onBroken: (_, why) => said.push(why),
    say: say(said),
  });
  const names = () => runner.services().map(({ service }) => service.name);
  const usualNames = [`silver-joiner-${generation}`, `gold-aggregator-${generation}`];
  try {
    await runner.start();
    const beside = Array.from({ length: Math.min(2, availableParallelism()) - 1 }, () => `${usualNames[0]}-beside-1`);
    expect(names()).toEqual([...usualNames, ...beside]);
    await eventually(async () => (await read(generation)) > 0, { withinMs: 60_000, what: 'some records' });
    await changeOrders(pipeline.pool, generation, { recordsPerSecond: 1_000_000 });
    await built(generation);
    await eventually(() => names().length === usualNames.length, { what: 'the second joiner to be stopped' });
    expect(names()).toEqual(usualNames);
    await expectLive(generation);
    expect(said).toEqual([]);
  } finally {
    await runner.stop();
    folder.release();
    rmSync(place, { recursive: true });
  }
});

test('bronze that has lost a row is not taken for the archive that it should be', async () => {
  const { rows } = await pipeline.pool.query<{ place: string }>(
    `delete from bronze.call_logs_raw where ctid = (select ctid from bronze.call_logs_raw order by kafka_offset limit 1)
     returning kafka_topic || '/' || kafka_partition as place`,
  );
  const { generation } = await begin({ source: 'bronze' });
  const joiner = startReading(generation);
  expect(await joiner.exited).toBe(1);
  expect(joiner.output()).toContain(`bronze holds fewer records than it has taken of ${rows[0]?.place} (1;`);
});

const say = (said: string[]) => (line: string) => {
  said.push(line);
};

const halves = { BRONZE_READERS: '2' };

/** The halves of the partitions of which something was read. */
async function partsRead(generation: number): Promise<number[]> {
  const { rows } = await pipeline.pool.query<{ part: number }>(
    'select distinct partition % 2 as part from ops.position where pipeline = $1 and next_offset > first_offset',
    [`silver_${generation}`],
  );
  return rows.map(({ part }) => part);
}

/** Where it stands still. */
async function restingAt(generation: number): Promise<number> {
  let before = -1;
  return await eventually(
    async () => {
      const now = await read(generation);
      const still = now === before;
      before = now;
      return still ? now : null;
    },
    { withinMs: 30_000, everyMs: 1_500, what: 'it to rest' },
  );
}

/** Not waiting until it is ready, which it is when bronze is read. */
function startReading(generation: number, more: Readonly<Record<string, string>> = {}): ServiceProcess {
  const process = startServiceProcess('silver-joiner', { ...pipeline.env, ...env(generation).env, ...more });
  reading.push(process);
  return process;
}
