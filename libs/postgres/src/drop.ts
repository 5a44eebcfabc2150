import { retry, sleep } from '@leakage/runtime';
import type { Queryable } from './connection.ts';
import {
  cancelReplays,
  dependentsElsewhere,
  markDropped,
  readDroppable,
  relationsOf,
  removeProtocolRows,
  sessionsIn,
  untoldChanges,
} from './drop-store.ts';
import { isTransient } from './errors.ts';
import { activeGeneration } from './generations.ts';
import { assertIdentifier } from './migrate.ts';
import type { Pool } from './pool.ts';
import { generationsChannel } from './promotion.ts';
import { PromotionRefusedError } from './promotion-checks.ts';
import { wayBack } from './promotion-store.ts';
import { inTransaction } from './transaction.ts';

export interface DropOptions {
  /** The stable schemas: silver, gold. */
  readonly layers: readonly string[];
  /** Also the one that rollback would go to, and one that was not told to its end. */
  readonly force: boolean;
  /** How long its processes may take to let go of it. */
  readonly waitMs: number;
  readonly say: (line: string) => void;
}

export interface Dropped {
  readonly generation: number;
  /** What was removed just now: schemas, and rows of ops. Nothing of either: it had been dropped before. */
  readonly schemas: readonly string[];
  readonly rows: number;
  /** Replays of it that were cancelled just now. */
  readonly replays: number;
}

const LOOK_MS = 250;
/** Processes look every second whether their generation is still there; nobody may have touched it for so long. */
const QUIET_MS = 1_500;
/** One table at a time, each in a transaction of its own that waits for nobody for long. */
const STEP_LOCK_MS = 2_000;
const stepRetry = { attempts: 10, baseMs: 200, maxMs: 2_000 } as const;

/** Why a generation must not be dropped, in a sentence; null: it may be. */
export async function neverDropped(
  db: Queryable,
  generation: number,
  o: Pick<DropOptions, 'layers' | 'force'>,
): Promise<string | null> {
  const schemas = schemasOf(generation, o.layers);
  const found = await readDroppable(db, generation, schemas);
  if (found === undefined)
    return `There is no generation ${generation}: npx leakage generations shows those that there are.`;
  if (found.state === 'active') {
    return `Generation ${generation} is the active one, which is never dropped: promote another one, or roll back, first.`;
  }
  const dependents = await dependentsElsewhere(db, schemas);
  if (dependents.length > 0) {
    return `Somebody has made views of generation ${generation} elsewhere, which would go with it: drop or change ${dependents.join(', ')} first.`;
  }
  const untold = o.force ? 0 : await untoldChanges(db, generation);
  if (untold > 0) {
    return `Generation ${generation} was active, and ${untold} of its last changes are not told in the change stream yet: wait until they are. To drop it all the same, so that nobody hears of them: --force.`;
  }
  const active = await activeGeneration(db);
  const isWayBack = active !== null && (await wayBack(db, active)) === generation && found.state === 'retired';
  if (!isWayBack || o.force) return null;
  return `Generation ${generation} is the one that rollback would go back to, and there is no other: without it generation ${active} cannot be rolled back. To drop it all the same: --force.`;
}

/**
 * Removes everything of a generation but the record that it was there. Its processes see that it is dropped, and end; what they
 * hold is waited for. Safe to interrupt, and to run again: then it goes on with what remains.
 */
export async function dropGeneration(pool: Pool, generation: number, o: DropOptions): Promise<Dropped> {
  const schemas = schemasOf(generation, o.layers);
  await inTransaction(pool, async (tx) => {
    // Neither promoted nor rolled back to meanwhile.
    await tx.query(`select pg_advisory_xact_lock(hashtextextended('ops.publish', 0))`);
    const never = await neverDropped(tx, generation, o);
    if (never !== null) throw new PromotionRefusedError(never);
    await markDropped(tx, generation);
  });
  await pool.query('select pg_notify($1, $2)', [generationsChannel, '']);
  // Nobody begins one any more; the processes of those that run end by it.
  const replays = await inTransaction(pool, (tx) => cancelReplays(tx, generation));
  const there = (await readDroppable(pool, generation, schemas))?.schemas ?? [];
  await letGo(pool, { ...o, generation, schemas: there });
  for (const schema of there) await dropSchema(pool, schema, o.say);
  const rows = await inTransaction(pool, (tx) => removeProtocolRows(tx, generation));
  return { generation, schemas: there, rows, replays };
}

/** Gold's views read silver's tables: gold goes first. */
function schemasOf(generation: number, layers: readonly string[]): string[] {
  for (const layer of layers) assertIdentifier(layer);
  return layers.toReversed().map((layer) => `${layer}_${generation}`);
}

async function letGo(
  pool: Pool,
  o: DropOptions & { readonly generation: number; readonly schemas: readonly string[] },
): Promise<void> {
  const until = performance.now() + o.waitMs;
  let touchedAt = performance.now();
  while (o.schemas.length > 0 && performance.now() - touchedAt < QUIET_MS) {
    await sleep(LOOK_MS);
    const holders = await sessionsIn(pool, o.schemas);
    if (holders.length === 0) continue;
    touchedAt = performance.now();
    if (touchedAt >= until) {
      throw new PromotionRefusedError(
        `Generation ${o.generation} is marked as dropped, and nothing is removed yet: ${holders.join(', ')} still works on it. End that, and run the same command again.`,
      );
    }
    o.say(`waiting for who works on generation ${o.generation}: ${holders.join(', ')}`);
  }
}

async function dropSchema(pool: Pool, schema: string, say: (line: string) => void): Promise<void> {
  for (const { kind, name } of await relationsOf(pool, schema)) {
    say(`dropping ${name}`);
    await dropStep(pool, `drop ${kind} if exists ${name} cascade`);
  }
  // Functions, and a table that was made meanwhile.
  await dropStep(pool, `drop schema if exists "${schema}" cascade`);
}

async function dropStep(pool: Pool, statement: string): Promise<void> {
  const once = () =>
    inTransaction(
      pool,
      async (tx) => {
        await tx.query(`select set_config('lock_timeout', $1, true)`, [String(STEP_LOCK_MS)]);
        await tx.query(statement);
      },
      { retries: 0 },
    );
  await retry(once, { ...stepRetry, retryable: isTransient });
}
