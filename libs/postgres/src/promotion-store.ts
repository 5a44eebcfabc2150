import type { Queryable } from './connection.ts';
import type { GenerationState } from './generations.ts';

/** The reader of the change log by which the active generation tells the world what changes. */
const CHANGES_READER = 'changes';

/** From one generation to another. */
export interface Pair {
  readonly from: number;
  readonly to: number;
}

/** What has to be known of a generation before it may become the active one. */
export interface Candidate {
  readonly id: number;
  readonly state: GenerationState;
  readonly purpose: 'candidate' | 'what_if';
  /** It was made of a part of the records. */
  readonly ofPart: boolean;
  readonly paused: boolean;
  /** Of its stable schemas, those for which it has no view. */
  readonly withoutViews: readonly string[];
  /** The newest verification of the whole of it, by the rules that it has. */
  readonly verified: Verified | null;
  /** After a retention run: it lacks what gold of the active one still has of the days before the horizon. */
  readonly lacksOldDays: boolean;
}

export interface Verified {
  readonly ok: boolean;
  readonly hoursAgo: number;
  /** The generation had read everything that there was when it was verified. */
  readonly sinceCaughtUp: boolean;
}

interface CandidateRow {
  id: number;
  state: GenerationState;
  purpose: Candidate['purpose'];
  of_part: boolean;
  paused: boolean;
  without_views: string[];
  ok: boolean | null;
  hours_ago: number | null;
  since_caught_up: boolean | null;
  lacks_old_days: boolean;
}

export async function readCandidate(
  db: Queryable,
  id: number,
  layers: readonly string[],
): Promise<Candidate | undefined> {
  const { rows } = await db.query<CandidateRow>(
    `select g.id, g.state, g.purpose, g.from_time is not null or g.to_time is not null as of_part, g.paused,
            array(select l.name from unnest($2::text[]) as l (name)
                   where not exists (select from ops.view_columns(l.name || '_' || g.id))) as without_views,
            v.ok, (extract(epoch from clock_timestamp() - v.ended_at) / 3600)::float8 as hours_ago,
            v.ended_at > coalesce(g.caught_up_at, '-infinity') as since_caught_up,
            exists (select from ops.horizon h join ops.generation a on a.id = h.generation and a.state = 'active' where a.id <> g.id)
              and not exists (select from ops.horizon h
                               where h.generation = g.id and (h.begins_at is null or h.taken_from is not null)) as lacks_old_days
       from ops.generation g
       left join lateral (select n.ok, n.ended_at
                            from ops.verification n
                           where n.generation = g.id and n.rules_hash = g.rules_hash
                             and n.from_day is null and n.to_day is null
                           order by n.ended_at desc limit 1) v on true
      where g.id = $1`,
    [id, layers],
  );
  const [row] = rows;
  if (row === undefined) return undefined;
  const { ok, hours_ago: hoursAgo, since_caught_up: sinceCaughtUp } = row;
  const known = ok !== null && hoursAgo !== null && sinceCaughtUp !== null;
  return {
    id: row.id,
    state: row.state,
    purpose: row.purpose,
    ofPart: row.of_part,
    paused: row.paused,
    withoutViews: row.without_views,
    verified: known ? { ok, hoursAgo, sinceCaughtUp } : null,
    lacksOldDays: row.lacks_old_days,
  };
}

/** Where going back from the active generation leads: to the one that it was promoted over. Undefined: nowhere. */
export async function wayBack(db: Queryable, active: number): Promise<number | undefined> {
  const { rows } = await db.query<{ from: number }>(
    `select from_generation as "from" from ops.promotion
      where kind = 'promote' and to_generation = $1
      order by id desc limit 1`,
    [active],
  );
  return rows[0]?.from;
}

/** What a generation has to take before it is where another one is. */
export interface Behind {
  /** Records that the other one's silver has read. */
  readonly records: number;
  /** Changes of its own silver that its gold has not folded. */
  readonly changes: number;
  /** false: its gold has not begun. */
  readonly begun: boolean;
}

export async function readBehind(db: Queryable, { from, to }: Pair): Promise<Behind> {
  const { records } = await one<{ records: number }>(
    db,
    `select coalesce(sum(greatest(o.next_offset - coalesce(n.next_offset, o.first_offset), 0)), 0)::bigint as records
       from ops.position o
       left join ops.position n on n.pipeline = $2 and n.topic = o.topic and n.partition = o.partition
      where o.pipeline = $1`,
    [`silver_${from}`, `silver_${to}`],
  );
  const gold = await one<{ changes: number; begun: boolean }>(
    db,
    `select coalesce(sum(greatest(s.change_seq + 1 - coalesce(r.next_seq, 1), 0)), 0)::bigint as changes,
            count(*) > 0 and count(*) = count(r.shard) as begun
       from ops.shard s
       left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
      where s.generation = $1`,
    [to],
  );
  return { records, ...gold };
}

export async function shardsOf(db: Queryable, generation: number): Promise<number[]> {
  const { rows } = await db.query<{ shard: number }>(
    'select shard from ops.shard where generation = $1 order by shard',
    [generation],
  );
  return rows.map(({ shard }) => shard);
}

/** In the order in which batches take them. A batch in which everything is quarantined moves positions and locks no shard. */
export async function lockPositions(tx: Queryable, { from, to }: Pair): Promise<void> {
  await tx.query(
    `select from ops.position where pipeline in ($1, $2) order by pipeline, topic collate "C", partition for update`,
    [`silver_${from}`, `silver_${to}`],
  );
}

/** Two updates, the old one first: there is never more than one active generation. */
export async function changeActive(tx: Queryable, { from, to }: Pair): Promise<void> {
  const retired = await tx.query(`update ops.generation set state = 'retired' where id = $1 and state = 'active'`, [
    from,
  ]);
  const promoted = await tx.query(
    `update ops.generation set state = 'active' where id = $1 and state in ('building', 'retired')`,
    [to],
  );
  if (retired.rowCount + promoted.rowCount !== 2) {
    throw new Error(
      `the state of generation ${from} or ${to} was changed by somebody who does not hold the lock for it`,
    );
  }
}

interface ChangesRow {
  generation: number;
  shard: number;
  next_seq: number;
  until_seq: number | null;
  turn: number;
}

/**
 * Under the locks of both generations' shards: the old one is told to its end and no further, and the new one speaks from its next
 * change on. Where the new one has still to be told to the end of an earlier turn, it just goes on, and who had a turn
 * since loses it: nobody begins before those ahead are told to the end, so nobody has heard a word of that.
 */
export async function handOverChanges(tx: Queryable, { from, to }: Pair): Promise<void> {
  // In the order in which the relay takes them.
  const { rows } = await tx.query<ChangesRow>(
    `select generation, shard, next_seq, until_seq, turn from ops.reader where reader = $1
      order by generation, shard for update`,
    [CHANGES_READER],
  );
  if (!rows.some((row) => row.generation === from && row.until_seq === null)) return; // nobody relays
  await tx.query(
    `update ops.reader r set until_seq = s.change_seq
       from ops.shard s
      where r.reader = $2 and r.generation = $1 and r.until_seq is null and s.generation = r.generation and s.shard = r.shard`,
    [from, CHANGES_READER],
  );
  const own = rows.filter((row) => row.generation === to);
  if (own.some((row) => row.until_seq !== null && row.next_seq <= row.until_seq)) {
    const turn = Math.max(...own.map((row) => row.turn));
    await tx.query('delete from ops.reader where reader = $1 and turn > $2', [CHANGES_READER, turn]);
    await tx.query('update ops.reader set until_seq = null where reader = $1 and generation = $2', [
      CHANGES_READER,
      to,
    ]);
    return;
  }
  await tx.query('delete from ops.reader where reader = $1 and generation = $2', [CHANGES_READER, to]);
  await tx.query(
    `insert into ops.reader (reader, generation, shard, next_seq, turn)
     select $2, s.generation, s.shard, s.change_seq + 1, $3 from ops.shard s where s.generation = $1`,
    [to, CHANGES_READER, Math.max(...rows.map((row) => row.turn)) + 1],
  );
}

/** Every layer's stable views are those of the generation, which has to be the active one. */
export async function publishAll(tx: Queryable, layers: readonly string[], generation: number): Promise<void> {
  const { published } = await one<{ published: boolean }>(
    tx,
    'select bool_and(ops.publish(l.name, $2)) as published from unnest($1::text[]) as l (name)',
    [layers, generation],
  );
  if (!published) throw new Error(`generation ${generation} is not the active one any more`);
}

export interface PromotionEntry extends Pair {
  readonly kind: 'promote' | 'rollback';
  readonly forced: boolean;
  readonly reason: string | null;
}

/** Returns when. Epoch milliseconds. */
export async function recordPromotion(tx: Queryable, entry: PromotionEntry): Promise<number> {
  const { at } = await one<{ at: number }>(
    tx,
    `insert into ops.promotion (kind, from_generation, to_generation, forced, reason) values ($1, $2, $3, $4, $5)
     returning promoted_at as at`,
    [entry.kind, entry.from, entry.to, entry.forced, entry.reason],
  );
  return at;
}

/** A transaction that has read a stable view, for as long as it is open. */
export interface Holder {
  /** Of the transaction: the same one looked at twice is one that takes its time. */
  readonly id: string;
  readonly who: string;
}

const WHO = `'process ' || a.pid || ' (' || coalesce(nullif(a.application_name, ''), 'without a name') || ', user '
  || coalesce(a.usename::text, '?') || ')'`;

export async function holdersOfViews(db: Queryable, layers: readonly string[]): Promise<Holder[]> {
  const { rows } = await db.query<{ id: string; who: string }>(
    `select distinct l.virtualtransaction as id, ${WHO} as who
       from pg_locks l
       join pg_class c on c.oid = l.relation and c.relkind = 'v'
       join pg_namespace n on n.oid = c.relnamespace
       join pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'relation' and l.database = (select oid from pg_database where datname = current_database())
        and l.granted and l.pid <> pg_backend_pid() and n.nspname = any ($1)
      order by 2`,
    [layers],
  );
  return rows;
}

/** Who keeps a session waiting. */
export async function blockersOf(db: Queryable, pid: number): Promise<string[]> {
  const { rows } = await db.query<{ who: string }>(
    `select distinct ${WHO} as who from unnest(pg_blocking_pids($1)) as b (pid) join pg_stat_activity a using (pid) order by 1`,
    [pid],
  );
  return rows.map(({ who }) => who);
}

/** After how long Postgres looks for the one of several waiting transactions that it ends. Milliseconds. */
export async function deadlockTimeoutMs(db: Queryable): Promise<number> {
  const { ms } = await one<{ ms: number }>(
    db,
    `select setting::int as ms from pg_settings where name = 'deadlock_timeout'`,
  );
  return ms;
}

/** Of what follows in the transaction: how long one statement may take, waiting included. */
export async function limitStatements(tx: Queryable, ms: number): Promise<void> {
  const text = String(Math.max(1, Math.round(ms)));
  await tx.query(`select set_config('statement_timeout', $1, true), set_config('lock_timeout', $1, true)`, [text]);
}

async function one<R>(db: Queryable, text: string, values?: readonly unknown[]): Promise<R> {
  const [row] = (await db.query<R>(text, values)).rows;
  if (row === undefined) throw new Error(`no row from: ${text}`);
  return row;
}
