import type { Queryable } from '@leakage/postgres';
import { CommandError } from '../command-error.ts';

/** How far a generation is, compared with bronze, which has everything. */
export interface RebuildProgress {
  readonly generation: number;
  readonly state: string;
  readonly paused: boolean;
  readonly caughtUp: boolean;
  /** Records that bronze has, and those of them that this generation has read. */
  readonly total: number;
  readonly read: number;
  /** Changes of silver that gold has not folded. */
  readonly goldBehind: number;
}

export async function readRebuildProgress(db: Queryable, generation: number): Promise<RebuildProgress> {
  const { rows } = await db.query<RebuildProgress>(
    // Offsets, because what retention has removed from bronze is a hole for this generation and a record for bronze.
    `select g.id as generation, g.state, g.paused, g.caught_up_at is not null as "caughtUp", b.total,
            greatest(b.total - b.unread, 0) as read,
            (select coalesce(sum(s.change_seq + 1 - coalesce(r.next_seq, 1)), 0)::bigint
               from ops.shard s
               left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
              where s.generation = g.id) as "goldBehind"
       from ops.generation g
      cross join lateral (
        select coalesce(sum(b.next_offset - b.first_offset - b.holes), 0)::bigint as total,
               coalesce(sum(b.next_offset - least(coalesce(p.next_offset, b.first_offset), b.next_offset)), 0)::bigint as unread
          from ops.position b
          left join ops.position p on p.pipeline = 'silver_' || g.id and p.topic = b.topic and p.partition = b.partition
         where b.pipeline = 'bronze') b
      where g.id = $1`,
    [generation],
  );
  const [progress] = rows;
  if (progress === undefined) throw new CommandError(`There is no generation ${generation}: see leakage generations.`);
  return progress;
}

/** Everything that there was is in its gold. */
export function isBuilt({ caughtUp, goldBehind, total, read }: RebuildProgress): boolean {
  // Live records keep coming: a handful under way is not being behind.
  return caughtUp && goldBehind < 1_000 && total - read < 1_000;
}

const whole = new Intl.NumberFormat('en-US');

/** One line: how far, how fast, how long still. `before` is an earlier look and how long ago it was, for the rate. */
export function rebuildLine(
  now: RebuildProgress,
  before: { readonly read: number; readonly seconds: number } | null,
): string {
  const { generation, total, read, goldBehind } = now;
  const percent = total === 0 ? 100 : Math.min(100, Math.floor((read * 100) / total));
  const rate = before === null || before.seconds <= 0 ? 0 : Math.max(0, (read - before.read) / before.seconds);
  const left = Math.max(0, total - read);
  return [
    `generation ${generation}: ${percent} %`,
    `${whole.format(read)} of ${whole.format(total)} records${rate >= 1 ? ` (${whole.format(Math.round(rate))}/s)` : ''}`,
    ...(now.paused ? ['paused'] : []),
    ...(!now.paused && rate >= 1 && left > 0 ? [`${duration(left / rate)} left`] : []),
    ...(goldBehind > 0 ? [`gold has ${whole.format(goldBehind)} changes to fold`] : []),
  ].join('  |  ');
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3_600).toFixed(1)} h`;
}
