import { setTimeout as sleep } from 'node:timers/promises';
import { type Connection, loadGeneration, type Pool, type Queryable } from '@leakage/postgres';
import { CommandError } from './command-error.ts';
import { existingGeneration } from './generation.ts';
import { readChangeStream } from './status/change-stream.ts';
import {
  businessRows,
  exists,
  goldRows,
  newestRecord,
  resolvedRecords,
  type Schemas,
  silverRows,
  topReasons,
} from './status/layers.ts';
import {
  behind,
  brokenPartitions,
  type End,
  ofPipeline,
  type PositionRow,
  readPositions,
  recordsOf,
  totalOutcomes,
} from './status/positions.ts';
import { readRetention } from './status/retention.ts';
import type { Counts, Status, Timings, TopicStatus } from './status/types.ts';
import { quickChecks } from './status/validation.ts';
import { warningsOf } from './status/warnings.ts';
import { readVerifications } from './verify/verification-store.ts';

export interface StatusOptions {
  pool: Pool;
  /** Where each topic ends, or a sentence that says why that is not known. */
  ends(): Promise<End[] | string>;
  topics: readonly string[];
  schemas: Schemas;
  /** Over how long the rates are measured. */
  measureMs?: number;
}

/** Where the pipeline of the active generation stands, read in one snapshot (Kafka's ends before it, so that lag is honest). */
export async function readStatus(o: StatusOptions): Promise<Status> {
  const { pool } = o;
  const id = await existingGeneration(pool);
  const generation = await loadGeneration(pool, id);
  if (generation === null) throw new CommandError(`Generation ${id} has disappeared: try again.`);
  const before = await readMarks(pool, id);
  const [ends] = await Promise.all([o.ends(), sleep(o.measureMs ?? 1000)]);
  const { rules } = generation;
  return await pool.withConnection(async (connection) => {
    await connection.query('begin isolation level repeatable read read only');
    try {
      return await describe(connection, {
        ...o,
        id,
        ends: typeof ends === 'string' ? null : ends,
        trouble: typeof ends === 'string' ? ends : null,
        before,
        schemas: { ...o.schemas, silver: `${o.schemas.silver}_${id}`, gold: `${o.schemas.gold}_${id}` },
        rules: {
          windowMinutes: rules.windowMs / 60_000,
          timeZone: rules.timeZone,
          repeatScope: rules.repeatScope,
        },
      });
    } finally {
      if (connection.lost === null) await connection.query('rollback');
    }
  });
}

interface Situation extends Omit<StatusOptions, 'ends'> {
  id: number;
  ends: End[] | null;
  trouble: string | null;
  before: Marks;
  rules: Status['rules'];
}

async function describe(db: Connection, o: Situation): Promise<Status> {
  const marks = await readMarks(db, o.id);
  const topics = o.topics.map((topic) => topicStatus(topic, o.ends, marks.positions));
  const lags = topics.flatMap((topic) => [topic.behind.bronze, topic.behind.silver]);
  const silver = ofPipeline(marks.positions, 'silver');
  // Each service makes its own schema: what has never run has none.
  const hasSilver = await exists(db, `${o.schemas.silver}.call_fact`);
  const hasGold = await exists(db, `${o.schemas.gold}.daily_leakage_summary`);
  const retention = await readRetention(db, o.id);
  const timings = await readTimings(db, { ...o, hasGold }, marks);
  const found: Omit<Status, 'warnings'> = {
    at: new Date(marks.at).toISOString(),
    generation: o.id,
    rules: o.rules,
    caughtUp: lags.includes(null) ? null : lags.every((lag) => lag === 0) && marks.goldBehind === 0,
    topics,
    watermarks: marks.watermarks,
    timings,
    changeStream: await readChangeStream(db, { generation: o.id, silver: hasSilver ? o.schemas.silver : null }),
    rows: {
      bronze: bronzeRows(o.topics, marks.positions),
      silver: await silverRows(db, o.schemas.silver),
      gold: await goldRows(db, o.schemas.gold),
    },
    outcomes: totalOutcomes(silver),
    conservation: { partitions: marks.positions.length, broken: brokenPartitions(marks.positions) },
    quarantine: hasSilver ? await topReasons(db, o.schemas.silver) : [],
    resolved: hasSilver ? await resolvedRecords(db, o.schemas.silver) : 0,
    validation: hasSilver
      ? await quickChecks(db, o.schemas, {
          goldIsComplete: hasGold && marks.goldBehind === 0,
          since: retention.wholeFrom,
        })
      : [],
    verification: await readVerifications(db, o.id),
    retention,
    summary: hasGold ? await businessRows(db, o.schemas.gold) : [],
  };
  return { ...found, warnings: [...(o.trouble === null ? [] : [o.trouble]), ...warningsOf(found)] };
}

function topicStatus(topic: string, ends: readonly End[] | null, positions: readonly PositionRow[]): TopicStatus {
  if (ends === null) return { topic, partitions: null, end: null, behind: { bronze: null, silver: null } };
  const own = ends.filter((end) => end.topic === topic);
  return {
    topic,
    partitions: own.length,
    end: own.reduce((sum, end) => sum + end.high, 0),
    behind: {
      bronze: behind(own, ofPipeline(positions, 'bronze')),
      silver: behind(own, ofPipeline(positions, 'silver')),
    },
  };
}

/** From the positions, which count exactly what is there (law 3). */
function bronzeRows(topics: readonly string[], positions: readonly PositionRow[]): Counts {
  const bronze = ofPipeline(positions, 'bronze');
  return Object.fromEntries(
    topics.map((topic) => [
      topic.slice(topic.lastIndexOf('.') + 1),
      recordsOf(bronze.filter((one) => one.topic === topic)),
    ]),
  );
}

/** What moves while the pipeline works. */
interface Marks {
  at: number;
  positions: PositionRow[];
  goldRead: number;
  goldBehind: number;
  watermarks: Status['watermarks'];
}

async function readMarks(db: Queryable, generation: number): Promise<Marks> {
  const positions = await readPositions(db, generation);
  const { rows } = await db.query<{
    at: number;
    digital: number | null;
    calls: number | null;
    read: number;
    behind: number;
  }>(
    `select clock_timestamp() as at, max(s.wm_digital) as digital, max(s.wm_calls) as calls,
            coalesce(sum(coalesce(r.next_seq, 1) - 1), 0)::bigint as read,
            coalesce(sum(s.change_seq + 1 - coalesce(r.next_seq, 1)), 0)::bigint as behind
       from ops.shard s
       left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
      where s.generation = $1`,
    [generation],
  );
  const { at = 0, digital = null, calls = null, read = 0, behind: goldBehind = 0 } = rows[0] ?? {};
  const asOf = digital === null || calls === null ? null : Math.min(digital, calls);
  return {
    at,
    positions,
    goldRead: read,
    goldBehind,
    watermarks: { digital: iso(digital), calls: iso(calls), asOf: iso(asOf) },
  };
}

async function readTimings(db: Queryable, o: Situation & { hasGold: boolean }, now: Marks): Promise<Timings> {
  const { before, schemas } = o;
  const seconds = Math.max(0.001, (now.at - before.at) / 1000);
  const rate = (of: (marks: Marks) => number) => Math.max(0, Math.round((of(now) - of(before)) / seconds));
  const last = (pipeline: 'bronze' | 'silver') =>
    iso(
      ofPipeline(now.positions, pipeline).reduce<number | null>((max, one) => Math.max(max ?? 0, one.updatedAt), null),
    );
  const folded = o.hasGold ? await lastFold(db, schemas.gold) : null;
  const newest = await newestRecord(db, schemas.bronze);
  return {
    seconds,
    bronzePerSecond: rate((marks) => recordsOf(ofPipeline(marks.positions, 'bronze'))),
    silverPerSecond: rate((marks) => recordsOf(ofPipeline(marks.positions, 'silver'))),
    goldChangesPerSecond: rate((marks) => marks.goldRead),
    goldBehind: now.goldBehind,
    lastProgress: { bronze: last('bronze'), silver: last('silver'), gold: iso(folded) },
    newestEmittedAt: iso(newest.emittedAt),
    newestKafkaTimestamp: iso(newest.kafkaTimestamp),
  };
}

async function lastFold(db: Queryable, gold: string): Promise<number | null> {
  const { rows } = await db.query<{ at: number | null }>(`select max(folded_at) as at from ${gold}.this_generation`);
  return rows[0]?.at ?? null;
}

const iso = (ms: number | null) => (ms === null || !Number.isFinite(ms) ? null : new Date(ms).toISOString());
