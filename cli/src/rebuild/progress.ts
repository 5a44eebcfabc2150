import type { Queryable } from '@leakage/postgres';
import { CommandError } from '../command-error.ts';

/** How far a generation is, compared with bronze, which has everything, or with where it is to end. */
export interface RebuildProgress {
  readonly generation: number;
  readonly state: string;
  readonly paused: boolean;
  readonly caughtUp: boolean;
  /** It ends somewhere, and follows nobody. */
  readonly ends: boolean;
  /** Records that are to be read, and those of them that this generation has read. */
  readonly total: number;
  readonly read: number;
  /** Changes of silver that gold has not folded. */
  readonly goldBehind: number;
  /** Gold counts everything at once when silver has caught up, and folds from then on. */
  readonly goldBegun: boolean;
}

export async function readRebuildProgress(db: Queryable, generation: number): Promise<RebuildProgress> {
  const { rows } = await db.query<RebuildProgress>(
    `select g.id as generation, g.state, g.paused, g.caught_up_at is not null as "caughtUp", g.to_time is not null as ends,
            r.read, r.read + r.left as total,
            (select coalesce(sum(s.change_seq + 1 - coalesce(r.next_seq, 1)), 0)::bigint
               from ops.shard s
               left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
              where s.generation = g.id) as "goldBehind",
            exists (select from ops.reader r where r.reader = 'gold' and r.generation = g.id) as "goldBegun"
       from ops.generation g
      cross join lateral (
        select coalesce(sum(p.next_offset - p.first_offset - p.holes), 0)::bigint as read,
               coalesce(sum(greatest(coalesce(p.until_offset, b.next_offset) - coalesce(p.next_offset, b.first_offset), 0)), 0)::bigint as left
          from (select * from ops.position where pipeline = 'silver_' || g.id) p
          full join (select * from ops.position where pipeline = 'bronze') b on b.topic = p.topic and b.partition = p.partition
         where p.partition is not null or g.to_time is null
      ) r
      where g.id = $1`,
    [generation],
  );
  const [progress] = rows;
  if (progress === undefined) throw new CommandError(`There is no generation ${generation}: see leakage generations.`);
  return progress;
}

/** Everything that there was is in its gold. */
export function isBuilt({ caughtUp, goldBegun, goldBehind, total, read, ends }: RebuildProgress): boolean {
  if (ends) return caughtUp && goldBegun && goldBehind === 0 && read === total;
  // Live records keep coming: a handful under way is not being behind.
  return caughtUp && goldBegun && goldBehind < 1_000 && total - read < 1_000;
}

const whole = new Intl.NumberFormat('en-US');

/** One line: how far, how fast, how long still. `before` is an earlier look and how long ago it was, for the rate. */
export function rebuildLine(
  now: RebuildProgress,
  before: { readonly read: number; readonly seconds: number } | null,
): string {
  const { generation, total, read, caughtUp, goldBegun, goldBehind } = now;
  const percent = total === 0 ? 100 : Math.min(100, Math.floor((read * 100) / total));
  const rate = before === null || before.seconds <= 0 ? 0 : Math.max(0, (read - before.read) / before.seconds);
  const left = Math.max(0, total - read);
  return [
    `generation ${generation}: ${percent} %`,
    `${whole.format(read)} of ${whole.format(total)} records${rate >= 1 ? ` (${whole.format(Math.round(rate))}/s)` : ''}`,
    ...(now.paused ? ['paused'] : []),
    ...(!now.paused && rate >= 1 && left > 0 ? [`${duration(left / rate)} left`] : []),
    ...(caughtUp && !goldBegun ? ['gold counts'] : []),
    ...(goldBegun && goldBehind > 0 ? [`gold has ${whole.format(goldBehind)} changes to fold`] : []),
  ].join('  |  ');
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3_600).toFixed(1)} h`;
}
