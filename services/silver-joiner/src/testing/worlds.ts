import type { CallLog, DigitalJourneyEvent, MemberProfile } from '@leakage/schemas';
import fc from 'fast-check';
import { DEFAULT_REASON_TABLE } from '../domain/reason-table.ts';
import { DEFAULT_RULES } from '../domain/rules.ts';
import type { CallFact, JourneyOutcome } from '../domain/types.ts';
import type { SentRecord } from './delivery.ts';
import type { NaiveResult, NaiveRules } from './naive-model.ts';

/** Small worlds in which everything that can collide does: few ids, few members, instants on the edges of windows. */
const BASE = Date.UTC(2025, 2, 8, 23, 30);
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

export const NAIVE_RULES: NaiveRules = {
  windowMs: DEFAULT_RULES.windowMs,
  anyReason: false,
  reasons: DEFAULT_REASON_TABLE.reasons,
  tokens: DEFAULT_REASON_TABLE.tokens,
  types: DEFAULT_REASON_TABLE.journeyTypes,
};

// In shards 6, 7 and 6.
const member = fc.constantFrom('M-1', 'M-2', 'M-39');
const instant = fc
  .tuple(
    fc.constantFrom(0, 0, 0, 3, 7, 8),
    fc.constantFrom(0, 5, 20, 30, 35, 45, 60, 65, 90),
    fc.constantFrom(0, 0, 0, 1),
  )
  .map(([days, minutes, ms]) => BASE + days * DAY + minutes * MINUTE + ms);
const message = fc.constantFrom(null, '', 'a', 'é', '\uffee', '😀');
const revision = fc.constantFrom(0, 0, 0, 1, 1, 2);
const deleted = fc.constantFrom(false, false, false, false, true);
const emitted_at = fc.constantFrom(BASE + 12 * DAY, BASE + 12 * DAY + 1);

const journey = fc.record<DigitalJourneyEvent>({
  event_id: fc.constantFrom('e1', 'e2', 'e3', 'e4', 'e\uffee', 'e😀'),
  member_id: member,
  session_id: fc.constantFrom('S1', 'S2'),
  timestamp: instant,
  journey_type: fc.constantFrom('billing', 'billing', 'pharmacy', 'id_card'),
  action: fc.constantFrom('error', 'error', 'abandon', 'complete', 'page_view'),
  device_type: fc.constantFrom('mobile', 'desktop', null),
  error_code: fc.constantFrom('E1', 'E2', null),
  error_message: message,
  revision,
  deleted,
  emitted_at,
  app_version: fc.constantFrom(null, '7.9.0', '7.14.2'),
});
const call = fc.record<CallLog>({
  call_id: fc.constantFrom('c1', 'c2', 'c3', 'c4', 'c\uffee', 'c😀'),
  member_id: member,
  call_timestamp: instant,
  ivr_path: fc.constantFrom(null, 'main > billing > rx', 'main > tech_support', 'main > agent'),
  handle_time_seconds: fc.constantFrom(null, 9, 10, 300),
  agent_id: message,
  call_reason: fc.constantFrom(
    'billing_question',
    'payment_issue',
    'rx_coverage',
    'login_help',
    'claims_status',
    'other',
    null,
  ),
  sentiment_score: fc.constantFrom(null, -0.5, 0.00005, 1),
  resolution_status: fc.constantFrom('resolved', null),
  revision,
  deleted,
  emitted_at,
});
const profile = fc.record<MemberProfile>({
  member_id: member,
  plan_type: fc.constantFrom('MAPD', 'Commercial'),
  segment: fc.constantFrom('new', 'tenured'),
  language_preference: fc.constantFrom('English', 'Spanish', 'Other'),
  tenure_months: fc.constantFrom(2, 10, 90),
  enrollment_date: fc.constant('2024-01-01'),
  valid_from: fc.constantFrom(null, BASE + 5 * MINUTE, BASE + 3 * DAY, BASE + 9 * DAY),
  revision,
  emitted_at,
});

const record: fc.Arbitrary<SentRecord> = fc.oneof(
  { weight: 5, arbitrary: journey.map((event) => ({ source: 'journeys' as const, event })) },
  { weight: 5, arbitrary: call.map((event) => ({ source: 'calls' as const, event })) },
  { weight: 2, arbitrary: profile.map((event) => ({ source: 'members' as const, event })) },
);

/** A set of records, and one way in which they arrive: permuted, some of them twice, cut into batches. */
export interface World {
  readonly records: readonly SentRecord[];
  readonly batches: readonly (readonly SentRecord[])[];
}

export function cut<T>(list: readonly T[], sizes: readonly number[]): T[][] {
  const batches: T[][] = [];
  let from = 0;
  for (let i = 0; from < list.length; i++) {
    const size = sizes.length === 0 ? list.length : (sizes[i % sizes.length] ?? 1);
    batches.push(list.slice(from, from + size));
    from += size;
  }
  return batches;
}

export const worlds: fc.Arbitrary<World> = fc
  .array(record, { minLength: 1, maxLength: 28, size: 'max' })
  .chain((records) =>
    fc
      .tuple(
        fc.subarray([...records]).chain((again) => {
          const sent = [...records, ...again];
          return fc.shuffledSubarray(sent, { minLength: sent.length, maxLength: sent.length });
        }),
        fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 6 }),
      )
      .map(([sent, sizes]) => ({ records, batches: cut(sent, sizes) })),
  );

type Row = Readonly<Record<string, unknown>>;

/** Rows by key, each without the columns that the naive model leaves to other tests, absent values as null. */
function comparable(rows: Iterable<Row>, key: (row: Row) => string): Record<string, Row> {
  const skipped = new Set(['shard', 'local_date', 'local_hour']);
  const entries = [...rows].map((row): [string, Row] => {
    const kept = Object.entries(row).filter(([name, value]) => !skipped.has(name) && value !== null);
    return [key(row), Object.fromEntries(kept)];
  });
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

const callKey = (row: Row) => String(row.call_id as string);
const journeyKey = (row: Row) => JSON.stringify([row.member_id, row.session_id, row.journey_type]);

export function comparableSilver(silver: {
  readonly facts: Iterable<CallFact>;
  readonly outcomes: Iterable<JourneyOutcome>;
}): { facts: Record<string, Row>; outcomes: Record<string, Row> } {
  return {
    facts: comparable(silver.facts as Iterable<Row & CallFact>, callKey),
    outcomes: comparable(silver.outcomes as Iterable<Row & JourneyOutcome>, journeyKey),
  };
}

export function comparableNaive(naive: NaiveResult): { facts: Record<string, Row>; outcomes: Record<string, Row> } {
  return { facts: comparable(naive.facts, callKey), outcomes: comparable(naive.outcomes, journeyKey) };
}
