import type { Queryable } from '@leakage/postgres';
import type { BusinessRow, Counts } from './types.ts';

export interface Schemas {
  bronze: string;
  silver: string;
  gold: string;
}

const bronzeTables = ['digital_journeys_raw', 'call_logs_raw', 'member_profiles_raw'];

// Beyond this a count takes seconds, and the planner's estimate is good enough for a screen.
const exactUpTo = 5_000_000;

export async function exists(db: Queryable, relation: string): Promise<boolean> {
  const { rows } = await db.query<{ there: boolean }>('select to_regclass($1) is not null as there', [relation]);
  return rows[0]?.there === true;
}

/** Rows of a table: counted, or estimated where counting would take long. */
async function rowsOf(db: Queryable, table: string): Promise<number> {
  const { rows } = await db.query<{ estimate: number }>(
    'select reltuples::bigint as estimate from pg_class where oid = to_regclass($1)',
    [table],
  );
  const estimate = rows[0]?.estimate;
  if (estimate === undefined) return 0;
  if (estimate > exactUpTo) return estimate;
  return (await db.query<{ count: number }>(`select count(*) as count from ${table}`)).rows[0]?.count ?? 0;
}

async function countsOf(db: Queryable, schema: string, tables: Record<string, string>): Promise<Counts> {
  const counts: Counts = {};
  for (const [name, table] of Object.entries(tables)) counts[name] = await rowsOf(db, `${schema}.${table}`);
  return counts;
}

export async function silverRows(db: Queryable, schema: string): Promise<Counts> {
  return await countsOf(db, schema, {
    events: 'journey_event',
    calls: 'call',
    profiles: 'member_profile',
    callFacts: 'call_fact',
    journeyOutcomes: 'journey_outcome',
    quarantine: 'quarantine_record',
    conflicts: 'conflict_record',
    changeLog: 'change_log',
  });
}

export async function goldRows(db: Queryable, schema: string): Promise<Counts> {
  return await countsOf(db, schema, {
    callCells: 'call_cube',
    journeyCells: 'journey_cube',
    memberCells: 'member_cube',
    messages: 'error_message_cube',
  });
}

/** The newest record of bronze. Bronze is append only: the newest rows are the last pages of its partitions. */
export async function newestRecord(
  db: Queryable,
  bronze: string,
): Promise<{ emittedAt: number | null; kafkaTimestamp: number | null }> {
  const { rows: leaves } = await db.query<{ leaf: string; pages: number }>(
    `select t.relid::text as leaf, pg_relation_size(t.relid) / current_setting('block_size')::bigint as pages
       from unnest($1::text[]) as parent (name)
      cross join lateral pg_partition_tree(to_regclass($2 || '.' || parent.name)) t
      where t.isleaf and pg_relation_size(t.relid) > 0`,
    [bronzeTables, bronze],
  );
  if (leaves.length === 0) return { emittedAt: null, kafkaTimestamp: null };
  const tails = leaves.map(
    ({ leaf, pages }) =>
      `select kafka_timestamp, emitted_at from ${leaf} where ctid >= '(${Math.max(0, pages - 32)},0)'::tid`,
  );
  const { rows } = await db.query<{ emittedAt: number | null; kafkaTimestamp: number | null }>(
    // A source whose clock runs ahead says nothing about freshness: silver quarantines what it sends.
    `select max(emitted_at) filter (where emitted_at <= kafka_timestamp + interval '5 minutes') as "emittedAt",
            max(kafka_timestamp) as "kafkaTimestamp" from (${tails.join(' union all ')}) r`,
  );
  return rows[0] ?? { emittedAt: null, kafkaTimestamp: null };
}

/** Of what is neither repaired nor discarded. */
export async function topReasons(db: Queryable, silver: string): Promise<{ reason: string; records: number }[]> {
  const { rows } = await db.query<{ reason: string; records: number }>(
    `select reason, count(*) as records
       from ${silver}.quarantine, unnest(reasons) as r (reason)
      where status = 'open'
      group by reason order by count(*) desc, reason limit 6`,
  );
  return rows;
}

export async function resolvedRecords(db: Queryable, silver: string): Promise<number> {
  const { rows } = await db.query<{ records: number }>(
    `select count(*) as records from ${silver}.quarantine where status <> 'open'`,
  );
  return rows[0]?.records ?? 0;
}

/** The figures that people ask for first, over the days of daily_leakage_summary. */
export async function businessRows(db: Queryable, gold: string): Promise<BusinessRow[]> {
  const { rows } = await db.query<BusinessRow>(
    `select s.leakage_type as journey, s.summary_date::text as "summaryDate", s.days, s.daily_calls::text as "dailyCalls",
            s.daily_cost::text as "dailyCost", s.segment as "primarySegment", s.trend_pct::text as "trendPct",
            (100.0 * c.repeat_calls / nullif(c.calls, 0))::float8 as "repeatPct",
            (c.sentiment_sum / nullif(c.sentiment_calls, 0) / 10000)::float8 as sentiment, s.status
       from ${gold}.daily_leakage_summary s
      cross join lateral (
        select sum(calls) as calls, sum(repeat_calls) as repeat_calls, sum(sentiment_sum_e4) as sentiment_sum,
               sum(sentiment_calls) as sentiment_calls
          from ${gold}.call_cube
         where attribution = 'leakage' and leakage_type = s.leakage_type
           and local_date between s.summary_date - s.days + 1 and s.summary_date
      ) c
      order by s.daily_calls desc, s.leakage_type`,
  );
  return rows;
}
