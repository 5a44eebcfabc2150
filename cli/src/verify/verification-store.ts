import { inTransaction, type Pool, type Queryable, sqlState } from '@leakage/postgres';

/** Who asked for a verification. */
export type VerificationTrigger = 'command' | 'schedule' | 'promote';

/** What a verification has found, as far as it is written down. */
export interface Verified {
  readonly generation: number;
  /** Null: everything was compared. */
  readonly days: { readonly from: string | null; readonly to: string | null } | null;
  readonly waitedMs: number;
  readonly elapsedMs: number;
  readonly records: number;
  readonly ok: boolean;
  readonly checks: readonly { readonly name: string; readonly differences: number }[];
}

/** Law 10: of each generation so many are kept, the newest. */
const keptMax = 1_000;

/**
 * Writes down what a verification has found. Where that is not possible (a login that may only read, a database of an earlier
 * release), nothing is changed and a sentence says why; null: it is written.
 */
export async function recordVerification(
  pool: Pool,
  report: Verified,
  trigger: VerificationTrigger,
): Promise<string | null> {
  return await recorded('This verification', () =>
    inTransaction(pool, async (tx) => {
      await insertVerification(tx, report, trigger);
      await trimVerifications(tx, report.generation);
      if (trigger === 'schedule') await forgetLeftOut(tx, report.generation);
    }),
  );
}

/** A scheduled verification that did not take place: why, in a sentence that holds nothing of the data. */
export interface NotDone {
  readonly kind: 'skipped' | 'failed';
  readonly reason: string;
}

/** Writes down that a scheduled verification of a generation was left out; like recordVerification. */
export async function recordLeftOut(pool: Pool, generation: number, notDone: NotDone): Promise<string | null> {
  return await recorded('That it was left out', () =>
    inTransaction(pool, (tx) => insertLeftOut(tx, generation, notDone)),
  );
}

async function recorded(what: string, write: () => Promise<void>): Promise<string | null> {
  try {
    await write();
    return null;
  } catch (error) {
    const reason = reasons[sqlState(error) ?? ''];
    if (reason === undefined) throw error;
    return `${what} is not recorded: ${reason}.`;
  }
}

const mayNot = 'the login of DATABASE_URL may not write ops.verification (the owner of the database may)';
/** By what Postgres answers. */
const reasons: Readonly<Record<string, string>> = {
  '42501': mayNot,
  '25006': mayNot,
  '42P01':
    'this database has no table ops.verification yet (services of this release make it, and so does npx leakage init)',
};

async function insertVerification(db: Queryable, r: Verified, trigger: VerificationTrigger): Promise<void> {
  const differing = r.checks
    .filter(({ differences }) => differences > 0)
    .map(({ name, differences }) => ({ check: name, differences }));
  await db.query(
    `insert into ops.verification (generation, rules_hash, from_day, to_day, begun_at, records, ok, differing, trigger)
     select id, rules_hash, $2, $3, clock_timestamp() - $4::float8 * interval '1 ms', $5, $6, $7, $8
       from ops.generation where id = $1`,
    [
      r.generation,
      r.days?.from ?? null,
      r.days?.to ?? null,
      r.waitedMs + r.elapsedMs,
      r.records,
      r.ok,
      JSON.stringify(differing),
      trigger,
    ],
  );
}

async function trimVerifications(db: Queryable, generation: number): Promise<void> {
  await db.query(
    `delete from ops.verification
      where generation = $1
        and id <= (select id from ops.verification where generation = $1 order by id desc offset $2 limit 1)`,
    [generation, keptMax],
  );
}

async function insertLeftOut(db: Queryable, generation: number, { kind, reason }: NotDone): Promise<void> {
  await db.query(
    `insert into ops.left_out_verification (generation, kind, reason) values ($1, $2, $3)
     on conflict (generation) do update
        set kind = excluded.kind, reason = excluded.reason, last_at = excluded.last_at, times = left_out_verification.times + 1`,
    [generation, kind, reason],
  );
}

async function forgetLeftOut(db: Queryable, generation: number): Promise<void> {
  await db.query('delete from ops.left_out_verification where generation = $1', [generation]);
}

/** One line of the record. */
export interface Verification {
  readonly ok: boolean;
  /** Local days; null: from the beginning, or to the end. */
  readonly fromDay: string | null;
  readonly toDay: string | null;
  readonly endedAt: string;
  readonly ageSeconds: number;
  readonly records: number;
  /** Names of the checks that found differences. */
  readonly differing: string[];
  readonly trigger: VerificationTrigger;
}

export interface Verifications {
  readonly newest: Verification | null;
  /** The newest that compared everything. */
  readonly newestFull: Verification | null;
  /** Null: the last scheduled one took place, or none was ever due. */
  readonly leftOut: LeftOut | null;
}

/** Scheduled verifications in a row that did not take place. */
export interface LeftOut extends NotDone {
  readonly firstAt: string;
  readonly lastAt: string;
  readonly times: number;
}

/** The newest of a generation. None are known where nothing is recorded, or where this login may not look. */
export async function readVerifications(db: Queryable, generation: number): Promise<Verifications> {
  if (!(await mayRead(db))) return { newest: null, newestFull: null, leftOut: null };
  const newest = await readNewest(db, generation, 'true');
  const full = newest === null || isFull(newest) ? newest : await readNewest(db, generation, isFullRow);
  return { newest, newestFull: full, leftOut: await readLeftOut(db, generation) };
}

const isFullRow = 'from_day is null and to_day is null';
const isFull = (one: Verification) => one.fromDay === null && one.toDay === null;

async function mayRead(db: Queryable): Promise<boolean> {
  const { rows } = await db.query<{ may: boolean | null }>(
    `select has_table_privilege(to_regclass('ops.verification'), 'select')
        and has_table_privilege(to_regclass('ops.left_out_verification'), 'select') as may`,
  );
  return rows[0]?.may === true;
}

async function readNewest(db: Queryable, generation: number, where: string): Promise<Verification | null> {
  const { rows } = await db.query<Omit<Verification, 'endedAt'> & { endedAt: number }>(
    `select ok, from_day::text as "fromDay", to_day::text as "toDay", ended_at as "endedAt",
            greatest(extract(epoch from clock_timestamp() - ended_at), 0)::float8 as "ageSeconds", records,
            array(select d ->> 'check' from jsonb_array_elements(differing) d) as differing, trigger
       from ops.verification
      where generation = $1 and ${where}
      order by ended_at desc, id desc
      limit 1`,
    [generation],
  );
  const [row] = rows;
  return row === undefined ? null : { ...row, endedAt: new Date(row.endedAt).toISOString() };
}

async function readLeftOut(db: Queryable, generation: number): Promise<LeftOut | null> {
  const { rows } = await db.query<NotDone & { firstAt: number; lastAt: number; times: number }>(
    `select kind, reason, first_at as "firstAt", last_at as "lastAt", times
       from ops.left_out_verification where generation = $1`,
    [generation],
  );
  const [row] = rows;
  if (row === undefined) return null;
  return { ...row, firstAt: new Date(row.firstAt).toISOString(), lastAt: new Date(row.lastAt).toISOString() };
}
