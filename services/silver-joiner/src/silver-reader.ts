import { instantArray, int4Array, type Queryable, textArray } from '@leakage/postgres';
import type { SilverReader } from './decide.ts';
import type { StoredCall } from './domain/plan.ts';
import { epochDay } from './domain/time.ts';
import type {
  CallFact,
  DecisiveEvent,
  JourneyKey,
  JourneyOutcome,
  LiveCall,
  MemberRange,
  ProfileVersion,
} from './domain/types.ts';
import { CALL_FACT_COLUMNS, OUTCOME_COLUMNS } from './domain/writes.ts';

interface ReaderStatements {
  readonly profiles: string;
  readonly calls: string;
  readonly facts: string;
  readonly outcomes: string;
  readonly outcomesBetween: string;
  readonly events: string;
  readonly attributed: string;
}

const RANGES = 'unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) as r (member_id, lo, hi)';
const KEYS = 'unnest($1::text[], $2::text[], $3::text[]) as k (member_id, session_id, journey_type)';
const EVENT_COLUMNS = [
  'event_id',
  'member_id',
  'session_id',
  'timestamp',
  'journey_type',
  'action',
  'device_type',
  'error_code',
  'error_message',
];

function selectList(alias: string, columns: readonly string[]): string {
  return columns.map((name) => `${alias}."${name}"`).join(', ');
}

/** Each statement is driven by its unnested keys and served by one index; `schema` is quoted. */
export function readerStatements(schema: string): ReaderStatements {
  const factColumns = CALL_FACT_COLUMNS.map((name) => `f."${name}" as f_${name}`).join(', ');
  const outcomes = selectList('o', OUTCOME_COLUMNS);
  const facts = selectList('f', CALL_FACT_COLUMNS);
  return {
    profiles: `
select member_id, valid_from, plan_type, segment, language_preference
  from ${schema}.member_profile where member_id = any ((select $1::text[])::text[])`,
    calls: `
select c.call_id, c.member_id, c.call_timestamp, c.ivr_path, c.handle_time_seconds, c.call_reason, c.sentiment_e4, ${factColumns}
  from ${RANGES}
  join ${schema}.call c on c.member_id = r.member_id and c.call_timestamp between r.lo and r.hi and not c.deleted
  left join ${schema}.call_fact f on f.call_id = c.call_id and f.member_id = c.member_id`,
    facts: `select ${facts} from ${schema}.call_fact f where f.call_id = any ($1::text[])`,
    outcomes: `
select ${outcomes} from ${KEYS}
  join ${schema}.journey_outcome o
    on o.member_id = k.member_id and o.session_id = k.session_id and o.journey_type = k.journey_type`,
    outcomesBetween: `
select ${outcomes} from ${RANGES}
  join ${schema}.journey_outcome o on o.member_id = r.member_id and o.last_decisive_at between r.lo and r.hi`,
    // One row per range and day, so that the whole index (day, member, instant) serves each, however long the history is.
    events: `
select ${selectList('e', EVENT_COLUMNS)}
  from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::int[]) as r (member_id, lo, hi, day)
  join ${schema}.journey_event e
    on e.event_day = r.day and e.member_id = r.member_id and e."timestamp" between r.lo and r.hi
 where not e.deleted and e.action in ('error', 'abandon', 'complete')`,
    // From the keys to the facts, never the other way, which is what the planner takes for a table that it knows to be small:
    // of a generation that is being built it thinks so for a minute, and goes through all facts for every batch.
    attributed: `
select ${facts} from ${KEYS}
 cross join lateral (select * from ${schema}.call_fact a
                      where a.member_id = k.member_id and a.digital_session_id = k.session_id and a.leakage_type = k.journey_type
                        and a.attribution = 'leakage'
                     offset 0) f`,
  };
}

function rangeParameters(ranges: readonly MemberRange[]): unknown[] {
  return [
    textArray(ranges.map((range) => range.member_id)),
    instantArray(ranges.map((range) => range.from)),
    instantArray(ranges.map((range) => range.to)),
  ];
}

/** Ranges cut at the days that lead the index. */
function dailyParameters(ranges: readonly MemberRange[]): unknown[] {
  const daily: MemberRange[] = [];
  const days: number[] = [];
  for (const range of ranges) {
    for (let day = epochDay(range.from); day <= epochDay(range.to); day++) {
      daily.push(range);
      days.push(day);
    }
  }
  return [...rangeParameters(daily), int4Array(days)];
}

function keyParameters(keys: readonly JourneyKey[]): unknown[] {
  return [
    textArray(keys.map((key) => key.member_id)),
    textArray(keys.map((key) => key.session_id)),
    textArray(keys.map((key) => key.journey_type)),
  ];
}

type FlatCall = LiveCall & { readonly [K in keyof CallFact as `f_${K}`]: CallFact[K] | null };

function storedCall(row: FlatCall): StoredCall {
  if (row.f_call_id === null) return { call: row, fact: null };
  const fact: Record<string, unknown> = {};
  for (const name of CALL_FACT_COLUMNS) fact[name] = row[`f_${name}`];
  return { call: row, fact: fact as unknown as CallFact };
}

/** Reads within the sink's transaction: each statement sees what was merged and what was committed before it. */
export function silverReader(tx: Queryable, sql: ReaderStatements): SilverReader {
  const read = async <R>(text: string, values: unknown[]): Promise<R[]> => (await tx.query<R>(text, values)).rows;
  return {
    profiles: (memberIds) => read<ProfileVersion>(sql.profiles, [textArray(memberIds)]),
    calls: async (ranges) => (await read<FlatCall>(sql.calls, rangeParameters(ranges))).map(storedCall),
    facts: (callIds) => read<CallFact>(sql.facts, [textArray(callIds)]),
    outcomes: (keys) => read<JourneyOutcome>(sql.outcomes, keyParameters(keys)),
    outcomesBetween: (ranges) => read<JourneyOutcome>(sql.outcomesBetween, rangeParameters(ranges)),
    events: (ranges) => read<DecisiveEvent>(sql.events, dailyParameters(ranges)),
    attributed: (keys) => read<CallFact>(sql.attributed, keyParameters(keys)),
  };
}

export type { ReaderStatements };
