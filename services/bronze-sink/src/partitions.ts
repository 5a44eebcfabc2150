import { inTransaction, type Pool, type Queryable } from '@leakage/postgres';
import type { Health, Logger, Part } from '@leakage/runtime';
import { layouts } from './domain/layout.ts';

const DAY_MS = 86_400_000;
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
 * Creates the daily partitions of bronze ahead of time, never inside a batch. It may fail and fall behind without harm:
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
        const moved = await inTransaction(o.pool, (tx) => createPartition(tx, { schema: o.schema, table, day }));
        if (moved > 0) o.log.info({ table, day, moved }, 'rows were moved from the default partition to their day');
      } catch (error) {
        // One day in trouble must not keep the others from being made.
        failed.push(error);
      }
    }
  }
  if (failed.length > 0) throw new AggregateError(failed, `${failed.length} partitions of bronze could not be made`);
}

const MISSING_DAYS = `
  with stray (day, found) as (
    select ingestion_timestamp::date, count(*) from %SCHEMA%.%TABLE%_default group by 1
  ),
  wanted (day) as (
    select current_date + n from generate_series(0, $2) as s (n)
    union
    (select day from stray order by day limit $3)
  )
  select day
    from wanted
   where not exists (select from stray s where s.day = wanted.day and s.day = current_date and s.found > $4)
     and not exists (
       select from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = to_regclass($1) and c.relname = '%TABLE%_p' || to_char(day, 'YYYYMMDD'))
   order by day`;

async function missingDays(
  db: Queryable,
  o: { schema: string; table: string; todayRowsMax?: number },
): Promise<string[]> {
  const { schema, table, todayRowsMax = TODAY_ROWS_MAX } = o;
  const text = MISSING_DAYS.replaceAll('%SCHEMA%', schema).replaceAll('%TABLE%', table);
  const values = [`${schema}.${table}`, DAYS_AHEAD, STRAY_DAYS_MAX, todayRowsMax];
  const { rows } = await db.query<{ day: string }>(text, values);
  return rows.map((row) => row.day);
}

/**
 * Makes one day's partition and returns how many rows it moved there from the default partition: while rows of the day lie
 * there, Postgres refuses to attach it. The rows stay what they are, only where they lie changes (law 4). All or nothing,
 * and a lock that does not come within the pool's lock_timeout ends the attempt.
 */
async function createPartition(tx: Queryable, o: { schema: string; table: string; day: string }): Promise<number> {
  const [parent, spare] = [`${o.schema}.${o.table}`, `${o.schema}.${o.table}_default`];
  const partition = `${parent}_p${o.day.replaceAll('-', '')}`;
  const [from, to] = [o.day, new Date(Date.parse(o.day) + DAY_MS).toISOString().slice(0, 10)];
  // One process at a time; who waited finds the partition there.
  await tx.query(`select pg_advisory_xact_lock(hashtextextended($1, 0))`, [`partitions of ${parent}`]);
  const { rows } = await tx.query<{ there: boolean }>('select to_regclass($1) is not null as there', [partition]);
  if (rows[0]?.there === true) return 0;
  // ATTACH PARTITION locks this one in any case; taken first, no row can slip in between the move and the attachment.
  await tx.query(`lock table ${spare} in access exclusive mode`);
  await tx.query(`create table ${partition} (like ${parent} including all)`);
  const moved = await tx.query(
    `with stray as (
       delete from ${spare} where ingestion_timestamp >= '${from}' and ingestion_timestamp < '${to}' returning *)
     insert into ${partition} select * from stray`,
  );
  await tx.query(`alter table ${parent} attach partition ${partition} for values from ('${from}') to ('${to}')`);
  return moved.rowCount;
}
