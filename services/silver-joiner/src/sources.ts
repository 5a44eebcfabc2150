import type { CopyType } from '@leakage/postgres';
import { memberCategory } from './domain/enrich.ts';
import { type Content, callContent, journeyContent, profileContent, profileIdentity } from './domain/identity.ts';
import { epochDay } from './domain/time.ts';
import type { Call, JourneyEvent, Profile } from './domain/types.ts';

/** What every stored version has. */
export interface Version {
  readonly member_id: string;
  readonly revision: number;
  readonly emitted_at: number;
}

/** A valid record with where it came from. */
export interface Arrival<R> {
  readonly row: R;
  readonly identity: string;
  readonly shard: number;
  /** Index of the chunk that brought it. */
  readonly lane: number;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly receivedAt: number;
}

interface Column<R> {
  readonly name: string;
  readonly type: CopyType;
  value(row: R): unknown;
}

/** How one source is identified, compared, staged and merged. */
export interface SourceTable<R extends Version, K extends keyof R = keyof R> {
  readonly source: 'journeys' | 'calls' | 'members';
  readonly table: string;
  readonly stage: string;
  readonly key: readonly K[];
  readonly columns: readonly Column<R>[];
  readonly contentNames: readonly string[];
  /** The content in SQL without the key, which is equal wherever contents are compared. */
  contentSql(alias: string): string;
  /** Of a row, or of its key columns alone. */
  identity(row: Pick<R, K>): string;
  content(row: R): Content;
  /** A row of the table from `to_jsonb`, whose instants are texts. */
  parse(stored: Readonly<Record<string, unknown>>): R;
}

const text = (column: string) => `${column}::text`;
const epochMs = (column: string) => `(extract(epoch from ${column}) * 1000)::bigint::text`;

function contentArray(fields: readonly string[]): string {
  return `(array[${fields.join(', ')}]::text[]) collate "C"`;
}

function instantOf(value: unknown): number {
  if (typeof value !== 'string') throw new TypeError('an instant of a stored row is not a text');
  if (value === '-infinity') return Number.NEGATIVE_INFINITY;
  return Date.parse(value);
}

function column<R>(name: string, type: CopyType, value: (row: R) => unknown): Column<R> {
  return { name, type, value };
}

export const JOURNEYS: SourceTable<JourneyEvent, 'event_id'> = {
  source: 'journeys',
  table: 'journey_event',
  stage: 'stage_journey',
  key: ['event_id'],
  columns: [
    column('event_id', 'text', (row) => row.event_id),
    column('event_day', 'int4', (row) => epochDay(row.timestamp)),
    column('member_id', 'text', (row) => row.member_id),
    column('session_id', 'text', (row) => row.session_id),
    column('timestamp', 'timestamptz', (row) => row.timestamp),
    column('journey_type', 'text', (row) => row.journey_type),
    column('action', 'text', (row) => row.action),
    column('device_type', 'text', (row) => row.device_type),
    column('error_code', 'text', (row) => row.error_code),
    column('error_message', 'text', (row) => row.error_message),
    column('revision', 'int4', (row) => row.revision),
    column('deleted', 'bool', (row) => row.deleted),
    column('emitted_at', 'timestamptz', (row) => row.emitted_at),
    column('app_version', 'text', (row) => row.app_version),
  ],
  contentNames: [
    'event_id',
    'member_id',
    'session_id',
    'timestamp',
    'journey_type',
    'action',
    'device_type',
    'error_code',
    'error_message',
    'deleted',
    'app_version',
  ],
  contentSql: (t) =>
    contentArray([
      `${t}.member_id`,
      `${t}.session_id`,
      epochMs(`${t}."timestamp"`),
      `${t}.journey_type`,
      `${t}.action`,
      `${t}.device_type`,
      `${t}.error_code`,
      `${t}.error_message`,
      text(`${t}.deleted`),
      `${t}.app_version`,
    ]),
  identity: (row) => row.event_id,
  content: journeyContent,
  parse: (stored) => ({
    ...(stored as unknown as JourneyEvent),
    timestamp: instantOf(stored.timestamp),
    emitted_at: instantOf(stored.emitted_at),
  }),
};

export const CALLS: SourceTable<Call, 'call_id'> = {
  source: 'calls',
  table: 'call',
  stage: 'stage_call',
  key: ['call_id'],
  columns: [
    column('call_id', 'text', (row) => row.call_id),
    column('member_id', 'text', (row) => row.member_id),
    column('call_timestamp', 'timestamptz', (row) => row.call_timestamp),
    column('ivr_path', 'text', (row) => row.ivr_path),
    column('handle_time_seconds', 'int4', (row) => row.handle_time_seconds),
    column('agent_id', 'text', (row) => row.agent_id),
    column('call_reason', 'text', (row) => row.call_reason),
    column('sentiment_e4', 'int4', (row) => row.sentiment_e4),
    column('resolution_status', 'text', (row) => row.resolution_status),
    column('revision', 'int4', (row) => row.revision),
    column('deleted', 'bool', (row) => row.deleted),
    column('emitted_at', 'timestamptz', (row) => row.emitted_at),
  ],
  contentNames: [
    'call_id',
    'member_id',
    'call_timestamp',
    'ivr_path',
    'handle_time_seconds',
    'agent_id',
    'call_reason',
    'sentiment_e4',
    'resolution_status',
    'deleted',
  ],
  contentSql: (t) =>
    contentArray([
      `${t}.member_id`,
      epochMs(`${t}.call_timestamp`),
      `${t}.ivr_path`,
      text(`${t}.handle_time_seconds`),
      `${t}.agent_id`,
      `${t}.call_reason`,
      text(`${t}.sentiment_e4`),
      `${t}.resolution_status`,
      text(`${t}.deleted`),
    ]),
  identity: (row) => row.call_id,
  content: callContent,
  parse: (stored) => ({
    ...(stored as unknown as Call),
    call_timestamp: instantOf(stored.call_timestamp),
    emitted_at: instantOf(stored.emitted_at),
  }),
};

export const MEMBERS: SourceTable<Profile, 'member_id' | 'valid_from'> = {
  source: 'members',
  table: 'member_profile',
  stage: 'stage_profile',
  key: ['member_id', 'valid_from'],
  columns: [
    column('member_id', 'text', (row) => row.member_id),
    column('valid_from', 'timestamptz', (row) => row.valid_from),
    column('plan_type', 'text', (row) => row.plan_type),
    column('segment', 'text', (row) => row.segment),
    column('language_preference', 'text', (row) => row.language_preference),
    column('tenure_months', 'int4', (row) => row.tenure_months),
    column('enrollment_date', 'date', (row) => row.enrollment_date),
    column('member_category', 'text', memberCategory),
    column('revision', 'int4', (row) => row.revision),
    column('emitted_at', 'timestamptz', (row) => row.emitted_at),
  ],
  contentNames: [
    'member_id',
    'plan_type',
    'segment',
    'language_preference',
    'tenure_months',
    'enrollment_date',
    'valid_from',
  ],
  contentSql: (t) =>
    contentArray([
      `${t}.plan_type`,
      `${t}.segment`,
      `${t}.language_preference`,
      text(`${t}.tenure_months`),
      `to_char(${t}.enrollment_date, 'YYYY-MM-DD')`,
    ]),
  identity: profileIdentity,
  content: profileContent,
  parse: (stored) => ({
    ...(stored as unknown as Profile),
    valid_from: instantOf(stored.valid_from),
    emitted_at: instantOf(stored.emitted_at),
  }),
};
