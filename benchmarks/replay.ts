import { startFeed } from './load/feed-process.ts';
import { preparedFile } from './load/prepared-file.ts';
import { type BenchStack, startBenchStack } from './support/bench-stack.ts';
import { type Denominator, rawConsume, rawCopy } from './support/denominators.ts';
import type { BenchOptions } from './support/options.ts';
import { type Sample, untilDone } from './support/progress.ts';
import type { Result } from './support/report.ts';
import { mustBeRight } from './support/right.ts';

const million = 1_000_000;
const mebibyte = 1024 ** 2;
/** Not measured: starting, joining groups, first pages. */
const warmUpShare = 0.1;
const leastPerSecond = 70_000;
const leastOfCopy = 0.5;
const limitMs = 60 * 60_000;

/** Topics that are full, tables that are empty: how fast, and at what cost, everything is in gold. */
export async function replay({ events, say }: BenchOptions): Promise<Result> {
  return await onFullTopics({ events, say }, async (stack, records) => {
    say('reading them with kafkajs alone');
    const consume = await rawConsume(stack, records);
    const samples = await measured(stack, { records, say, joiners: 1 });
    say('copying the same rows with COPY alone');
    const copy = await rawCopy(stack, records);
    return resultOf({ records, samples, consume, copy });
  });
}

export interface Replayed {
  readonly perSecond: number;
  readonly silverPerSecond: number;
  /** CPU seconds per million records, of everything. */
  readonly cost: number;
}

/** The same with several joiners, and without the denominators. */
export async function replayed(o: Pick<BenchOptions, 'events' | 'say'> & { joiners: number }): Promise<Replayed> {
  return await onFullTopics(o, async (stack, records) => {
    const samples = await measured(stack, { ...o, records });
    const { perSecond, costs } = speedOf(samples, records);
    const begun = samples.find(({ silver }) => silver >= records * warmUpShare);
    const done = samples.find(({ silver }) => silver >= records);
    if (begun === undefined || done === undefined) throw new Error('too few records to measure anything');
    return {
      perSecond,
      silverPerSecond: ((done.silver - begun.silver) * 1000) / (done.atMs - begun.atMs),
      cost: costs.reduce((sum, { cpu }) => sum + cpu, 0),
    };
  });
}

export async function onFullTopics<T>(
  { events, say }: Pick<BenchOptions, 'events' | 'say'>,
  work: (stack: BenchStack, records: number) => Promise<T>,
  settings: Readonly<Record<string, string>> = {},
): Promise<T> {
  const file = await preparedFile(events, say);
  const stack = await startBenchStack(settings);
  try {
    say(`sending ${events} records to Kafka`);
    const { brokers, prefix } = stack;
    const order = { file, brokers, prefix, skip: 0, records: events, rate: null, probes: 0, probesPerSecond: 0 };
    await startFeed(order).done;
    return await work(stack, await stack.topicRecords());
  } finally {
    await stack.stop();
  }
}

async function measured(
  stack: BenchStack,
  { records, say, joiners }: { records: number; say: (line: string) => void; joiners: number },
): Promise<Sample[]> {
  say('replaying');
  const starting = Promise.all([
    stack.start('bronze-sink'),
    stack.start('silver-joiner', { processes: joiners }),
    stack.start('gold-aggregator'),
  ]);
  const [samples] = await Promise.all([untilDone(stack, { records, limitMs, say }), starting]);
  say('verifying');
  await mustBeRight(stack);
  return samples;
}

/** From the end of the warm-up on. */
function speedOf(samples: readonly Sample[], records: number) {
  const from = samples.find(({ bronze, silver }) => Math.min(bronze, silver) >= records * warmUpShare);
  const to = samples.at(-1);
  if (from === undefined || to === undefined || from === to) throw new Error('too few records to measure anything');
  const done = records - Math.min(from.bronze, from.silver);
  return {
    perSecond: (done * 1000) / (to.atMs - from.atMs),
    walBytes: (to.walBytes - from.walBytes) / done,
    costs: [...to.usage].map(([name, { cpuSeconds, peakBytes }]) => ({
      name,
      cpu: ((cpuSeconds - (from.usage.get(name)?.cpuSeconds ?? 0)) * million) / done,
      peak: peakBytes / mebibyte,
    })),
  };
}

interface Measured {
  readonly records: number;
  readonly samples: readonly Sample[];
  readonly consume: Denominator;
  readonly copy: Denominator;
}

function resultOf({ records, samples, consume, copy }: Measured): Result {
  const { perSecond, costs, walBytes } = speedOf(samples, records);
  const total = costs.reduce((sum, { cpu }) => sum + cpu, 0);
  return {
    name: 'replay',
    tables: [
      {
        title: `Replay of ${records.toLocaleString('en-US')} records`,
        columns: ['', 'events/s', 'CPU s per million', 'share of it'],
        rows: [
          ['Kafka to committed bronze, silver and gold', perSecond, total, null],
          ['raw COPY of the same rows, same indexes', copy.perSecond, copy.cpu, perSecond / copy.perSecond],
          ['raw consume of the same topics (kafkajs)', consume.perSecond, consume.cpu, perSecond / consume.perSecond],
        ],
      },
      {
        title: 'Where it goes',
        columns: ['process', 'CPU s per million', 'peak MB'],
        rows: [...costs.map(({ name, cpu, peak }) => [name, cpu, peak]), ['WAL bytes per event', walBytes, null]],
      },
    ],
    verdicts: [
      { met: perSecond >= leastPerSecond, sentence: `at least ${leastPerSecond.toLocaleString('en-US')} events/s` },
      { met: perSecond >= leastOfCopy * copy.perSecond, sentence: 'at least half of raw COPY' },
    ],
  };
}
