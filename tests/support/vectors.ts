import type { OutgoingRecord } from '@leakage/kafka';
import type { Pool } from '@leakage/postgres';
import { contracts, type Source, topicName } from '@leakage/schemas';
import type { VectorRecord, VectorRow, VectorStep } from '@leakage/testing';

type Row = VectorRow;

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

/** The rows that must hold after a step, in the order of their keys. */
export function expected({ facts, journeys }: VectorStep): { facts: Row[]; journeys: Row[] } {
  return { facts: byKey(facts), journeys: byKey(journeys) };
}

/** The rows of silver for the members of a vector, with just the columns that the fixture speaks of. */
export async function actual(pool: Pool, step: VectorStep): Promise<{ facts: Row[]; journeys: Row[] }> {
  const members = [...new Set([...step.facts, ...step.journeys].map((row) => String(row.member_id)))];
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
