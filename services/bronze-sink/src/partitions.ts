import { inTransaction, type Pool, type Queryable } from '@leakage/postgres';
import type { Health, Logger, Part } from '@leakage/runtime';
import { layouts } from './domain/layout.ts';

const DAYS_AHEAD = 3;
const EVERY_MS = 3_600_000;
/** Days found in a default partition that one round moves out; the next round goes on. */
const STRAY_DAYS_MAX = 31;
/** Today's rows in a default partition are being added to; more than this is left there until the day is over. */
const TODAY_ROWS_MAX = 500_000;
/** Rounds that may fail in a row: half of the time for which there are partitions already. */
const FAILURES_MAX = 36;

export interface PartitionKeeperOptions {
  pool: Pool;
  schema: string;
  log: Logger;
  health: Health;
}

/**
 * Has the daily partitions of bronze made ahead of time, by functions of the database that run as its owner, and never inside
 * a batch. It may fail and fall behind without harm:
 * rows then go to the default partition and are moved to their day later. Any number of processes may run it.
 */
export async function startPartitionKeeper(o: PartitionKeeperOptions): Promise<Part> {
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => undefined);
  let failures = 0;
  const round = async (): Promise<void> => {
    try {
      await keepPartitions(o);
      failures = 0;
      o.health.setReady('partitions', true);
    } catch (error) {
      failures += 1;
      o.log.warn({ err: error, failures }, 'partitions of bronze could not be made; trying again within the hour');
      if (failures > FAILURES_MAX) failure.reject(error);
    }
  };
  o.health.setReady('partitions', false, 'making the partitions of the next days');
  await round();
  o.health.setReady('partitions', true);
  let running: Promise<void> | null = null;
  const timer = setInterval(() => {
    // A round that takes longer than an hour is not followed by those it has missed.
    running ??= round().finally(() => {
      running = null;
    });
  }, EVERY_MS);
  return {
    name: 'partitions of bronze',
    failed: failure.promise,
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}

/** One round: today and the days ahead, and every day of which rows lie in a default partition. */
export async function keepPartitions(o: {
  pool: Pool;
  schema: string;
  log: Logger;
  todayRowsMax?: number;
}): Promise<void> {
  const failed: unknown[] = [];
  for (const { table } of Object.values(layouts)) {
    for (const day of await missingDays(o.pool, { ...o, table })) {
      try {
        const moved = await inTransaction(o.pool, (tx) => makePartition(tx, { schema: o.schema, table, day }));
        if (moved > 0) o.log.info({ table, day, moved }, 'rows were moved from the default partition to their day');
      } catch (error) {
        // One day in trouble must not keep the others from being made.
        failed.push(error);
      }
    }
  }
  if (failed.length > 0) throw new AggregateError(failed, `${failed.length} partitions of bronze could not be made`);
}

async function missingDays(
  db: Queryable,
  o: { schema: string; table: string; todayRowsMax?: number },
): Promise<string[]> {
  const { schema, table, todayRowsMax = TODAY_ROWS_MAX } = o;
  const { rows } = await db.query<{ day: string }>(
    `select day from ${schema}.missing_days($1, $2, $3, $4) as d (day)`,
    [table, DAYS_AHEAD, STRAY_DAYS_MAX, todayRowsMax],
  );
  return rows.map((row) => row.day);
}

/** How many rows were moved; a lock that does not come within the pool's lock_timeout ends the attempt, all or nothing. */
async function makePartition(tx: Queryable, o: { schema: string; table: string; day: string }): Promise<number> {
  const { rows } = await tx.query<{ moved: number }>(`select ${o.schema}.make_partition($1, $2) as moved`, [
    o.table,
    o.day,
  ]);
  return rows[0]?.moved ?? 0;
}
