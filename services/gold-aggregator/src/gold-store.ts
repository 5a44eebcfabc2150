import { instantParameter, lockShards, type Queryable, sqlState } from '@leakage/postgres';
import type { Cube, Fact, FactKind } from './domain/cubes.ts';
import type { CubeDelta, SignedFact } from './domain/fold.ts';
import type { Backlog, SeqRange } from './domain/share.ts';

/** Which schemas a process folds between. Names come from settings that allow only plain identifiers. */
export interface GoldSchemas {
  readonly generation: number;
  readonly silver: string;
  readonly gold: string;
}

/** A count that cannot be: a change was lost, or came twice. Nothing was written. */
export class ImpossibleCountError extends Error {
  constructor(o: GoldSchemas, cube: string, cause: unknown) {
    super(
      `folding ${o.silver}.change_log would put an impossible count into ${o.gold}.${cube}: gold does not match the log ` +
        'any more, and stops. Find out who changed it; deleting the rows of reader "gold" of this generation from ' +
        'ops.reader makes the next start count everything anew from silver.',
      { cause },
    );
    this.name = 'ImpossibleCountError';
  }
}

/** Someone moved the reader although the fold's lock is held. The fold is rolled back. */
export class ReaderMovedError extends Error {
  constructor() {
    super('the reader "gold" was moved by someone who does not hold the lock of the fold');
    this.name = 'ReaderMovedError';
  }
}

/** The key space of our advisory locks on "the fold of generation n". */
const FOLD_LOCK = 4_718_262;
const READER = 'gold';
/** One statement of a fold. */
const FOLD_STATEMENT_MS = 60_000;

/** At most one process folds a generation; the others are told so at once and need not wait. */
export async function tryFoldLock(tx: Queryable, generation: number): Promise<boolean> {
  // Planner settings of the transaction come along: the cubes' statistics lag behind a first fill, and plans would flip.
  const { rows } = await tx.query<{ locked: boolean }>(
    `select pg_try_advisory_xact_lock($1, $2) as locked, set_config('enable_seqscan', 'off', true),
            set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
            set_config('statement_timeout', $3, true)`,
    [FOLD_LOCK, generation, String(FOLD_STATEMENT_MS)],
  );
  return rows[0]?.locked === true;
}

export interface Progress {
  /** Every shard of the generation, as far as it is registered. */
  readonly backlogs: readonly Backlog[];
  /** false: a shard has no reader, or one ahead of the log (another log under the same name). */
  readonly registered: boolean;
  /** Silver is being built and has not caught up. */
  readonly building: boolean;
  readonly wmDigital: number | null;
  readonly wmCalls: number | null;
}

/** How far gold has read, how far silver has written, and the watermarks that belong to the latter. */
export async function progress(db: Queryable, generation: number): Promise<Progress> {
  const { rows } = await db.query<{
    shard: number;
    change_seq: number;
    next_seq: number | null;
    building: boolean;
    wm_digital: number | null;
    wm_calls: number | null;
  }>(
    `select s.shard, s.change_seq, r.next_seq, g.state = 'building' and g.caught_up_at is null as building,
            max(s.wm_digital) over () as wm_digital, max(s.wm_calls) over () as wm_calls
       from ops.shard s
       join ops.generation g on g.id = s.generation
       left join ops.reader r on r.reader = $2 and r.generation = s.generation and r.shard = s.shard
      where s.generation = $1
      order by s.shard`,
    [generation, READER],
  );
  const backlogs = rows.flatMap((row) =>
    row.next_seq === null || row.next_seq > row.change_seq + 1
      ? []
      : [{ shard: row.shard, nextSeq: row.next_seq, changeSeq: row.change_seq }],
  );
  return {
    backlogs,
    registered: rows.length > 0 && backlogs.length === rows.length,
    building: rows[0]?.building ?? false,
    wmDigital: rows[0]?.wm_digital ?? null,
    wmCalls: rows[0]?.wm_calls ?? null,
  };
}

interface LogRow {
  readonly shard: number;
  readonly seq: number;
  readonly last_seq: number;
  /** JSON: what happened, in order of seq. */
  readonly changes: string;
}

type LoggedChange = readonly [kind: FactKind, before: Fact | null, after: Fact | null];

/** Both sides of changes, in no order, and which these were. */
export interface Read {
  readonly facts: SignedFact[];
  readonly ranges: SeqRange[];
}

/**
 * The changes of the ranges, and those that share a row of the log with the last of them; null when any is missing (it was
 * trimmed): seq is gap-free or useless.
 */
export async function readFacts(tx: Queryable, silver: string, wanted: readonly SeqRange[]): Promise<Read | null> {
  // One index range a shard, whatever the planner thinks of the log's size.
  const { rows } = await tx.query<LogRow>(
    `select l.shard, l.seq, l.last_seq, l.changes
       from unnest($1::smallint[], $2::bigint[], $3::bigint[]) as r (shard, from_seq, to_seq)
      cross join lateral (select c.shard, c.seq, c.last_seq, c.changes from ${silver}.change_log c
                           where c.shard = r.shard and c.seq >= r.from_seq and c.seq < r.to_seq order by c.seq) l`,
    [wanted.map((r) => r.shard), wanted.map((r) => r.fromSeq), wanted.map((r) => r.toSeq)],
  );
  const byShard = Map.groupBy(rows, ({ shard }) => shard);
  const ranges: SeqRange[] = [];
  for (const { shard, fromSeq, toSeq } of wanted) {
    let next = fromSeq;
    for (const row of byShard.get(shard) ?? []) {
      if (row.seq !== next) return null;
      next = row.last_seq + 1;
    }
    if (next < toSeq) return null;
    ranges.push({ shard, fromSeq, toSeq: next });
  }
  return { facts: rows.flatMap(bothSides), ranges };
}

function bothSides(row: LogRow): SignedFact[] {
  const changes = JSON.parse(row.changes) as readonly LoggedChange[];
  if (changes.length !== row.last_seq - row.seq + 1) {
    throw new Error(`a row of the change log (shard ${row.shard}, seq ${row.seq}) does not hold what its numbers say`);
  }
  const sides: SignedFact[] = [];
  for (const [kind, before, after] of changes) {
    if (before !== null) sides.push({ kind, sign: -1, fact: before });
    if (after !== null) sides.push({ kind, sign: 1, fact: after });
  }
  return sides;
}

/** Adds the deltas; cells that reach zero go. Only the holder of the fold's lock writes, so no cell changes meanwhile. */
export async function addDeltas(tx: Queryable, o: GoldSchemas, deltas: readonly CubeDelta[]): Promise<number> {
  let written = 0;
  for (const { cube, cells } of deltas) {
    if (cells.length === 0) continue;
    const keys = cube.key.map((_, i) => cells.map((cell) => cell.key[i]));
    const amounts = cube.measures.map((_, i) => cells.map((cell) => cell.amounts[i]));
    try {
      await tx.query(mergeStatement(o.gold, cube), [...keys, ...amounts]);
    } catch (error) {
      // 23514: a check of the cube says no.
      throw sqlState(error) === '23514' ? new ImpossibleCountError(o, cube.table, error) : error;
    }
    written += cells.length;
  }
  return written;
}

function mergeStatement(gold: string, { table, key, measures }: Cube): string {
  const columns = [...key, ...measures.map((name) => ({ name, type: 'bigint' }))];
  const names = columns.map((c) => c.name);
  const arrays = columns.map((c, i) => `$${i + 1}::${c.type}[]`);
  return `
    merge into ${gold}.${table} c
    using unnest(${arrays.join(', ')}) as d (${names.join(', ')})
       on ${key.map(({ name }) => `c.${name} = d.${name}`).join(' and ')}
     when matched and ${measures.map((m) => `c.${m} + d.${m} = 0`).join(' and ')} then delete
     when matched then update set ${measures.map((m) => `${m} = c.${m} + d.${m}`).join(', ')}
     when not matched then insert (${names.join(', ')}) values (${names.map((n) => `d.${n}`).join(', ')})`;
}

/** Moves the reader past the ranges, if it still stands where they begin; else throws ReaderMovedError. */
export async function moveReader(tx: Queryable, generation: number, ranges: readonly SeqRange[]): Promise<void> {
  const { rowCount } = await tx.query(
    `update ops.reader r
        set next_seq = m.to_seq
       from unnest($3::smallint[], $4::bigint[], $5::bigint[]) as m (shard, from_seq, to_seq)
      where r.reader = $1 and r.generation = $2 and r.shard = m.shard and r.next_seq = m.from_seq`,
    [READER, generation, ranges.map((r) => r.shard), ranges.map((r) => r.fromSeq), ranges.map((r) => r.toSeq)],
  );
  if (rowCount !== ranges.length) throw new ReaderMovedError();
}

/** Notes when gold last changed and, when nothing is left to fold, up to which watermarks it is complete. */
export async function noteFold(tx: Queryable, gold: string, complete: Progress | null): Promise<void> {
  if (complete === null) {
    await tx.query(`update ${gold}.this_generation set folded_at = clock_timestamp()`);
    return;
  }
  await tx.query(`update ${gold}.this_generation set folded_at = clock_timestamp(), wm_digital = $1, wm_calls = $2`, [
    instantParameter(complete.wmDigital),
    instantParameter(complete.wmCalls),
  ]);
}

/** One statement of a recount, which reads every fact; the connection has to be as patient as that. */
export const RECOUNT_STATEMENT_MS = 10 * 60_000;

/** The local day before which nothing is counted here; null: every day is. */
export async function closedBefore(tx: Queryable, gold: string): Promise<string | null> {
  const { rows } = await tx.query<{ day: string | null }>(
    `select closed_before::text as day from ${gold}.this_generation`,
  );
  return rows[0]?.day ?? null;
}

/**
 * Counts everything anew from silver's facts and registers the reader behind what was counted. Holds the locks of all
 * shards, so silver stands still meanwhile: the facts are exactly those of `change_seq`, and nobody can trim the log
 * between reading it and registering. Days that silver does not have whole (any more) stay as they were counted. Returns the
 * number of cells.
 */
export async function recount(tx: Queryable, o: GoldSchemas): Promise<number> {
  await tx.query(
    `select set_config('statement_timeout', $1, true), set_config('enable_seqscan', 'on', true),
            set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true)`,
    [String(RECOUNT_STATEMENT_MS)],
  );
  const { rows } = await tx.query<{ shard: number }>('select shard from ops.shard where generation = $1', [
    o.generation,
  ]);
  const shards = rows.map((row) => row.shard);
  const locked = await lockShards(tx, o.generation, shards);
  const { since, takenFrom, closes } = await readHorizon(tx, o.generation);
  if (closes !== null && (await closedBefore(tx, o.gold)) === null) await closeDays(tx, o, { takenFrom, closes });
  let cells = 0;
  for (const cube of recounts(o, since)) {
    const values = since === null || !cube.ofDays ? [] : [since];
    if (cube.remove !== null) await tx.query(cube.remove, values);
    cells += (await tx.query(cube.count, values)).rowCount;
  }
  await tx.query('delete from ops.reader where reader = $1 and generation = $2', [READER, o.generation]);
  await tx.query(
    `insert into ops.reader (reader, generation, shard, next_seq)
     select $1, $2, s.shard, s.change_seq + 1 from unnest($3::smallint[], $4::bigint[]) as s (shard, change_seq)`,
    [READER, o.generation, locked.map((s) => s.shard), locked.map((s) => s.changeSeq)],
  );
  await noteFold(tx, o.gold, await progress(tx, o.generation));
  return cells;
}

interface Horizon {
  /** The first local day of which silver has every fact, and that is counted here; null: there is no other. */
  readonly since: string | null;
  /** Days before it are another generation's, or lacking. */
  readonly closes: string | null;
  readonly takenFrom: number | null;
}

async function readHorizon(tx: Queryable, generation: number): Promise<Horizon> {
  // An instant within a day leaves that day in part.
  const { rows } = await tx.query<Horizon>(
    `select greatest(((h.kept_from - interval '1 microsecond') at time zone (g.rules ->> 'timeZone'))::date + 1,
                     h.closed_before)::text as since,
            h.closed_before::text as closes, h.taken_from as "takenFrom"
       from ops.horizon h join ops.generation g on g.id = h.generation
      where h.generation = $1`,
    [generation],
  );
  return rows[0] ?? { since: null, closes: null, takenFrom: null };
}

const DAILY = ['call_cube', 'journey_cube', 'closed_day'];

/** Takes the days that silver of this generation never had from gold of the one that had them, once. */
async function closeDays(
  tx: Queryable,
  o: GoldSchemas,
  { takenFrom, closes }: { readonly takenFrom: number | null; readonly closes: string },
): Promise<void> {
  if (takenFrom !== null) {
    const of = (schema: string) => `${schema.slice(0, -String(o.generation).length)}${takenFrom}`;
    const [gold, silver] = [of(o.gold), of(o.silver)];
    for (const table of DAILY) {
      await tx.query(`insert into ${o.gold}.${table} select * from ${gold}.${table} where local_date < $1`, [closes]);
    }
    // What its views still count over single calls.
    await tx.query(
      `insert into ${o.gold}.closed_day (local_date, leakage_type, leaked_members)
       select local_date, leakage_type, count(distinct member_id)
         from ${silver}.call_fact
        where attribution = 'leakage' and local_date < $1
          and local_date > coalesce((select max(d.local_date) from ${gold}.closed_day d), '-infinity')
        group by local_date, leakage_type`,
      [closes],
    );
  }
  await tx.query(`update ${o.gold}.this_generation set closed_before = $1`, [closes]);
}

interface Recounted {
  readonly remove: string | null;
  readonly count: string;
  /** Both have the first day as their parameter, where there is one. */
  readonly ofDays: boolean;
}

/**
 * The same cells as the fold's, by SQL over the facts themselves; column order is that of the tables. With `since`, only of the days
 * from the first parameter on; of cells that have no day, those stay whose calls silver has no longer.
 */
function recounts({ silver, gold }: GoldSchemas, since: string | null): Recounted[] {
  const code = `left(coalesce(error_code, ''), 200)`;
  const who = `member_category, coalesce(language_preference, ''), coalesce(device_type, ''), ${code}`;
  const days = since === null ? 'true' : 'local_date >= $1';
  return [
    {
      ofDays: true,
      remove: `delete from ${gold}.call_cube where ${days}`,
      count: `
      insert into ${gold}.call_cube
      select local_date, local_hour, attribution, coalesce(leakage_type, ''), ${who},
             count(*), count(*) filter (where is_repeat_call), count(*) filter (where is_primary),
             count(*) filter (where assisted_completion), coalesce(sum(sentiment_e4), 0), count(sentiment_e4),
             coalesce(sum(handle_time_seconds), 0), count(handle_time_seconds), coalesce(sum(time_to_call_ms), 0)
        from ${silver}.call_fact where ${days} group by 1, 2, 3, 4, 5, 6, 7, 8`,
    },
    {
      ofDays: true,
      remove: `delete from ${gold}.journey_cube where ${days}`,
      count: `
      insert into ${gold}.journey_cube
      select local_date, local_hour, journey_type, outcome, ${who},
             count(*), count(*) filter (where outcome <> 'completed' or leaked), count(*) filter (where leaked), sum(leakage_calls)
        from ${silver}.journey_outcome where ${days} group by 1, 2, 3, 4, 5, 6, 7, 8`,
    },
    {
      ofDays: false,
      remove: `delete from ${gold}.member_cube`,
      count: `
      insert into ${gold}.member_cube
      select member_category, language_preference, count(*)
        from (select distinct on (member_id) member_category, language_preference
                from ${silver}.member_profile order by member_id, valid_from desc) latest
       group by 1, 2`,
    },
    {
      ofDays: since !== null,
      remove: since === null ? `delete from ${gold}.error_message_cube` : null,
      count: `
      insert into ${gold}.error_message_cube as c
      select leakage_type, ${code}, left(error_message, 200), count(*)
        from ${silver}.call_fact
       where attribution = 'leakage' and error_code <> '' and error_message <> '' and ${days}
       group by 1, 2, 3
      on conflict (leakage_type, error_code, error_message) do update set calls = greatest(c.calls, excluded.calls)`,
    },
  ];
}
