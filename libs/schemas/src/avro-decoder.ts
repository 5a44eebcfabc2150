import { isUtf8 } from 'node:buffer';
import type avsc from 'avsc';
import { HEADER_BYTES, MAGIC, typeOf } from './avro-type.ts';
import { dateOfDays, isInstantInRange } from './instants.ts';
import { type AvroRecord, type Shape, shapeOf } from './shape.ts';

export type AvroResult =
  | { ok: true; event: Record<string, unknown>; schemaId: number; unknownFields: number }
  | { ok: false; error: string; event: Record<string, unknown> | null; schemaId: number | null };

const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;

/**
 * Reads Confluent's wire format. The reader's schema is what code sees; every writer's records are resolved to it, with one
 * resolver made once per writer, when its schema is learned.
 */
export class AvroDecoder {
  readonly #schema: AvroRecord;
  readonly #shape: Shape;
  readonly #reader: avsc.Type;
  readonly #writers = new Map<number, Writer>();

  constructor(schema: AvroRecord) {
    this.#schema = schema;
    this.#shape = shapeOf(schema);
    this.#reader = typeOf(schema);
  }

  /**
   * From now on records of this id are read by this schema, or refused where it cannot be resolved to the reader's. Returns
   * why it cannot, or null.
   */
  learn(id: number, schema: unknown): string | null {
    const writer = this.#writerOf(id, schema);
    this.#writers.set(id, writer);
    return writer.refused?.why ?? null;
  }

  get known(): number {
    return this.#writers.size;
  }

  forget(): void {
    this.#writers.clear();
  }

  /** The id in a value's header, if it could be a schema's and is not known here. Cheap: it is asked of every record. */
  missing(value: Buffer | null): number | null {
    if (value === null || value.length < HEADER_BYTES || value[0] !== MAGIC) return null;
    const id = value.readInt32BE(1);
    return id > 0 && !this.#writers.has(id) ? id : null;
  }

  decode(value: Buffer): AvroResult {
    if (value.length < HEADER_BYTES) return { ok: false, error: 'truncated', event: null, schemaId: null };
    const schemaId = value.readInt32BE(1);
    const writer = this.#writers.get(schemaId);
    if (writer === undefined) return { ok: false, error: `unknown_schema_id:${schemaId}`, event: null, schemaId };
    if (writer.refused !== null) return { ok: false, error: writer.refused.error, event: null, schemaId };
    let decoded: { value: Record<string, unknown>; offset: number };
    try {
      decoded = this.#reader.decode(value, HEADER_BYTES, writer.resolver);
    } catch (error) {
      // avsc throws TypeError and RangeError on bad bytes, which would stop a kafkajs consumer for good.
      return { ok: false, error: shortError(error), event: null, schemaId };
    }
    if (decoded.offset < 0 || decoded.value === undefined)
      return { ok: false, error: 'truncated', event: null, schemaId };
    const event = decoded.value;
    const problem =
      fromWire(this.#shape, event, () => writer.bytes(value)) ??
      (decoded.offset < value.length ? 'trailing_bytes' : null);
    if (problem !== null) return { ok: false, error: problem, event, schemaId };
    return { ok: true, event, schemaId, unknownFields: writer.unknownFields };
  }

  /**
   * A record as its writer's schema has it, under the writer's names and without any check of ours, for somebody who repairs
   * it: of a schema that is refused too. Dates are 'YYYY-MM-DD' where they are dates of the calendar, instants are the numbers
   * that were sent. Null where the bytes are not of that schema, or hold text that is not UTF-8.
   */
  asSent(value: Buffer): Record<string, unknown> | null {
    const own = value.length < HEADER_BYTES ? undefined : this.#writers.get(value.readInt32BE(1))?.own;
    return own === undefined || own === null ? null : readAs(own, value.subarray(HEADER_BYTES));
  }

  #writerOf(id: number, schema: unknown): Writer {
    let own: OwnForm | null = null;
    try {
      const record = recordOf(schema);
      const type = typeOf(record);
      own = { type, dates: namesOfDates(record) };
      checkLogicalTypes(this.#schema, record);
      // Of the same form: read as it lies there, which is quicker.
      const resolver = this.#reader.equals(type) ? undefined : this.#reader.createResolver(type);
      const known = new Set(this.#shape.fields.map((field) => field.name));
      const unknownFields = record.fields.filter((field) => !known.has(field.name)).length;
      return { own, resolver, unknownFields, refused: null, bytes: bytesReader(this.#schema, record) };
    } catch (error) {
      // Whatever avsc throws, it speaks of the schema: that of a foreign producer may be anything.
      const why = error instanceof Error ? error.message : String(error);
      return { ...REFUSED, own, refused: { error: `incompatible_schema:${id}`, why } };
    }
  }
}

type Resolver = ReturnType<avsc.Type['createResolver']>;

/** What is known of a writer: how its records are read, or why they cannot be. */
interface Writer {
  /** Null for what is no Avro record at all. */
  readonly own: OwnForm | null;
  readonly resolver: Resolver | undefined;
  readonly unknownFields: number;
  /** Reads a record once more, with the bytes of every string. */
  bytes(value: Buffer): Record<string, unknown>;
  readonly refused: { readonly error: string; readonly why: string } | null;
}

/** The writer's schema for itself. */
interface OwnForm {
  readonly type: avsc.Type;
  readonly dates: readonly string[];
}

const REFUSED = { resolver: undefined, unknownFields: 0, bytes: (): Record<string, unknown> => ({}) };

function recordOf(schema: unknown): AvroRecord {
  const { type, fields } = (schema ?? {}) as Partial<AvroRecord>;
  if (type !== 'record' || !Array.isArray(fields)) throw new TypeError('it is no Avro record');
  return schema as AvroRecord;
}

/** Avro resolves a long to a long, whatever they count: microseconds would be read as milliseconds. */
function checkLogicalTypes(reader: AvroRecord, writer: AvroRecord): void {
  for (const field of writer.fields) {
    const own = reader.fields.find(({ name }) => name === field.name);
    const [theirs, ours] = [logicalTypeOf(field.type), logicalTypeOf(own?.type)];
    if (own !== undefined && theirs !== null && theirs !== 'uuid' && theirs !== ours)
      throw new TypeError(`its field ${field.name} is a ${theirs}, ours is ${ours ?? 'none'}`);
  }
}

function logicalTypeOf(type: unknown): string | null {
  if (Array.isArray(type)) return type.map(logicalTypeOf).find((found) => found !== null) ?? null;
  const { logicalType } = (type ?? {}) as { logicalType?: unknown };
  return typeof logicalType === 'string' ? logicalType : null;
}

function namesOfDates({ fields }: AvroRecord): string[] {
  return fields.filter(({ type }) => logicalTypeOf(type) === 'date').map(({ name }) => name);
}

function readAs({ type, dates }: OwnForm, body: Buffer): Record<string, unknown> | null {
  let fields: Record<string, unknown>;
  try {
    const decoded: { value: Record<string, unknown> | undefined; offset: number } = type.decode(body, 0);
    if (decoded.value === undefined || decoded.offset !== body.length) return null;
    fields = { ...decoded.value };
    // What is not UTF-8 was replaced on the way: written again, it gives other bytes.
    if (JSON.stringify(fields).includes('\ufffd') && !type.toBuffer(fields).equals(body)) return null;
  } catch {
    return null; // bytes of another schema: whoever repairs is told no more than that
  }
  for (const name of dates) {
    const days = fields[name];
    if (typeof days === 'number') fields[name] = dateOfDays(days) ?? days;
  }
  return fields;
}

/** Decoding replaces what is not UTF-8 by U+FFFD, which a producer may also have sent: only the bytes tell. */
function bytesReader(reader: AvroRecord, writer: AvroRecord): Writer['bytes'] {
  let made: { type: avsc.Type; resolver: Resolver } | null = null;
  return (value) => {
    if (made === null) {
      const type = typeOf(stringsAsBytes(reader));
      made = { type, resolver: type.createResolver(typeOf(stringsAsBytes(writer))) };
    }
    const decoded: { value: Record<string, unknown> } = made.type.decode(value, HEADER_BYTES, made.resolver);
    return decoded.value;
  };
}

/** The same schema on the wire. */
function stringsAsBytes(schema: AvroRecord): AvroRecord {
  // 'string' is a type under the key `type`, and as a branch of a union; anywhere else it is a name or a text.
  const isType = (key: string): boolean => key === 'type' || /^\d+$/.test(key);
  return JSON.parse(JSON.stringify(schema), (key, value: unknown) =>
    value === 'string' && isType(key) ? 'bytes' : value,
  ) as AvroRecord;
}

function shortError(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes('union index')) return 'avro:union_index';
  if (message.includes('precision loss')) return 'avro:long_range';
  return 'avro:invalid';
}

/**
 * Checks what Avro's types do not, in place: a field that no layer can hold becomes empty, and the first problem is told.
 * `bytes` gives the same record with the bytes of its strings; it costs a second decoding, so it is asked in doubt only.
 */
function fromWire(shape: Shape, event: Record<string, unknown>, bytes: () => Record<string, unknown>): string | null {
  let problem: string | null = null;
  for (const field of shape.fields) {
    const value = event[field.name];
    if (value === null) continue;
    let found: string | null = null;
    switch (field.kind) {
      case 'string':
        if ((value as string).includes('\0')) found = `nul:${field.name}`;
        else if ((value as string).includes('\ufffd') && !isUtf8(bytes()[field.name] as Buffer))
          found = `utf8:${field.name}`;
        break;
      case 'instant':
        if (!isInstantInRange(value as number)) found = `timestamp_range:${field.name}`;
        break;
      case 'int':
        // avsc reads an int as any varint; beyond 32 bits the bytes are not of this schema.
        if ((value as number) < INT_MIN || (value as number) > INT_MAX) found = 'avro:int_range';
        break;
      case 'date': {
        const date = dateOfDays(value as number);
        event[field.name] = date;
        if (date === null) found = `timestamp_range:${field.name}`;
        break;
      }
      case 'record':
        if (field.shape !== null)
          found = fromWire(
            field.shape,
            value as Record<string, unknown>,
            () => bytes()[field.name] as Record<string, unknown>,
          );
        break;
      case 'long':
      case 'double':
      case 'boolean':
        break;
    }
    if (found !== null) {
      if (field.kind !== 'record') event[field.name] = field.nullable ? null : field.fallback;
      problem ??= found;
    }
  }
  return problem;
}
