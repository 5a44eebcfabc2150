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

/** Bytes that are not the record's: `cut` keeps that share of them, `noise` replaces them. */
export type Damage = { kind: 'cut'; keep: number } | { kind: 'noise'; bytes: readonly number[] };

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

/** Version 7: the instant in milliseconds, then 74 bits of the given stream. Sorts by time. */
export function uuid7(ms: number, next: () => number): string {
  const time = ms.toString(16).padStart(12, '0');
  const [a, b, c] = [next(), next(), next()];
  const random = hex8(b).slice(0, 3);
  const variant = hex8((c & 0x3fffffff) | 0x80000000);
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7${random}-${variant.slice(0, 4)}-${variant.slice(4)}${hex8(a)}`;
}

function hex8(n: number): string {
  return (n >>> 0).toString(16).padStart(8, '0');
}
