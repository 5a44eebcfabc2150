/** Every check of `verify`: what is compared with what. The columns that equality means (law 5) are listed here only. */
import type { Comparison } from './compare.ts';
import { cubes } from './gold.ts';
import { isInDays, isOfDays, type Scope } from './range.ts';
import { identifier, literal, wholeNumber } from './sql.ts';
import { totals } from './totals.ts';
import type { NotChecked, OracleOptions, OracleRules } from './types.ts';

/** What a run over some days leaves out, whatever the days are. */
export const leftOut: readonly NotChecked[] = [
  ...[
    'bronze: every offset below the position is there, once',
    'conservation: every record had one outcome',
    'quarantine: the records and the named reasons',
    'watermarks',
  ].map((name) => ({ name, rows: null, reason: 'needs every record' })),
  { name: 'gold: error_message_cube', rows: null, reason: 'its cells have no day' },
  { name: 'gold: daily_leakage_summary', rows: null, reason: 'its days may be others' },
  { name: 'gold: daily_leakage_history: trend_pct', rows: null, reason: 'needs the 13 days before' },
  { name: 'notes on data quality (D4, D6, C7, C8)', rows: null, reason: 'need every record' },
];

const bronzeCheck = 'bronze: every offset below the position is there, once';

/** What a run over everything leaves out after a retention run: of bronze it can say all the same how much there has to be. */
export const leftOutByHorizon: readonly NotChecked[] = leftOut.filter(({ name }) => name !== bronzeCheck);

/** Reasons whose name the rules fix; every other violation has a reason of the joiner's own wording. */
const namedReasons = `('unidentified', 'timestamp_range', 'future', 'emitted_in_future', 'erased')`;
const sorted = (reasons: string, where: string) =>
  `array(select x from unnest(${reasons}) x where ${where} order by x collate "C")`;

function bronzeChecks(options: OracleOptions): Comparison[] {
  const bronze = identifier(options.schemas.bronze);
  const positions = `
    select (row_number() over ())::int as position_no, * from ops.position
     where pipeline = ${literal(options.pipelines.bronze)}`;
  // Topic and partition become one number: that sorts by offset many times faster.
  const counted = ['digital_journeys_raw', 'call_logs_raw', 'member_profiles_raw'].map(
    (table) => `
    select x.position_no, count(*) as records, count(distinct r.kafka_offset) as offsets,
           count(*) filter (where r.kafka_offset < x.first_offset or r.kafka_offset >= x.next_offset) as outside
      from ${bronze}.${table} r
      join x on x.topic = r.kafka_topic and x.partition = r.kafka_partition
     group by x.position_no`,
  );
  return [
    {
      name: bronzeCheck,
      key: ['topic', 'partition'],
      columns: ['records', 'offsets', 'outside'],
      // What retention has dropped was there, and was counted when it went.
      expected: `
select p.topic, p.partition, p.next_offset - p.first_offset - p.holes - d.records as records,
       p.next_offset - p.first_offset - p.holes - d.records as offsets, 0 as outside
  from ops.position p
 cross join lateral (select coalesce(sum(x.records), 0)::bigint as records from ops.bronze_dropped x
                      where x.topic = p.topic and x.partition = p.partition) d
 where p.pipeline = ${literal(options.pipelines.bronze)}`,
      // A partition that holds nothing yet is in ops.position only.
      actual: `
with x as materialized (${positions})
select x.topic, x.partition, coalesce(sum(b.records), 0) as records, coalesce(sum(b.offsets), 0) as offsets,
       coalesce(sum(b.outside), 0) as outside
  from x
  left join (${counted.join(' union all ')}) b using (position_no)
 group by x.topic, x.partition`,
    },
  ];
}

function protocolChecks(options: OracleOptions): Comparison[] {
  const silver = identifier(options.schemas.silver);
  const generation = wholeNumber(options.generation);
  return [
    {
      name: 'conservation: every record had one outcome',
      key: ['topic', 'partition'],
      columns: ['records', 'quarantined', 'kept', 'holes'],
      expected: `
select p.topic, p.partition, p.next_offset - p.first_offset as records, coalesce(r.quarantined, 0) as quarantined,
       coalesce(r.records - r.quarantined, 0) as kept, p.next_offset - p.first_offset - coalesce(r.records, 0) as holes
  from oracle_position p
  left join (select position_no, sum(records) as records, sum(quarantined) as quarantined
               from oracle_partition group by position_no) r using (position_no)`,
      actual: `
select topic, partition, accepted + superseded + duplicates + conflicts + quarantined + holes as records, quarantined,
       accepted + superseded + duplicates + conflicts as kept, holes
  from ops.position where pipeline = ${literal(options.pipelines.silver)}`,
    },
    {
      name: 'quarantine: the records and the named reasons',
      key: ['kafka_topic', 'kafka_partition', 'kafka_offset'],
      columns: ['source', 'reasons', 'unidentified_call'],
      expected: `
select kafka_topic, kafka_partition, kafka_offset, source, ${sorted('reasons', `x <> 'invalid'`)} as reasons, unidentified_call
  from oracle_quarantine`,
      actual: `
select q.kafka_topic, q.kafka_partition, q.kafka_offset, q.source,
       ${sorted('q.reasons', `x <> 'invalid' and (x in ${namedReasons} or x = any (e.reasons))`)} as reasons,
       case when 'unidentified' = any (q.reasons) then q.record_id end as unidentified_call
  from ${silver}.quarantine_record q
  left join oracle_quarantine e using (kafka_topic, kafka_partition, kafka_offset)`,
    },
    {
      name: 'change log: no gap, up to the sequence of its shard',
      key: ['shard'],
      columns: ['last_seq', 'gaps'],
      expected: `select shard, change_seq as last_seq, 0 as gaps from ops.shard where generation = ${generation}`,
      // What every reader has folded may have been trimmed, and what nobody reads need not be there.
      actual: `
select s.shard, case when r.read_seq is null then s.change_seq else coalesce(l.last_seq, r.read_seq) end as last_seq,
       case when r.read_seq is null then 0
            else coalesce(l.last_seq - l.first_seq + 1 - l.entries, 0) + greatest(coalesce(l.first_seq, 1) - 1 - r.read_seq, 0)
        end as gaps
  from ops.shard s
  left join (select shard, min(next_seq) - 1 as read_seq from ops.reader where generation = ${generation}
              group by shard) r using (shard)
 cross join lateral (select min(c.seq) as first_seq, max(c.last_seq) as last_seq, sum(c.last_seq - c.seq + 1)::bigint as entries
                       from ${silver}.change_log c where c.shard = s.shard and c.last_seq > r.read_seq) l
 where s.generation = ${generation}`,
    },
    {
      name: 'watermarks',
      key: ['source'],
      columns: ['watermark'],
      expected: 'select source, watermark from oracle_heard',
      actual: `
select 'digital' as source, max(wm_digital) as watermark from ops.shard where generation = ${generation}
union all select 'calls', max(wm_calls) from ops.shard where generation = ${generation}`,
    },
  ];
}

/** Of conservation, what the positions say by themselves. */
function sumsCheck({ pipelines }: OracleOptions): Comparison {
  const positions = `ops.position where pipeline in (${literal(pipelines.bronze)}, ${literal(pipelines.silver)})`;
  return {
    name: 'conservation: the outcomes of every position add up',
    key: ['pipeline', 'topic', 'partition'],
    columns: ['records'],
    expected: `select pipeline, topic, partition, next_offset - first_offset as records from ${positions}`,
    actual: `
select pipeline, topic, partition, accepted + superseded + duplicates + conflicts + quarantined + holes as records
  from ${positions}`,
  };
}

const conflictHash = `encode(sha256(convert_to(content::text, 'UTF8')), 'hex')`;

/** Identities whose conflicts a run looks at: all, or those of events and calls in the days, and of every profile. */
function conflicting(scope: Scope | null, identity: string, source: string): string {
  if (scope === null) return 'true';
  const among = (kind: string, at: string) =>
    `${identity} in (select identity from oracle_${kind} where ${isInDays(scope, at)})`;
  return `case ${source} when 'journeys' then ${among('journey', '"timestamp"')}
       when 'calls' then ${among('call', 'call_timestamp')} else true end`;
}

function conflictCheck(silver: string, scope: Scope | null): Comparison {
  const rivals = ['journey', 'call', 'profile']
    .map((kind) => `select identity, revision, content, position_no, kafka_offset from oracle_${kind}_rival`)
    .join(' union all ');
  const conflicts = ['journey', 'call', 'profile']
    .map(
      (kind, i) => `select ${literal(['journeys', 'calls', 'members'][i] ?? '')} as source, identity, revision,
       ${conflictHash} as content_hash, 1 as copies from oracle_${kind}_conflict`,
    )
    .join('\nunion all ');
  return {
    name: 'silver: conflicts',
    key: ['source', 'identity', 'revision', 'content_hash'],
    columns: ['copies'],
    expected: `select * from (${conflicts}) c where ${conflicting(scope, 'c.identity', 'c.source')}`,
    // A stored conflict names a copy by its coordinates; its content is looked up in the oracle's own records.
    actual: `
select k.source, coalesce(r.identity, k.identity) as identity, k.revision,
       coalesce(case when r.revision = k.revision and (k.source = 'members' or k.identity = r.identity)
                     then ${conflictHash.replace('content', 'r.content')} end, 'no such record') as content_hash,
       count(*) as copies
  from ${silver}.conflict_record k
  left join oracle_position p on p.topic = k.kafka_topic and p.partition = k.kafka_partition
  left join (${rivals}) r on r.position_no = p.position_no and r.kafka_offset = k.kafka_offset
 where ${conflicting(scope, 'k.identity', 'k.source')}
 group by 1, 2, 3, 4`,
  };
}

/** Of a run over days: of the members of whom something is compared. */
function shardCheck(silver: string, scope: Scope | null): Comparison {
  const inDays = (at: string) => (scope === null ? 'true' : isInDays(scope, at));
  const ofDays = scope === null ? 'true' : isOfDays(scope, 'local_date');
  const rows = {
    journey_event: inDays('"timestamp"'),
    call: inDays('call_timestamp'),
    member_profile: 'true',
    call_fact: ofDays,
    journey_outcome: ofDays,
  };
  const members = `select member_id from oracle_profile
 union select member_id from oracle_journey where ${inDays('"timestamp"')}
 union select member_id from oracle_call where ${inDays('call_timestamp')}`;
  return {
    name: 'silver: every member in its own shard',
    key: ['member_id', 'shard'],
    columns: [],
    expected: `select member_id, shard from oracle_member${scope === null ? '' : ` join (${members}) m using (member_id)`}`,
    actual: Object.entries(rows)
      .map(([stored, where]) => `select member_id, shard from ${silver}.${stored} where ${where}`)
      .join(' union '),
  };
}

function silverChecks(options: OracleOptions, scope: Scope | null): Comparison[] {
  const silver = identifier(options.schemas.silver);
  const table = ({
    stored,
    ...c
  }: Omit<Comparison, 'actual'> & {
    stored: string;
  }): Comparison => ({
    ...c,
    actual: `select ${[...c.key, ...c.columns].map((column) => `"${column}"`).join(', ')} from ${silver}.${stored}`,
  });
  return [
    table({
      name: 'silver: journey events',
      stored: 'journey_event',
      key: ['event_id'],
      columns: [
        'member_id',
        'session_id',
        'timestamp',
        'journey_type',
        'action',
        'device_type',
        'error_code',
        'error_message',
        'revision',
        'deleted',
        'app_version',
      ],
      day: { instant: 'timestamp' },
      expected: `select *, identity as event_id from oracle_journey`,
    }),
    table({
      name: 'silver: calls',
      stored: 'call',
      key: ['call_id'],
      columns: [
        'member_id',
        'call_timestamp',
        'ivr_path',
        'handle_time_seconds',
        'agent_id',
        'call_reason',
        'sentiment_e4',
        'resolution_status',
        'revision',
        'deleted',
      ],
      day: { instant: 'call_timestamp' },
      expected: 'select * from oracle_call',
    }),
    table({
      name: 'silver: member profiles',
      stored: 'member_profile',
      key: ['member_id', 'valid_from'],
      columns: [
        'plan_type',
        'segment',
        'language_preference',
        'tenure_months',
        'enrollment_date',
        'member_category',
        'revision',
      ],
      expected: `select *, ${"case when plan_type = 'Commercial' then 'Commercial' when segment = 'new' then 'MAPD New' else 'MAPD Tenured' end"} as member_category from oracle_profile`,
    }),
    conflictCheck(silver, scope),
    table({
      name: 'silver: digital_call_leakage facts',
      stored: 'call_fact',
      key: ['call_id'],
      columns: [
        'member_id',
        'call_timestamp',
        'call_reason',
        'issue_family',
        'attribution',
        'is_repeat_call',
        'is_primary',
        'assisted_completion',
        'leakage_type',
        'digital_session_id',
        'digital_event_id',
        'digital_timestamp',
        'time_to_call_ms',
        'alignment_strength',
        'error_code',
        'error_message',
        'device_type',
        'member_category',
        'plan_type',
        'segment',
        'language_preference',
        'sentiment_e4',
        'handle_time_seconds',
        'local_date',
        'local_hour',
      ],
      day: 'local_date',
      expected: 'select * from oracle_call_fact',
    }),
    table({
      name: 'silver: digital_call_leakage as people read it',
      stored: 'digital_call_leakage',
      key: ['call_id'],
      columns: [
        'leakage_id',
        'is_leakage_call',
        'leakage_type',
        'time_to_call_minutes',
        'sentiment_score',
        'local_date',
      ],
      day: 'local_date',
      expected: `
select call_id, call_id as leakage_id, attribution = 'leakage' as is_leakage_call, leakage_type, local_date,
       round(time_to_call_ms::numeric / 60000, 1) as time_to_call_minutes, sentiment_e4::numeric / 10000 as sentiment_score
  from oracle_call_fact`,
    }),
    table({
      name: 'silver: journey outcomes',
      stored: 'journey_outcome',
      key: ['member_id', 'session_id', 'journey_type'],
      columns: [
        'outcome',
        'first_decisive_at',
        'last_decisive_at',
        'last_decisive_event_id',
        'device_type',
        'error_code',
        'member_category',
        'plan_type',
        'segment',
        'language_preference',
        'local_date',
        'local_hour',
        'leaked',
        'leakage_calls',
      ],
      day: 'local_date',
      expected: 'select * from oracle_outcome',
    }),
    shardCheck(silver, scope),
  ];
}

function goldChecks(options: OracleOptions, gold: string, o: { rules: OracleRules; trend: boolean }): Comparison[] {
  const generation = wholeNumber(options.generation);
  return [
    {
      name: 'gold: has folded the whole change log',
      key: ['shard'],
      columns: ['next_seq'],
      expected: `select shard, change_seq + 1 as next_seq from ops.shard where generation = ${generation}`,
      actual: `select shard, next_seq from ops.reader where reader = 'gold' and generation = ${generation}`,
    },
    ...Object.entries(cubes).map(([name, cube]): Comparison => {
      const columns = [...cube.key, ...cube.measures];
      // A cell that went back to zero may stay or go.
      const some = cube.measures.map((measure) => `${measure} <> 0`).join(' or ');
      const only = 'only' in cube ? ` and ${cube.only}` : '';
      return {
        name: `gold: ${name}`,
        key: cube.key,
        columns: cube.measures,
        ...('day' in cube ? { day: cube.day } : {}),
        expected: cube.expected,
        actual: `select ${columns.join(', ')} from ${identifier(gold)}.${name} where (${some})${only}`,
      };
    }),
    ...totals({ silver: options.schemas.silver, gold }, o),
  ];
}

/** Whatever the days are: only what is old is refused for its age. */
const ageCheck: Comparison = {
  name: 'quarantine: beyond_retention only before the horizon',
  key: ['topic', 'partition', 'kafka_offset'],
  columns: [],
  expected: `select ''::text as topic, 0 as partition, 0::bigint as kafka_offset where false`,
  actual: 'select topic, partition, kafka_offset from oracle_wrongly_refused',
};

/** Everything, or what can be said of the days of `scope`. `left`: the checks that are left out then. */
export function allChecks(
  options: OracleOptions,
  rules: OracleRules,
  { scope, left }: { readonly scope: Scope | null; readonly left: readonly NotChecked[] },
): Comparison[] {
  const { gold } = options.schemas;
  const checks = [
    ...bronzeChecks(options),
    ...protocolChecks(options),
    ...silverChecks(options, scope),
    ...(gold === null ? [] : goldChecks(options, gold, { rules, trend: scope === null })),
  ];
  if (scope === null) return checks;
  const without = new Set(left.map(({ name }) => name));
  const remaining = checks.filter(({ name }) => !without.has(name)).map((check) => ofDays(check, scope));
  return [sumsCheck(options), ...(scope.horizon === null ? [] : [ageCheck]), ...remaining];
}

function ofDays(check: Comparison, scope: Scope): Comparison {
  const { day, expected, actual } = check;
  if (day === undefined) return check;
  const where = typeof day === 'string' ? isOfDays(scope, `d.${day}`) : isInDays(scope, `d."${day.instant}"`);
  const only = (rows: string) => `select d.* from (${rows}) d where ${where}`;
  return { ...check, expected: only(expected), actual: only(actual) };
}
