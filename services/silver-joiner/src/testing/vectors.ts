import { contracts } from '@leakage/schemas';
import vectorFile from '../../../../tests/fixtures/leakage-vectors.json' with { type: 'json' };
import type { CallFact, JourneyOutcome } from '../domain/types.ts';
import type { SentRecord } from './delivery.ts';

type Row = Readonly<Record<string, unknown>>;

export interface VectorStep {
  readonly says: string;
  readonly anyOrder: boolean;
  readonly records: readonly SentRecord[];
  readonly facts: readonly Row[];
  readonly journeys: readonly Row[];
  readonly changedCalls: readonly string[] | null;
}

export interface Vector {
  readonly name: string;
  readonly says: string;
  readonly steps: readonly VectorStep[];
}

interface FileStep {
  readonly says: string;
  readonly any_order?: boolean;
  readonly records: readonly { readonly source: string; readonly event: Row }[];
  readonly expect: {
    readonly facts: readonly Row[];
    readonly journeys: readonly Row[];
    readonly changed_calls?: readonly string[];
  };
}

function sent({ source, event }: { readonly source: string; readonly event: Row }): SentRecord {
  const value = Buffer.from(JSON.stringify(event));
  switch (source) {
    case 'journeys':
      return { source, event: opened(contracts.journeys.decode(value)) };
    case 'calls':
      return { source, event: opened(contracts.calls.decode(value)) };
    case 'members':
      return { source, event: opened(contracts.members.decode(value)) };
    default:
      throw new Error(`the fixture has a record of source ${source}`);
  }
}

function opened<T>(decoded: { ok: true; event: T } | { ok: false; error: string }): T {
  if (!decoded.ok) throw new Error(`the fixture has a record that does not decode: ${decoded.error}`);
  return decoded.event;
}

const FACT_DEFAULTS: Row = {
  is_repeat_call: false,
  is_primary: false,
  assisted_completion: false,
  issue_family: null,
  leakage_type: null,
  digital_session_id: null,
  digital_event_id: null,
  digital_timestamp: null,
  time_to_call_minutes: null,
  time_to_call_ms: null,
  alignment_strength: null,
  error_code: null,
  error_message: null,
  device_type: null,
  member_category: 'Unknown',
  plan_type: null,
  segment: null,
  language_preference: null,
};
const OUTCOME_DEFAULTS: Row = {
  device_type: null,
  error_code: null,
  member_category: 'Unknown',
  plan_type: null,
  segment: null,
  language_preference: null,
};
const INSTANTS = new Set(['call_timestamp', 'digital_timestamp', 'first_decisive_at', 'last_decisive_at']);

function expected(row: Row, defaults: Row): Row {
  const entries = Object.entries(row).map(([name, value]): [string, unknown] => [
    name,
    INSTANTS.has(name) && typeof value === 'string' ? Date.parse(value) : value,
  ]);
  return { ...defaults, ...Object.fromEntries<unknown>(entries) };
}

/** The fixture that the rule, the pipeline and the oracle share. */
export const vectors: readonly Vector[] = Object.entries<{ says: string; steps: readonly FileStep[] }>(
  vectorFile.vectors,
).map(([name, { says, steps }]) => ({
  name,
  says,
  steps: steps.map((step) => ({
    says: step.says,
    anyOrder: step.any_order === true,
    records: step.records.map(sent),
    facts: step.expect.facts.map((row) => expected(row, FACT_DEFAULTS)),
    journeys: step.expect.journeys.map((row) => expected(row, OUTCOME_DEFAULTS)),
    changedCalls: step.expect.changed_calls ?? null,
  })),
}));

export function vector(name: string): Vector {
  const found = vectors.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`the fixture has no vector ${name}`);
  return found;
}

/** A fact in the fixture's terms: what the rules decide, with the view's minutes. */
function judged({ shard, call_reason, sentiment_e4, handle_time_seconds, ...rest }: CallFact): Row {
  const ms = rest.time_to_call_ms;
  return { ...rest, time_to_call_minutes: ms === null ? null : (Math.round(ms / 6_000) / 10).toFixed(1) };
}

/** Rows and their columns in one order. */
function ordered(rows: readonly Row[]): Row[] {
  return rows
    .map((row): Row => Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))))
    .sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
}

export interface VectorState {
  readonly facts: readonly Row[];
  readonly journeys: readonly Row[];
}

/** What silver holds, in the fixture's terms. */
export function stateOf(facts: Iterable<CallFact>, outcomes: Iterable<JourneyOutcome>): VectorState {
  return {
    facts: ordered([...facts].map(judged)),
    journeys: ordered([...outcomes].map(({ shard, ...rest }): Row => rest)),
  };
}

/** What silver should hold after these steps, each the last one of its vector. */
export function expectedState(...steps: readonly VectorStep[]): VectorState {
  return {
    facts: ordered(steps.flatMap((step) => step.facts)),
    journeys: ordered(steps.flatMap((step) => step.journeys)),
  };
}
