import { beginRebuild, prepareGeneration, type RebuildProgress, readRebuildProgress } from '@leakage/cli/rebuild';
import { createKafkaClient, offsetsSince, topicOffsets } from '@leakage/kafka';
import { createLogger, sleep } from '@leakage/runtime';
import { SOURCES, topicName } from '@leakage/schemas';
import type { ServiceProcess } from '@leakage/testing/service-process';
import { onFullTopics } from './replay.ts';
import type { BenchStack } from './support/bench-stack.ts';
import { type Denominator, rawConsume, rawCopy, rawRead } from './support/denominators.ts';
import type { BenchOptions } from './support/options.ts';
import { sample } from './support/progress.ts';
import type { Cell, Result } from './support/report.ts';
import { mustBeRight } from './support/right.ts';
import type { Usage } from './support/usage.ts';

type Source = 'topics' | 'bronze';

const million = 1_000_000;
const mebibyte = 1024 ** 2;
/** Not measured: starting, joining groups, first pages. */
const warmUpShare = 0.1;
const leastPerSecond = 60_000;
const leastOfCopy = 0.5;
/** Memory is flat when the last third has needed no more than this part more than the one before. */
const memoryGrowth = 0.1;
/** As many as `leakage rebuild --share 100` starts. */
const joinersInAHurry = 2;
const everyMs = 250;
const limitMs = 60 * 60_000;
export const builders = ['silver-joiner', 'gold-aggregator'] as const;

/** How far a generation is, at one instant. */
export interface BuildSample extends RebuildProgress {
  readonly atMs: number;
  readonly walBytes: number;
  readonly usage: ReadonlyMap<string, Usage>;
}

/** Full topics and a full bronze, and a live generation that rests: how fast is another one built, from either of them? */
export async function rebuild({ events, say }: BenchOptions): Promise<Result> {
  return await onFullTopics({ events, say }, async (stack, records) => {
    await fillBronze(stack, { records, say });
    say('reading the topics with kafkajs alone, and bronze with the server alone');
    const consume = await rawConsume(stack, records);
    const read = await rawRead(stack, records);
    const builds: Build[] = [];
    for (const source of ['topics', 'bronze'] as const) {
      const { generation, samples } = await build(stack, { source, records, say });
      say('verifying');
      await mustBeRight(stack, generation);
      builds.push({ source, samples });
    }
    say('copying the same rows with COPY alone');
    const copy = await rawCopy(stack, records, { generation: 2, bronze: false });
    return resultOf({ records, builds, consume, read, copy });
  });
}

export interface Order {
  readonly records: number;
  readonly say: (line: string) => void;
}

/** Everything in bronze, and an active generation that nobody works on. */
export async function fillBronze(stack: BenchStack, { records, say }: Order): Promise<void> {
  say('filling bronze');
  const [sink] = await stack.start('bronze-sink');
  await prepareGeneration(1, environmentOf(stack));
  while ((await sample(stack)).bronze < records) await sleep(everyMs);
  await sink?.stop();
  await stack.pool.query('checkpoint');
}

interface BuildOrder extends Order {
  readonly source: Source;
  readonly joiners?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** The processes, in the order of `builders`, before they are stopped. */
  readonly onBuilt?: (processes: readonly ServiceProcess[]) => Promise<void>;
}

/** Builds a generation until its gold has everything, as `leakage rebuild --share 100` does. */
export async function build(
  stack: BenchStack,
  { source, records, say, joiners = joinersInAHurry, env = {}, onBuilt }: BuildOrder,
): Promise<{ generation: number; samples: BuildSample[] }> {
  const { generation } = await begin(stack, source);
  say(`building generation ${generation} from ${source}`);
  const all = { ...env, GENERATION: String(generation), BRONZE_READERS: String(joiners) };
  const processes = builders.flatMap((name) =>
    stack.launch(name, { env: all, processes: name === 'silver-joiner' ? joiners : 1 }),
  );
  const gone = Promise.race(processes.map(({ exited }) => exited)).then(() => {
    throw new Error(`a process has ended: ${processes.map((process) => process.output().slice(-1_000)).join('\n')}`);
  });
  gone.catch(() => undefined); // in the end all of them are stopped
  const samples: BuildSample[] = [];
  for (let told = performance.now(); ; await sleep(everyMs)) {
    const now = await Promise.race([buildSample(stack, generation), gone]);
    samples.push(now);
    const { read, goldBegun, goldBehind } = now;
    if (read >= records && goldBegun && goldBehind === 0) break;
    if (now.atMs - (samples[0]?.atMs ?? 0) > limitMs) throw new Error(`not done after ${limitMs / 1000} s`);
    if (now.atMs - told < 10_000) continue;
    say(`  ${read} of ${records}`);
    told = now.atMs;
  }
  await onBuilt?.(processes);
  await Promise.all(processes.map((process) => process.stop()));
  return { generation, samples };
}

function environmentOf({ brokers, databaseUrl, prefix }: BenchStack): Record<string, string> {
  return { DATABASE_URL: databaseUrl, KAFKA_BROKERS: brokers, TOPIC_PREFIX: prefix };
}

async function begin(stack: BenchStack, source: Source): Promise<{ generation: number }> {
  const { pool, brokers, prefix } = stack;
  const log = createLogger({ service: 'benchmark', level: 'warn' });
  const kafka = createKafkaClient({ brokers: brokers.split(','), clientId: 'benchmark', log });
  const topics = SOURCES.map((one) => topicName(prefix, one));
  return await beginRebuild({
    pool,
    environment: environmentOf(stack),
    schemas: { bronze: 'bronze', silver: 'silver', gold: 'gold' },
    rolePrefix: 'nobody_here',
    logs: {
      topicPrefix: prefix,
      ends: () => topicOffsets(kafka, topics),
      since: (ms) => offsetsSince(kafka, topics, ms),
    },
    order: {
      rules: {},
      source,
      purpose: 'candidate',
      part: null,
      sharePercent: 100,
      recordsPerSecond: null,
      note: null,
    },
  });
}

async function buildSample(stack: BenchStack, generation: number): Promise<BuildSample> {
  const progress = await readRebuildProgress(stack.pool, generation);
  const { walBytes, usage, atMs } = await sample(stack);
  return { ...progress, walBytes, usage, atMs };
}

interface Build {
  readonly source: Source;
  readonly samples: readonly BuildSample[];
}

/** From the end of the warm-up on: until all is below the positions, and until it is in gold too. */
export function speedOf(samples: readonly BuildSample[], records: number) {
  const from = samples.find(({ read }) => read >= records * warmUpShare);
  const silver = samples.find(({ read }) => read >= records);
  const to = samples.at(-1);
  if (from === undefined || silver === undefined || to === undefined || from === silver)
    throw new Error('too few records to measure anything');
  const done = records - from.read;
  const used = (name: string): number =>
    (((to.usage.get(name)?.cpuSeconds ?? 0) - (from.usage.get(name)?.cpuSeconds ?? 0)) * million) / done;
  const memoryAt = (share: number): ReadonlyMap<string, Usage> =>
    (samples.find(({ read }) => read >= records * share) ?? to).usage;
  const thirds = [memoryAt(1 / 3), memoryAt(2 / 3), memoryAt(1)];
  return {
    silver: (done * 1000) / (silver.atMs - from.atMs),
    perSecond: (done * 1000) / (to.atMs - from.atMs),
    walBytes: (to.walBytes - from.walBytes) / done,
    costs: [...builders, 'Postgres', 'Kafka'].map((name) => ({
      name,
      cpu: used(name),
      peak: Math.max(...samples.map(({ usage }) => usage.get(name)?.nowBytes ?? 0)) / mebibyte,
      thirds: thirds.map((usage) => (usage.get(name)?.nowBytes ?? 0) / mebibyte),
    })),
  };
}

interface Measured {
  readonly records: number;
  readonly builds: readonly Build[];
  readonly consume: Denominator;
  readonly read: Denominator;
  readonly copy: Denominator;
}

function resultOf({ records, builds, consume, read, copy }: Measured): Result {
  const speeds = builds.map(({ source, samples }) => ({ source, ...speedOf(samples, records) }));
  const total = (costs: readonly { cpu: number }[]): number => costs.reduce((sum, { cpu }) => sum + cpu, 0);
  const slowest = Math.min(...speeds.map(({ perSecond }) => perSecond));
  const denominator = (name: string, { perSecond, cpu }: Denominator): Cell[] => [
    name,
    perSecond,
    null,
    cpu,
    null,
    slowest / perSecond,
  ];
  return {
    name: 'rebuild',
    tables: [
      {
        title: `A generation of ${records.toLocaleString('en-US')} records, built beside one that rests`,
        columns: [
          '',
          'events/s until all is in gold',
          'events/s of silver',
          'CPU s per million',
          'WAL bytes per event',
          'share of it',
        ],
        rows: [
          ...speeds.map(({ source, perSecond, silver, costs, walBytes }) => [
            `from ${source}`,
            perSecond,
            silver,
            total(costs),
            walBytes,
            null,
          ]),
          denominator('raw COPY of the same rows of silver, same indexes', copy),
          denominator('raw consume of the same topics (kafkajs)', consume),
          denominator('raw read of bronze (the server alone)', read),
        ],
      },
      ...speeds.map(({ source, costs }) => ({
        title: `From ${source}: where it goes`,
        columns: ['process', 'CPU s per million', 'MB at a third', 'at two thirds', 'at the end', 'peak'],
        rows: costs.map(({ name, cpu, thirds, peak }) => [name, cpu, ...thirds, peak]),
      })),
    ],
    verdicts: [
      { met: slowest >= leastPerSecond, sentence: `at least ${leastPerSecond.toLocaleString('en-US')} events/s` },
      { met: slowest >= leastOfCopy * copy.perSecond, sentence: 'at least half of raw COPY' },
      { met: speeds.every(({ costs }) => costs.every(isFlat)), sentence: 'memory is flat from the second third on' },
    ],
  };
}

function isFlat({ thirds: [, second = 0, last = 0] }: { readonly thirds: readonly number[] }): boolean {
  return last <= second * (1 + memoryGrowth);
}
