import { replayed } from './replay.ts';
import type { BenchOptions } from './support/options.ts';
import type { Cell, Result } from './support/report.ts';

const joiners = [1, 2, 4];

/** The same replay with one, two and four joiners: how far does it help on this machine? */
export async function scaleOut({ events, say }: BenchOptions): Promise<Result> {
  const rows: Cell[][] = [];
  for (const processes of joiners) {
    say(`${processes} joiners`);
    const { perSecond, silverPerSecond, cost } = await replayed({ events, say, joiners: processes });
    rows.push([processes, perSecond, silverPerSecond, cost]);
  }
  return {
    name: 'scale-out',
    tables: [
      {
        title: `Replay of ${events.toLocaleString('en-US')} records with several joiners`,
        columns: ['joiners', 'events/s until all is in gold', 'events/s of silver', 'CPU s per million'],
        rows,
      },
    ],
    verdicts: [],
  };
}
