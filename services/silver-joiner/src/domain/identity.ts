import { compareUtf8 } from './text.ts';
import type { Call, JourneyEvent, Profile } from './types.ts';

/** Parts of a key or a derived id are joined by the unit separator. */
const SEPARATOR = '\u001f';

/** The fields that make two copies of a record the same or different, as text, in the contract's order. */
export type Content = readonly (string | null)[];

/** Lower-case hex of the SHA-256 of a text's UTF-8 bytes. */
export type Sha256 = (text: string) => string;

type DerivedFrom = Pick<
  JourneyEvent,
  'member_id' | 'session_id' | 'timestamp' | 'journey_type' | 'action' | 'error_code'
>;

/** The id of an event whose producer sends none: it sorts by time, and equal events get equal ids. */
export function derivedEventId(event: DerivedFrom, sha256: Sha256): string {
  const parts = [
    event.member_id,
    event.session_id,
    String(event.timestamp),
    event.journey_type,
    event.action,
    event.error_code ?? '',
  ];
  return `${event.timestamp.toString(16).padStart(12, '0')}-${sha256(parts.join(SEPARATOR)).slice(0, 32)}`;
}

export function profileIdentity(profile: Pick<Profile, 'member_id' | 'valid_from'>): string {
  return `${profile.member_id}${SEPARATOR}${instantText(profile.valid_from) ?? ''}`;
}

function instantText(instant: number): string | null {
  return instant === Number.NEGATIVE_INFINITY ? null : String(instant);
}

function numberText(value: number | null): string | null {
  return value === null ? null : String(value);
}

export function journeyContent(event: Omit<JourneyEvent, 'revision' | 'emitted_at'>): Content {
  return [
    event.event_id,
    event.member_id,
    event.session_id,
    instantText(event.timestamp),
    event.journey_type,
    event.action,
    event.device_type,
    event.error_code,
    event.error_message,
    String(event.deleted),
    event.app_version,
  ];
}

export function callContent(call: Omit<Call, 'revision' | 'emitted_at'>): Content {
  return [
    call.call_id,
    call.member_id,
    instantText(call.call_timestamp),
    call.ivr_path,
    numberText(call.handle_time_seconds),
    call.agent_id,
    call.call_reason,
    numberText(call.sentiment_e4),
    call.resolution_status,
    String(call.deleted),
  ];
}

export function profileContent(profile: Omit<Profile, 'revision' | 'emitted_at'>): Content {
  return [
    profile.member_id,
    profile.plan_type,
    profile.segment,
    profile.language_preference,
    String(profile.tenure_months),
    profile.enrollment_date,
    instantText(profile.valid_from),
  ];
}

/** Order of contents: field by field as UTF-8 bytes, null greatest, as Postgres orders text arrays under "C". */
export function compareContent(a: Content, b: Content): number {
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? null;
    const y = b[i] ?? null;
    if (x === y) continue;
    if (x === null) return 1;
    if (y === null) return -1;
    const order = compareUtf8(x, y);
    if (order !== 0) return order;
  }
  return 0;
}
