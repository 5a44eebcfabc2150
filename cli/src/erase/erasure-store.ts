import { ERASED_MAX, memberHash, mustFit, type Queryable, recordHash } from '@leakage/postgres';
import { pseudonymKeyId } from '@leakage/runtime';
import { CommandError } from '../command-error.ts';

/** A generation whose silver exists. */
export interface Silver {
  readonly generation: number;
  /** Quoted. */
  readonly schema: string;
}

/** Events and calls by their ids. */
export interface Identities {
  readonly journeys: readonly string[];
  readonly calls: readonly string[];
}

/** How far an erasure has come: see migration 0015_erasure. */
export interface Erasure {
  readonly id: number;
  /** Epoch milliseconds. */
  readonly begunAt: number;
  readonly archivedAt: number | null;
  readonly removedAt: number | null;
  readonly endedAt: number | null;
}

const COLUMNS = `id, begun_at as "begunAt", archived_at as "archivedAt", removed_at as "removedAt", ended_at as "endedAt"`;

/** True if the lock was taken: it is this connection's until it ends, so that two erasures never run at the same time. */
export async function takeTurn(connection: Queryable): Promise<boolean> {
  const { rows } = await connection.query<{ taken: boolean }>(
    `select pg_try_advisory_lock(hashtextextended('leakage erase', 0)) as taken`,
  );
  return rows[0]?.taken === true;
}

export async function giveTurn(connection: Queryable): Promise<void> {
  await connection.query(`select pg_advisory_unlock(hashtextextended('leakage erase', 0))`);
}

/** Throws CommandError for a database whose services would not refuse anybody. */
export async function mustKnowErasures(db: Queryable): Promise<void> {
  const { rows } = await db.query<{ there: boolean }>(`select to_regclass('ops.erased') is not null as there`);
  if (rows[0]?.there === true) return;
  throw new CommandError(
    'This database is of an earlier release: run leakage init, and start the services of this one.',
  );
}

/** Those of which there is something to erase, oldest first. */
export async function silvers(db: Queryable, silver: string): Promise<Silver[]> {
  const { rows } = await db.query<{ id: number }>(
    `select g.id from ops.generation g
      where g.state <> 'dropped' and to_regclass(format('%I.quarantine_record', $1 || '_' || g.id)) is not null
      order by g.id`,
    [silver],
  );
  return rows.map(({ id }) => ({ generation: id, schema: `"${silver}_${id}"` }));
}

export async function findErasure(db: Queryable, hash: Buffer): Promise<Erasure | null> {
  const { rows } = await db.query<Erasure>(`select ${COLUMNS} from ops.erasure where member_hash = $1`, [hash]);
  return rows[0] ?? null;
}

/** The key, if it is that of everybody who was erased before; throws SettingsError else. */
export async function mustBeTheKey(db: Queryable, key: string | null): Promise<string | null> {
  const { rows } = await db.query<{ keys: string[] | null }>(
    'select array_agg(distinct key_id) as keys from ops.erased',
  );
  const keys = rows[0]?.keys ?? null;
  return keys === null ? key : mustFit(key, keys);
}

/** What a member has in the generations, by its ids: both kinds are needed as long as the rows are there. */
export async function identitiesOf(db: Queryable, all: readonly Silver[], memberId: string): Promise<Identities> {
  const journeys = new Set<string>();
  const calls = new Set<string>();
  for (const { schema } of all) {
    const events = await db.query<{ id: string }>(
      `select event_id as id from ${schema}.journey_event where member_id = $1`,
      [memberId],
    );
    for (const { id } of events.rows) journeys.add(id);
    const called = await db.query<{ id: string }>(`select call_id as id from ${schema}.call where member_id = $1`, [
      memberId,
    ]);
    for (const { id } of called.rows) calls.add(id);
  }
  return { journeys: [...journeys], calls: [...calls] };
}

/**
 * In the order in which a batch takes them: shards, then positions. While they are held no batch is applied anywhere; and whoever
 * was judged by what held before is refused afterwards.
 */
async function holdEverything(tx: Queryable): Promise<void> {
  await tx.query(
    `select from ops.shard s join ops.generation g on g.id = s.generation
      where g.state <> 'dropped' order by s.generation, s.shard for update of s`,
  );
  await tx.query('select from ops.position order by pipeline collate "C", topic collate "C", partition for update');
}

export interface Beginning {
  readonly all: readonly Silver[];
  readonly memberId: string;
  readonly key: string;
  readonly reason: string;
  readonly systemUser: string;
}

/**
 * From the end of this transaction on nothing of the member is taken in by any service: neither what is theirs, nor another
 * version of an event or call that was theirs. Where it was begun before, nothing is done.
 */
export async function beginErasure(tx: Queryable, o: Beginning): Promise<Erasure> {
  const { memberId, key } = o;
  const hash = memberHash(key, memberId);
  const begun = await findErasure(tx, hash);
  if (begun !== null) return begun;
  // What a member has is found by an index however large the tables are: nobody may be held up for long.
  await tx.query(`select set_config('enable_seqscan', 'off', true)`);
  await holdEverything(tx);
  // Under the locks: an event that a correction moves away is either still the member's, and known to be, or never was.
  const { journeys, calls } = await identitiesOf(tx, o.all, memberId);
  const records = [
    ...journeys.map((id) => recordHash(key, 'journeys', id)),
    ...calls.map((id) => recordHash(key, 'calls', id)),
  ];
  await mustBeHeld(tx, records.length + 1);
  const keyId = pseudonymKeyId(key);
  await tx.query(
    `insert into ops.erased (kind, hash, key_id)
     select 'member', $1::bytea, $3 union all select distinct 'record', r.hash, $3 from unnest($2::bytea[]) as r (hash)
     on conflict do nothing`,
    [hash, records, keyId],
  );
  await tx.query('update ops.policy set version = version + 1');
  const { rows } = await tx.query<Erasure>(
    `insert into ops.erasure (member_hash, key_id, reason, system_user_name) values ($1, $2, $3, $4) returning ${COLUMNS}`,
    [hash, keyId, o.reason, o.systemUser],
  );
  const [erasure] = rows;
  if (erasure === undefined) throw new Error('an erasure was not begun');
  return erasure;
}

async function mustBeHeld(tx: Queryable, more: number): Promise<void> {
  const { rows } = await tx.query<{ held: number }>('select count(*) as held from ops.erased');
  const held = (rows[0]?.held ?? 0) + more;
  if (held <= ERASED_MAX) return;
  throw new CommandError(
    `${held} hashes would have to be kept in the memory of every service, which keep ${ERASED_MAX} at most (a member, and each event and call of theirs): nothing was erased.`,
  );
}

export type Step = 'archived' | 'removed' | 'ended';

export async function noteStep(db: Queryable, id: number, step: Step): Promise<void> {
  await db.query(`update ops.erasure set ${step}_at = coalesce(${step}_at, clock_timestamp()) where id = $1`, [id]);
}

/** Adds to what is counted by table. */
export async function addCounts(db: Queryable, id: number, counts: Readonly<Record<string, number>>): Promise<void> {
  const found = Object.entries(counts).filter(([, rows]) => rows > 0);
  if (found.length === 0) return;
  await db.query(
    `update ops.erasure e
        set counts = e.counts || (select jsonb_object_agg(c.name, coalesce((e.counts ->> c.name)::bigint, 0) + c.rows)
                                    from unnest($2::text[], $3::bigint[]) as c (name, rows))
      where e.id = $1`,
    [id, found.map(([name]) => name), found.map(([, rows]) => rows)],
  );
}

export async function readCounts(db: Queryable, id: number): Promise<Record<string, number>> {
  const { rows } = await db.query<{ counts: Record<string, number> }>('select counts from ops.erasure where id = $1', [
    id,
  ]);
  return rows[0]?.counts ?? {};
}

/** Records that silver has read and bronze has not, of all generations. */
export async function bronzeBehind(db: Queryable, all: readonly Silver[]): Promise<number> {
  const { rows } = await db.query<{ records: number }>(
    `select coalesce(sum(greatest(s.next_offset - greatest(coalesce(b.next_offset, 0), s.first_offset), 0)), 0)::bigint as records
       from ops.position s
       left join ops.position b on b.pipeline = 'bronze' and b.topic = s.topic and b.partition = s.partition
      where s.pipeline = any ($1)`,
    [all.map(({ generation }) => `silver_${generation}`)],
  );
  return rows[0]?.records ?? 0;
}

/** Of these events and calls, those that somebody else has in a generation: it has not read yet that they became the member's. */
export async function heldByOthers(
  db: Queryable,
  { schema }: Silver,
  { memberId, identities }: { readonly memberId: string; readonly identities: Identities },
): Promise<Identities> {
  const of = async (table: string, id: string, ids: readonly string[]) =>
    (
      await db.query<{ id: string }>(
        `select ${id} as id from ${schema}.${table} where ${id} = any ((select $1::text[])::text[]) and member_id <> $2`,
        [ids, memberId],
      )
    ).rows.map((row) => row.id);
  return {
    journeys: await of('journey_event', 'event_id', identities.journeys),
    calls: await of('call', 'call_id', identities.calls),
  };
}
