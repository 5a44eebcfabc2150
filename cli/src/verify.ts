import { type DayRange, type OracleReport, runOracle } from '@leakage/oracle';
import { type Connection, createPool, lockShards, type Pool, sqlState } from '@leakage/postgres';
import { sleep } from '@leakage/runtime';
import { CommandError } from './command-error.ts';
import { quietLogger } from './connect.ts';
import { existingGeneration } from './generation.ts';
import { type Cancelling, cancelOnAbort } from './verify/cancelling.ts';
import { recordVerification, type VerificationTrigger } from './verify/verification-store.ts';

export interface VerifyOptions {
  databaseUrl: string;
  /** The stable names; the generation's own schemas are silver_<n> and gold_<n>. */
  schemas?: { bronze: string; silver: string; gold: string };
  /** Default: the active one. */
  generation?: number;
  /** Only these local days of the generation's time zone; default: everything. */
  days?: DayRange;
  /** Runs beside others: with less memory, and on one processor of the server. */
  gentle?: boolean;
  /** Who asks, where the result is written into ops.verification; default: it is not. */
  record?: VerificationTrigger;
  /** Called with a sentence where that cannot be done. */
  onNotRecorded?: (sentence: string) => void;
  /** Ends the run within a second, whatever the server is doing: it then throws. */
  signal?: AbortSignal;
  /** How long the shard locks may be waited for. */
  lockTimeoutMs?: number;
  /** How long bronze and gold may take to come close to silver while everything goes on; default one minute. */
  catchUpMs?: number;
  /** How long silver may then be held still until they have reached it; default 20 s, less than what the joiner endures. */
  holdMs?: number;
  /** How many differing rows each check shows. */
  examples?: number;
  /** Called with what is being waited for. */
  onWait?: (sentence: string) => void;
}

export interface VerifyReport extends OracleReport {
  generation: number;
  /** As asked; null: everything was compared. */
  days: DayRange | null;
  waitedMs: number;
}

/** Shared by who reads bronze in one snapshot; retention drops no partition while somebody has it. */
export const BRONZE_IN_USE_LOCK = 4_718_268;
const pollMs = 100;
// Bronze rows and gold changes that are done in less than a second: not worth letting silver go on for.
const closeEnough = 20_000;
const defaultSchemas = { bronze: 'bronze', silver: 'silver', gold: 'gold' };

/**
 * Recomputes silver and gold of a generation from bronze with the independent oracle and compares (law 8): holds the
 * generation's shard locks until bronze and gold have reached silver's positions, opens its snapshot, lets go, and reads.
 * Throws CommandError when that cannot be done. Changes nothing: every transaction is rolled back; only the
 * result is written down where `record` asks for it.
 */
export async function verifyPipeline(o: VerifyOptions): Promise<VerifyReport> {
  const pool = createPool({
    url: o.databaseUrl,
    applicationName: 'leakage-verify',
    max: 3,
    // The largest statements read everything there is.
    statementTimeoutMs: 30 * 60_000,
    lockTimeoutMs: o.lockTimeoutMs ?? 10_000,
    log: quietLogger('verify'),
  });
  try {
    const generation = await existingGeneration(pool, o.generation);
    const report = await pool.withConnection((reader) => cancellable({ pool, reader, generation, options: o }));
    const trouble = o.record === undefined ? null : await recordVerification(pool, report, o.record);
    if (trouble !== null) o.onNotRecorded?.(trouble);
    return report;
  } finally {
    await pool.stop();
  }
}

async function cancellable(run: Omit<Run, 'cancelling'>): Promise<VerifyReport> {
  const cancelling = cancelOnAbort(run.pool, run.options.signal);
  try {
    await cancelling.watch(run.reader);
    return await verifyOn({ ...run, cancelling });
  } finally {
    cancelling.stop();
  }
}

interface Run {
  pool: Pool;
  reader: Connection;
  generation: number;
  options: VerifyOptions;
  cancelling: Cancelling;
}

async function verifyOn(run: Run): Promise<VerifyReport> {
  const { reader, generation, options } = run;
  const bases = options.schemas ?? defaultSchemas;
  const names = {
    schemas: { bronze: bases.bronze, silver: `${bases.silver}_${generation}`, gold: `${bases.gold}_${generation}` },
    // A pipeline's name does not depend on the names of schemas.
    pipelines: { bronze: 'bronze', silver: `silver_${generation}` },
  };
  const started = performance.now();
  await mustReachHorizon(run);
  await comeClose(run);
  // Before the snapshot is taken, and until this connection ends: a partition dropped meanwhile would be missing in it.
  await reader.query('select pg_advisory_lock_shared($1)', [BRONZE_IN_USE_LOCK]);
  await openSnapshot(run);
  const waitedMs = performance.now() - started;
  try {
    const query = (sql: string, params?: unknown[]) => {
      options.signal?.throwIfAborted();
      return reader.query<Record<string, unknown>>(sql, params);
    };
    const report = await runOracle(query, {
      generation,
      ...names,
      ...(options.days === undefined ? {} : { days: options.days }),
      gentle: options.gentle ?? false,
      examples: options.examples ?? 5,
    });
    const warnings = [...report.warnings, ...(await losses(reader, generation))];
    return { ...report, warnings, generation, days: options.days ?? null, waitedMs };
  } finally {
    if (reader.lost === null) await reader.query('rollback');
  }
}

/** Of days that retention has removed there is nothing to be said. */
async function mustReachHorizon({ reader, generation, options }: Run): Promise<void> {
  const to = options.days?.to ?? null;
  if (to === null) return;
  const { rows } = await reader.query<{ day: string }>(
    `select ((h.refused_before at time zone (g.rules ->> 'timeZone'))::date)::text as day
       from ops.horizon h join ops.generation g on g.id = h.generation where h.generation = $1`,
    [generation],
  );
  const [horizon] = rows;
  if (horizon === undefined || to >= horizon.day) return;
  throw new CommandError(`${to} lies before the horizon of retention (${horizon.day}): it can be verified no more.`);
}

/** Waits without a lock: what is held still should be held for a moment only. */
async function comeClose({ reader, generation, options }: Run): Promise<void> {
  const deadline = performance.now() + (options.catchUpMs ?? 60_000);
  for (;;) {
    const behind = await whatIsBehind(reader, generation);
    if (behind.rows <= closeEnough) return;
    if (performance.now() > deadline) throw new CommandError(cannotCatchUp(behind));
    options.onWait?.(`waiting for ${behind.sentences.join('; ')}`);
    await sleep(pollMs, options.signal);
  }
}

/**
 * Leaves `reader` inside a snapshot in which bronze and gold have all that silver has. Silver cannot move while the locks are
 * held; they are let go as soon as the snapshot stands.
 */
async function openSnapshot({ pool, reader, generation, options, cancelling }: Run): Promise<void> {
  await pool.withConnection(async (holder) => {
    await cancelling.watch(holder);
    await holder.query('begin');
    try {
      await takeLocks(holder, { generation, options });
      const deadline = performance.now() + (options.holdMs ?? 20_000);
      for (;;) {
        await reader.query('begin isolation level repeatable read');
        const behind = await whatIsBehind(reader, generation);
        if (behind.sentences.length === 0) return;
        await reader.query('rollback');
        if (performance.now() > deadline) throw new CommandError(cannotCatchUp(behind));
        options.onWait?.(`waiting for ${behind.sentences.join('; ')}`);
        await sleep(pollMs, options.signal);
        // Also keeps the server from ending this transaction as idle.
        await holder.query('select 1');
      }
    } finally {
      if (holder.lost === null) await holder.query('rollback');
    }
  });
}

async function takeLocks(holder: Connection, o: { generation: number; options: VerifyOptions }): Promise<void> {
  const { rows } = await holder.query<{ shard: number }>(
    'select shard from ops.shard where generation = $1 order by shard',
    [o.generation],
  );
  if (rows.length === 0) throw new CommandError(nothingToVerify(o.generation));
  try {
    await lockShards(
      holder,
      o.generation,
      rows.map((row) => row.shard),
    );
  } catch (error) {
    if (sqlState(error) !== '55P03') throw error;
    throw new CommandError(
      `Another process holds the shard locks of generation ${o.generation} for longer than ` +
        `${(o.options.lockTimeoutMs ?? 10_000) / 1000} s (a transaction of silver-joiner that hangs, or another verify): try again.`,
      1,
      { cause: error },
    );
  }
}

interface Behind {
  /** Records that bronze, and changes that gold, have to take before they are where silver is. */
  rows: number;
  /** What is behind; empty: nothing is. */
  sentences: string[];
}

async function whatIsBehind(reader: Connection, generation: number): Promise<Behind> {
  const bronze = await reader.query<{ topic: string; records: number }>(
    `select s.topic, sum(s.next_offset - greatest(coalesce(b.next_offset, 0), s.first_offset))::bigint as records
       from ops.position s
       left join ops.position b on b.pipeline = 'bronze' and b.topic = s.topic and b.partition = s.partition
      where s.pipeline = $1 and coalesce(b.next_offset, 0) < s.next_offset and s.first_offset < s.next_offset
      group by s.topic order by s.topic`,
    [`silver_${generation}`],
  );
  const gold = await reader.query<{ changes: number; readers: number; shards: number }>(
    `select coalesce(sum(s.change_seq + 1 - coalesce(r.next_seq, 1)), 0)::bigint as changes,
            count(r.shard) as readers, count(*) as shards
       from ops.shard s
       left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
      where s.generation = $1`,
    [generation],
  );
  const fold = gold.rows[0] ?? { changes: 0, readers: 0, shards: 0 };
  const sentences = bronze.rows.map((row) => `bronze-sink (${row.records} records of ${row.topic})`);
  if (fold.readers < fold.shards) sentences.push('gold-aggregator (it has not begun this generation)');
  else if (fold.changes > 0) sentences.push(`gold-aggregator (${fold.changes} changes)`);
  return { rows: bronze.rows.reduce((sum, row) => sum + row.records, fold.changes), sentences };
}

/** Equal is what was read; what a person has given up is said beside it. */
async function losses(reader: Connection, generation: number): Promise<VerifyReport['warnings']> {
  const { rows } = await reader.query<{ pipeline: string; lost: number; offsets: number }>(
    `select l.pipeline, sum(l.next_offset - l.from_offset)::bigint as lost,
            (select sum(p.next_offset - p.first_offset)::bigint from ops.position p where p.pipeline = l.pipeline) as offsets
       from ops.loss l
      where l.pipeline in ('bronze', $1)
      group by l.pipeline order by l.pipeline`,
    [`silver_${generation}`],
  );
  return rows.map(({ pipeline, lost, offsets }) => {
    return { rule: 'ops.loss', name: `${pipeline}: offsets given up for lost`, count: lost, of: offsets };
  });
}

const cannotCatchUp = (behind: Behind) =>
  `Cannot verify: bronze and gold have not reached silver. Behind: ${behind.sentences.join('; ')}. Is everything running (npm start)?`;

const nothingToVerify = (generation: number) =>
  `There is no generation ${generation} in this database: silver-joiner has never run on it (npm start does it all).`;
