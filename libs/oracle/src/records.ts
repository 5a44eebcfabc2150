/** Bronze records below silver's positions, normalised and judged (leakage-rules.md 1, quality-and-privacy.md 8.2). */
import { codeForm, cutText, epochMs, identifier, idForm, keyForm, literal, textArray } from './sql.ts';
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
const instantReasons = (column: string) => `
    case when ${column} < '2000-01-01 00:00:00+00' or ${column} >= '2100-01-01 00:00:00+00' then 'timestamp_range' end,
    case when ${column} > emitted_at + interval '5 minutes' then 'future' end,
    case when emitted_at > kafka_timestamp + interval '5 minutes' then 'emitted_in_future' end`;

interface RecordRules {
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
}

/** Every record that silver has read (bronze may be ahead of it: law 8), with its reasons; null: the record is good. */
function recordTable(options: OracleOptions, kind: Kind, o: RecordRules): string {
  return `
create temp table oracle_${kind} on commit drop as
select ${o.columns}, revision, emitted_at, position_no, kafka_offset, reasons,
       case when reasons is null then ${o.identity} end collate "C" as identity
  from (
    select n.*, case when decode_error is not null then array[decode_error]
                     else nullif(array_remove(array[${o.reasons}], null), '{}') end as reasons
      from (
        select ${o.normalised}, coalesce(r.revision, 0) as revision, coalesce(r.emitted_at, r.kafka_timestamp) as emitted_at,
               r.decode_error, r.kafka_timestamp, r.kafka_offset, p.position_no
          from ${identifier(options.schemas.bronze)}.${o.table} r
          join oracle_position p on p.topic = r.kafka_topic and p.partition = r.kafka_partition
           and r.kafka_offset >= p.first_offset and r.kafka_offset < p.next_offset
        offset 0
      ) n
    offset 0
  ) j`;
}

function journeyRules(rules: OracleRules): RecordRules {
  const derived = ['member_id', 'session_id', `${epochMs('"timestamp"')}::text`, 'journey_type', 'action']
    .map((part) => `${part} || chr(31)`)
    .concat(`coalesce(error_code, '')`)
    .join(' || ');
  return {
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
    ${instantReasons('"timestamp"')}`,
  };
}

// C3: at most 0.05 outside is clamped, more is emptied. C4: 0 to 14,400 seconds. Both keep the record.
const callRules: RecordRules = {
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
    ${instantReasons('call_timestamp')}`,
};

const profileRules: RecordRules = {
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

/** What was read per partition, and what of it cannot be used; from all records, before only the winners are left. */
const countStages = [
  `create temp table oracle_partition on commit drop as
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
  .join(' union all ')}`,
  `create temp table oracle_quarantine on commit drop as
${kinds
  .map(
    (kind) => `
select ${literal(sourceOf[kind])} as source, p.topic as kafka_topic, p.partition as kafka_partition, r.kafka_offset, r.reasons,
       ${kind === 'call' ? `case when 'unidentified' = any (r.reasons) then r.call_id end` : 'null'} as unidentified_call
  from oracle_${kind} r
  join oracle_position p using (position_no)
 where r.reasons is not null`,
  )
  .join(' union all ')}`,
  'analyze oracle_quarantine',
];

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

/** The winning records (oracle_journey, oracle_call, oracle_profile) and what was counted on the way. */
export function recordStages(options: OracleOptions, rules: OracleRules): string[] {
  return [
    recordTable(options, 'journey', journeyRules(rules)),
    recordTable(options, 'call', callRules),
    recordTable(options, 'profile', profileRules),
    ...kinds.map((kind) => `analyze oracle_${kind}`),
    ...countStages,
    ...kinds.flatMap(winnerStages),
  ];
}
