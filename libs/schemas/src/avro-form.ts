import { isUtf8 } from 'node:buffer';
import avsc from 'avsc';
import { dateOfDays, daysOfDate, isInstantInRange } from './instants.ts';
import type { AvroRecord, Shape } from './shape.ts';

/** A record schema under the id that stands in the wire format. */
export interface Writer {
  id: number;
  schema: AvroRecord;
}

export type AvroResult =
  | { ok: true; event: Record<string, unknown>; schemaId: number; unknownFields: number }
  | { ok: false; error: string; event: Record<string, unknown> | null; schemaId: number | null };

const MAGIC = 0x00;
const HEADER_BYTES = 5;
const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;

/**
 * Confluent's wire format: 0x00, the writer schema's id as int32, the Avro body.
 * `reader` is what code sees; every writer's records are resolved to it, with one resolver made once per writer.
 */
export class AvroForm {
  readonly #shape: Shape;
  readonly #reader: avsc.Type;
  readonly #readerId: number;
  readonly #writers: ReadonlyMap<number, Known>;
  #scratch = Buffer.alloc(4096);

  constructor(o: { shape: Shape; reader: Writer; older?: readonly Writer[] }) {
    this.#shape = o.shape;
    this.#readerId = o.reader.id;
    this.#reader = typeOf(o.reader.schema);
    const known = new Set(o.shape.fields.map((field) => field.name));
    this.#writers = new Map(
      [o.reader, ...(o.older ?? [])].map((writer) => {
        const own = writer.id === o.reader.id;
        const resolver = own ? undefined : this.#reader.createResolver(typeOf(writer.schema));
        const unknownFields = writer.schema.fields.filter((field) => !known.has(field.name)).length;
        return [writer.id, { resolver, unknownFields, bytes: bytesReader(o.reader, writer) }];
      }),
    );
  }

  /** Throws a TypeError for what the schema cannot represent. */
  encode(event: object): Buffer {
    const wire = toWire(this.#shape, event as Record<string, unknown>);
    let end = this.#write(wire);
    if (end < 0) {
      this.#scratch = Buffer.alloc((this.#scratch.length - end) * 2);
      end = this.#write(wire);
    }
    this.#scratch[0] = MAGIC;
    this.#scratch.writeInt32BE(this.#readerId, 1);
    return Buffer.from(this.#scratch.subarray(0, end));
  }

  /** The end of what was written to the scratch buffer; negative when it is too small. */
  #write(wire: Record<string, unknown>): number {
    try {
      return this.#reader.encode(wire, this.#scratch, HEADER_BYTES);
    } catch (error) {
      throw new TypeError(`${this.#shape.name}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }

  decode(value: Buffer): AvroResult {
    if (value.length < HEADER_BYTES) return { ok: false, error: 'truncated', event: null, schemaId: null };
    const schemaId = value.readInt32BE(1);
    const writer = this.#writers.get(schemaId);
    if (writer === undefined) return { ok: false, error: `unknown_schema_id:${schemaId}`, event: null, schemaId };
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
}

type Resolver = ReturnType<avsc.Type['createResolver']>;

/** A writer whose records can be read. */
interface Known {
  readonly resolver: Resolver | undefined;
  readonly unknownFields: number;
  /** Reads a record once more, with the bytes of every string. */
  bytes(value: Buffer): Record<string, unknown>;
}

/** Decoding replaces what is not UTF-8 by U+FFFD, which a producer may also have sent: only the bytes tell. */
function bytesReader(reader: Writer, writer: Writer): Known['bytes'] {
  let made: { type: avsc.Type; resolver: Resolver } | null = null;
  return (value) => {
    if (made === null) {
      const type = typeOf(stringsAsBytes(reader.schema));
      made = { type, resolver: type.createResolver(typeOf(stringsAsBytes(writer.schema))) };
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

function typeOf(schema: AvroRecord): avsc.Type {
  return avsc.Type.forSchema(schema as unknown as avsc.schema.RecordType, {
    omitRecordMethods: true,
    wrapUnions: 'never',
  });
}

function shortError(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes('union index')) return 'avro:union_index';
  if (message.includes('precision loss')) return 'avro:long_range';
  return 'avro:invalid';
}

/** The event with its dates as days; the event itself where it has none. */
function toWire(shape: Shape, event: Record<string, unknown>): Record<string, unknown> {
  let wire = event;
  for (const field of shape.fields) {
    const value = event[field.name];
    if (value === null || (field.kind !== 'date' && field.kind !== 'record')) continue;
    if (wire === event) wire = { ...event };
    wire[field.name] =
      field.shape === null ? dateToWire(field.name, value) : toWire(field.shape, value as Record<string, unknown>);
  }
  return wire;
}

function dateToWire(name: string, value: unknown): number {
  const days = typeof value === 'string' ? daysOfDate(value) : null;
  if (days === null) throw new TypeError(`${name} is not a date: ${String(value)}`);
  return days;
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
