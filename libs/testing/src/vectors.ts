import type { Source } from '@leakage/schemas';
import fixture from '../../../tests/fixtures/leakage-vectors.json' with { type: 'json' };

export type VectorRow = Readonly<Record<string, unknown>>;

/** A record as the fixture has it: `event` is the JSON value of the topic. */
export interface VectorRecord {
  readonly source: Source;
  readonly event: VectorRow;
}

/** Records that arrive, and all rows of silver that must then hold for the vector's members. */
export interface VectorStep {
  readonly says: string;
  /** Every order of the records must end in the same rows. */
  readonly anyOrder: boolean;
  readonly records: readonly VectorRecord[];
  /** Whole rows: what the fixture leaves out is filled in; instants in epoch milliseconds. */
  readonly facts: readonly VectorRow[];
  readonly journeys: readonly VectorRow[];
  /** Exactly the calls whose fact this step changed, where the fixture says so. */
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
  readonly records: readonly { readonly source: string; readonly event: VectorRow }[];
  readonly expect: {
    readonly facts: readonly VectorRow[];
    readonly journeys: readonly VectorRow[];
    readonly changed_calls?: readonly string[];
  };
}

const factDefaults: VectorRow = {
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
const journeyDefaults: VectorRow = {
  device_type: null,
  error_code: null,
  member_category: 'Unknown',
  plan_type: null,
  segment: null,
  language_preference: null,
};
const instants = new Set(['call_timestamp', 'digital_timestamp', 'first_decisive_at', 'last_decisive_at']);

function whole(row: VectorRow, defaults: VectorRow): VectorRow {
  const entries = Object.entries(row).map(([name, value]): [string, unknown] => [
    name,
    instants.has(name) && typeof value === 'string' ? Date.parse(value) : value,
  ]);
  return { ...defaults, ...Object.fromEntries<unknown>(entries) };
}

function recordOf({ source, event }: { readonly source: string; readonly event: VectorRow }): VectorRecord {
  if (source === 'journeys' || source === 'calls' || source === 'members') return { source, event };
  throw new Error(`the fixture has a record of source ${source}`);
}

/** The rules' test vectors, shared by the rule, the pipeline and the oracle. Their format is told in the fixture itself. */
export const vectors: readonly Vector[] = Object.entries<{ says: string; steps: readonly FileStep[] }>(
  fixture.vectors,
).map(([name, { says, steps }]) => ({
  name,
  says,
  steps: steps.map((step) => ({
    says: step.says,
    anyOrder: step.any_order === true,
    records: step.records.map(recordOf),
    facts: step.expect.facts.map((row) => whole(row, factDefaults)),
    journeys: step.expect.journeys.map((row) => whole(row, journeyDefaults)),
    changedCalls: step.expect.changed_calls ?? null,
  })),
}));

export function vector(name: string): Vector {
  const found = vectors.find((candidate) => candidate.name === name);
  if (found === undefined) throw new Error(`the fixture has no vector ${name}`);
  return found;
}

/** Figures over all rows of T-ATT. */
export const totalsOfAtt = fixture.vectors['T-ATT'].totals;
