import type { CallLog, DigitalJourneyEvent, EventOf, MemberProfile, Source } from '@leakage/schemas';

type ColumnType = 'text' | 'int4' | 'int8' | 'float8' | 'bool' | 'timestamptz' | 'date' | 'bytea' | 'jsonb';

/** A record as it came: the same for every source. */
const received = {
  kafka_topic: 'text',
  kafka_partition: 'int4',
  kafka_offset: 'int8',
  kafka_timestamp: 'timestamptz',
  kafka_key: 'bytea',
  headers: 'jsonb',
  payload: 'bytea',
  schema_id: 'int4',
  decode_error: 'text',
  source_file: 'text',
} as const satisfies Record<string, ColumnType>;

/** In `decode_error`: what the record held was erased. */
export const ERASED = 'erased';
/** In `kafka_key`: it named a member who was erased, and the rest of the record does not. */
export const ERASED_KEY = Buffer.alloc(0);

export type Received = { [name in keyof typeof received]: unknown };

// `satisfies` makes a new field of a contract a type error here until it has a column.
const decoded = {
  journeys: {
    event_id: 'text',
    member_id: 'text',
    session_id: 'text',
    timestamp: 'timestamptz',
    journey_type: 'text',
    action: 'text',
    device_type: 'text',
    error_code: 'text',
    error_message: 'text',
    revision: 'int4',
    deleted: 'bool',
    emitted_at: 'timestamptz',
    app_version: 'text',
  } satisfies Record<keyof DigitalJourneyEvent, ColumnType>,
  calls: {
    call_id: 'text',
    member_id: 'text',
    call_timestamp: 'timestamptz',
    ivr_path: 'text',
    handle_time_seconds: 'int4',
    agent_id: 'text',
    call_reason: 'text',
    sentiment_score: 'float8',
    resolution_status: 'text',
    revision: 'int4',
    deleted: 'bool',
    emitted_at: 'timestamptz',
  } satisfies Record<keyof CallLog, ColumnType>,
  members: {
    member_id: 'text',
    plan_type: 'text',
    segment: 'text',
    language_preference: 'text',
    tenure_months: 'int4',
    enrollment_date: 'date',
    valid_from: 'timestamptz',
    revision: 'int4',
    emitted_at: 'timestamptz',
  } satisfies Record<keyof MemberProfile, ColumnType>,
} as const;

export interface Layout<S extends Source = Source> {
  readonly table: string;
  readonly columns: readonly string[];
  readonly types: readonly ColumnType[];
  /** The id of what a record is about, as it was sent; null: it has none but its member. */
  recordId(event: EventOf[S] | null): string | null;
  /** The row's values in the order of `columns`; the array is the caller's and used again for every row. */
  fill(row: unknown[], as: Received, event: EventOf[S] | null): void;
}

function layout<S extends Source>(
  source: S,
  { table, id }: { readonly table: string; readonly id: (event: EventOf[S]) => string | null },
): Layout<S> {
  const receivedNames = Object.keys(received) as (keyof Received)[];
  const eventNames = Object.keys(decoded[source]) as (keyof EventOf[S] & string)[];
  return {
    table,
    columns: [...receivedNames, ...eventNames],
    types: [...Object.values(received), ...Object.values(decoded[source])],
    recordId: (event) => (event === null ? null : id(event)),
    fill(row, as, event) {
      let i = 0;
      for (const name of receivedNames) row[i++] = as[name];
      for (const name of eventNames) row[i++] = event === null ? null : event[name];
    },
  };
}

export const layouts: { readonly [S in Source]: Layout<S> } = {
  journeys: layout('journeys', { table: 'digital_journeys_raw', id: (event) => event.event_id }),
  calls: layout('calls', { table: 'call_logs_raw', id: (call) => call.call_id }),
  members: layout('members', { table: 'member_profiles_raw', id: () => null }),
};

const MIN_INSTANT_MS = Date.parse('0001-01-01T00:00:00Z');
const MAX_INSTANT_MS = Date.parse('9999-12-31T23:59:59.999Z');

/** A record's Kafka timestamp as an instant that every layer can hold: a producer may have set it to anything. */
export function storableInstant(ms: number): number {
  if (ms > MAX_INSTANT_MS) return Number.POSITIVE_INFINITY;
  return ms >= MIN_INSTANT_MS ? Math.trunc(ms) : Number.NEGATIVE_INFINITY;
}
