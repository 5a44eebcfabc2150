import { mean } from './support/figures.ts';
import { underLoad } from './support/live.ts';
import type { BenchOptions } from './support/options.ts';
import type { Result } from './support/report.ts';
import { cpuOf } from './support/usage-table.ts';

const rate = 30_000;
/** A lag that stays below what comes in two seconds, and does not grow from the middle on, is flat. */
const flatSeconds = 2;

/** A load that goes on: does the lag stay flat? */
export async function sustained({ seconds, say }: BenchOptions): Promise<Result> {
  const { live } = await underLoad({ rate, seconds, say }, async () => undefined);
  const { samples } = live;
  const before = samples[0]?.silver ?? 0;
  const lags = samples.map(({ sent, silver }) => Math.max(0, sent - (silver - before)));
  const thirds = [0, 1, 2].map((nr) => mean(lags.slice((nr * lags.length) / 3, ((nr + 1) * lags.length) / 3)));
  const sent = live.feed.sent();
  const lasted = ((samples.at(-1)?.atMs ?? 0) - (samples[0]?.atMs ?? 0)) / 1000;
  const [, middle = 0, last = 0] = thirds;
  return {
    name: 'sustained',
    tables: [
      {
        title: `${rate.toLocaleString('en-US')} records a second for ${seconds} s: records sent and not yet in silver`,
        columns: ['records/s sent', 'lag, first third', 'second', 'last', 'most', 'services', 'Postgres', 'Kafka'],
        rows: [[sent / lasted, ...thirds, Math.max(...lags), ...cpuOf(samples)]],
      },
    ],
    verdicts: [
      { met: sent / lasted >= 0.98 * rate, sentence: 'the load was sent at its rate' },
      { met: last < flatSeconds * rate && last < 2 * middle + rate / 10, sentence: 'the lag is flat' },
    ],
  };
}
