import { addressOf, ProbeReader } from './support/api-client.ts';
import { quantile } from './support/figures.ts';
import { underLoad } from './support/live.ts';
import type { BenchOptions } from './support/options.ts';
import type { Cell, Result } from './support/report.ts';
import { cpuOf } from './support/usage-table.ts';

const rates = [1_000, 10_000];
const probesPerSecond = 20;
const medianMs = 150;
const tailMs = 500;
/** What is under way at the end may take so long: a pipeline that falls behind is shown by figures, not by an error. */
const restMs = 120_000;

/** From the instant at which a call had to be sent to the instant at which the api shows it as leakage. */
export async function freshness({ seconds, say }: BenchOptions): Promise<Result> {
  const rows: Cell[][] = [];
  const verdicts: { met: boolean; sentence: string }[] = [];
  for (const rate of rates) {
    const { live, found: readAt } = await underLoad({ rate, seconds, probesPerSecond, say }, async ({ api, feed }) => {
      const reader = new ProbeReader(addressOf(api));
      await feed.done;
      const end = performance.now() + restMs;
      while (reader.readAt.length < feed.probesDue.length && performance.now() < end)
        await new Promise((r) => setTimeout(r, 20));
      await reader.stop();
      return reader.readAt;
    });
    const { probesDue } = live.feed;
    if (readAt.length !== probesDue.length)
      throw new Error(`${readAt.length} of ${probesDue.length} probes can be read`);
    const late = readAt.map((at, n) => at - (probesDue[n] ?? at));
    const [p50, p99, p999] = [0.5, 0.99, 0.999].map((share) => quantile(late, share));
    rows.push([`${rate}/s`, p50 ?? null, p99 ?? null, p999 ?? null, late.length, ...cpuOf(live.samples)]);
    verdicts.push({
      met: (p50 ?? Infinity) <= medianMs && (p99 ?? Infinity) <= tailMs,
      sentence: `at ${rate}/s p50 at most ${medianMs} ms and p99 at most ${tailMs} ms`,
    });
  }
  return {
    name: 'freshness',
    tables: [
      {
        title:
          'From when a call had to be sent to when the api shows it as leakage, in milliseconds; cores in use meanwhile',
        columns: ['load', 'p50', 'p99', 'p99.9', 'probes', 'services', 'Postgres', 'Kafka'],
        rows,
      },
    ],
    verdicts,
  };
}
