import type { LostRange, Queryable } from '@leakage/postgres';
import type { LivePosition, Start } from './beginning.ts';

export type ReplayedService = 'bronze-sink' | 'silver-joiner';

/** A replay as its row and its positions tell it; times are epoch milliseconds. */
export interface ReplayState {
  readonly id: number;
  readonly service: ReplayedService;
  /** Null: bronze has one archive for all generations. */
  readonly generation: number | null;
  readonly begins: string;
  readonly state: 'running' | 'done' | 'cancelled';
  readonly paused: boolean;
  readonly recordsPerSecond: number | null;
  readonly askedBy: string;
  readonly createdAt: number;
  readonly endedAt: number | null;
  /** Offsets to be read; null when it is over, and its positions are gone. */
  readonly total: number | null;
  /** Offsets read, of which `holes` had no record; every other one had one of the outcomes. */
  readonly offsets: number;
  readonly holes: number;
  readonly accepted: number;
  readonly superseded: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly quarantined: number;
}

const SELECT = `
  select r.id, r.service, r.generation, r.begins, r.state, r.paused, r.records_per_second as "recordsPerSecond",
         r.asked_by as "askedBy", r.created_at as "createdAt", r.ended_at as "endedAt", p.total,
         coalesce(p.offsets, r.offsets) as offsets, coalesce(p.holes, r.holes) as holes,
         coalesce(p.accepted, r.accepted) as accepted, coalesce(p.superseded, r.superseded) as superseded,
         coalesce(p.duplicates, r.duplicates) as duplicates, coalesce(p.conflicts, r.conflicts) as conflicts,
         coalesce(p.quarantined, r.quarantined) as quarantined
    from ops.replay r
    left join lateral (
      select sum(p.until_offset - p.first_offset)::bigint as total, sum(p.next_offset - p.first_offset)::bigint as offsets,
             sum(p.holes)::bigint as holes, sum(p.accepted)::bigint as accepted, sum(p.superseded)::bigint as superseded,
             sum(p.duplicates)::bigint as duplicates, sum(p.conflicts)::bigint as conflicts,
             sum(p.quarantined)::bigint as quarantined
        from ops.position p where p.pipeline = r.pipeline
    ) p on r.state = 'running'`;

export async function readReplay(db: Queryable, id: number): Promise<ReplayState | null> {
  const { rows } = await db.query<ReplayState>(`${SELECT} where r.id = $1`, [id]);
  return rows[0] ?? null;
}

/** The newest ones first. */
export async function listReplays(db: Queryable, most: number): Promise<ReplayState[]> {
  const { rows } = await db.query<ReplayState>(`${SELECT} order by r.id desc limit $1`, [most]);
  return rows;
}

/** The one that is not over, of a service and its generation. */
export async function runningReplay(
  db: Queryable,
  o: { readonly service: ReplayedService; readonly generation: number | null },
): Promise<ReplayState | null> {
  const { rows } = await db.query<ReplayState>(
    `${SELECT} where r.service = $1 and r.generation is not distinct from $2::int and r.state = 'running'`,
    [o.service, o.generation],
  );
  return rows[0] ?? null;
}

/** Until the transaction ends its state does not change: a drop waits, and finds the replay that was begun meanwhile. */
export async function holdGeneration(tx: Queryable, generation: number): Promise<void> {
  await tx.query('select from ops.generation where id = $1 for share', [generation]);
}

/** The new replay's number. */
export async function insertReplay(
  tx: Queryable,
  o: {
    readonly service: ReplayedService;
    readonly generation: number | null;
    readonly begins: string;
    readonly recordsPerSecond: number | null;
  },
): Promise<{ id: number; pipeline: string }> {
  const { rows } = await tx.query<{ id: number; pipeline: string }>(
    `insert into ops.replay (service, generation, begins, records_per_second) values ($1, $2, $3, $4)
     returning id, pipeline`,
    [o.service, o.generation, o.begins, o.recordsPerSecond],
  );
  const [made] = rows;
  if (made === undefined) throw new Error('the replay was not made');
  return made;
}

/** Its positions: from where it begins to where live stands now, and never beyond. */
export async function insertPositions(
  tx: Queryable,
  o: { readonly pipeline: string; readonly live: string; readonly starts: readonly Start[] },
): Promise<void> {
  await tx.query(
    `insert into ops.position (pipeline, topic, partition, first_offset, next_offset, until_offset, cluster_id)
     select $1, p.topic, p.partition, m.from_offset, m.from_offset, p.next_offset, p.cluster_id
       from unnest($3::text[], $4::int[], $5::bigint[]) as m (topic, partition, from_offset)
       join ops.position p on p.pipeline = $2 and p.topic = m.topic and p.partition = m.partition
      order by p.topic collate "C", p.partition`,
    [
      o.pipeline,
      o.live,
      o.starts.map((start) => start.topic),
      o.starts.map((start) => start.partition),
      o.starts.map((start) => start.fromOffset),
    ],
  );
}

export async function livePositions(
  db: Queryable,
  pipeline: string,
  topics: readonly string[],
): Promise<(LivePosition & { readonly clusterId: string })[]> {
  const { rows } = await db.query<LivePosition & { clusterId: string }>(
    `select topic, partition, first_offset as "firstOffset", next_offset as "nextOffset", cluster_id as "clusterId"
       from ops.position where pipeline = $1 and topic = any ($2)
      order by topic collate "C", partition`,
    [pipeline, topics],
  );
  return rows;
}

/** What both silver and bronze have given up for lost, in the same places. */
export async function lostByBoth(db: Queryable, silver: string): Promise<LostRange[]> {
  const { rows } = await db.query<LostRange>(
    `select s.topic, s.partition, greatest(s.from_offset, b.from_offset) as "fromOffset",
            least(s.next_offset, b.next_offset) as "nextOffset"
       from ops.loss s
       join ops.loss b on b.pipeline = 'bronze' and b.topic = s.topic and b.partition = s.partition
        and b.from_offset < s.next_offset and s.from_offset < b.next_offset
      where s.pipeline = $1
      order by 1, 2, 3`,
    [silver],
  );
  return rows;
}

/** Lets it go on, at another rate where one is given. False: it is over, or there is none. */
export async function unpauseReplay(db: Queryable, id: number, recordsPerSecond: number | null): Promise<boolean> {
  const { rowCount } = await db.query(
    `update ops.replay set paused = false, records_per_second = coalesce($2, records_per_second)
      where id = $1 and state = 'running'`,
    [id, recordsPerSecond],
  );
  return rowCount === 1;
}

/** Its processes end within a second or two. False: it is over, or there is none. */
export async function pauseReplay(db: Queryable, id: number): Promise<boolean> {
  const { rowCount } = await db.query(`update ops.replay set paused = true where id = $1 and state = 'running'`, [id]);
  return rowCount === 1;
}

/** False: it is over already, or, for done, has not read everything. */
export async function endReplay(db: Queryable, id: number, state: 'done' | 'cancelled'): Promise<boolean> {
  const { rows } = await db.query<{ ended: boolean }>('select ops.end_replay($1, $2) as ended', [id, state]);
  return rows[0]?.ended === true;
}
