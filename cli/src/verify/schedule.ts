import type { DayRange } from '@leakage/oracle';
import { loadGeneration, type Pool, type Queryable, withPool } from '@leakage/postgres';
import { sleep } from '@leakage/runtime';
import { CommandError } from '../command-error.ts';
import { quietLogger } from '../connect.ts';
import { existingGeneration } from '../generation.ts';
import { type VerifyOptions, type VerifyReport, verifyPipeline } from '../verify.ts';
import { resultLine } from './report.ts';
import { type NotDone, readVerifications, recordLeftOut } from './verification-store.ts';

export interface ScheduleOptions extends Pick<VerifyOptions, 'databaseUrl' | 'schemas'> {
  everyMs: number;
  /** How old the newest verification of everything may become; null: only the last days are verified. */
  fullEveryMs: number | null;
  /** How long after the start the first run begins. */
  firstInMs: number;
  signal: AbortSignal;
  /** What was found, or why nothing was looked for: one line a run. */
  say: (line: string) => void;
  /** What somebody has to look at. */
  complain: (line: string) => void;
  /** Records by which silver may be behind bronze; default 100,000. More is a catching up, which a run would slow. */
  behindMax?: number;
}

const behindMax = 100_000;
/** A run that was not possible is tried again after this long, or earlier where runs are more frequent. */
const againMs = 10 * 60_000;
/** Live goes first: silver is held still for a moment, or the run is left out. */
const patience = { catchUpMs: 60_000, lockTimeoutMs: 5_000, holdMs: 5_000 };
const completeDays = 2;

/**
 * Verifies the active generation again and again until `signal` is aborted: everything once a while, else the last two complete
 * days and what came after them. One at a time per database. What cannot be done now is left out, and it stays on record why.
 */
export async function verifyOnSchedule(o: ScheduleOptions): Promise<void> {
  for (let pauseMs = o.firstInMs; await paused(pauseMs, o.signal); ) {
    const began = Date.now();
    const outcome = await runOnce(o);
    if (o.signal.aborted) return;
    tell(o, outcome);
    pauseMs = outcome.kind === 'verified' ? Math.max(0, began + o.everyMs - Date.now()) : Math.min(o.everyMs, againMs);
  }
}

/** False when the signal came. */
async function paused(ms: number, signal: AbortSignal): Promise<boolean> {
  await sleep(ms, signal).catch(() => undefined);
  return !signal.aborted;
}

type Outcome = { readonly kind: 'verified'; readonly report: VerifyReport } | NotDone;

function tell({ say, complain }: ScheduleOptions, outcome: Outcome): void {
  const now = new Date().toISOString();
  if (outcome.kind === 'verified') {
    say(`${now} ${resultLine(outcome.report)}`);
    if (!outcome.report.ok) {
      complain(`DIFFERENT: ${resultLine(outcome.report)}. Run npx leakage verify, which shows the rows.`);
    }
  } else say(`${now} not verified, ${outcome.kind}: ${outcome.reason}`);
}

async function runOnce(o: ScheduleOptions): Promise<Outcome> {
  const url = o.databaseUrl;
  try {
    const pool = { url, applicationName: 'leakage-verify-schedule', max: 2, log: quietLogger('verify') };
    return await withPool(pool, (db) => alone(db, () => verifyAndNote(db, o)));
  } catch (error) {
    return notDone(error);
  }
}

function notDone(error: unknown): NotDone {
  const reason = error instanceof Error ? error.message : String(error);
  return { kind: error instanceof CommandError ? 'skipped' : 'failed', reason };
}

/** What is left out is written down, for whoever looks at the results. */
async function verifyAndNote(db: Pool, o: ScheduleOptions): Promise<Outcome> {
  const generation = await existingGeneration(db);
  const outcome = await verifyIfPossible(db, generation, o).catch(notDone);
  if (outcome.kind === 'verified' || o.signal.aborted) return outcome;
  const trouble = await recordLeftOut(db, generation, outcome.kind === 'skipped' ? outcome : failed);
  if (trouble !== null) o.complain(trouble);
  return outcome;
}

/** What Postgres says may quote the data, and others than those who read the log may read this. */
const failed: NotDone = { kind: 'failed', reason: 'it ended with an error, which stands in its log' };

/** Lets one schedule of a database work at a time. */
async function alone(pool: Pool, work: () => Promise<Outcome>): Promise<Outcome> {
  const key = `hashtextextended('leakage verify --every', 0)`;
  return await pool.withConnection(async (connection) => {
    const { rows } = await connection.query<{ got: boolean }>(`select pg_try_advisory_lock(${key}) as got`);
    if (rows[0]?.got !== true) return { kind: 'skipped', reason: 'another schedule verifies this database right now' };
    try {
      return await work();
    } finally {
      if (connection.lost === null) await connection.query(`select pg_advisory_unlock(${key})`);
    }
  });
}

async function verifyIfPossible(db: Pool, generation: number, o: ScheduleOptions): Promise<Outcome> {
  const behind = await silverBehind(db, generation);
  if (behind > (o.behindMax ?? behindMax)) {
    return { kind: 'skipped', reason: `silver is ${behind} records behind bronze, and goes first` };
  }
  const days = (await fullIsDue(db, generation, o.fullEveryMs)) ? undefined : await lastDays(db, generation);
  if (days === null) return { kind: 'skipped', reason: 'nothing has been heard of both journeys and calls yet' };
  const report = await verifyPipeline({
    databaseUrl: o.databaseUrl,
    ...(o.schemas === undefined ? {} : { schemas: o.schemas }),
    generation,
    ...(days === undefined ? {} : { days }),
    ...patience,
    gentle: true,
    record: 'schedule',
    onNotRecorded: o.complain,
    signal: o.signal,
    examples: 1,
  });
  return { kind: 'verified', report };
}

async function silverBehind(db: Queryable, generation: number): Promise<number> {
  const { rows } = await db.query<{ records: number }>(
    `select coalesce(sum(greatest(b.next_offset - coalesce(s.next_offset, b.first_offset), 0)), 0)::bigint as records
       from ops.position b
       left join ops.position s on s.pipeline = $1 and s.topic = b.topic and s.partition = b.partition
      where b.pipeline = 'bronze'`,
    [`silver_${generation}`],
  );
  return rows[0]?.records ?? 0;
}

async function fullIsDue(db: Queryable, generation: number, everyMs: number | null): Promise<boolean> {
  if (everyMs === null) return false;
  const { newestFull } = await readVerifications(db, generation);
  return newestFull === null || newestFull.ageSeconds * 1000 >= everyMs;
}

/** By the clock of the data: the day of the smaller watermark is the running one. Null: there is none yet. */
async function lastDays(db: Queryable, generation: number): Promise<DayRange | null> {
  const timeZone = (await loadGeneration(db, generation))?.rules.timeZone;
  const { rows } = await db.query<{ from: string | null }>(
    `select ((least(digital, calls) at time zone $2)::date - $3::int)::text as from
       from (select max(wm_digital) as digital, max(wm_calls) as calls from ops.shard where generation = $1) w
      where digital is not null and calls is not null`,
    [generation, timeZone ?? 'UTC', completeDays],
  );
  const from = rows[0]?.from ?? null;
  return from === null ? null : { from, to: null };
}
