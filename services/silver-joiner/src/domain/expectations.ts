import type { Source } from '@leakage/schemas';

export type Dimension =
  | 'completeness'
  | 'validity'
  | 'consistency'
  | 'uniqueness'
  | 'referential'
  | 'timeliness'
  | 'volume'
  | 'schema'
  | 'reconciliation'
  | 'invariant';

/** What happens to the record: `drop` leaves it out of silver (bronze keeps it), `conflict` keeps both contents visible. */
export type Action = 'quarantine' | 'warn' | 'drop' | 'conflict' | 'none';

/**
 * The records that a rule looks at, of which its violations are a share: all received; those not quarantined; of these the
 * first versions; of these the events that are errors or carry a code; or the calls and decisive events that were
 * accepted, which are looked up in silver.
 */
export type Base = 'received' | 'valid' | 'first' | 'coded' | 'looked_up';

export interface Expectation {
  readonly id: string;
  /** Empty: it is about layers, not about a source. */
  readonly sources: readonly Source[];
  readonly dimension: Dimension;
  readonly demands: string;
  readonly actions: readonly Action[];
  /** Null: not counted by record. */
  readonly base: Base | null;
  /** The unit of the thresholds; a rule is broken above them. */
  readonly measure: 'share' | 'seconds' | 'differences' | null;
  readonly warnIf: number | null;
  readonly failIf: number | null;
  /** What it counts, by exact name, or by the part before the colon and `*`. */
  readonly reasons: readonly string[];
  readonly warnings: readonly string[];
  /** Warnings that it gives without being broken: they count in no share. */
  readonly tolerated: readonly string[];
  readonly outcomes: readonly ('duplicates' | 'conflicts')[];
}

const nothing = { reasons: [], warnings: [], tolerated: [], outcomes: [] } as const;

/**
 * Every rule that the data must satisfy, once. No rule stops a stream: the thresholds say when the data set, not the
 * record, is in trouble. A reason or warning that clean.ts gives must stand here, or it does not compile.
 */
export const EXPECTATIONS = [
  {
    ...nothing,
    id: 'D1',
    sources: ['journeys'],
    dimension: 'completeness',
    demands: 'Member, session, timestamp, journey type and action are there, and no id is longer than 200 bytes.',
    actions: ['quarantine'],
    base: 'received',
    measure: 'share',
    warnIf: 0.001,
    failIf: 0.05,
    reasons: [
      'missing:member_id',
      'missing:session_id',
      'missing:timestamp',
      'missing:journey_type',
      'missing:action',
      'too_long:event_id',
      'too_long:member_id',
      'too_long:session_id',
    ],
  },
  {
    ...nothing,
    id: 'D2',
    sources: ['journeys'],
    dimension: 'validity',
    demands: 'The action and the journey type are known; a device is one of those known, else it becomes `other`.',
    actions: ['quarantine', 'warn'],
    base: 'received',
    measure: 'share',
    warnIf: 0.005,
    failIf: 0.05,
    reasons: ['unknown:journey_type', 'unknown:action'],
    warnings: ['D2:device_type'],
  },
  {
    ...nothing,
    id: 'D3',
    sources: ['journeys', 'calls'],
    dimension: 'validity',
    demands:
      'The time lies in the years 2000 to 2099, at most 5 minutes after it was sent, and it was sent at most 5 minutes after Kafka got it; more than 30 days before it was sent is kept with a warning.',
    actions: ['quarantine', 'warn'],
    base: 'received',
    measure: 'share',
    warnIf: 0.001,
    failIf: 0.02,
    reasons: ['timestamp_range', 'timestamp_range:*', 'future', 'emitted_in_future', 'beyond_retention'],
    warnings: ['D3:old'],
  },
  {
    ...nothing,
    id: 'D4',
    sources: ['journeys'],
    dimension: 'consistency',
    demands: 'An error carries a code, and a code is one that its journey type is known to give.',
    actions: ['warn'],
    base: 'coded',
    measure: 'share',
    warnIf: 0.05,
    failIf: null,
    warnings: ['D4:missing_error_code', 'D4:unknown_error_code'],
  },
  {
    ...nothing,
    id: 'D5',
    sources: ['journeys'],
    dimension: 'uniqueness',
    demands: 'An event is sent once: same identity, revision and content is an exact duplicate.',
    actions: ['drop'],
    base: 'valid',
    measure: 'share',
    warnIf: 0.02,
    failIf: 0.2,
    outcomes: ['duplicates'],
  },
  {
    ...nothing,
    id: 'D6',
    sources: ['journeys'],
    dimension: 'consistency',
    demands: 'A session belongs to one member (a share of sessions, counted by `leakage verify`).',
    actions: ['warn'],
    base: null,
    measure: 'share',
    warnIf: 0.0005,
    failIf: 0.01,
  },
  {
    ...nothing,
    id: 'C1',
    sources: ['calls'],
    dimension: 'completeness',
    demands: 'Call id and time are there, and no id is longer than 200 bytes.',
    actions: ['quarantine'],
    base: 'received',
    measure: 'share',
    warnIf: 0.001,
    failIf: 0.05,
    reasons: ['missing:call_id', 'missing:call_timestamp', 'too_long:call_id', 'too_long:member_id'],
  },
  {
    ...nothing,
    id: 'C2',
    sources: ['calls'],
    dimension: 'completeness',
    demands: 'The caller is known: a call without member is `unidentified`, a figure of its own.',
    actions: ['quarantine'],
    base: 'received',
    measure: 'share',
    warnIf: 0.02,
    failIf: 0.2,
    reasons: ['unidentified'],
  },
  {
    ...nothing,
    id: 'C3',
    sources: ['calls'],
    dimension: 'validity',
    demands: 'Sentiment lies between -1 and 1; it is clamped up to 0.05 outside, and emptied further out.',
    actions: ['warn'],
    base: 'valid',
    measure: 'share',
    warnIf: 0.01,
    failIf: 0.2,
    warnings: ['C3:clamped', 'C3:sentiment_score'],
  },
  {
    ...nothing,
    id: 'C4',
    sources: ['calls'],
    dimension: 'validity',
    demands: 'Handle time lies between 0 and 14,400 seconds, else it is emptied.',
    actions: ['warn'],
    base: 'valid',
    measure: 'share',
    warnIf: 0.01,
    failIf: 0.2,
    warnings: ['C4:handle_time_seconds'],
  },
  {
    ...nothing,
    id: 'C5',
    sources: ['calls'],
    dimension: 'completeness',
    demands: 'A call has a reason; without one the IVR path is asked.',
    actions: ['warn'],
    base: 'valid',
    measure: 'share',
    warnIf: 0.05,
    failIf: 0.3,
    warnings: ['C5:call_reason'],
  },
  {
    ...nothing,
    id: 'C6',
    sources: ['calls'],
    dimension: 'uniqueness',
    demands: 'One revision of a call has one content.',
    actions: ['conflict'],
    base: 'valid',
    measure: 'share',
    warnIf: 0.001,
    failIf: 0.02,
    outcomes: ['conflicts'],
  },
  {
    ...nothing,
    id: 'C7',
    sources: ['calls'],
    dimension: 'referential',
    demands: 'The profile of the caller is known when the call is accepted; until it is, the category is `Unknown`.',
    actions: ['warn'],
    base: 'looked_up',
    measure: 'share',
    warnIf: 0.005,
    failIf: 0.1,
  },
  {
    ...nothing,
    id: 'C8',
    sources: ['journeys'],
    dimension: 'referential',
    demands: 'The same for an `error`, `abandon` or `complete`; other actions need no profile.',
    actions: ['warn'],
    base: 'looked_up',
    measure: 'share',
    warnIf: 0.005,
    failIf: 0.1,
  },
  {
    ...nothing,
    id: 'P1',
    sources: ['members'],
    dimension: 'validity',
    demands:
      'Member, plan, segment, tenure and enrollment date are there and possible; nobody enrolls after the UTC day on which the profile was sent.',
    actions: ['quarantine'],
    base: 'received',
    measure: 'share',
    warnIf: 0.001,
    failIf: 0.02,
    reasons: [
      'missing:member_id',
      'too_long:member_id',
      'missing:plan_type',
      'unknown:plan_type',
      'missing:segment',
      'unknown:segment',
      'missing:tenure_months',
      'range:tenure_months',
      'missing:enrollment_date',
      'future:enrollment_date',
      'timestamp_range:*',
    ],
  },
  {
    ...nothing,
    id: 'P2',
    sources: ['members'],
    dimension: 'consistency',
    demands: 'The segment is `new` exactly when the tenure is at most 12 months.',
    actions: ['warn'],
    base: 'valid',
    measure: 'share',
    warnIf: 0.02,
    failIf: null,
    warnings: ['P2:segment'],
  },
  {
    ...nothing,
    id: 'P3',
    sources: ['members'],
    dimension: 'uniqueness',
    demands: 'One revision of a profile version has one content.',
    actions: ['conflict'],
    base: 'valid',
    measure: 'share',
    warnIf: 0.001,
    failIf: 0.02,
    outcomes: ['conflicts'],
  },
  {
    ...nothing,
    id: 'S1',
    sources: ['journeys', 'calls'],
    dimension: 'timeliness',
    demands:
      '95 of 100 events are sent within 60 seconds; freshness is how far the watermark lies behind the newest record, and the newest record behind the clock.',
    actions: ['none'],
    base: null,
    measure: 'seconds',
    warnIf: 300,
    failIf: 1800,
  },
  {
    ...nothing,
    id: 'S2',
    sources: ['journeys', 'calls', 'members'],
    dimension: 'volume',
    demands: 'Records keep coming at the rate of the hour: none for 15 minutes where 50 are usual is a failure.',
    actions: ['none'],
    base: null,
    measure: null,
    warnIf: null,
    failIf: null,
  },
  {
    ...nothing,
    id: 'S3',
    sources: ['journeys', 'calls'],
    dimension: 'timeliness',
    demands: 'An event is at most one hour old when it is sent (first versions only: a correction is of an old event).',
    actions: ['warn'],
    base: 'first',
    measure: 'share',
    warnIf: 0.01,
    failIf: 0.05,
    warnings: ['S3:late'],
  },
  {
    ...nothing,
    id: 'S4',
    sources: ['journeys', 'calls', 'members'],
    dimension: 'schema',
    demands:
      'The bytes are a record of a known schema, with the types of the contract; sentiment and handle time of a wrong type are emptied. Additional fields are tolerated.',
    actions: ['quarantine', 'warn'],
    base: 'received',
    measure: 'share',
    warnIf: null,
    failIf: 0.05,
    reasons: [
      'null_value',
      'empty',
      'unknown_format',
      'truncated',
      'trailing_bytes',
      'unknown_schema_id:*',
      'incompatible_schema:*',
      'avro:*',
      'json',
      'type:*',
      'nul:*',
      'utf8:*',
    ],
    warnings: ['type:*'],
    tolerated: ['S4:unknown_fields'],
  },
  {
    ...nothing,
    id: 'E1',
    sources: ['journeys', 'calls', 'members'],
    dimension: 'validity',
    demands: 'No record is of a member who was erased, nor of an event or call that was theirs (`leakage erase`).',
    actions: ['quarantine'],
    base: 'received',
    measure: 'share',
    warnIf: null,
    failIf: null,
    reasons: ['erased'],
  },
  {
    ...nothing,
    id: 'R1',
    sources: [],
    dimension: 'reconciliation',
    demands:
      'Per partition, records in bronze = accepted + superseded + duplicates + conflicts + quarantined (`leakage verify`).',
    actions: ['none'],
    base: null,
    measure: 'differences',
    warnIf: null,
    failIf: 0,
  },
  {
    ...nothing,
    id: 'R2',
    sources: [],
    dimension: 'invariant',
    demands:
      'Segments add up to totals, a call is charged at most once, and leaked <= failed <= decided journeys (`leakage verify`).',
    actions: ['none'],
    base: null,
    measure: 'differences',
    warnIf: null,
    failIf: 0,
  },
] as const satisfies readonly Expectation[];

type Declared = (typeof EXPECTATIONS)[number];
export type RuleId = Declared['id'];
/** Why clean.ts may refuse a record. */
export type Reason = Declared['reasons'][number];
/** What clean.ts may warn of. */
export type Warning = Declared['warnings' | 'tolerated'][number];
