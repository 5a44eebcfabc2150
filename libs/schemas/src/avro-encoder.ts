import type avsc from 'avsc';
import { HEADER_BYTES, MAGIC, typeOf } from './avro-type.ts';
import { daysOfDate } from './instants.ts';
import { type AvroRecord, type Shape, shapeOf } from './shape.ts';

/** Writes events by one schema under one id. Fields of an event that the schema does not have are left out. */
export class AvroEncoder {
  readonly #shape: Shape;
  readonly #type: avsc.Type;
  readonly #id: number;
  #scratch = Buffer.alloc(4096);

  constructor(o: { id: number; schema: AvroRecord }) {
    this.#shape = shapeOf(o.schema);
    this.#type = typeOf(o.schema);
    this.#id = o.id;
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
    this.#scratch.writeInt32BE(this.#id, 1);
    return Buffer.from(this.#scratch.subarray(0, end));
  }

  /** The end of what was written to the scratch buffer; negative when it is too small. */
  #write(wire: Record<string, unknown>): number {
    try {
      return this.#type.encode(wire, this.#scratch, HEADER_BYTES);
    } catch (error) {
      throw new TypeError(`${this.#shape.name}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }
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
