import type { Queryable } from './connection.ts';
import type { GenerationState } from './generations.ts';

export interface Droppable {
  readonly state: GenerationState;
  readonly schemas: readonly string[];
}

/** A generation and those of its schemas that exist. */
export async function readDroppable(
  db: Queryable,
  generation: number,
  schemas: readonly string[],
): Promise<Droppable | undefined> {
  const { rows } = await db.query<Droppable>(
    `select g.state, array(select s.name from unnest($2::text[]) with ordinality as s (name, nr)
                            where to_regnamespace(quote_ident(s.name)) is not null order by s.nr) as schemas
       from ops.generation g where g.id = $1`,
    [generation, schemas],
  );
  return rows[0];
}

/** Views that somebody has made elsewhere of what lies in these schemas: a drop would take them along. */
export async function dependentsElsewhere(db: Queryable, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    `select distinct v.relnamespace::regnamespace || '.' || v.relname as name
       from pg_depend d
       join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
       join pg_class v on v.oid = r.ev_class
       join pg_class t on d.refclassid = 'pg_class'::regclass and t.oid = d.refobjid
      where t.relnamespace::regnamespace::text = any ($1) and v.relnamespace::regnamespace::text <> all ($1)
      order by 1`,
    [schemas],
  );
  return rows.map(({ name }) => name);
}

/** Changes of the time when it was active that were not told in the change stream yet. */
export async function untoldChanges(db: Queryable, generation: number): Promise<number> {
  const { rows } = await db.query<{ untold: number }>(
    `select coalesce(sum(until_seq + 1 - next_seq), 0)::bigint as untold
       from ops.reader where reader = 'changes' and generation = $1 and until_seq is not null`,
    [generation],
  );
  return rows[0]?.untold ?? 0;
}

export async function markDropped(tx: Queryable, generation: number): Promise<void> {
  await tx.query(
    `update ops.generation set state = 'dropped', dropped_at = clock_timestamp()
      where id = $1 and state not in ('active', 'dropped')`,
    [generation],
  );
}

/** Ends the replays of a generation where they stand; how many. Waits for their batches. */
export async function cancelReplays(db: Queryable, generation: number): Promise<number> {
  const { rows } = await db.query<{ ended: boolean }>(
    `select ops.end_replay(r.id, 'cancelled') as ended from ops.replay r where r.generation = $1 and r.state = 'running'`,
    [generation],
  );
  return rows.filter(({ ended }) => ended).length;
}

/** Sessions in the middle of a transaction that has touched a table of these schemas. */
export async function sessionsIn(db: Queryable, schemas: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ who: string }>(
    `select distinct 'process ' || a.pid || ' (' || coalesce(nullif(a.application_name, ''), 'without a name') || ')' as who
       from pg_locks l
       join pg_class c on c.oid = l.relation
       join pg_namespace n on n.oid = c.relnamespace
       join pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'relation' and l.database = (select oid from pg_database where datname = current_database())
        and l.pid <> pg_backend_pid() and n.nspname = any ($1)
      order by 1`,
    [schemas],
  );
  return rows.map(({ who }) => who);
}

/** Tables and views of a schema. Views first, then what they read. */
export async function relationsOf(db: Queryable, schema: string): Promise<{ kind: 'view' | 'table'; name: string }[]> {
  const { rows } = await db.query<{ kind: 'view' | 'table'; name: string }>(
    `select case when c.relkind = 'v' then 'view' else 'table' end as kind, format('%I.%I', n.nspname, c.relname) as name
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relkind in ('r', 'p', 'v')
      order by 1 desc, 2`,
    [schema],
  );
  return rows;
}

/** Rows by which the protocol knows a generation; the generation itself, what was said of it and what was lost stay. */
export async function removeProtocolRows(tx: Queryable, generation: number): Promise<number> {
  const silver = `silver_${generation}`;
  const readers = await tx.query('delete from ops.reader where generation = $1', [generation]);
  const shards = await tx.query('delete from ops.shard where generation = $1', [generation]);
  // Those of its replays went with these.
  const positions = await tx.query('delete from ops.position where pipeline = $1', [silver]);
  const leftOut = await tx.query('delete from ops.left_out_verification where generation = $1', [generation]);
  return readers.rowCount + shards.rowCount + positions.rowCount + leftOut.rowCount;
}
