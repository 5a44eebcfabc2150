import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep } from '@leakage/runtime';
import { PRESETS } from '../services/generator/src/domain/parameters.ts';
import { startFeed } from './load/feed-process.ts';
import { preparedFile } from './load/prepared-file.ts';
import { type BenchStack, startBenchStack } from './support/bench-stack.ts';
import type { BenchOptions } from './support/options.ts';
import type { Cell, Result } from './support/report.ts';
import { usageOfLiving } from './support/usage.ts';

const million = 1_000_000;
const mebibyte = 1024 ** 2;
/** More of them tell nothing new; of simulated ones --events may ask for weeks. */
const preparedMax = million;
const leastPerSecond = 100_000;
const memoryBytesMax = 1024 * mebibyte;
const { full } = PRESETS;
/** Calls, profiles, duplicates and what is sent again, beside the digital events. */
const recordsPerDay = full.events * 1.08;

/** How fast records get into Kafka: prepared ones from one and two processes, and the world `full` as it is simulated. */
export async function generator({ events: wanted, say }: BenchOptions): Promise<Result> {
  const events = Math.min(wanted, preparedMax);
  const file = await preparedFile(events, say);
  const prepared: { senders: number; perSecond: number; sender: number; kafka: number }[] = [];
  for (const senders of [1, 2]) {
    say(`sending ${events} prepared records from ${senders} process${senders > 1 ? 'es' : ''}`);
    prepared.push(await onEmptyKafka((stack) => sendPrepared(stack, { file, events, senders })));
  }
  const days = Math.max(1, Math.round(wanted / recordsPerDay));
  say(`simulating ${days} days of the world full into Kafka`);
  const simulated = await onEmptyKafka((stack) => simulate(stack, { days, say }));
  const row = (name: string, rate: number, cpu: readonly [number, number], peak: Cell): Cell[] => [
    name,
    rate,
    ...cpu,
    peak,
  ];
  const best = Math.max(...prepared.map(({ perSecond }) => perSecond));
  return {
    name: 'generator',
    tables: [
      {
        title: `Into Kafka: ${events.toLocaleString('en-US')} prepared records, and ${simulated.records.toLocaleString('en-US')} of ${days} simulated days`,
        columns: ['', 'records/s', 'CPU s per million, sender', 'Kafka', 'peak MB of the sender'],
        rows: [
          ...prepared.map(({ senders, perSecond, sender, kafka }) =>
            row(
              `prepared records, ${senders} sending process${senders > 1 ? 'es' : ''}`,
              perSecond,
              [sender, kafka],
              null,
            ),
          ),
          row('the generator, world `full`', simulated.perSecond, simulated.cpu, simulated.peakBytes / mebibyte),
        ],
      },
    ],
    verdicts: [
      {
        met: best >= leastPerSecond,
        sentence: `at least ${leastPerSecond.toLocaleString('en-US')} prepared records/s`,
      },
      {
        met: simulated.peakBytes <= memoryBytesMax && simulated.laterPeakBytes <= 1.25 * simulated.earlierPeakBytes,
        sentence: `the generator needs at most ${memoryBytesMax / mebibyte} MB, and no more in the second half than in the first`,
      },
    ],
  };
}

async function onEmptyKafka<T>(work: (stack: BenchStack) => Promise<T>): Promise<T> {
  const stack = await startBenchStack();
  try {
    return await work(stack);
  } finally {
    await stack.stop();
  }
}

async function sendPrepared(stack: BenchStack, o: { file: string; events: number; senders: number }) {
  const { file, events, senders } = o;
  const { brokers, prefix } = stack;
  const each = Math.floor(events / senders);
  const feeds = Array.from({ length: senders }, (_, i) =>
    startFeed({ file, brokers, prefix, skip: i * each, records: each, rate: null, probes: 0, probesPerSecond: 0 }),
  );
  await Promise.all(feeds.map(({ ready }) => ready));
  const kafkaBefore = stack.usage().get('Kafka')?.cpuSeconds ?? 0;
  const sender = watchCpu(feeds.map(({ pid }) => pid));
  const began = performance.now();
  const sent = (await Promise.all(feeds.map(({ done }) => done))).reduce((sum, one) => sum + one, 0);
  const seconds = (performance.now() - began) / 1000;
  const kafka = (stack.usage().get('Kafka')?.cpuSeconds ?? 0) - kafkaBefore;
  return { senders, perSecond: sent / seconds, sender: (sender() * million) / sent, kafka: (kafka * million) / sent };
}

/** CPU seconds that processes have used since, as last seen: they end by themselves. */
function watchCpu(pids: readonly number[]): () => number {
  const sum = (): number => pids.reduce((all, pid) => all + (usageOfLiving(pid)?.cpuSeconds ?? Number.NaN), 0);
  const before = sum();
  let last = before;
  const timer = setInterval(() => {
    const now = sum();
    if (!Number.isNaN(now)) last = now;
  }, 50);
  return () => {
    clearInterval(timer);
    return last - before;
  };
}

async function simulate(stack: BenchStack, { days, say }: { days: number; say: BenchOptions['say'] }) {
  const folder = mkdtempSync(join(tmpdir(), 'leakage-bench-'));
  const world = { PRESET: 'full', HISTORY_DAYS: String(days), ANCHOR_DATE: '2026-10-31', LIVE: 'false' };
  try {
    const began = performance.now();
    const kafkaBefore = stack.usage().get('Kafka')?.cpuSeconds ?? 0;
    const [process] = await stack.start('generator', { env: { ...world, OUTPUT_PATH: folder } });
    const peaks: number[] = [];
    let ended = false;
    void process?.exited.then(() => {
      ended = true;
    });
    let used = stack.usage();
    for (let told = 0; !ended; await sleep(200)) {
      const now = stack.usage();
      if ((now.get('generator')?.peakBytes ?? 0) > 0) used = now;
      peaks.push(used.get('generator')?.peakBytes ?? 0);
      if (performance.now() - began > told + 30_000) {
        told = performance.now() - began;
        say(`  ${await stack.topicRecords()} records`);
      }
    }
    const seconds = (performance.now() - began) / 1000;
    const records = await stack.topicRecords();
    const perMillion = (name: string, before: number): number =>
      (((used.get(name)?.cpuSeconds ?? 0) - before) * million) / records;
    return {
      records,
      perSecond: records / seconds,
      cpu: [perMillion('generator', 0), perMillion('Kafka', kafkaBefore)] as const,
      peakBytes: Math.max(...peaks),
      earlierPeakBytes: peaks[Math.floor(peaks.length / 2)] ?? 0,
      laterPeakBytes: peaks.at(-1) ?? 0,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
