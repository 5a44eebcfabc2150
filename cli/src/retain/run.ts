import type { Pool, Queryable } from '@leakage/postgres';
import { sleep } from '@leakage/runtime';
import { CommandError } from '../command-error.ts';
import { BEGIN_LOCK } from '../rebuild/begin.ts';
import { type BronzeLimits, type BronzePartition, dropPartition, droppablePartitions } from './bronze-store.ts';
import { type GenerationPlan, planGenerations } from './generations.ts';
import { keepFigures, removeFromGold } from './gold-store.ts';
import { changeSeqs, moveHorizon, unfolded } from './horizon-store.ts';
import { addDays, type RetentionPolicy } from './policy.ts';
import { beginRun, endRun } from './run-store.ts';
import { countRemovable, type Removed, removeFromSilver } from './silver-store.ts';

export interface RetainOptions {
  readonly pool: Pool;
  readonly schemas: { readonly bronze: string; readonly silver: string; readonly gold: string };
  readonly policy: RetentionPolicy;
  /** The day that counts as today; null: today. */
  readonly asOf: string | null;
  /** How long gold may take to fold what silver has written. */
  readonly waitMs: number;
  readonly signal: AbortSignal;
  /** Told what is being done. */
  readonly say: (line: string) => void;
}

/** What a run would remove. */
export interface RetentionPlan {
  readonly generations: readonly (GenerationPlan & { readonly removable: Readonly<Record<string, Removed>> })[];
  readonly bronze: readonly BronzePartition[];
}

export interface Retained {
  readonly generations: readonly {
    readonly generation: number;
    readonly horizon: string;
    readonly moved: boolean;
    /** Rows by table. */
    readonly removed: Readonly<Record<string, number>>;
  }[];
  readonly bronze: {
    readonly partitions: readonly string[];
    readonly records: number;
    readonly bytes: number;
    /** Read by somebody for so long that they could not be dropped. */
    readonly left: readonly string[];
  };
}

const RETAIN_LOCK = 4_718_267;
const LOOK_MS = 250;

/** No other run, and no rebuild that begins with what is being removed, as long as `work` lasts. */
export async function withRetention<T>({ pool, signal, say }: RetainOptions, work: () => Promise<T>): Promise<T> {
  return await pool.withConnection(async (lock) => {
    const { rows } = await lock.query<{ free: boolean }>('select pg_try_advisory_lock($1) as free', [RETAIN_LOCK]);
    if (rows[0]?.free !== true) throw new CommandError('Another leakage retain is at work on this database.', 3);
    try {
      while (!(await tryLock(lock, BEGIN_LOCK))) {
        mustGoOn(signal);
        say('waiting for a rebuild that is being begun');
        await sleep(LOOK_MS);
      }
      return await work();
    } finally {
      if (lock.lost === null) await lock.query('select pg_advisory_unlock_all()');
    }
  });
}

async function tryLock(lock: Queryable, key: number): Promise<boolean> {
  const { rows } = await lock.query<{ locked: boolean }>('select pg_try_advisory_lock($1) as locked', [key]);
  return rows[0]?.locked === true;
}

export async function planRetention(o: RetainOptions): Promise<RetentionPlan> {
  const { pool, schemas } = o;
  const plans = await planGenerations(pool, o);
  const generations = [];
  for (const plan of plans) {
    const removable = await countRemovable(pool, plan);
    generations.push({ ...plan, removable });
  }
  return { generations, bronze: await droppablePartitions(pool, schemas.bronze, bronzeLimits(plans, o.policy)) };
}

function bronzeLimits(plans: readonly GenerationPlan[], { bronzeKeepDays }: RetentionPolicy): BronzeLimits {
  const earliest = (days: readonly string[]) => days.toSorted()[0] ?? '';
  const keptFrom = plans
    .map((plan) => ({ text: plan.keptFrom, ms: Date.parse(plan.keptFrom) }))
    .sort((a, b) => a.ms - b.ms);
  return {
    receivedBefore: addDays(earliest(plans.map(({ today }) => today)), -bronzeKeepDays),
    keptFrom: keptFrom[0]?.text ?? '-infinity',
    pipelines: plans.map(({ generation }) => `silver_${generation}`),
  };
}

/**
 * 1. Everything that silver has written so far is in gold. 2. The horizons move. 3. Gold keeps what can be counted over single calls
 * only; silver lets go of them. 4. Figures that are too old even for gold go. 5. Bronze lets go of days that nobody needs. Every
 * step is a transaction of its own that may have been done already: a run that was ended anywhere is simply run again.
 */
export async function carryOut(o: RetainOptions): Promise<Retained> {
  const { pool, schemas, policy, signal, say } = o;
  const goOn = (line: string) => {
    mustGoOn(signal);
    say(line);
  };
  const plans = await planGenerations(pool, o);
  const run = await beginRun(pool, { ...policy, asOf: o.asOf });
  for (const { generation } of plans) await goldHasFolded(generation, o);
  for (const plan of plans) {
    goOn(`generation ${plan.generation}: moving the horizon`);
    await moveHorizon(pool, plan);
  }
  const generations = [];
  for (const plan of plans) {
    goOn(`generation ${plan.generation}: keeping figures of single days`);
    await keepFigures(pool, plan);
    const fromSilver = await removeFromSilver(pool, plan, goOn);
    const cells = await removeFromGold(pool, plan);
    const { generation, horizonDay: horizon, moves: moved } = plan;
    generations.push({ generation, horizon, moved, removed: { ...fromSilver, gold_cells: cells } });
  }
  const bronze = await dropFromBronze(pool, { schema: schemas.bronze, limits: bronzeLimits(plans, policy), goOn });
  const retained = { generations, bronze };
  await endRun(pool, run, retained);
  return retained;
}

async function dropFromBronze(
  pool: Pool,
  o: { readonly schema: string; readonly limits: BronzeLimits; readonly goOn: (line: string) => void },
): Promise<Retained['bronze']> {
  const partitions: string[] = [];
  const left: string[] = [];
  let records = 0;
  let bytes = 0;
  for (const one of await droppablePartitions(pool, o.schema, o.limits)) {
    o.goOn(`dropping ${one.partition}`);
    const dropped = left.length > 0 ? null : await dropPartition(pool, o.schema, one);
    if (dropped === null) {
      left.push(one.partition);
      continue;
    }
    partitions.push(one.partition);
    records += dropped.records;
    bytes += one.bytes;
  }
  return { partitions, records, bytes, left };
}

/** The facts that go are in nobody's figures but gold's: it has to have read of them. */
async function goldHasFolded(generation: number, { pool, waitMs, signal, say }: RetainOptions): Promise<void> {
  const upTo = await changeSeqs(pool, generation);
  const until = performance.now() + waitMs;
  for (;;) {
    const changes = await unfolded(pool, generation, upTo);
    if (changes === 0) return;
    mustGoOn(signal);
    if (performance.now() >= until) {
      throw new CommandError(
        `Gold of generation ${generation} has ${changes.toLocaleString('en-US')} changes to fold before silver may lose them: look whether its gold-aggregator runs, or drop the generation. Nothing was removed.`,
        3,
      );
    }
    say(`waiting for gold of generation ${generation}: ${changes} changes`);
    await sleep(LOOK_MS);
  }
}

function mustGoOn(signal: AbortSignal): void {
  if (signal.aborted) {
    throw new CommandError(
      'Stopped. What was done is done, and nothing is half done: the same command goes on from there.',
    );
  }
}
