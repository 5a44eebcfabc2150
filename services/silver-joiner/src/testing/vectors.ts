import { contracts } from '@leakage/schemas';
import * as shared from '@leakage/testing';
import type { CallFact, JourneyOutcome } from '../domain/types.ts';
import type { SentRecord } from './delivery.ts';

type Row = shared.VectorRow;

export interface VectorStep extends Omit<shared.VectorStep, 'records'> {
  readonly records: readonly SentRecord[];
}

export interface Vector extends Omit<shared.Vector, 'steps'> {
  readonly steps: readonly VectorStep[];
}

function sent({ source, event }: shared.VectorRecord): SentRecord {
  const value = Buffer.from(JSON.stringify(event));
  switch (source) {
    case 'journeys':
      return { source, event: opened(contracts.journeys.decode(value)) };
    case 'calls':
      return { source, event: opened(contracts.calls.decode(value)) };
    case 'members':
      return { source, event: opened(contracts.members.decode(value)) };
  }
}

function opened<T>(decoded: { ok: true; event: T } | { ok: false; error: string }): T {
  if (!decoded.ok) throw new Error(`the fixture has a record that does not decode: ${decoded.error}`);
  return decoded.event;
}

/** The shared vectors with their records as the topics' contracts read them. */
export const vectors: readonly Vector[] = shared.vectors.map((one) => ({
  ...one,
  steps: one.steps.map((step) => ({ ...step, records: step.records.map(sent) })),
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
