import { inTransaction, isTransient, type Pool, type Queryable } from '@leakage/postgres';
import { retry } from '@leakage/runtime';
import { BRONZE_IN_USE_LOCK } from '../verify.ts';

/** Profiles are needed by every generation that will ever be built: their partitions stay. */
const tables = { digital_journeys_raw: '"timestamp"', call_logs_raw: 'call_timestamp' } as const;
type Table = keyof typeof tables;

/** Offsets without a record within a day that are told with what lies around them: markers of transactions, compacted records. */
const islandGap = 1_000;
/** The sink waits for no longer, and who reads bronze for long keeps a partition until the next run. */
const LOCK_MS = 2_000;
const lockRetry = { attempts: 8, baseMs: 250, maxMs: 2_000 } as const;

export interface BronzePartition {
  readonly table: Table;
  /** Its name. */
  readonly partition: string;
  /** The UTC day on which its records were received. */
  readonly day: string;
  readonly bytes: number;
}

export interface BronzeLimits {
  /** Partitions of days before it are old enough. */
  readonly receivedBefore: string;
  /** What every generation needs: the earliest instant from which one of them keeps everything. */
  readonly keptFrom: string;
  /** Positions of silver that must be beyond what goes. */
  readonly pipelines: readonly string[];
}

/** The oldest days of each table that may go: never one behind a day that has to stay. */
export async function droppablePartitions(
  db: Queryable,
  schema: string,
  limits: BronzeLimits,
): Promise<BronzePartition[]> {
  const found: BronzePartition[] = [];
  for (const table of Object.keys(tables) as Table[]) {
    for (const partition of await agedPartitions(db, { schema, table, limits })) {
      if (!(await isUnneeded(db, { schema, partition, limits }))) break;
      found.push(partition);
    }
  }
  return found;
}

async function agedPartitions(
  db: Queryable,
  o: { readonly schema: string; readonly table: Table; readonly limits: BronzeLimits },
): Promise<BronzePartition[]> {
  // What was received before the instant from which everything is kept cannot have been sent after it, nor be about what came later.
  const { rows } = await db.query<BronzePartition>(
    `select $2::text as "table", partition, day::text as day, pg_total_relation_size(oid) as bytes
       from (select c.oid, c.relname::text as partition, to_date(right(c.relname, 8), 'YYYYMMDD') as day
               from pg_inherits i join pg_class c on c.oid = i.inhrelid
              where i.inhparent = format('%I.%I', $1::text, $2::text)::regclass and c.relname ~ '_p[0-9]{8}$') p
      where day < $3::date and (day + 1)::timestamp at time zone 'UTC' <= $4::timestamptz
      order by day`,
    [o.schema, o.table, o.limits.receivedBefore, o.limits.keptFrom],
  );
  return rows;
}

/** Everything in it is about a time that nobody keeps, and every silver has read it. */
async function isUnneeded(
  db: Queryable,
  o: { readonly schema: string; readonly partition: BronzePartition; readonly limits: BronzeLimits },
): Promise<boolean> {
  const { schema, partition, limits } = o;
  const at = tables[partition.table];
  const { rows } = await db.query<{ needed: boolean }>(
    `select coalesce(bool_or(r.newest >= $1
                             or exists (select from unnest($2::text[]) as n (pipeline)
                                          left join ops.position p on p.pipeline = n.pipeline and p.topic = r.kafka_topic
                                                                  and p.partition = r.kafka_partition
                                         where coalesce(p.next_offset, 0) <= r.last_offset
                                           and coalesce(p.next_offset < p.until_offset, true))), false) as needed
       from (select kafka_topic, kafka_partition, max(kafka_offset) as last_offset,
                    -- What claims to come from the future is refused.
                    max(${at}) filter (where ${at} <= coalesce(emitted_at, kafka_timestamp) + interval '5 minutes') as newest
               from "${schema}"."${partition.partition}" group by 1, 2) r`,
    [limits.keptFrom, limits.pipelines],
  );
  return rows[0]?.needed === false;
}

export interface DroppedPartition {
  readonly records: number;
}

/** A verification reads bronze as it was when that began. The drop is rolled back. */
class InUseError extends Error {}

/** Drops a partition and writes down what it held, both or neither. Null: somebody reads bronze, and it stays for now. */
export async function dropPartition(
  pool: Pool,
  schema: string,
  { table, partition }: BronzePartition,
): Promise<DroppedPartition | null> {
  const once = () =>
    inTransaction(
      pool,
      async (tx) => {
        const { rows } = await tx.query<{ records: number }>(noteStatement(schema, partition), [partition, islandGap]);
        await tx.query(`select set_config('lock_timeout', $1, true)`, [String(LOCK_MS)]);
        const { rows: locks } = await tx.query<{ free: boolean }>('select pg_try_advisory_xact_lock($1) as free', [
          BRONZE_IN_USE_LOCK,
        ]);
        if (locks[0]?.free !== true) throw new InUseError();
        await tx.query(`alter table "${schema}"."${table}" detach partition "${schema}"."${partition}"`);
        await tx.query(`drop table "${schema}"."${partition}"`);
        return { records: rows[0]?.records ?? 0 };
      },
      { retries: 0 },
    );
  try {
    return await retry(once, { ...lockRetry, retryable: isTransient });
  } catch (error) {
    if (isTransient(error) || error instanceof InUseError) return null;
    throw error;
  }
}

/** Its offsets as ranges: what a replay has filled in later lies apart from what came that day. */
function noteStatement(schema: string, partition: string): string {
  return `
with numbered as (
  select kafka_topic, kafka_partition, kafka_offset,
         kafka_offset - lag(kafka_offset) over (partition by kafka_topic, kafka_partition order by kafka_offset) as step
    from "${schema}"."${partition}"
), islands as (
  select *, count(*) filter (where step > $2) over (partition by kafka_topic, kafka_partition order by kafka_offset) as island
    from numbered
), noted as (
  insert into ops.bronze_dropped (topic, partition, from_offset, next_offset, records, dropped_from)
  select kafka_topic, kafka_partition, min(kafka_offset), max(kafka_offset) + 1, count(*), $1
    from islands group by kafka_topic, kafka_partition, island
  returning records
)
select coalesce(sum(records), 0)::bigint as records from noted`;
}
