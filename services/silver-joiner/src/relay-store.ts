import { activeGeneration, lockShards, type Queryable } from '@leakage/postgres';
import type { LogEntry } from './domain/change-records.ts';
import type { SeqRange, Told } from './domain/turns.ts';

/** The reader of the change log by which the active generation tells the world what changes. */
const READER = 'changes';
/** The key space of our advisory lock on "who relays": one process of all. */
const RELAY_LOCK = 4_718_269;

/** Somebody else has moved the reader. What was sent is sent again by whoever goes on from there. */
export class ToldMeanwhileError extends Error {
  constructor() {
    super('the reader "changes" was moved by another process: going on from where it stands');
    this.name = 'ToldMeanwhileError';
  }
}

/** What was to be told next is not in the log any more: those who listen have a gap, which only a person can put right. */
export class ChangesLostError extends Error {
  constructor(generation: number, { shard, fromSeq }: SeqRange) {
    super(
      `the change log of generation ${generation} does not hold seq ${fromSeq} of shard ${shard}, which is to be told next: ` +
        'nothing more is told. To go on with what changes from now on, delete the rows of reader "changes" from ops.reader; ' +
        'whoever follows the stream has to read their figures anew',
    );
    this.name = 'ChangesLostError';
  }
}

/** For as long as the session lasts; again on the same connection changes nothing that matters. */
export async function tryRelayLock(tx: Queryable): Promise<boolean> {
  const { rows } = await tx.query<{ locked: boolean }>('select pg_try_advisory_lock($1, 0) as locked', [RELAY_LOCK]);
  return rows[0]?.locked === true;
}

export async function leaveRelayLock(tx: Queryable): Promise<void> {
  await tx.query('select pg_advisory_unlock($1, 0)', [RELAY_LOCK]);
}

interface RelayState {
  readonly active: number | null;
  readonly told: readonly Told[];
}

export async function relayState(db: Queryable): Promise<RelayState> {
  const active = await activeGeneration(db);
  const { rows } = await db.query<Told>(
    `select r.generation, r.shard, r.turn, r.next_seq as "nextSeq", r.until_seq as "untilSeq", s.change_seq as "changeSeq"
       from ops.reader r
       join ops.shard s on s.generation = r.generation and s.shard = r.shard
      where r.reader = $1`,
    [READER],
  );
  return { active, told: rows };
}

/**
 * Gives the generation a place in the stream: what changes from here on. Under its shards' locks, so that nobody can trim the log
 * between looking and registering, and it stays the active one meanwhile; false: it is not.
 */
export async function register(tx: Queryable, generation: number, shards: readonly number[]): Promise<boolean> {
  const locked = await lockShards(tx, generation, shards);
  if ((await activeGeneration(tx)) !== generation) return false;
  await tx.query(
    `insert into ops.reader (reader, generation, shard, next_seq, turn)
     select $1, $2, s.shard, s.change_seq + 1, (select coalesce(max(turn), 0) + 1 from ops.reader where reader = $1)
       from unnest($3::smallint[], $4::bigint[]) as s (shard, change_seq)
     on conflict (reader, generation, shard) do nothing`,
    [READER, generation, locked.map((s) => s.shard), locked.map((s) => s.changeSeq)],
  );
  return true;
}

/** Nobody is to be told any more, and nobody holds the log for it. Returns whether there was anybody. */
export async function giveUpPositions(db: Queryable): Promise<boolean> {
  return (await db.query('delete from ops.reader where reader = $1', [READER])).rowCount > 0;
}

export interface LogRead {
  readonly entries: readonly LogEntry[];
  /** What was read: up to 99 changes more of each shard, where they share a row of the log. */
  readonly ranges: readonly SeqRange[];
}

/** Throws ChangesLostError where any of the changes is missing: seq is gap-free or useless. */
export async function readLog(
  tx: Queryable,
  schema: string,
  { generation, ranges: wanted }: { readonly generation: number; readonly ranges: readonly SeqRange[] },
): Promise<LogRead> {
  const { rows } = await tx.query<{ shard: number; seq: number; last_seq: number; logged_at: number; changes: string }>(
    `select l.shard, l.seq, l.last_seq, l.logged_at, l.changes
       from unnest($1::smallint[], $2::bigint[], $3::bigint[]) as r (shard, from_seq, to_seq)
      cross join lateral (select c.shard, c.seq, c.last_seq, c.logged_at, c.changes from ${schema}.change_log c
                           where c.shard = r.shard and c.seq >= r.from_seq and c.seq < r.to_seq order by c.seq) l`,
    [wanted.map((r) => r.shard), wanted.map((r) => r.fromSeq), wanted.map((r) => r.toSeq)],
  );
  const byShard = Map.groupBy(rows, ({ shard }) => shard);
  const ranges = wanted.map((range) => {
    let next = range.fromSeq;
    for (const { seq, last_seq } of byShard.get(range.shard) ?? []) {
      if (seq !== next) throw new ChangesLostError(generation, { ...range, fromSeq: next });
      next = last_seq + 1;
    }
    if (next < range.toSeq) throw new ChangesLostError(generation, { ...range, fromSeq: next });
    return { ...range, toSeq: next };
  });
  const entries = rows.map(({ shard, seq, last_seq, logged_at, changes }) => {
    return { shard, seq, lastSeq: last_seq, loggedAt: logged_at, changes: JSON.parse(changes) as LogEntry['changes'] };
  });
  return { entries, ranges };
}

/** In the order in which a promotion takes them. */
async function lockReaders(tx: Queryable): Promise<void> {
  await tx.query('select from ops.reader where reader = $1 order by generation, shard for update', [READER]);
}

/** Moves the reader past the ranges, if it still stands where they begin; else throws ToldMeanwhileError. */
export async function moveReader(
  tx: Queryable,
  { generation, ranges }: { readonly generation: number; readonly ranges: readonly SeqRange[] },
): Promise<void> {
  await lockReaders(tx);
  const { rowCount } = await tx.query(
    `update ops.reader r
        set next_seq = m.to_seq
       from unnest($3::smallint[], $4::bigint[], $5::bigint[]) as m (shard, from_seq, to_seq)
      where r.reader = $1 and r.generation = $2 and r.shard = m.shard and r.next_seq = m.from_seq`,
    [READER, generation, ranges.map((r) => r.shard), ranges.map((r) => r.fromSeq), ranges.map((r) => r.toSeq)],
  );
  if (rowCount !== ranges.length) throw new ToldMeanwhileError();
}

/** A generation that was told to its end holds its log no longer. Not if it has begun to speak again meanwhile. */
export async function forgetTold(tx: Queryable, generation: number): Promise<void> {
  await lockReaders(tx);
  await tx.query(
    `delete from ops.reader
      where reader = $1 and generation = $2
        and not exists (select from ops.reader o where o.reader = $1 and o.generation = $2
                           and (o.until_seq is null or o.next_seq <= o.until_seq))`,
    [READER, generation],
  );
}
