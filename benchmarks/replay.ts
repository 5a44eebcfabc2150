import { startFeed } from './load/feed-process.ts';
import { preparedFile } from './load/prepared-file.ts';
import { type BenchStack, startBenchStack } from './support/bench-stack.ts';
import { type Denominator, rawConsume, rawCopy } from './support/denominators.ts';
import type { BenchOptions } from './support/options.ts';
import { type Sample, untilDone } from './support/progress.ts';
import type { Result } from './support/report.ts';
import { mustBeRight } from './support/right.ts';

const services = ['bronze-sink', 'silver-joiner', 'gold-aggregator'] as const;
const million = 1_000_000;
const mebibyte = 1024 ** 2;
/** Not measured: starting, joining groups, first pages. */
const warmUpShare = 0.1;
const leastPerSecond = 70_000;
const leastOfCopy = 0.5;
const limitMs = 60 * 60_000;

/** Topics that are full, tables that are empty: how fast, and at what cost, everything is in gold. */
export async function replay({ events, say }: BenchOptions): Promise<Result> {
  const file = await preparedFile(events, say);
  const stack = await startBenchStack();
  try {
    say(`sending ${events} records to Kafka`);
    const { brokers, prefix } = stack;
    const order = { file, brokers, prefix, skip: 0, records: events, rate: null, probes: 0, probesPerSecond: 0 };
    await startFeed(order).done;
    const records = await stack.topicRecords();
    say('reading them with kafkajs alone');
    const consume = await rawConsume(stack, records);
    say('replaying');
    const samples = await measured(stack, records, say);
    say('verifying');
    await mustBeRight(stack);
    say('copying the same rows with COPY alone');
    const copy = await rawCopy(stack, records);
    return resultOf({ records, samples, consume, copy });
  } finally {
    await stack.stop();
  }
}

async function measured(stack: BenchStack, records: number, say: (line: string) => void): Promise<Sample[]> {
  const starting = Promise.all(services.map((name) => stack.start(name)));
  const [samples] = await Promise.all([untilDone(stack, { records, limitMs, say }), starting]);
  return samples;
}

interface Measured {
  readonly records: number;
  readonly samples: readonly Sample[];
  readonly consume: Denominator;
  readonly copy: Denominator;
}

function resultOf({ records, samples, consume, copy }: Measured): Result {
  const from = samples.find(({ bronze, silver }) => Math.min(bronze, silver) >= records * warmUpShare);
  const to = samples.at(-1);
  if (from === undefined || to === undefined) throw new Error('too few records to measure anything');
  const done = records - Math.min(from.bronze, from.silver);
  const seconds = (to.atMs - from.atMs) / 1000;
  const perSecond = done / seconds;
  const costs = [...to.usage].map(([name, { cpuSeconds, peakBytes }]) => ({
    name,
    cpu: ((cpuSeconds - (from.usage.get(name)?.cpuSeconds ?? 0)) * million) / done,
    peak: peakBytes / mebibyte,
  }));
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
        rows: [
          ...costs.map(({ name, cpu, peak }) => [name, cpu, peak]),
          ['WAL bytes per event', (to.walBytes - from.walBytes) / done, null],
        ],
      },
    ],
    verdicts: [
      { met: perSecond >= leastPerSecond, sentence: `at least ${leastPerSecond.toLocaleString('en-US')} events/s` },
      { met: perSecond >= leastOfCopy * copy.perSecond, sentence: 'at least half of raw COPY' },
    ],
  };
}
