import { sleep } from '@leakage/runtime';
import { underLoad } from './support/live.ts';
import type { BenchOptions } from './support/options.ts';
import type { Result } from './support/report.ts';

const rate = 10_000;
const killAfterMs = 15_000;
const limitSeconds = 15;
/** A lag of what comes in half a second is none: some records are always under way. */
const noLag = rate / 2;

/** The joiner is killed under load and started again: when has it caught up? */
export async function recovery({ seconds, say }: BenchOptions): Promise<Result> {
  const { live, found } = await underLoad({ rate, seconds: Math.max(seconds, 60), say }, async ({ stack, joiners }) => {
    await sleep(killAfterMs);
    const killed = performance.now();
    await joiners[0]?.stop('SIGKILL');
    await stack.start('silver-joiner');
    return killed;
  });
  const before = live.samples[0]?.silver ?? 0;
  const lagAt = ({ sent, silver }: (typeof live.samples)[number]): number => sent - (silver - before);
  const after = live.samples.filter(({ atMs }) => atMs > found);
  const worst = Math.max(...after.map(lagAt));
  const behind = after.findLastIndex((one) => lagAt(one) > noLag);
  const caughtUp = after[behind + 1];
  const watched = ((after.at(-1)?.atMs ?? found) - found) / 1000;
  const took = caughtUp === undefined ? null : (caughtUp.atMs - found) / 1000;
  return {
    name: 'recovery',
    tables: [
      {
        title: `The joiner is killed with -9 and started again while ${rate.toLocaleString('en-US')} records a second come`,
        columns: ['seconds until it has caught up', 'most records behind'],
        rows: [[took ?? `not within ${Math.round(watched)}`, worst]],
      },
    ],
    verdicts: [{ met: took !== null && took <= limitSeconds, sentence: `caught up within ${limitSeconds} s` }],
  };
}
