import type { CallLog, DigitalJourneyEvent, MemberProfile } from '@leakage/schemas';

/** What is really so about a call; the product never reads it. */
export interface TruthCall {
  call_id: string;
  leakage: boolean;
  session_id: string | null;
  journey_type: string | null;
  kind: CallKind;
  repeat_of: string | null;
  duplicate_of: string | null;
  revisions: number;
}

export type CallKind =
  | 'leak'
  | 'follow_on'
  | 'repeat_after_failure'
  | 'repeat'
  | 'unaligned'
  | 'late_aligned'
  | 'cured'
  | 'before_failure'
  | 'other'
  | 'orphan'
  | 'enrollment'
  | 'withdrawn';

/**
 * Bytes that are not the record's: `cut` keeps that share of them, `noise` replaces them, `schema` is another form of the record,
 * which nobody was told of.
 */
export type Damage =
  | { kind: 'cut'; keep: number }
  | { kind: 'noise'; bytes: readonly number[] }
  | { kind: 'schema'; breaking: boolean };

interface Common {
  /** The simulated instant of sending, epoch milliseconds. */
  at: number;
  damage: Damage | null;
  /** With the first record of a call. */
  truth: TruthCall | null;
}

/** One record on its way to Kafka. */
export type Emission =
  | (Common & { source: 'journeys'; event: DigitalJourneyEvent })
  | (Common & { source: 'calls'; event: CallLog })
  | (Common & { source: 'members'; event: MemberProfile });

const HEX = Array.from({ length: 0x10000 }, (_, i) => i.toString(16).padStart(4, '0'));

/** Version 7: the instant in milliseconds, then 74 bits of the given stream. Sorts by time. */
export function uuid7(ms: number, next: () => number): string {
  const [a, b, c] = [next(), next(), next()];
  const time = Math.floor(ms / 0x10000);
  const version = 0x7000 | (b >>> 20);
  const variant = 0x8000 | ((c >>> 16) & 0x3fff);
  return `${hex4(time >>> 16)}${hex4(time)}-${hex4(ms % 0x10000)}-${hex4(version)}-${hex4(variant)}-${hex4(c)}${hex4(a >>> 16)}${hex4(a)}`;
}

function hex4(n: number): string {
  return HEX[n & 0xffff] ?? '';
}
