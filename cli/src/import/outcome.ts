import type { PublishedRange } from '@leakage/kafka';
import { activeGeneration, type Pool, sqlState } from '@leakage/postgres';
import { sleep } from '@leakage/runtime';
import type { Source } from '@leakage/schemas';

const POLL_MS = 250;
const REASONS_SHOWN = 10;
const UNDEFINED_OBJECT = new Set(['42P01', '3F000', '42703']);

/** What silver made of the records: the five outcomes of law 3. */
export interface Outcomes {
  accepted: number;
  superseded: number;
  duplicates: number;
  conflicts: number;
  quarantined: number;
}

export interface SilverOutcome {
  generation: number;
  /** Of everything that silver read meanwhile. */
  outcomes: Outcomes;
  /** Records of other producers among them. */
  others: number;
  /** Of the imported records alone. */
  quarantined: number;
  reasons: {
    source: Source;
    reason: string;
    records: number /** File and line of one of them. */;
    example: string | null;
  }[];
}

/** What silver had read and decided, by topic and partition. */
export type SilverState = ReadonlyMap<string, { nextOffset: number } & Outcomes>;

interface PositionRow extends Outcomes {
  topic: string;
  partition: number;
  first_offset: number;
  next_offset: number;
}

const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`;

/** Null where silver has never run. */
export async function silverState(
  pool: Pool,
  topics: readonly string[],
): Promise<{ generation: number; state: SilverState } | null> {
  try {
    const generation = await activeGeneration(pool);
    if (generation === null) return null;
    const { rows } = await pool.query<PositionRow>(
      `select topic, partition, first_offset, next_offset, accepted, superseded, duplicates, conflicts, quarantined
         from ops.position where pipeline = $1 and topic = any($2)`,
      [`silver_${generation}`, topics],
    );
    return {
      generation,
      state: new Map(rows.map((row) => [keyOf(row.topic, row.partition), { ...row, nextOffset: row.next_offset }])),
    };
  } catch (error) {
    // Nothing has been migrated yet: silver has never run on this database.
    if (UNDEFINED_OBJECT.has(sqlState(error) ?? '')) return null;
    throw error;
  }
}

export interface WaitOptions {
  pool: Pool;
  topics: readonly string[];
  ranges: readonly PublishedRange[];
  /** Without any progress of silver for so long, waiting ends. */
  patienceMs: number;
  onWait: (recordsLeft: number) => void;
}

/** Waits until silver has read everything that was sent; null when it has not moved for too long. */
export async function awaitSilver(o: WaitOptions): Promise<{ generation: number; state: SilverState } | null> {
  const targets = targetsOf(o.ranges);
  let fewest = Number.POSITIVE_INFINITY;
  for (let movedAt = Date.now(); Date.now() - movedAt < o.patienceMs; await sleep(POLL_MS)) {
    const silver = await silverState(o.pool, o.topics);
    let left = 0;
    for (const [key, { first, end }] of targets)
      left += Math.max(0, end - Math.max(first, silver?.state.get(key)?.nextOffset ?? 0));
    if (silver !== null && left === 0) return silver;
    if (left < fewest) movedAt = Date.now();
    fewest = Math.min(fewest, left);
    o.onWait(left);
  }
  return null;
}

function targetsOf(ranges: readonly PublishedRange[]): Map<string, { first: number; end: number }> {
  const targets = new Map<string, { first: number; end: number }>();
  for (const { topic, partition, firstOffset, lastOffset } of ranges) {
    const known = targets.get(keyOf(topic, partition));
    targets.set(keyOf(topic, partition), {
      first: Math.min(known?.first ?? firstOffset, firstOffset),
      end: Math.max(known?.end ?? 0, lastOffset + 1),
    });
  }
  return targets;
}

/** What silver decided between two states. */
export async function silverOutcome(o: {
  pool: Pool;
  before: SilverState | null;
  after: { generation: number; state: SilverState };
  ranges: readonly PublishedRange[];
  schemas: { bronze: string; silver: string };
}): Promise<SilverOutcome> {
  const outcomes: Outcomes = { accepted: 0, superseded: 0, duplicates: 0, conflicts: 0, quarantined: 0 };
  let read = 0;
  for (const [key, now] of o.after.state) {
    const then = o.before?.get(key);
    for (const name of Object.keys(outcomes) as (keyof Outcomes)[]) outcomes[name] += now[name] - (then?.[name] ?? 0);
  }
  for (const count of Object.values(outcomes)) read += count;
  const sent = o.ranges.reduce((sum, range) => sum + range.lastOffset - range.firstOffset + 1, 0);
  const reasons = await quarantineReasons(o);
  const quarantined = await countQuarantined(o);
  return { generation: o.after.generation, outcomes, others: Math.max(0, read - sent), quarantined, reasons };
}

interface Quarantined {
  pool: Pool;
  ranges: readonly PublishedRange[];
  schemas: { bronze: string; silver: string };
}

const OF_RANGES = `
  from unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[]) as sent (topic, partition, first_offset, last_offset)
  join SILVER.quarantine q on q.kafka_topic = sent.topic and q.kafka_partition = sent.partition
   and q.kafka_offset between sent.first_offset and sent.last_offset`;

function parametersOf(ranges: readonly PublishedRange[]): unknown[] {
  return [
    ranges.map((range) => range.topic),
    ranges.map((range) => range.partition),
    ranges.map((range) => range.firstOffset),
    ranges.map((range) => range.lastOffset),
  ];
}

async function countQuarantined({ pool, ranges, schemas }: Quarantined): Promise<number> {
  const { rows } = await pool.query<{ records: number }>(
    `select count(*) as records ${OF_RANGES.replace('SILVER', schemas.silver)}`,
    parametersOf(ranges),
  );
  return rows[0]?.records ?? 0;
}

/** The most frequent reasons, each with the line of one record, as far as bronze has it already. */
async function quarantineReasons({ pool, ranges, schemas }: Quarantined): Promise<SilverOutcome['reasons']> {
  const { rows } = await pool.query<Reason>(
    `with found as (
       select q.source, q.kafka_topic, q.kafka_partition, q.kafka_offset, unnest(q.reasons) as reason
       ${OF_RANGES.replace('SILVER', schemas.silver)})
     select distinct on (reason, source)
            reason, source, kafka_topic as topic, kafka_partition as partition, kafka_offset as "offset",
            count(*) over (partition by reason, source) as records
       from found order by reason, source, kafka_partition, kafka_offset`,
    parametersOf(ranges),
  );
  const most = rows.sort((a, b) => b.records - a.records).slice(0, REASONS_SHOWN);
  const reasons: SilverOutcome['reasons'] = [];
  for (const one of most) {
    const example = await lineOf(pool, schemas.bronze, one);
    reasons.push({ source: one.source, reason: one.reason, records: one.records, example });
  }
  return reasons;
}

interface Reason {
  reason: string;
  source: Source;
  records: number;
  topic: string;
  partition: number;
  offset: number;
}

const RAW_TABLES: Readonly<Record<Source, string>> = {
  journeys: 'digital_journeys_raw',
  calls: 'call_logs_raw',
  members: 'member_profiles_raw',
};

async function lineOf(pool: Pool, bronze: string, o: Reason): Promise<string | null> {
  const { rows } = await pool.query<{ file: string | null; line: string | null }>(
    `select headers ->> 'source_file' as file, headers ->> 'source_line' as line from ${bronze}.${RAW_TABLES[o.source]}
      where kafka_topic = $1 and kafka_partition = $2 and kafka_offset = $3`,
    [o.topic, o.partition, o.offset],
  );
  const [row] = rows;
  return row === undefined || row.file === null ? null : `${row.file}:${row.line}`;
}
