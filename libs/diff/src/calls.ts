import type { Signature } from './causes.ts';
import type { ComparedRange } from './cells.ts';
import { epochMs, identifier, rowOf, wholeNumber } from './sql.ts';
import type { DiffQuery, Side } from './types.ts';

const ofCall = ['shard', 'call_timestamp', 'call_reason', 'sentiment_e4', 'handle_time_seconds'];
const ofFamily = ['issue_family'];
const ofCharge = [
  'attribution',
  'leakage_type',
  'digital_session_id',
  'digital_event_id',
  'digital_timestamp',
  'time_to_call_ms',
  'alignment_strength',
  'device_type',
];
const ofRepeat = ['is_repeat_call'];
const ofDetails = ['is_primary', 'assisted_completion', 'error_code', 'error_message'];
const ofProfile = ['member_category', 'plan_type', 'segment', 'language_preference'];
const ofDay = ['local_date', 'local_hour'];
const compared = [...ofCall, ...ofFamily, ...ofCharge, ...ofRepeat, ...ofDetails, ...ofProfile, ...ofDay];
const allButDay = compared.filter((column) => !ofDay.includes(column));

const versionOfCall = ['revision', 'deleted', 'call_timestamp', 'call_reason', 'ivr_path'];
const versionOfEvent = ['revision', 'deleted', 'timestamp', 'journey_type', 'action', 'device_type'];
const source = ['source_topic', 'source_partition', 'source_offset'];

/**
 * What a diff reads of single calls and events in silver, and so what a login must be allowed to select. No member id: calls
 * are compared by call_id, failures by event_id. That a call has moved to another member shows in its shard and revision.
 */
export const columnsRead = {
  call_fact: ['call_id', ...compared],
  call: ['call_id', ...versionOfCall, ...source],
  journey_event: ['event_id', ...versionOfEvent, ...source],
} as const;

export interface CallsOptions extends ComparedRange {
  readonly windowMs: Readonly<Record<Side, number>>;
  readonly journeyTypes: Readonly<Record<Side, readonly string[]>>;
  readonly watermarks: Readonly<Record<Side, { readonly digital: number | null; readonly calls: number | null }>>;
  /** Calls shown of each kind of difference and journey type. */
  readonly examples: number;
}

/** Calls that differ in the same way and belong to the same journey type ('': charged in neither). */
export interface DifferingCalls {
  readonly signature: Signature;
  readonly journey: string;
  readonly calls: number;
  readonly onlyA: number;
  readonly onlyB: number;
  readonly repeatDifference: number;
  /** The latest of them. */
  readonly shown: readonly ShownCall[];
}

export interface ShownCall {
  readonly callId: string;
  readonly calledAt: number;
  readonly callReason: string | null;
  readonly a: ShownView | null;
  readonly b: ShownView | null;
}

export interface ShownView {
  readonly attribution: string;
  readonly issueFamily: string | null;
  readonly leakageType: string | null;
  readonly failedAt: number | null;
  readonly timeToCallMs: number | null;
  readonly errorCode: string | null;
  readonly isRepeatCall: boolean;
  readonly memberCategory: string;
  readonly localDate: string;
}

/**
 * Every call of the range whose facts differ, counted by how they differ. Postgres compares, looks up the records behind the
 * calls that differ, and counts; only counts and the calls shown leave it.
 */
export async function readDifferingCalls(query: DiffQuery, o: CallsOptions): Promise<DifferingCalls[]> {
  const { rows } = await query(statement(o), [
    o.from,
    o.to,
    o.watermarks.a.calls,
    o.watermarks.b.calls,
    o.watermarks.a.digital,
    o.watermarks.b.digital,
    o.journeyTypes.a,
    o.journeyTypes.b,
  ]);
  return grouped(rows as unknown as CountedRow[]);
}

interface CountedRow extends Omit<DifferingCalls, 'signature' | 'shown'> {
  readonly signature: string;
  readonly callId: string | null;
  readonly calledAt: number;
  readonly callReason: string | null;
  readonly a: ShownView | null;
  readonly b: ShownView | null;
}

/** As signatureSql writes it: booleans as t and f. */
function readSignature(text: string): Signature {
  const values = text.split(',');
  const read = (value: string | undefined) => (value === 't' ? true : value === 'f' ? false : value);
  return Object.fromEntries(signatureParts.map((part, nr) => [part, read(values[nr])])) as unknown as Signature;
}

function grouped(rows: readonly CountedRow[]): DifferingCalls[] {
  const groups = Map.groupBy(rows, ({ signature, journey }) => `${signature}\n${journey}`);
  return [...groups.values()].flatMap((some) => {
    const [first] = some;
    if (first === undefined) return [];
    const { signature, journey, calls, onlyA, onlyB, repeatDifference } = first;
    const shown = some.flatMap(({ callId, calledAt, callReason, a, b }) =>
      callId === null ? [] : [{ callId, calledAt, callReason, a, b }],
    );
    return [{ signature: readSignature(signature), journey, calls, onlyA, onlyB, repeatDifference, shown }];
  });
}

function statement(o: CallsOptions): string {
  const sql = signatureSql(o);
  return `
with pair as materialized (
${pairs(o, { side: 'a', other: 'b', only: 'true' })}
union all
${pairs(o, { side: 'b', other: 'a', only: 'a.call_id is null or a.local_date not between $1::date and $2::date' })}
), judged as materialized (
select p.call_id, p.called_at,
       coalesce(p.b_leakage_type, p.a_leakage_type, '') as journey,
       ${counts('a', 'attribution', `= 'leakage'`)} as charged_a, ${counts('b', 'attribution', `= 'leakage'`)} as charged_b,
       ${counts('a', 'is_repeat_call', '')} as repeat_a, ${counts('b', 'is_repeat_call', '')} as repeat_b,
       concat_ws(',', ${signatureParts.map((part) => sql[part]).join(',\n       ')}) as signature
  from pair p
${lookups(o)}
), counted as (
select signature, journey, count(*)::float8 as calls,
       (count(*) filter (where charged_a and not charged_b))::float8 as "onlyA",
       (count(*) filter (where charged_b and not charged_a))::float8 as "onlyB",
       (count(*) filter (where repeat_b) - count(*) filter (where repeat_a))::float8 as "repeatDifference"
  from judged
 group by signature, journey
), ranked as (
select call_id, signature, journey,
       row_number() over (partition by signature, journey order by called_at desc, call_id) as nr
  from judged
), shown as (
select r.signature, r.journey, r.nr, p.call_id, ${epochMs('p.called_at')} as called_at,
       coalesce(p.b_call_reason, p.a_call_reason) as call_reason, ${view('a')} as a, ${view('b')} as b
  from ranked r
  join pair p on p.call_id = r.call_id
 where r.nr <= ${wholeNumber(o.examples)}
)
select c.signature, c.journey, c.calls, c."onlyA", c."onlyB", c."repeatDifference",
       s.call_id as "callId", s.called_at as "calledAt", s.call_reason as "callReason", s.a, s.b
  from counted c
  left join shown s on s.signature = c.signature and s.journey = c.journey
 order by c.signature, c.journey, s.nr`;
}

/** The differing calls that `side` has in the range, beside what the other one makes of them. Never more than two scans. */
function pairs(o: CallsOptions, which: { readonly side: Side; readonly other: Side; readonly only: string }): string {
  const { side, other, only } = which;
  const facts = (one: Side) => `${silver(o, one)}.call_fact ${one}`;
  const columns = (['a', 'b'] as const).flatMap((one) =>
    compared.map((column) => `${one}.${column} as ${one}_${column}`),
  );
  return `
select coalesce(a.call_id, b.call_id) as call_id, coalesce(b.call_timestamp, a.call_timestamp) as called_at,
       a.call_id is not null as in_a, b.call_id is not null as in_b,
       ${rowOf('a.', allButDay)} is distinct from ${rowOf('b.', allButDay)} as asks_call,
       a.call_id is not null and b.call_id is not null
         and ${rowOf('a.', ofCharge)} is distinct from ${rowOf('b.', ofCharge)} as asks_events,
       ${columns.join(', ')}
  from ${facts(side)} left join ${facts(other)} on a.call_id = b.call_id
 where ${side}.local_date between $1::date and $2::date and (${only})
   and ${rowOf('a.', compared)} is distinct from ${rowOf('b.', compared)}`;
}

/** The stored versions of the call and of the failures it is charged to: one look into an index each, where it is needed. */
function lookups(o: CallsOptions): string {
  const lookup = (alias: string, one: Side, l: { table: string; columns: readonly string[]; where: string }) =>
    `  left join lateral (select ${l.columns.map((column) => `r."${column}"`).join(', ')}
                       from ${silver(o, one)}.${l.table} r where ${l.where} limit 1) ${alias} on true`;
  const call = { table: 'call', columns: columnsRead.call, where: 'p.asks_call and r.call_id = p.call_id' };
  const failure = (of: Side) => ({
    table: 'journey_event',
    columns: columnsRead.journey_event,
    where: `p.asks_events and r.event_id = p.${of}_digital_event_id`,
  });
  return [
    lookup('ca', 'a', call),
    lookup('cb', 'b', call),
    lookup('xa', 'a', failure('a')),
    lookup('xb', 'b', failure('a')),
    lookup('ya', 'a', failure('b')),
    lookup('yb', 'b', failure('b')),
  ].join('\n');
}

const signatureParts = [
  'inBoth',
  'callRecord',
  'charged',
  'chargeDiffers',
  'beyondWindow',
  'familyDiffers',
  'typeUnknown',
  'withoutReason',
  'eventRecord',
  'repeat',
  'detailsDiffer',
  'profileDiffers',
  'dayDiffers',
] as const satisfies readonly (keyof Signature)[];

/** Each part of a signature as SQL; never null, because concat_ws leaves nulls out. */
function signatureSql(o: CallsOptions): Readonly<Record<keyof Signature, string>> {
  const differ = (columns: readonly string[]) =>
    `p.in_a and p.in_b and ${rowOf('p.a_', columns)} is distinct from ${rowOf('p.b_', columns)}`;
  const charged = (one: Side) => `coalesce(p.${one}_attribution = 'leakage', false)`;
  const call = { columns: versionOfCall, time: 'call_timestamp', watermark: { a: '$3', b: '$4' } };
  const event = { columns: versionOfEvent, time: 'timestamp', watermark: { a: '$5', b: '$6' } };
  const failures = [recordState(o, { a: 'xa', b: 'xb', ...event }), recordState(o, { a: 'ya', b: 'yb', ...event })];
  return {
    inBoth: 'p.in_a and p.in_b',
    callRecord: recordState(o, { a: 'ca', b: 'cb', ...call }),
    charged: `case when ${charged('a')} and ${charged('b')} then 'both' when ${charged('a')} then 'a' when ${charged('b')} then 'b' else 'none' end`,
    chargeDiffers: differ(ofCharge),
    beyondWindow: beyondWindow(o, charged),
    familyDiffers: differ(ofFamily),
    typeUnknown: `coalesce(p.a_leakage_type <> all ($8::text[]), false) or coalesce(p.b_leakage_type <> all ($7::text[]), false)`,
    withoutReason: `coalesce(p.b_call_reason, p.a_call_reason, 'unknown') in ('unknown', 'other')`,
    eventRecord: `coalesce(nullif(${failures[0]}, 'same'), ${failures[1]})`,
    repeat: `case when p.a_is_repeat_call = p.b_is_repeat_call or not (p.in_a and p.in_b) then 'same' when p.a_is_repeat_call then 'a' else 'b' end`,
    detailsDiffer: differ(ofDetails),
    profileDiffers: differ(ofProfile),
    dayDiffers: differ(ofDay),
  };
}

/** Charged only where the window is longer, to a failure that lies beyond the shorter one. */
function beyondWindow(o: CallsOptions, charged: (one: Side) => string): string {
  const [shorter, longer]: [Side, Side] = o.windowMs.a < o.windowMs.b ? ['a', 'b'] : ['b', 'a'];
  if (o.windowMs.a === o.windowMs.b) return 'false';
  return `${charged(longer)} and not ${charged(shorter)} and coalesce(p.${longer}_time_to_call_ms > ${wholeNumber(o.windowMs[shorter])}, false)`;
}

interface RecordSql {
  readonly a: string;
  readonly b: string;
  readonly columns: readonly string[];
  readonly time: string;
  readonly watermark: Readonly<Record<Side, string>>;
}

/** RecordState of a record whose stored versions are the rows `a` and `b`. */
function recordState(o: CallsOptions, { a, b, ...kind }: RecordSql): string {
  const columns = kind.columns.map((column) => `"${column}"`);
  const time = `"${kind.time}"`;
  // The version that one of them has lies at or beyond the position of the other one.
  const unread = (has: string, lacking: Side) => `when ${has}.source_offset >= coalesce((
          select q.next_offset from ops.position q
           where q.pipeline = 'silver_${wholeNumber(o[lacking])}' and q.topic = ${has}.source_topic and q.partition = ${has}.source_partition), 0)
        then case when ${epochMs(`${has}.${time}`)} <= ${kind.watermark[lacking]}::float8 then 'late ${lacking}' else 'unread ${lacking}' end`;
  return `case when ${rowOf(`${a}.`, columns)} is not distinct from ${rowOf(`${b}.`, columns)} then 'same'
        ${unread(b, 'a')}
        ${unread(a, 'b')}
        when ${a}.revision is null or ${a}.revision < ${b}.revision then 'left_out a' else 'left_out b' end`;
}

/** Whether a side counts the call in its figures of the range. */
function counts(one: Side, column: string, condition: string): string {
  return `coalesce(p.${one}_${column} ${condition} and p.${one}_local_date between $1::date and $2::date, false)`;
}

function view(one: Side): string {
  const of = (column: string) => `p.${one}_${column}`;
  return `case when p.in_${one} then jsonb_build_object(
         'attribution', ${of('attribution')}, 'issueFamily', ${of('issue_family')}, 'leakageType', ${of('leakage_type')},
         'failedAt', ${epochMs(of('digital_timestamp'))}, 'timeToCallMs', ${of('time_to_call_ms')}, 'errorCode', ${of('error_code')},
         'isRepeatCall', ${of('is_repeat_call')}, 'memberCategory', ${of('member_category')}, 'localDate', ${of('local_date')}) end`;
}

function silver(o: ComparedRange, one: Side): string {
  return identifier(`${o.schemas.silver}_${o[one]}`);
}
