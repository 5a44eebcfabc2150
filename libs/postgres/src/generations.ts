import { createHash } from 'node:crypto';
import { SettingsError } from '@leakage/runtime';
import type { Queryable } from './connection.ts';
import { insufficientPrivilege, OwnerNeededError, sqlState } from './errors.ts';
import { assertIdentifier } from './migrate.ts';
import type { Pool } from './pool.ts';
import { inTransaction } from './transaction.ts';

/** Journey type of each call reason and IVR token ('any' fits every type). */
export interface ReasonTable {
  journeyTypes: string[];
  reasons: Record<string, string>;
  tokens: Record<string, string>;
}

/** What silver and gold were computed with. Belongs to the generation, not to a process. */
export interface Rules {
  windowMs: number;
  timeZone: string;
  repeatScope: 'same_issue' | 'any_reason';
  reasons: ReasonTable;
}

/** See migration 0005_generations. */
export type GenerationState = 'preparing' | 'building' | 'active' | 'retired' | 'dropped';

export interface Generation {
  id: number;
  state: GenerationState;
  rules: Rules;
  rulesVersion: number;
  rulesHash: string;
  /** A what-if is compared and never promoted. */
  purpose: 'candidate' | 'what_if';
  /** Where it is read from until it has caught up. */
  source: 'topics' | 'bronze';
  /** Its processes rest. */
  paused: boolean;
  /** How much of its time a process takes while it catches up. */
  sharePercent: number;
  /** How many records it takes while it catches up; null: as many as it can. */
  recordsPerSecond: number | null;
  /** Of a generation that is made of a part of the records: when Kafka got them, in epoch milliseconds; null: it has no such end. */
  fromTime: number | null;
  toTime: number | null;
}

/** Equal for equal rules, whatever the order of their keys; covers the version of the code that applies them. */
export function hashRules(rules: Rules, rulesVersion: number): string {
  return createHash('sha256')
    .update(JSON.stringify(canonical({ rulesVersion, rules })))
    .digest('hex');
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return entries.map(([key, entry]) => [key, canonical(entry)]);
}

interface GenerationRow {
  id: number;
  state: GenerationState;
  rules: Rules & { rulesVersion: number };
  rules_hash: string;
  purpose: Generation['purpose'];
  source: Generation['source'];
  paused: boolean;
  share_percent: number;
  records_per_second: number | null;
  from_time: number | null;
  to_time: number | null;
}

const COLUMNS =
  'id, state, rules, rules_hash, purpose, source, paused, share_percent, records_per_second, from_time, to_time';
const SELECT = `select ${COLUMNS} from ops.generation where id = $1`;

/**
 * The stored generation, created with these rules and its shard rows when it does not exist: active if no other one is,
 * else preparing. The caller compares `rulesHash` with its own and stops when they differ (it must not mix rules). Throws
 * OwnerNeededError when it does not exist and this login may not create it.
 */
export async function ensureGeneration(
  pool: Pool,
  id: number,
  wanted: { rules: Rules; rulesVersion: number; shards: number },
): Promise<Generation> {
  const there = await loadGeneration(pool, id);
  if (there !== null) return there;
  try {
    return await createGeneration(pool, id, wanted);
  } catch (error) {
    if (sqlState(error) !== insufficientPrivilege) throw error;
    throw new OwnerNeededError(`generation ${id} (GENERATION) does not exist, and this login may not create it`, {
      cause: error,
    });
  }
}

async function createGeneration(
  pool: Pool,
  id: number,
  wanted: { rules: Rules; rulesVersion: number; shards: number },
): Promise<Generation> {
  return await inTransaction(pool, async (tx) => {
    // Two processes that start together: the second one waits here and then finds what the first one made.
    await tx.query(`select pg_advisory_xact_lock(hashtextextended('ops.generation', 0))`);
    const stored = (await tx.query<GenerationRow>(SELECT, [id])).rows[0];
    if (stored !== undefined) return generationOf(stored);
    const { rows } = await tx.query<GenerationRow>(
      `insert into ops.generation (id, state, rules, rules_hash)
       select $1, case when exists (select from ops.generation where state = 'active') then 'preparing' else 'active' end,
              $2, $3
       returning ${COLUMNS}`,
      [
        id,
        JSON.stringify({ ...wanted.rules, rulesVersion: wanted.rulesVersion }),
        hashRules(wanted.rules, wanted.rulesVersion),
      ],
    );
    await tx.query(
      'insert into ops.shard (generation, shard) select $1, shard from generate_series(0, $2 - 1) as s (shard)',
      [id, wanted.shards],
    );
    const [created] = rows;
    if (created === undefined) throw new Error(`generation ${id} was not created`);
    return generationOf(created);
  });
}

function generationOf(row: GenerationRow): Generation {
  const { rulesVersion, ...rules } = row.rules;
  return {
    id: row.id,
    state: row.state,
    rules,
    rulesVersion,
    rulesHash: row.rules_hash,
    purpose: row.purpose,
    source: row.source,
    paused: row.paused,
    sharePercent: row.share_percent,
    recordsPerSecond: row.records_per_second,
    fromTime: row.from_time,
    toTime: row.to_time,
  };
}

export async function loadGeneration(db: Queryable, id: number): Promise<Generation | null> {
  const row = (await db.query<GenerationRow>(SELECT, [id])).rows[0];
  return row === undefined ? null : generationOf(row);
}

/** Throws SettingsError (starting again would not help) where nobody may work on a generation any more, or make its tables. */
export async function mustNotBeDropped(db: Queryable, id: number): Promise<void> {
  if ((await loadGeneration(db, id))?.state === 'dropped') throw new SettingsError([wasDropped(id)]);
}

export const wasDropped = (id: number): string =>
  `generation ${id} was dropped: set GENERATION to another number, or to none`;

/** A process begins to work on a generation whose tables are there: it is prepared. */
export async function beginBuilding(db: Queryable, id: number): Promise<void> {
  await db.query(`update ops.generation set state = 'building' where id = $1 and state = 'preparing'`, [id]);
}

/** The generation that the stable views show, or null before the first one. */
export async function activeGeneration(db: Queryable): Promise<number | null> {
  const { rows } = await db.query<{ id: number }>(`select id from ops.generation where state = 'active'`);
  return rows[0]?.id ?? null;
}

const UNDEFINED_TABLE = '42P01';

/**
 * What a process works on: the generation that it was told, else the active one, else the first: also in a database that has none
 * yet, or that does not let this login look, which is for others to say.
 */
export async function workingGeneration(db: Queryable, told: number | undefined): Promise<number> {
  if (told !== undefined) return told;
  try {
    return (await activeGeneration(db)) ?? 1;
  } catch (error) {
    if (sqlState(error) === UNDEFINED_TABLE || sqlState(error) === insufficientPrivilege) return 1;
    throw error;
  }
}

/** What somebody has ordered of a generation's processes, and what became of it. */
export interface GenerationOrders extends Pick<Generation, 'state' | 'paused' | 'sharePercent' | 'recordsPerSecond'> {
  /** It has read everything that there was, once. */
  readonly caughtUp: boolean;
}

export async function generationOrders(db: Queryable, id: number): Promise<GenerationOrders | null> {
  const { rows } = await db.query<GenerationOrders>(
    `select state, paused, share_percent as "sharePercent", records_per_second as "recordsPerSecond",
            caught_up_at is not null as "caughtUp"
       from ops.generation where id = $1`,
    [id],
  );
  return rows[0] ?? null;
}

/** What the processes of a generation may still have to read of what bronze has when one of them finds itself caught up. */
const CAUGHT_UP_RECORDS_MAX = 10_000;

/**
 * Notes that a generation has read everything that there was; the first time counts. False: another process of it, with other
 * partitions, is still far behind bronze, or it was noted before.
 */
export async function noteCaughtUp(db: Queryable, id: number): Promise<boolean> {
  const { rowCount } = await db.query(
    `update ops.generation g
        set caught_up_at = now()
      where g.id = $1 and g.caught_up_at is null
        and $2 >= (select coalesce(sum(greatest(least(b.next_offset, s.until_offset) - coalesce(s.next_offset, b.first_offset), 0)), 0)
                     from ops.position b
                     left join ops.position s
                       on s.pipeline = 'silver_' || $1::int and s.topic = b.topic and s.partition = b.partition
                    where b.pipeline = 'bronze' and (s.pipeline is not null or g.to_time is null))`,
    [id, CAUGHT_UP_RECORDS_MAX],
  );
  return rowCount > 0;
}

export interface ShardRow {
  shard: number;
  stateVersion: number;
  /** The last seq used in the change log; 0 before the first. */
  changeSeq: number;
  wmDigital: number | null;
  wmCalls: number | null;
}

const LOCK_SHARDS = `
  select shard, state_version, change_seq, wm_digital, wm_calls
    from ops.shard
   where generation = $1 and shard = any ($2::smallint[])
   order by shard
     for update`;

/** Locks shards in ascending order, so that processes that share some of them wait and never deadlock. */
export async function lockShards(tx: Queryable, generation: number, shards: readonly number[]): Promise<ShardRow[]> {
  const { rows } = await tx.query<{
    shard: number;
    state_version: number;
    change_seq: number;
    wm_digital: number | null;
    wm_calls: number | null;
  }>(LOCK_SHARDS, [generation, shards]);
  const distinct = new Set(shards).size;
  if (rows.length !== distinct) {
    throw new Error(`generation ${generation} has ${rows.length} of the ${distinct} shards to be locked`);
  }
  return rows.map((row) => ({
    shard: row.shard,
    stateVersion: row.state_version,
    changeSeq: row.change_seq,
    wmDigital: row.wm_digital,
    wmCalls: row.wm_calls,
  }));
}

/**
 * Points the stable schema `layer` (silver, gold) at a generation's views. Does nothing, and returns false, while another
 * generation is the active one; costs nobody anything when the views are right already: call it at every start.
 */
export async function publishViews(pool: Pool, layer: string, generation: number): Promise<boolean> {
  assertIdentifier(layer);
  try {
    const { rows } = await inTransaction(pool, (tx) =>
      tx.query<{ published: boolean }>('select ops.publish($1, $2) as published', [layer, generation]),
    );
    return rows[0]?.published === true;
  } catch (error) {
    if (sqlState(error) !== insufficientPrivilege) throw error;
    throw new OwnerNeededError(
      `the views of schema ${layer} are not those of generation ${generation}, and this login may not make them`,
      { cause: error },
    );
  }
}
