/** Verification of some local days: which records it needs, what it compares, and what it must leave open. */
import { repeatWindow } from './facts.ts';
import type { Horizon } from './horizon.ts';
import { identifier, literal, milliseconds } from './sql.ts';
import type { DayRange, NotChecked, OracleOptions, OracleQuery, OracleRules } from './types.ts';

/** Instants as Postgres writes them; where a day is open, infinite. */
export interface Scope {
  readonly days: DayRange;
  readonly timeZone: string;
  /** The days, and a little more: whatever has a local date among them lies in here. */
  readonly from: string;
  readonly to: string;
  /** From here to `readTo` every record of a call is read, from `eventsFrom` on every one of an event. */
  readonly callsFrom: string;
  readonly eventsFrom: string;
  readonly readTo: string;
  /** Sessions that decided something from here on are read with all that they ever decided. */
  readonly sessionsFrom: string;
  /** Of a journey that began here or later, every call about it is judged. */
  readonly wholeFrom: string;
  /** After a retention run. */
  readonly horizon: Horizon | null;
}

// A clock that is set back at midnight repeats a part of the day before: never more than this.
const slack = `interval '3 hours'`;

// Most journeys last for minutes, and every day more has to be read: of those that began longer ago, a part is left open.
const journeysLast = `interval '24 hours'`;

/**
 * A call looks back 168 hours for the one that it repeats. What a call is about is decided by events of one window before it,
 * an error code by one more; a journey's calls, and what completes it after one, come up to a window after it.
 */
export async function readScope(
  query: OracleQuery,
  rules: OracleRules,
  { days, horizon }: { readonly days: DayRange; readonly horizon: Horizon | null },
): Promise<Scope> {
  const window = milliseconds(rules.windowMs);
  const { rows } = await query(
    `with days as (
       select coalesce($1::date::timestamp at time zone $3, '-infinity') - ${slack} as since,
              coalesce(($2::date + 1)::timestamp at time zone $3, 'infinity') + ${slack} as until
     ),
     reach as (select *, since - greatest(${journeysLast}, ${window}) - ${window} as whole from days)
select since::text as "from", until::text as "to", (since - ${repeatWindow})::text as "callsFrom",
       (whole - ${window})::text as "eventsFrom", (until + 2 * ${window})::text as "readTo",
       (since - ${window})::text as "sessionsFrom", whole::text as "wholeFrom"
  from reach`,
    [days.from, days.to, rules.timeZone],
  );
  return { ...(rows[0] as Omit<Scope, 'days' | 'timeZone' | 'horizon'>), days, timeZone: rules.timeZone, horizon };
}

type Reach = 'callsFrom' | 'eventsFrom';

export const isRead = (s: Scope, from: Reach, at: string) =>
  `(${at} >= ${literal(s[from])} and ${at} < ${literal(s.readTo)})`;
export const isElsewhere = (s: Scope, from: Reach, at: string) =>
  `(${at} < ${literal(s[from])} or ${at} >= ${literal(s.readTo)})`;

/** Whether a local date is one of the days. */
export function isOfDays({ days }: Scope, date: string): string {
  const from = days.from === null ? [] : [`${date} >= ${literal(days.from)}`];
  const to = days.to === null ? [] : [`${date} <= ${literal(days.to)}`];
  return [...from, ...to].join(' and ') || 'true';
}

/** Whether the local date of an instant is; the bounds before it are cheap. */
export function isInDays(s: Scope, at: string): string {
  const date = `(${at} at time zone ${literal(s.timeZone)})::date`;
  return `${at} >= ${literal(s.from)} and ${at} < ${literal(s.to)} and ${isOfDays(s, date)}`;
}

/**
 * Which calls are about a journey that began before the records that were read, these records do not tell. What depends on
 * it is taken as it is stored, so that nothing is said about it, and counted. After a retention run that is also when such a
 * journey began, and its last failure: silver has kept all of a journey that went on, and nothing of one that was over.
 */
export function openStages({ schemas }: OracleOptions, s: Scope): string[] {
  const silver = identifier(schemas.silver);
  const removed =
    s.horizon === null
      ? ''
      : ', first_decisive_at = k.first_decisive_at, device_type = k.device_type, error_code = k.error_code';
  const old = (member: string, session: string, type: string) =>
    s.horizon === null
      ? 'false'
      : `(${member}, ${session}, ${type}) in (select member_id, session_id, journey_type from oracle_old_journey)`;
  return [
    ...(s.horizon === null ? [] : oldJourneyStages(silver, s.horizon)),
    `create temp table oracle_open_call on commit drop as
select f.call_id from oracle_call_fact f join oracle_anchor a using (call_id)
 where (a.first_at < ${literal(s.wholeFrom)} or ${old('a.member_id', 'a.session_id', 'a.journey_type')})
   and ${isOfDays(s, 'f.local_date')}`,
    `create temp table oracle_open_journey on commit drop as
select member_id, session_id, journey_type from oracle_outcome
 where (first_decisive_at < ${literal(s.wholeFrom)} or ${old('member_id', 'session_id', 'journey_type')})
   and ${isOfDays(s, 'local_date')}`,
    `update oracle_call_fact f set is_primary = k.is_primary
  from oracle_open_call o, ${silver}.call_fact k
 where o.call_id = f.call_id and k.call_id = f.call_id`,
    `update oracle_outcome f set leaked = k.leaked, leakage_calls = k.leakage_calls${removed}
  from oracle_open_journey o, ${silver}.journey_outcome k
 where (o.member_id, o.session_id, o.journey_type) = (f.member_id, f.session_id, f.journey_type)
   and (k.member_id, k.session_id) = (f.member_id, f.session_id) and k.journey_type = f.journey_type collate "C"`,
  ];
}

/** Journeys whose beginning bronze may not have any more. */
function oldJourneyStages(silver: string, { keptFrom }: Horizon): string[] {
  return [
    `create temp table oracle_old_journey on commit drop as
select member_id, session_id, journey_type collate "C" as journey_type from ${silver}.journey_outcome
 where first_decisive_at < ${literal(keptFrom)}`,
    'analyze oracle_old_journey',
  ];
}

/** How much was left open, and from when on nothing is. */
export async function leftOpen(query: OracleQuery, s: Scope): Promise<NotChecked[]> {
  const { rows } = await query(
    `select (select count(*) from oracle_open_journey)::float8 as journeys,
            (select count(*) from oracle_open_call)::float8 as calls`,
  );
  const { journeys, calls } = rows[0] as { journeys: number; calls: number };
  const reason = `the journey began before ${s.wholeFrom}: calls about it may lie before the records that were read`;
  return [
    ...(journeys > 0 ? [{ name: 'silver: journey outcomes: leaked, leakage_calls', rows: journeys, reason }] : []),
    ...(calls > 0 ? [{ name: 'silver: digital_call_leakage facts: is_primary', rows: calls, reason }] : []),
  ];
}
