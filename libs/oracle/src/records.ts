/** Bronze records below silver's positions, normalised and judged (leakage-rules.md 1, quality-and-privacy.md 8.2). */
import { ageReason, type Horizon, isRefused, refusedStages, wronglyRefusedStages } from './horizon.ts';
import { isElsewhere, isRead, type Scope } from './range.ts';
import { codeForm, cutText, epochMs, identifier, idForm, keyForm, literal, textArray, wholeNumber } from './sql.ts';
import type { OracleOptions, OracleRules } from './types.ts';

const kinds = ['journey', 'call', 'profile'] as const;
type Kind = (typeof kinds)[number];

const sourceOf = { journey: 'journeys', call: 'calls', profile: 'members' } as const;

/** Silver's positions, numbered, so that a record carries one number instead of topic and partition. */
export function positionStages(options: OracleOptions): string[] {
  return [
    `create temp table oracle_position on commit drop as
select (row_number() over (order by topic collate "C", partition))::int as position_no,
       topic, partition, first_offset, next_offset
  from ops.position where pipeline = ${literal(options.pipelines.silver)}`,
    'analyze oracle_position',
  ];
}

const tooLong = (id: string) => `coalesce(octet_length(${id}) > 200, false)`;

/** D3: "now" is emitted_at, else the record's Kafka timestamp (law 11). */
const instantReasons = (
  column: string,
  horizon: Horizon | null,
) => `${horizon === null ? '' : `${ageReason(horizon, column)},`}
    case when ${column} < '2000-01-01 00:00:00+00' or ${column} >= '2100-01-01 00:00:00+00' then 'timestamp_range' end,
    case when ${column} > emitted_at + interval '5 minutes' then 'future' end,
    case when emitted_at > kafka_timestamp + interval '5 minutes' then 'emitted_in_future' end`;

interface RecordRules {
  kind: Kind;
  table: string;
  /** The columns of the normalised record. */
  columns: string;
  /** Their values, from the bronze row `r`. */
  normalised: string;
  identity: string;
  /**
   * Why the record cannot be used: reasons whose name the rules fix, 'invalid' for every other violation, null where a
   * rule is kept.
   */
  reasons: string;
  /** It may be refused for its age. */
  ages?: boolean;
}

/** Which of the records: joined relations and a condition, both about the bronze row `r`. */
interface Selection {
  joins?: string;
  where: string;
}

/** Every record that silver has read (bronze may be ahead of it: law 8), with its reasons; null: the record is good. */
function recordsOf(options: OracleOptions, o: RecordRules, only?: Selection): string {
  const aged = o.ages === true;
  return `
select ${o.columns}, revision, emitted_at, position_no, kafka_offset, reasons,
       case when reasons is null then ${o.identity} end collate "C" as identity
  from (
    select n.*, case when decode_error is not null then array[decode_error]
                     else nullif(array_remove(array[${o.reasons}], null), '{}') end as reasons
      from (
        select ${o.normalised}, coalesce(r.revision, 0) as revision, coalesce(r.emitted_at, r.kafka_timestamp) as emitted_at,
               r.decode_error, r.kafka_timestamp, r.kafka_offset, p.position_no${aged ? `, ${isRefused.column}` : ''}
          from ${identifier(options.schemas.bronze)}.${o.table} r
          join oracle_position p on p.topic = r.kafka_topic and p.partition = r.kafka_partition
           and r.kafka_offset >= p.first_offset and r.kafka_offset < p.next_offset
          ${aged ? isRefused.join : ''}
          ${only?.joins ?? ''}
         where ${only?.where ?? 'true'}
        offset 0
      ) n
    offset 0
  ) j`;
}

function journeyRules(rules: OracleRules, horizon: Horizon | null): RecordRules {
  const derived = ['member_id', 'session_id', `${epochMs('"timestamp"')}::text`, 'journey_type', 'action']
    .map((part) => `${part} || chr(31)`)
    .concat(`coalesce(error_code, '')`)
    .join(' || ');
  return {
    kind: 'journey',
    table: 'digital_journeys_raw',
    columns: `member_id, session_id, "timestamp", journey_type, action,
       case when device in ('mobile', 'phone', 'smartphone') then 'mobile'
            when device in ('desktop', 'pc', 'computer') then 'desktop'
            when device in ('tablet', 'ipad') then 'tablet'
            when device is not null then 'other' end as device_type,
       error_code, error_message, deleted, app_version`,
    normalised: `${idForm('r.event_id')} as sent_event_id, ${idForm('r.member_id')} as member_id,
               ${idForm('r.session_id')} as session_id, r."timestamp",
               ${keyForm('r.journey_type')} as journey_type, ${keyForm('r.action')} as action,
               ${keyForm('r.device_type')} as device,
               ${cutText(codeForm('r.error_code'))} as error_code,
               ${cutText('r.error_message')} collate "C" as error_message,
               coalesce(r.deleted, false) as deleted, ${cutText('r.app_version')} collate "C" as app_version`,
    identity: `coalesce(sent_event_id, lpad(to_hex(${epochMs('"timestamp"')}), 12, '0') || '-'
         || left(encode(sha256(convert_to(${derived}, 'UTF8')), 'hex'), 32))`,
    reasons: `
    case when member_id is null or session_id is null or "timestamp" is null or journey_type is null or action is null
           or action not in ('login', 'page_view', 'error', 'abandon', 'complete')
           or journey_type <> all (${textArray(rules.reasons.journeyTypes)})
           or ${tooLong('sent_event_id')} or ${tooLong('member_id')} or ${tooLong('session_id')} then 'invalid' end,
    ${instantReasons('"timestamp"', horizon)}`,
    ages: horizon !== null,
  };
}

// C3: at most 0.05 outside is clamped, more is emptied. C4: 0 to 14,400 seconds. Both keep the record.
const callRules = (horizon: Horizon | null): RecordRules => ({
  kind: 'call',
  table: 'call_logs_raw',
  columns: `call_id, member_id, call_timestamp, ivr_path, handle_time_seconds, agent_id, call_reason, sentiment_e4,
       resolution_status, deleted`,
  normalised: `${idForm('r.call_id')} as call_id, ${idForm('r.member_id')} as member_id, r.call_timestamp,
               ${cutText('r.ivr_path')} collate "C" as ivr_path,
               case when r.handle_time_seconds between 0 and 14400 then r.handle_time_seconds end as handle_time_seconds,
               ${cutText('r.agent_id')} collate "C" as agent_id, ${cutText(keyForm('r.call_reason'))} as call_reason,
               case when abs(r.sentiment_score) <= 1
                      then (sign(r.sentiment_score) * floor(abs(r.sentiment_score) * 10000 + 0.5))::int
                    when abs(r.sentiment_score) <= 1.05 then (sign(r.sentiment_score) * 10000)::int end as sentiment_e4,
               ${cutText(keyForm('r.resolution_status'))} as resolution_status, coalesce(r.deleted, false) as deleted`,
  identity: 'call_id',
  reasons: `
    case when member_id is null then 'unidentified' end,
    case when call_id is null or call_timestamp is null or ${tooLong('call_id')} or ${tooLong('member_id')}
         then 'invalid' end,
    ${instantReasons('call_timestamp', horizon)}`,
  ages: horizon !== null,
});

const profileRules: RecordRules = {
  kind: 'profile',
  table: 'member_profiles_raw',
  columns: 'member_id, valid_from, plan_type, segment, language_preference, tenure_months, enrollment_date',
  normalised: `${idForm('r.member_id')} as member_id, coalesce(r.valid_from, '-infinity') as valid_from,
               case ${keyForm('r.plan_type')} when 'mapd' then 'MAPD' when 'commercial' then 'Commercial' end as plan_type,
               case ${keyForm('r.segment')} when 'new' then 'new' when 'tenured' then 'tenured' end as segment,
               case ${keyForm('r.language_preference')} when 'english' then 'English' when 'spanish' then 'Spanish'
                 else 'Other' end as language_preference,
               r.tenure_months, r.enrollment_date`,
  identity: `member_id || chr(31) || case when valid_from = '-infinity' then '' else ${epochMs('valid_from')}::text end`,
  reasons: `
    case when member_id is null or plan_type is null or segment is null or tenure_months is null or tenure_months < 0
           or enrollment_date is null or enrollment_date > (emitted_at at time zone 'UTC')::date
           or ${tooLong('member_id')} then 'invalid' end`,
};

/**
 * Records of which erasure has left only that they were there. Silver may have kept such a record, when there was something to
 * keep, or have quarantined it, for a reason that nothing tells any more: which of the two, its own word is taken for.
 */
const tombstoneStages = ({ schemas }: OracleOptions) => [
  `create temp table oracle_tombstone on commit drop as
select t.*, q.kafka_offset is not null as quarantined, q.reasons
  from (${kinds
    .map(
      (kind) =>
        `select ${literal(kind)} as kind, position_no, kafka_offset from oracle_${kind} where reasons = array['erased']`,
    )
    .join(' union all ')}) t
  join oracle_position p using (position_no)
  left join ${identifier(schemas.silver)}.quarantine_record q
    on q.kafka_topic = p.topic and q.kafka_partition = p.partition and q.kafka_offset = t.kafka_offset`,
  'analyze oracle_tombstone',
];

/** What was read per partition, and what of it cannot be used; from all records, before only the winners are left. */
const countStages = [
  `create temp table oracle_partition on commit drop as
select r.kind, r.position_no, r.records, r.quarantined - coalesce(t.kept, 0) as quarantined, r.watermark
  from (
${[
  ['journey', 'least("timestamp", emitted_at)'],
  ['call', 'least(call_timestamp, emitted_at)'],
  ['profile', 'null::timestamptz'],
]
  .map(
    ([kind, heard]) => `
select ${literal(kind ?? '')} as kind, position_no, count(*) as records, count(reasons) as quarantined,
       max(case when reasons is null then ${heard} end) as watermark
  from oracle_${kind} group by position_no`,
  )
  .join(' union all ')}) r
  left join (select position_no, count(*) as kept from oracle_tombstone where not quarantined group by position_no) t
    using (position_no)`,
  `create temp table oracle_quarantine on commit drop as
${kinds
  .map(
    (kind) => `
select ${literal(sourceOf[kind])} as source, p.topic as kafka_topic, p.partition as kafka_partition, r.kafka_offset,
       coalesce(t.reasons, r.reasons) as reasons,
       ${kind === 'call' ? `case when 'unidentified' = any (r.reasons) then r.call_id end` : 'null'} as unidentified_call
  from oracle_${kind} r
  join oracle_position p using (position_no)
  left join oracle_tombstone t using (position_no, kafka_offset)
 where r.reasons is not null and t.quarantined is not false`,
  )
  .join(' union all ')}`,
  'analyze oracle_quarantine',
];

/** The greatest event times heard of. What was erased may have been the newest: then silver's own word is taken, if it is later. */
const watermarkStage = ({ generation }: OracleOptions) => `create temp table oracle_heard on commit drop as
select s.source, greatest(max(p.watermark), case when exists (select from oracle_tombstone t where t.kind = s.kind) then
         (select max(case s.kind when 'journey' then wm_digital else wm_calls end) from ops.shard
           where generation = ${wholeNumber(generation)}) end) as watermark
  from (values ('digital', 'journey'), ('calls', 'call')) s (source, kind)
  left join oracle_partition p using (kind)
 group by s.source, s.kind`;

// Content = the fields of contracts.md section 2 in order, as text, without revision and emitted_at; a re-sent copy with
// another emitted_at is a duplicate. Arrays compare null as the greatest, as the rule wants.
const contents = {
  journey: `array[identity, member_id, session_id, ${epochMs('"timestamp"')}::text, journey_type, action, device_type,
    error_code, error_message, deleted::text, app_version]::text[] collate "C"`,
  call: `array[call_id, member_id, ${epochMs('call_timestamp')}::text, ivr_path, handle_time_seconds::text, agent_id,
    call_reason, sentiment_e4::text, resolution_status, deleted::text]::text[] collate "C"`,
  profile: `array[member_id, plan_type, segment, language_preference, tenure_months::text,
    to_char(enrollment_date, 'YYYY-MM-DD'), case when valid_from > '-infinity' then ${epochMs('valid_from')}::text end
    ]::text[] collate "C"`,
};

/**
 * Leaves per identity the record that is the truth: the highest revision, then the greatest content (leakage-rules.md
 * section 2). Identities with several records are few, so only these are sorted by content.
 */
function winnerStages(kind: Kind): string[] {
  const rival = `oracle_${kind}_rival`;
  return [
    `create temp table ${rival} on commit drop as
select *, max(revision) over (partition by identity) as highest,
       row_number() over (partition by identity order by revision desc, content desc) as place
  from (
    select identity, revision, position_no, kafka_offset, ctid as row_id, ${contents[kind]} as content
      from oracle_${kind}
     where identity in (select identity from oracle_${kind} where reasons is null group by identity having count(*) > 1)
  ) r`,
    `analyze ${rival}`,
    `delete from oracle_${kind} r using ${rival} x where r.ctid = x.row_id and x.place > 1`,
    `delete from oracle_${kind} where reasons is not null`,
    `analyze oracle_${kind}`,
    // All distinct contents at an identity's highest revision, where there is more than one.
    `create temp table oracle_${kind}_conflict on commit drop as
select distinct identity, revision, content
  from ${rival}
 where revision = highest
   and identity in (select identity from ${rival} where revision = highest
                     group by identity having count(distinct content) > 1)`,
  ];
}

const loaded = (kind: Kind, records: string) => `create temp table oracle_${kind} on commit drop as ${records}`;

/** All records into oracle_journey, oracle_call and oracle_profile, those that cannot be used too. */
function readAll(options: OracleOptions, rules: OracleRules): string[] {
  return [journeyRules(rules, null), callRules(null), profileRules].map((one) =>
    loaded(one.kind, recordsOf(options, one)),
  );
}

/**
 * The records that some days need, each with all others of its identity: a correction may move an event into these days or out
 * of them, so an identity counts as soon as one of its records lies there.
 */
function readDays(options: OracleOptions, rules: OracleRules, scope: Scope): string[] {
  const calls = callRules(scope.horizon);
  return [
    loaded('profile', recordsOf(options, profileRules)),
    loaded('call', recordsOf(options, calls, { where: isRead(scope, 'callsFrom', 'r.call_timestamp') })),
    ...wantedStages('oracle_wanted_call', 'select identity from oracle_call'),
    `insert into oracle_call ${recordsOf(options, calls, {
      joins: `join oracle_wanted_call w on w.identity = r.call_id collate "C"`,
      where: isElsewhere(scope, 'callsFrom', 'r.call_timestamp'),
    })}`,
    ...readJourneys(options, journeyRules(rules, scope.horizon), scope),
  ];
}

const wantedStages = (name: string, identities: string) => [
  `create temp table ${name} on commit drop as
select distinct identity from (${identities}) i where identity is not null`,
  `analyze ${name}`,
];

/** An id that was derived begins with its instant: of records without an id, only those of such instants can have it. */
const momentStages = (name: string, scope: Scope) => [
  `create temp table ${name}_at on commit drop as
select distinct at
  from (select case when identity ~ '^[0-9a-f]{12}-[0-9a-f]{32}$'
                    then timestamptz 'epoch' + ('x0000' || left(identity, 12))::bit(64)::bigint * interval '1 ms' end as at
          from ${name}) i
 where ${isElsewhere(scope, 'eventsFrom', 'at')}`,
  `analyze ${name}_at`,
];

const byId = (wanted: string) => `${wanted} w on w.identity = r.event_id collate "C"`;
const byMoment = (wanted: string) => `${wanted}_at m on m.at = r."timestamp" and coalesce(r.event_id, '') = ''`;
const bySession =
  'oracle_session s on s.member_id = r.member_id collate "C" and s.session_id = r.session_id collate "C"';
const isIn = (wanted: string) => `exists (select from ${wanted} w where w.identity = e.identity)`;
const decides = `action in ('error', 'abandon', 'complete')`;

/**
 * A journey is known by its first decisive event and by its last, wherever they lie: with the sessions that decided something
 * in these days come the identities of which another record, at another time, decides something in them.
 */
function readJourneys(options: OracleOptions, journeys: RecordRules, scope: Scope): string[] {
  const elsewhere = isElsewhere(scope, 'eventsFrom', 'r."timestamp"');
  const [wanted, ofSessions] = ['oracle_wanted_journey', 'oracle_session_journey'];
  return [
    loaded('journey', recordsOf(options, journeys, { where: isRead(scope, 'eventsFrom', 'r."timestamp"') })),
    ...wantedStages(wanted, 'select identity from oracle_journey'),
    ...momentStages(wanted, scope),
    `create temp table oracle_session on commit drop as
select distinct member_id, session_id from oracle_journey
 where reasons is null and ${decides} and "timestamp" >= ${literal(scope.sessionsFrom)} and "timestamp" < ${literal(scope.to)}`,
    'analyze oracle_session',
    `create temp table oracle_elsewhere on commit drop as ${recordsOf(options, journeys, {
      joins: `left join ${byId(wanted)} left join ${byMoment(wanted)} left join ${bySession}`,
      where: `${elsewhere} and (w.identity is not null or m.at is not null or s.member_id is not null)`,
    })}`,
    `insert into oracle_journey select e.* from oracle_elsewhere e where ${isIn(wanted)}`,
    ...wantedStages(
      ofSessions,
      `select e.identity from oracle_elsewhere e join oracle_session s using (member_id, session_id)
 where e.${decides} and not ${isIn(wanted)}`,
    ),
    ...momentStages(ofSessions, scope),
    // Most often there are none, and a join with nothing does not read bronze once more.
    ...[byId(ofSessions), byMoment(ofSessions)].map(
      (found) => `insert into oracle_journey
select e.* from (${recordsOf(options, journeys, { joins: `join ${found}`, where: elsewhere })}) e where ${isIn(ofSessions)}`,
    ),
  ];
}

/** Every record that a run needs (oracle_journey, oracle_call, oracle_profile), and what is counted of all of them. */
export function readStages(options: OracleOptions, rules: OracleRules, scope: Scope | null): string[] {
  const horizon = scope?.horizon ?? null;
  return [
    ...(horizon === null ? [] : refusedStages(options)),
    ...(scope === null ? readAll(options, rules) : readDays(options, rules, scope)),
    ...(horizon === null ? [] : wronglyRefusedStages(horizon)),
    ...kinds.map((kind) => `analyze oracle_${kind}`),
    ...(scope === null ? [...tombstoneStages(options), ...countStages, watermarkStage(options)] : []),
  ];
}

/** Leaves the winning records. */
export function winningStages(): string[] {
  return kinds.flatMap(winnerStages);
}
