import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createKafkaClient, type KafkaRecord, startConsumer, topicOffsets } from '@leakage/kafka';
import { createLogger, Metrics } from '@leakage/runtime';
import { contracts, sourceOfTopic, topicTable } from '@leakage/schemas';
import { freshPrefix, startServiceProcess, temporaryFolder, testStack } from '@leakage/testing';
import { expect, test } from 'vitest';

const log = createLogger({ service: 'generator-test', level: 'error' });

/** Ten days of a tenth of the preset small: about 15,000 records. */
const world = {
  ANCHOR_DATE: '2026-03-10',
  HISTORY_DAYS: '10',
  NUM_MEMBERS: '1000',
  NUM_DIGITAL_JOURNEYS: '1285',
  NUM_CALLS: '30',
  DUPLICATE_RATE: '0.05',
  MALFORMED_RATE: '0.02',
  GENERATOR_BATCH_RECORDS: '500',
};

async function start(env: Record<string, string>, prefix: string, folder: string) {
  const { brokers } = await testStack();
  return startServiceProcess('generator', {
    KAFKA_BROKERS: brokers.join(','),
    TOPIC_PREFIX: prefix,
    OUTPUT_PATH: folder,
    ...world,
    ...env,
  });
}

/** Everything in the topics of a prefix, by topic and partition (without the prefix), in the order of the log. */
async function read(prefix: string): Promise<Map<string, KafkaRecord[]>> {
  const { brokers } = await testStack();
  const kafka = createKafkaClient({ brokers, clientId: 'generator-test', log });
  const topics = topicTable(prefix).map(({ name }) => name);
  const partitions = new Map<string, KafkaRecord[]>();
  const total = (await topicOffsets(kafka, topics)).reduce((sum, end) => sum + end.high, 0);
  let seen = 0;
  const consumer = await startConsumer({
    kafka,
    groupId: `${prefix}.reader`,
    topics,
    positions: {
      load: async (parts, clusterId) =>
        parts.map(({ topic, partition, lowOffset }) => ({
          topic,
          partition,
          nextOffset: lowOffset,
          lastOffset: null,
          lastFingerprint: null,
          clusterId,
          untilOffset: null,
        })),
      acceptLoss: () => '',
    },
    stage: {
      prepare: (chunks) => chunks,
      apply: async (chunks) => {
        for (const { topic, partition, records } of chunks) {
          const key = `${sourceOfTopic(prefix, topic)}/${partition}`;
          partitions.set(key, [...(partitions.get(key) ?? []), ...records]);
          seen += records.length;
        }
        return 'applied';
      },
    },
    log,
    metrics: new Metrics(),
  });
  while (seen < total) await sleep(50);
  await consumer.stop();
  return partitions;
}

const hashOf = (records: readonly KafkaRecord[]): string => {
  const hash = createHash('sha256');
  for (const { key, value } of records)
    hash
      .update(`${key?.length ?? -1},${value?.length ?? -1};`)
      .update(key ?? '')
      .update(value ?? '');
  return hash.digest('hex');
};
const hashes = (partitions: Map<string, KafkaRecord[]>): Record<string, string> =>
  Object.fromEntries([...partitions].map(([name, records]) => [name, hashOf(records)]));

test('the same seed gives identical keys and values in every partition; a stopped world goes on exactly where it was', async () => {
  const [whole, stopped] = [freshPrefix(), freshPrefix()];
  const [wholeFolder, stoppedFolder] = [temporaryFolder(), temporaryFolder()];
  const first = await start({ LIVE: 'false' }, whole, wholeFolder);
  expect([await first.exited, first.output()]).toEqual([0, expect.stringContaining('history published')]);

  // Smaller batches, so that it is stopped somewhere on the way.
  let runs = 0;
  for (let ended = false; !ended && runs < 50; runs++) {
    const part = await start(
      { LIVE: 'false', GENERATOR_BATCH_RECORDS: runs < 3 ? '20' : '700' },
      stopped,
      stoppedFolder,
    );
    await part.ready;
    if (runs < 3) expect([await part.stop(), part.output()]).toEqual([0, expect.stringContaining('SIGTERM')]);
    else ended = (await part.exited) === 0;
  }
  expect(runs).toBe(4);
  const [one, other] = [await read(whole), await read(stopped)];
  expect(one.size).toBe(36);
  expect(hashes(other)).toEqual(hashes(one));
  expect(await readFile(join(stoppedFolder, 'truth.jsonl'), 'utf8')).toBe(
    await readFile(join(wholeFolder, 'truth.jsonl'), 'utf8'),
  );

  const again = await start({ LIVE: 'false', SEED: '43' }, stopped, stoppedFolder);
  expect([await again.exited, again.output()]).toEqual([2, expect.stringContaining('seed was 42, is now 43')]);
}, 120_000);

test('killed on the way, it sends again at most its last batch, as exact duplicates', async () => {
  const [whole, killed] = [freshPrefix(), freshPrefix()];
  const folder = temporaryFolder();
  await (await start({ LIVE: 'false' }, whole, temporaryFolder())).exited;
  const victim = await start({ LIVE: 'false', GENERATOR_BATCH_RECORDS: '50' }, killed, folder);
  await victim.ready;
  await victim.stop('SIGKILL');
  expect(await (await start({ LIVE: 'false' }, killed, folder)).exited).toBe(0);
  const [expected, got] = [await read(whole), await read(killed)];
  let more = 0;
  for (const [name, records] of expected) {
    const found = got.get(name) ?? [];
    more += found.length - records.length;
    const values = (list: readonly KafkaRecord[]): Set<string> =>
      new Set(list.map(({ key, value }) => `${key?.toString()} ${value?.toString('hex')}`));
    expect(values(found)).toEqual(values(records));
  }
  expect(more).toBeGreaterThanOrEqual(0);
  expect(more).toBeLessThanOrEqual(50);
}, 120_000);

test('what it sends decodes, except what was damaged on purpose; then it streams live and never ahead of the clock', async () => {
  const prefix = freshPrefix();
  // An hour of simulated time in a second: after the history some live records come within seconds.
  const generator = await start({ SPEED: '3600' }, prefix, temporaryFolder());
  await generator.ready;
  for (let i = 0; i < 400 && !generator.output().includes('history published'); i++) await sleep(50);
  await sleep(8_000);
  expect(await generator.stop()).toBe(0);
  const records = await read(prefix);
  const historyEnd = Date.parse('2026-03-11T04:00:00Z');
  let [all, broken, live, latest] = [0, 0, 0, 0];
  for (const [name, list] of records) {
    const contract = contracts[name.split('/')[0] as keyof typeof contracts];
    for (const { value } of list) {
      const decoded = contract.decode(value);
      all += 1;
      if (!decoded.ok) broken += 1;
      const emittedAt = decoded.event?.emitted_at ?? 0;
      latest = Math.max(latest, emittedAt);
      if (emittedAt > historyEnd) live += 1;
    }
  }
  expect(all).toBeGreaterThan(14_000);
  expect(broken / all).toBeGreaterThan(0.001);
  expect(broken / all).toBeLessThan(0.01);
  expect(live).toBeGreaterThan(0);
  expect(latest).toBeLessThan(historyEnd + 60 * 3_600_000);
});

test('figures that cannot be had are refused before anything is sent', async () => {
  const generator = await start({ NUM_MEMBERS: '100' }, freshPrefix(), temporaryFolder());
  expect([await generator.exited, generator.output()]).toEqual([2, expect.stringContaining('repeats by chance')]);
});
