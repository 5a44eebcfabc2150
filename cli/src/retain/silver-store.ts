import { inTransaction, lockShards, type Pool, type Queryable } from '@leakage/postgres';
import { sleep } from '@leakage/runtime';
import type { GenerationPlan } from './generations.ts';
import { shardsOf } from './horizon-store.ts';

/** Pages of a table that one transaction looks through, about a megabyte: silver stands still for as long as that takes. */
const windowPages = 128;
/** Rows that were moved to other pages meanwhile are found by looking again, so often. */
const passesMax = 3;

/** What of a table of silver goes. $1 is the instant from which on silver keeps everything. */
interface Removal {
  readonly table: string;
  /** About the row `t`. */
  readonly condition: string;
  /** The facts of the calls that go. */
  readonly facts: boolean;
}

/**
 * A row that was corrected stays until its correction too is that old: an earlier version of it, delivered again, must find it there
 * and lose. (A record is sent after what it is about, so none of its versions can lie behind the time at which a later one was sent.)
 */
const isOver = (silver: string, source: 'journeys' | 'calls', alias: 't' | 'c') => {
  const [id, at] = source === 'calls' ? ['call_id', 'call_timestamp'] : ['event_id', '"timestamp"'];
  return `
  ${alias}.${at} < $1
  and (${alias}.emitted_at < $1
       or (${alias}.revision = 0 and not exists (select from ${silver}.conflict_record k
                                                  where k.source = '${source}' and k.identity = ${alias}.${id})))`;
};

const isJourneyOver = (silver: string, alias: 't' | 'o') => `
  ${alias}.last_decisive_at < $1
  and not exists (select from ${silver}.call_fact f join ${silver}.call c on c.call_id = f.call_id
                   where f.member_id = ${alias}.member_id and f.digital_session_id = ${alias}.session_id
                     and f.leakage_type = ${alias}.journey_type and f.attribution = 'leakage'
                     and not (${isOver(silver, 'calls', 'c')}))`;

/**
 * In this order. A journey is over when its last decisive event is, and every call that is charged to it; of one that is not over,
 * everything stays, however long ago it began, because what it counts is counted anew with every event. Nothing is logged: gold
 * keeps what it has counted.
 */
function removals({ silver }: GenerationPlan): Removal[] {
  const goesOn = (member: string, session: string, type: string) => `
  exists (select from ${silver}.journey_outcome o
           where o.member_id = ${member} and o.session_id = ${session} and o.journey_type = ${type}
             and not (${isJourneyOver(silver, 'o')}))`;
  return [
    { table: 'journey_outcome', facts: false, condition: isJourneyOver(silver, 't') },
    {
      table: 'journey_event',
      facts: false,
      condition: `${isOver(silver, 'journeys', 't')}
  and not (t.action in ('error', 'abandon', 'complete') and not t.deleted
           and ${goesOn('t.member_id', 't.session_id', 't.journey_type')})`,
    },
    {
      table: 'call',
      facts: true,
      condition: `${isOver(silver, 'calls', 't')}
  and not exists (select from ${silver}.call_fact f
                   where f.call_id = t.call_id and f.attribution = 'leakage'
                     and ${goesOn('f.member_id', 'f.digital_session_id', 'f.leakage_type')})`,
    },
    {
      table: 'conflict_record',
      facts: false,
      condition: `t.source = 'journeys' and not exists (select from ${silver}.journey_event e where e.event_id = t.identity)
   or t.source = 'calls' and not exists (select from ${silver}.call c where c.call_id = t.identity)`,
    },
    {
      // What was refused for its age stays as long as verification may meet the record, to be told whether it was.
      table: 'quarantine_record',
      facts: false,
      condition: `t.received_at < $2
  and ('beyond_retention' <> all (t.reasons) or t.received_at < $1::timestamptz - interval '1 day')`,
    },
  ];
}

export interface Removed {
  readonly rows: number;
  readonly bytes: number;
}

/** How much of each table would go now, without removing anything. (Conflicts go with what they are about.) */
export async function countRemovable(db: Queryable, plan: GenerationPlan): Promise<Record<string, Removed>> {
  const counts: Record<string, Removed> = {};
  for (const { table, condition } of removals(plan)) {
    const { rows } = await db.query<Removed>(
      `select count(*) as rows, coalesce(sum(pg_column_size(t)), 0)::bigint as bytes from ${plan.silver}.${table} t where ${condition}`,
      parametersOf(condition, plan),
    );
    counts[table] = rows[0] ?? { rows: 0, bytes: 0 };
  }
  return counts;
}

/** A statement has as many parameters as it names. */
function parametersOf(condition: string, { keptFrom, quarantineKeptFrom }: GenerationPlan): string[] {
  if (condition.includes('$2')) return [keptFrom, quarantineKeptFrom];
  return condition.includes('$1') ? [keptFrom] : [];
}

/** Called between two transactions; throws to end it there. */
type GoOn = (line: string) => void;

/** Removes what is over, a piece at a time; returns how many rows of each table went. Run again, it goes on with what remains. */
export async function removeFromSilver(pool: Pool, plan: GenerationPlan, goOn: GoOn): Promise<Record<string, number>> {
  const shards = await shardsOf(pool, plan.generation);
  const removed: Record<string, number> = {};
  for (const removal of removals(plan)) {
    let total = 0;
    for (let pass = 0; pass < passesMax; pass++) {
      const found = await removeOnce(pool, { plan, removal, shards, goOn });
      total += found;
      if (found === 0) break;
    }
    removed[removal.table] = total;
  }
  return removed;
}

interface Pass {
  readonly goOn: GoOn;
  readonly plan: GenerationPlan;
  readonly removal: Removal;
  readonly shards: readonly number[];
}

async function removeOnce(pool: Pool, pass: Pass): Promise<number> {
  const { plan, removal, goOn } = pass;
  const table = `${plan.silver}.${removal.table}`;
  const { rows } = await pool.query<{ pages: number }>(
    `select pg_relation_size($1::regclass) / current_setting('block_size')::bigint as pages`,
    [table],
  );
  const pages = rows[0]?.pages ?? 0;
  let removed = 0;
  for (let from = 0; from < pages; from += windowPages) {
    goOn(
      `generation ${plan.generation}: ${removal.table}, ${Math.floor((100 * from) / pages)} %, ${removed} rows removed`,
    );
    const found = await removeWindow(pool, { ...pass, table, from });
    removed += found.rows;
    // As long for silver as for this: figures stay fresh.
    if (found.heldMs > 0) await sleep(found.heldMs);
  }
  return removed;
}

async function removeWindow(
  pool: Pool,
  { plan, removal, shards, table, from }: Pass & { readonly table: string; readonly from: number },
): Promise<{ rows: number; heldMs: number }> {
  const { condition, facts } = removal;
  const values = parametersOf(condition, plan);
  const first = `$${values.length + 1}`;
  const next = `$${values.length + 2}`;
  const where = `t.ctid >= ${first}::tid and t.ctid < ${next}::tid and (${condition})`;
  const all = [...values, `(${from},0)`, `(${from + windowPages},0)`];
  // Without a lock first: most of a table that was gone through before has nothing to be removed.
  const look = await pool.query<{ there: boolean }>(
    `select exists (select from ${table} t where ${where}) as there`,
    all,
  );
  if (look.rows[0]?.there !== true) return { rows: 0, heldMs: 0 };
  return await inTransaction(pool, async (tx) => {
    // Whoever remembers rows of these shards sees by their version that somebody else has written.
    await lockShards(tx, plan.generation, shards);
    const began = performance.now();
    const { rowCount } = await tx.query(
      facts
        ? `with gone as (delete from ${table} t where ${where} returning t.call_id),
                facts as (delete from ${plan.silver}.call_fact f using gone where f.call_id = gone.call_id)
           select from gone`
        : `delete from ${table} t where ${where}`,
      all,
    );
    await tx.query('update ops.shard set state_version = state_version + 1 where generation = $1', [plan.generation]);
    return { rows: rowCount, heldMs: performance.now() - began };
  });
}
