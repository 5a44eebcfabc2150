import type { OutgoingRecord } from '@leakage/kafka';
import type { Pool } from '@leakage/postgres';
import { contracts, type Source, topicName } from '@leakage/schemas';
import fixture from '../fixtures/leakage-vectors.json' with { type: 'json' };

type Row = Record<string, unknown>;

export interface VectorRecord {
  readonly source: Source;
  readonly event: Row;
}
export interface VectorStep {
  readonly says: string;
  readonly any_order?: boolean;
  readonly records: readonly VectorRecord[];
  readonly expect: {
    readonly facts: readonly Row[];
    readonly journeys: readonly Row[];
    readonly changed_calls?: readonly string[];
  };
}
export interface Vector {
  readonly says: string;
  readonly steps: readonly VectorStep[];
}

/** The rules' test vectors; the format is told in the fixture itself. */
export const vectors = fixture.vectors as unknown as Readonly<Record<string, Vector>>;
export const totalsOfAtt = fixture.vectors['T-ATT'].totals;

export function vector(name: string): Vector {
  const found = vectors[name];
  if (found === undefined) throw new Error(`the fixture has no vector ${name}`);
  return found;
}

/** A record as a producer would send it: Avro or JSON in turn, so that every test exercises both forms. */
export function outgoing(prefix: string, { source, event }: VectorRecord, nr: number): OutgoingRecord {
  const json = Buffer.from(JSON.stringify(event));
  const key = typeof event.member_id === 'string' ? event.member_id : null;
  return { topic: topicName(prefix, source), key, value: nr % 2 === 0 ? json : avro(source, json) };
}

function avro(source: Source, json: Buffer): Buffer {
  switch (source) {
    case 'journeys':
      return reencode(contracts.journeys, json);
    case 'calls':
      return reencode(contracts.calls, json);
    case 'members':
      return reencode(contracts.members, json);
  }
}

function reencode<T>(
  contract: { decode(value: Buffer): { ok: boolean; event: T | null }; encode(event: T): Buffer },
  json: Buffer,
) {
  const decoded = contract.decode(json);
  if (!decoded.ok || decoded.event === null)
    throw new Error(`the fixture holds a record that does not decode: ${json.toString()}`);
  return contract.encode(decoded.event);
}

const absentFact: Row = {
  issue_family: null,
  is_repeat_call: false,
  is_primary: false,
  assisted_completion: false,
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
const absentJourney: Row = {
  device_type: null,
  error_code: null,
  member_category: 'Unknown',
  plan_type: null,
  segment: null,
  language_preference: null,
};
const instants = ['call_timestamp', 'digital_timestamp', 'first_decisive_at', 'last_decisive_at'];

function complete(row: Row, absent: Row): Row {
  const whole: Row = { ...absent, ...row };
  for (const name of instants) if (typeof whole[name] === 'string') whole[name] = Date.parse(String(whole[name]));
  return whole;
}

/** The rows that must hold after a step, completed as the fixture says, in the order of their keys. */
export function expected(step: VectorStep): { facts: Row[]; journeys: Row[] } {
  return {
    facts: byKey(step.expect.facts.map((row) => complete(row, absentFact))),
    journeys: byKey(step.expect.journeys.map((row) => complete(row, absentJourney))),
  };
}

/** The rows of silver for the members of a vector, with just the columns that the fixture speaks of. */
export async function actual(pool: Pool, step: VectorStep): Promise<{ facts: Row[]; journeys: Row[] }> {
  const members = [...new Set([...step.expect.facts, ...step.expect.journeys].map((row) => String(row.member_id)))];
  const facts = await pool.query<Row>(
    `select l.call_id, l.member_id, l.call_timestamp, l.local_date, f.local_hour, l.issue_family, l.attribution,
            l.is_repeat_call, l.is_primary, l.assisted_completion, l.leakage_type, l.digital_session_id, l.digital_event_id,
            l.digital_timestamp, l.time_to_call_minutes, l.time_to_call_ms, l.alignment_strength, l.error_code,
            l.error_message, l.device_type, l.member_category, l.plan_type, l.segment, l.language_preference
       from silver.digital_call_leakage l join silver_1.call_fact f using (call_id)
      where l.member_id = any ($1)`,
    [members],
  );
  const journeys = await pool.query<Row>(
    `select member_id, session_id, journey_type, outcome, first_decisive_at, last_decisive_at, last_decisive_event_id,
            device_type, error_code, member_category, plan_type, segment, language_preference, local_date, local_hour,
            leaked, leakage_calls
       from silver_1.journey_outcome where member_id = any ($1)`,
    [members],
  );
  return { facts: byKey(facts.rows), journeys: byKey(journeys.rows) };
}

function byKey(rows: readonly Row[]): Row[] {
  const key = (row: Row) => JSON.stringify([row.call_id, row.member_id, row.session_id, row.journey_type]);
  return [...rows].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
