import { keepPace, type Part, type ServiceContext, SettingsError } from '@leakage/runtime';
import type { Queryable } from './connection.ts';
import type { Pool } from './pool.ts';
import { givenPositions, type PositionStore } from './positions.ts';

/** The row of a replay, see migration 0009_replay, as far as its processes need it. */
interface ReplayRow {
  service: string;
  generation: number | null;
  pipeline: string;
  state: 'running' | 'done' | 'cancelled';
  paused: boolean;
  recordsPerSecond: number | null;
}

/** A service reads again what it has read, under a pipeline of its own. */
export interface Replay {
  readonly pipeline: string;
  readonly positions: PositionStore;
  /** How many records it may take at once, where the service would take `most`: so many that it never rests for long. */
  batchRecords(most: number): number;
  /** Rests until the next batch is due; null: it takes as many records as it can. */
  readonly pace: ((effort: { readonly records: number }) => Promise<void>) | null;
}

export interface ReplayOptions {
  readonly id: number;
  readonly service: 'bronze-sink' | 'silver-joiner';
  /** Of silver; null where there is none. */
  readonly generation: number | null;
}

type Context = Pick<ServiceContext<unknown>, 'own' | 'stop' | 'signal' | 'log'>;

/**
 * The replay that a process is to work on. The process ends when the replay is paused or over. Throws SettingsError (starting
 * again would not help) where there is no such replay, or it is none of this service's.
 */
export async function openReplay(pool: Pool, o: ReplayOptions, ctx: Context): Promise<Replay> {
  const row = await readReplay(pool, o.id);
  const problem = row === null ? 'there is none with this number' : misfit(row, o);
  if (row === null || problem !== null) throw new SettingsError([`REPLAY ${o.id}: ${problem}`]);
  ctx.own(watchReplay(pool, o.id, ctx));
  const { pipeline, recordsPerSecond } = row;
  return {
    pipeline,
    positions: givenPositions(pool, pipeline),
    batchRecords: (most) => Math.min(most, recordsPerSecond ?? most),
    pace: recordsPerSecond === null ? null : keepPace({ perSecond: recordsPerSecond, signal: ctx.signal }),
  };
}

function misfit(row: ReplayRow, { service, generation }: ReplayOptions): string | null {
  if (row.service !== service) return `it is one of ${row.service}, and this is ${service}`;
  if (row.generation !== generation)
    return `it is one of generation ${row.generation}, and GENERATION is ${generation}`;
  return row.state === 'running' ? null : `it is ${row.state}: begin another one with leakage replay`;
}

async function readReplay(db: Queryable, id: number): Promise<ReplayRow | null> {
  const { rows } = await db.query<ReplayRow>(
    `select service, generation, pipeline, state, paused, records_per_second as "recordsPerSecond"
       from ops.replay where id = $1`,
    [id],
  );
  return rows[0] ?? null;
}

const LOOK_EVERY_MS = 1_000;

/** Looks every second whether the replay is to go on. */
function watchReplay(db: Queryable, id: number, { stop, log }: Context): Part {
  let looking: Promise<void> | null = null;
  const look = async (): Promise<void> => {
    const row = await readReplay(db, id);
    if (row === null || row.state !== 'running') stop(`replay ${id} is ${row?.state ?? 'gone'}`);
    else if (row.paused) stop(`replay ${id} is paused`);
  };
  const timer = setInterval(() => {
    looking ??= look()
      .catch((error: unknown) => log.debug({ err: error }, 'it could not be asked whether the replay is to go on'))
      .finally(() => {
        looking = null;
      });
  }, LOOK_EVERY_MS);
  return {
    name: `watch of replay ${id}`,
    async stop() {
      clearInterval(timer);
      await looking;
    },
  };
}
