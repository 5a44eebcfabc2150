import { sleep } from '@leakage/runtime';
import type { ServiceProcess } from '@leakage/testing/service-process';
import { type Feed, startFeed } from '../load/feed-process.ts';
import { preparedFile } from '../load/prepared-file.ts';
import { type BenchStack, startBenchStack } from './bench-stack.ts';
import { type Sample, sample, untilDone } from './progress.ts';
import { mustBeRight } from './right.ts';

/** What a running product has before anything is measured: profiles of all members and a day of events. */
const beforehand = 300_000;
const limitMs = 30 * 60_000;
const everyMs = 250;

export interface LiveOptions {
  readonly rate: number;
  readonly seconds: number;
  readonly probesPerSecond?: number;
  readonly say: (line: string) => void;
}

export interface Live {
  readonly stack: BenchStack;
  readonly feed: Feed;
  readonly api: ServiceProcess;
  readonly joiners: ServiceProcess[];
  /** Every quarter of a second, from the first record of the load on; `sent` is what the load has sent. */
  readonly samples: readonly (Sample & { readonly sent: number })[];
}

/** Runs everything, fills it a little, then loads it at a rate; `during` runs beside the load. Ends with the oracle. */
export async function underLoad<T>(
  o: LiveOptions,
  during: (live: Live) => Promise<T>,
): Promise<{ live: Live; found: T }> {
  const records = Math.ceil(o.rate * o.seconds);
  const file = await preparedFile(beforehand + records, o.say);
  const stack = await startBenchStack();
  try {
    const { brokers, prefix } = stack;
    const order = { file, brokers, prefix, probesPerSecond: o.probesPerSecond ?? 0, probes: 1_000_000 };
    o.say('filling');
    await startFeed({ ...order, skip: 0, records: beforehand, rate: null, probes: 0 }).done;
    const [joiners, [api]] = await Promise.all([
      stack.start('silver-joiner'),
      stack.start('api'),
      stack.start('bronze-sink'),
      stack.start('gold-aggregator'),
    ]);
    if (api === undefined) throw new Error('no api');
    await untilDone(stack, { records: beforehand, limitMs, say: o.say });

    o.say(`${o.rate} records a second for ${o.seconds} s`);
    const feed = startFeed({ ...order, skip: beforehand, records, rate: o.rate });
    await feed.ready;
    const samples: (Sample & { sent: number })[] = [];
    const live: Live = { stack, feed, api, joiners, samples };
    const found = during(live);
    found.catch(() => undefined); // met below, when the load has ended
    let loading = true;
    const done = feed.done.finally(() => {
      loading = false;
    });
    done.catch(() => undefined);
    while (loading) {
      samples.push({ ...(await sample(stack)), sent: feed.sent() });
      await sleep(everyMs);
    }
    await done;
    await untilDone(stack, { records: await stack.topicRecords(), limitMs, say: o.say });
    const result = { live, found: await found };
    o.say('verifying');
    await mustBeRight(stack);
    return result;
  } finally {
    await stack.stop();
  }
}
