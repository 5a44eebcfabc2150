import { startFeed } from './load/feed-process.ts';
import { preparedFile } from './load/prepared-file.ts';
import { type BenchStack, startBenchStack } from './support/bench-stack.ts';
import type { BenchOptions } from './support/options.ts';
import { type Sample, sample, untilDone } from './support/progress.ts';
import type { Result } from './support/report.ts';
import { mustBeRight } from './support/right.ts';

/** The last records come when so many times as many are stored as when the first ones were measured. */
const factor = 30;
const million = 1_000_000;
const mebibyte = 1024 ** 2;
const limitMs = 6 * 60 * 60_000;
const costGrowthMax = 1.25;
const memoryGrowthMax = 1.1;

interface Phase {
  readonly stored: number;
  readonly records: number;
  readonly from: Sample;
  readonly to: Sample;
}

/** What the same number of records costs on top of `events` stored ones, and on top of thirty times as many. */
export async function growth({ events, say }: BenchOptions): Promise<Result> {
  const measured = Math.ceil(events / 2);
  const filled = events * factor;
  const file = await preparedFile(filled + measured, say);
  const stack = await startBenchStack();
  try {
    await Promise.all([stack.start('bronze-sink'), stack.start('silver-joiner'), stack.start('gold-aggregator')]);
    let sent = 0;
    const send = async (records: number): Promise<Phase> => {
      const { brokers, prefix } = stack;
      const stored = await stack.topicRecords();
      const from = await sample(stack);
      const order = { file, brokers, prefix, skip: sent, records, rate: null, probes: 0, probesPerSecond: 0 };
      await startFeed(order).done;
      sent += records;
      const all = await stack.topicRecords();
      const to = (await untilDone(stack, { records: all, limitMs, say })).at(-1) ?? from;
      return { stored, records: all - stored, from, to };
    };
    say(`storing ${events} records`);
    await send(events);
    say(`${measured} more`);
    const early = await send(measured);
    say(`storing ${filled} records`);
    await send(filled - sent);
    say(`${measured} more`);
    const late = await send(measured);
    say('verifying');
    await mustBeRight(stack);
    return resultOf(early, late, await storedBytes(stack));
  } finally {
    await stack.stop();
  }
}

async function storedBytes({ pool }: BenchStack): Promise<number> {
  const { rows } = await pool.query<{ bytes: number }>('select pg_database_size(current_database()) as bytes');
  return rows[0]?.bytes ?? 0;
}

function costs({ records, from, to }: Phase): Map<string, number> {
  return new Map(
    [...to.usage].map(([name, { cpuSeconds }]) => [
      name,
      ((cpuSeconds - (from.usage.get(name)?.cpuSeconds ?? 0)) * million) / records,
    ]),
  );
}

const total = (all: ReadonlyMap<string, number>): number => [...all.values()].reduce((sum, cost) => sum + cost, 0);

function resultOf(early: Phase, late: Phase, bytes: number): Result {
  const [first, last] = [costs(early), costs(late)];
  const peak = ({ to }: Phase, name: string): number => (to.usage.get(name)?.peakBytes ?? 0) / mebibyte;
  const names = [...last.keys()];
  const walBytes = ({ records, from, to }: Phase): number => (to.walBytes - from.walBytes) / records;
  const said = (stored: number): string => `${(stored / million).toFixed(1)} M`;
  return {
    name: 'growth',
    tables: [
      {
        title: `${late.records.toLocaleString('en-US')} records on top of ${said(early.stored)} and of ${said(late.stored)} stored ones (${Math.round(bytes / mebibyte / 1024)} GiB at the end)`,
        columns: [
          '',
          `CPU s per million at ${said(early.stored)}`,
          `at ${said(late.stored)}`,
          'peak MB',
          'peak MB then',
        ],
        rows: [
          ...names.map((name) => [
            name,
            first.get(name) ?? null,
            last.get(name) ?? null,
            peak(early, name),
            peak(late, name),
          ]),
          ['all', total(first), total(last), null, null],
          ['WAL bytes per event', walBytes(early), walBytes(late), null, null],
        ],
      },
    ],
    verdicts: [
      { met: total(last) <= costGrowthMax * total(first), sentence: 'an event costs at most a quarter more' },
      {
        met: names.every((name) => peak(late, name) <= memoryGrowthMax * peak(early, name)),
        sentence: 'no process has needed more than a tenth more memory',
      },
    ],
  };
}
