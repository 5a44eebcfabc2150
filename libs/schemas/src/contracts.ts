import {
  callLogV1,
  digitalJourneyEventV1,
  digitalJourneyEventV2,
  leakageChangeV1,
  memberProfileV1,
} from './avro.generated.ts';
import { AvroDecoder } from './avro-decoder.ts';
import { AvroEncoder } from './avro-encoder.ts';
import { MAGIC } from './avro-type.ts';
import type { CallLog, DigitalJourneyEvent, EventOf, LeakageChange, MemberProfile } from './events.ts';
import { decodeJson, encodeJson, jsonAsSent } from './json-form.ts';
import { type AvroRecord, type Field, type Shape, shapeOf } from './shape.ts';
import type { Source } from './topics.ts';

/**
 * What a record's value turned out to be. `error` is one of
 * `null_value`, `empty`, `unknown_format`, `truncated`, `trailing_bytes`, `unknown_schema_id:<id>`, `incompatible_schema:<id>`,
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

/** One version of a contract's schema, as it is written and for ever read. */
export interface SchemaVersion {
  readonly version: number;
  /** The id that stands for it where there is no registry. A new version takes the next free one. */
  readonly id: number;
  readonly schema: AvroRecord;
}

/** Reads the values of one topic: Avro of every schema it knows, and JSON. Never throws. */
export interface Reader<T> {
  decode(value: Buffer | null): Decoded<T>;
  /**
   * The fields of a value under the names that they were sent with, without any check, for somebody who repairs it; instants
   * and numbers are as they were sent. Null for what is neither JSON nor a record of its writer's schema, or not UTF-8.
   */
  asSent(value: Buffer | null): Record<string, unknown> | null;
}

/** A reader that begins without any schema: ids mean what somebody says they mean, which is a registry. */
export interface LearningReader<T> extends Reader<T> {
  /** The id of the schema that must be learned before this value can be read; null where none is missing. */
  missing(value: Buffer | null): number | null;
  /** Takes a schema under its id. Returns why it cannot be read as ours, or null; its records are then quarantined. */
  learn(id: number, schema: unknown): string | null;
  /** How many schemas it has learned. */
  readonly known: number;
  /** Begins anew, without any schema. */
  forget(): void;
}

export interface Encoder<T> {
  /** Avro in Confluent's wire format. Throws a TypeError for what the schema cannot represent. */
  encode(event: T): Buffer;
}

/** `encode` is by the newest version, under its own id. */
export interface Contract<T> extends Reader<T>, Encoder<T> {
  readonly source: Source;
  /** The oldest first. Events are of the newest. */
  readonly versions: readonly SchemaVersion[];
  /** The id that `encode` writes. */
  readonly schemaId: number;
  /** Name and kind of every field, in the order of the schema. */
  readonly fields: readonly Pick<Field, 'name' | 'kind'>[];
  encodeJson(event: T): Buffer;
  /** By another version, or under the id that a registry gave it. */
  encoder(o: { version: number; id: number }): Encoder<T>;
  learningReader(): LearningReader<T>;
}

export type Encoders = { readonly [S in Source]: Encoder<EventOf[S]> };
export type Readers = { readonly [S in Source]: Reader<EventOf[S]> };

const OPENING_BRACE = 0x7b;
const NOTHING: readonly string[] = Object.freeze([]);

export function createContract<T extends object>(source: Source, versions: readonly SchemaVersion[]): Contract<T> {
  const newest = versions.at(-1);
  if (newest === undefined) throw new Error(`the contract of ${source} has no version`);
  const shape = shapeOf(newest.schema);
  const avro = new AvroDecoder(newest.schema);
  for (const { id, schema } of versions) avro.learn(id, schema);
  const encoder = new AvroEncoder(newest);
  return {
    source,
    versions,
    schemaId: newest.id,
    fields: shape.fields,
    encode: (event) => encoder.encode(event),
    encodeJson: (event) => encodeJson(shape, event as Record<string, unknown>),
    encoder({ version, id }) {
      const found = versions.find((one) => one.version === version);
      if (found === undefined) throw new RangeError(`the contract of ${source} has no version ${version}`);
      return new AvroEncoder({ id, schema: found.schema });
    },
    decode: (value) => decode(value, { avro, shape }),
    asSent: (value) => asSent(value, avro),
    learningReader() {
      const own = new AvroDecoder(newest.schema);
      return {
        decode: (value) => decode(value, { avro: own, shape }),
        asSent: (value) => asSent(value, own),
        missing: (value) => own.missing(value),
        learn: (id, schema) => own.learn(id, schema),
        get known() {
          return own.known;
        },
        forget: () => own.forget(),
      };
    },
  };
}

/** What a value is, its first byte tells. */
function decode<T>(value: Buffer | null, { avro, shape }: { avro: AvroDecoder; shape: Shape }): Decoded<T> {
  if (value === null) return failed('null_value');
  switch (value[0]) {
    case undefined:
      return failed('empty');
    case MAGIC: {
      const result = avro.decode(value);
      return (result.ok ? { ...result, emptied: NOTHING } : result) as Decoded<T>;
    }
    case OPENING_BRACE:
      return { ...decodeJson(shape, value), schemaId: null } as Decoded<T>;
    default:
      return failed('unknown_format');
  }
}

function asSent(value: Buffer | null, avro: AvroDecoder): Record<string, unknown> | null {
  if (value?.[0] === MAGIC) return avro.asSent(value);
  return value?.[0] === OPENING_BRACE ? jsonAsSent(value) : null;
}

function failed<T>(error: string): Decoded<T> {
  return { ok: false, error, event: null, schemaId: null };
}

/** The table of ids that holds where there is no registry: producers were told, so none is ever given away again. */
export const contracts: {
  readonly journeys: Contract<DigitalJourneyEvent>;
  readonly calls: Contract<CallLog>;
  readonly members: Contract<MemberProfile>;
} = {
  journeys: createContract('journeys', [
    { version: 1, id: 1, schema: digitalJourneyEventV1 },
    { version: 2, id: 5, schema: digitalJourneyEventV2 },
  ]),
  calls: createContract('calls', [{ version: 1, id: 2, schema: callLogV1 }]),
  members: createContract('members', [{ version: 1, id: 3, schema: memberProfileV1 }]),
};

const CHANGES_ID = 4;
const changeEncoder = new AvroEncoder({ id: CHANGES_ID, schema: leakageChangeV1 });
const changeDecoder = new AvroDecoder(leakageChangeV1);
changeDecoder.learn(CHANGES_ID, leakageChangeV1);

/** The topic for outsiders: Avro only. */
export const changes = {
  schemaId: CHANGES_ID,
  version: 1,
  schema: leakageChangeV1 as AvroRecord,
  /** Under another id: that of a registry. */
  encoder: (id: number): Encoder<LeakageChange> => new AvroEncoder({ id, schema: leakageChangeV1 }),
  encode: (event: LeakageChange): Buffer => changeEncoder.encode(event),
  decode: (value: Buffer): Decoded<LeakageChange> => {
    const result = changeDecoder.decode(value);
    return (result.ok ? { ...result, emptied: NOTHING } : result) as Decoded<LeakageChange>;
  },
};
