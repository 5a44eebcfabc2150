import { sqlState } from '@leakage/postgres';
import { sleep } from '@leakage/runtime';
import type { BenchStack } from './bench-stack.ts';
import type { Usage } from './usage.ts';

/** How far the pipeline is, at one instant. */
export interface Sample {
  readonly atMs: number;
  /** Records below the positions. */
  readonly bronze: number;
  readonly silver: number;
  /** Changes that gold has still to fold. */
  readonly waiting: number;
  readonly walBytes: number;
  readonly usage: ReadonlyMap<string, Usage>;
}

const everyMs = 250;
const undefinedTable = '42P01';

/** Null before the first service has made the tables. */
async function sampleOrNull(stack: BenchStack): Promise<Sample | null> {
  try {
    return await sample(stack);
  } catch (error) {
    if (sqlState(error) === undefinedTable) return null;
    throw error;
  }
}

export async function sample({ pool, usage }: Pick<BenchStack, 'pool' | 'usage'>): Promise<Sample> {
  const { rows } = await pool.query<{ bronze: number; silver: number; waiting: number; wal: number }>(
    `select coalesce(sum(next_offset - first_offset) filter (where pipeline = 'bronze'), 0)::bigint as bronze,
            coalesce(sum(next_offset - first_offset) filter (where pipeline like 'silver%'), 0)::bigint as silver,
            (select coalesce(sum(s.change_seq + 1 - coalesce(r.next_seq, 1)), 0)::bigint
               from ops.shard s left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard) as waiting,
            pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint as wal
       from ops.position`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('the positions cannot be read');
  const { bronze, silver, waiting, wal: walBytes } = row;
  return { atMs: performance.now(), bronze, silver, waiting, walBytes, usage: usage() };
}

/** Samples until every record of the topics is in bronze, silver and gold. */
export async function untilDone(
  stack: BenchStack,
  o: { readonly records: number; readonly limitMs: number; readonly say: (line: string) => void },
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const end = performance.now() + o.limitMs;
  for (let told = 0; ; await sleep(everyMs)) {
    const now = await sampleOrNull(stack);
    if (now === null) continue;
    samples.push(now);
    if (now.bronze >= o.records && now.silver >= o.records && now.waiting === 0) return samples;
    if (now.atMs > end) throw new Error(`not done after ${o.limitMs / 1000} s: ${now.silver} of ${o.records} records`);
    if (now.atMs - told > 10_000) {
      o.say(`  ${now.bronze} in bronze, ${now.silver} in silver, ${now.waiting} changes to fold, of ${o.records}`);
      told = now.atMs;
    }
  }
}
