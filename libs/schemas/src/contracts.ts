import { callLog, digitalJourneyEvent, leakageChange, memberProfile } from './avro.generated.ts';
import { AvroForm, type Writer } from './avro-form.ts';
import type { CallLog, DigitalJourneyEvent, LeakageChange, MemberProfile } from './events.ts';
import { decodeJson, encodeJson } from './json-form.ts';
import { type AvroRecord, type Field, shapeOf } from './shape.ts';
import type { Source } from './topics.ts';

/**
 * What a record's value turned out to be. `error` is one of
 * `null_value`, `empty`, `unknown_format`, `truncated`, `trailing_bytes`, `unknown_schema_id:<id>`,
 * `avro:union_index`, `avro:long_range`, `avro:int_range`, `avro:invalid`,
 * `json`, `type:<field>`, `nul:<field>` (U+0000, which Postgres text refuses),
 * `utf8:<field>` (bytes that are not UTF-8, or an escaped surrogate that stands alone),
 * `timestamp_range:<field>` (outside the years 0001 to 9999).
 */
export type Decoded<T> =
  | {
      ok: true;
      event: T;
      /** The writer's schema id; null for JSON. */
      schemaId: number | null;
      unknownFields: number;
      /** Fields whose value was of a wrong type and is null now. */
      emptied: readonly string[];
    }
  | {
      ok: false;
      error: string;
      /** What could be read: safe to store, not to be used. */
      event: T | null;
      schemaId: number | null;
    };

export interface Contract<T> {
  source: Source;
  /** The id that `encode` writes. */
  schemaId: number;
  /** Name and kind of every field, in the order of the schema. */
  fields: readonly Pick<Field, 'name' | 'kind'>[];
  /** Avro in Confluent's wire format. Throws a TypeError for what the schema cannot represent. */
  encode(event: T): Buffer;
  encodeJson(event: T): Buffer;
  /** Never throws. */
  decode(value: Buffer | null): Decoded<T>;
}

/** Ids without a registry. A new version takes the next free id; older ones stay readable. */
export const SCHEMA_IDS = { journeys: 1, calls: 2, members: 3, changes: 4 } as const;

const NOTHING: readonly string[] = Object.freeze([]);

export function createContract<T extends object>(o: {
  source: Source;
  reader: Writer;
  older?: readonly Writer[];
}): Contract<T> {
  const shape = shapeOf(o.reader.schema);
  const avro = new AvroForm({ shape, reader: o.reader, older: o.older ?? [] });
  const fail = (error: string): Decoded<T> => ({ ok: false, error, event: null, schemaId: null });
  return {
    source: o.source,
    schemaId: o.reader.id,
    fields: shape.fields,
    encode: (event) => avro.encode(event),
    encodeJson: (event) => encodeJson(shape, event as Record<string, unknown>),
    decode(value) {
      if (value === null) return fail('null_value');
      switch (value[0]) {
        case undefined:
          return fail('empty');
        case 0x00: {
          const result = avro.decode(value);
          return (result.ok ? { ...result, emptied: NOTHING } : result) as Decoded<T>;
        }
        case 0x7b:
          return { ...decodeJson(shape, value), schemaId: null } as Decoded<T>;
        default:
          return fail('unknown_format');
      }
    },
  };
}

function writer(id: number, schema: AvroRecord): Writer {
  return { id, schema };
}

export const contracts: {
  journeys: Contract<DigitalJourneyEvent>;
  calls: Contract<CallLog>;
  members: Contract<MemberProfile>;
} = {
  journeys: createContract({ source: 'journeys', reader: writer(SCHEMA_IDS.journeys, digitalJourneyEvent) }),
  calls: createContract({ source: 'calls', reader: writer(SCHEMA_IDS.calls, callLog) }),
  members: createContract({ source: 'members', reader: writer(SCHEMA_IDS.members, memberProfile) }),
};

const changeForm = new AvroForm({
  shape: shapeOf(leakageChange),
  reader: writer(SCHEMA_IDS.changes, leakageChange),
});

/** The topic for outsiders: Avro only. */
export const changes = {
  schemaId: SCHEMA_IDS.changes,
  encode: (event: LeakageChange): Buffer => changeForm.encode(event),
  decode: (value: Buffer): Decoded<LeakageChange> => {
    const result = changeForm.decode(value);
    return (result.ok ? { ...result, emptied: NOTHING } : result) as Decoded<LeakageChange>;
  },
};
