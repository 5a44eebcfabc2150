import { putInstant, putInt4 } from './binary.ts';
import { daysOfCivil } from './values.ts';

export type CopyType =
  | 'text'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'float8'
  | 'bool'
  | 'timestamptz'
  | 'date'
  | 'bytea'
  | 'json'
  | 'jsonb'
  | 'text[]';

const SIGNATURE = Buffer.from([0x50, 0x47, 0x43, 0x4f, 0x50, 0x59, 0x0a, 0xff, 0x0d, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const CHUNK_BYTES = 256 * 1024;
const KEPT_CHUNKS = 128;
const TEXT_OID = 25;
const TWO_32 = 4_294_967_296;
const POSTGRES_EPOCH_DAY = 10_957;
const DATE = /^(\d{4,7})-(\d\d)-(\d\d)$/;
/** Longer strings go through Node's encoder; shorter ones are quicker byte by byte. */
const SHORT_TEXT = 64;

/**
 * Rows in the binary format of COPY, written by hand into buffers that are used again: values are in the order of
 * `types`; null and undefined are SQL null; timestamptz in epoch milliseconds (±Infinity allowed), date 'YYYY-MM-DD'.
 * A value that its type cannot hold throws RangeError or TypeError and leaves the rows before it intact. Strings with
 * U+0000 throw, because Postgres has no such text; lone surrogates become U+FFFD.
 *
 * After `finish` the chunks belong to the caller until it calls `row` or `reset` again: not before the COPY has answered.
 */
export class CopyEncoder {
  readonly #writers: readonly ((value: unknown) => void)[];
  readonly #kept: Buffer[] = [];
  #full: Buffer[] = [];
  #used = 0;
  #buf: Buffer = Buffer.alloc(0);
  #pos = 0;
  #rows = 0;
  #bytes = 0;
  #finished = true;

  constructor(types: readonly CopyType[]) {
    this.#writers = types.map((type) => this.#writer(type));
  }

  get rows(): number {
    return this.#finished ? 0 : this.#rows;
  }

  /** Bytes of the rows so far. */
  get bytes(): number {
    return this.#finished ? 0 : this.#bytes + this.#pos;
  }

  row(values: readonly unknown[]): void {
    const writers = this.#writers;
    if (values.length !== writers.length) {
      throw new TypeError(`a row has ${values.length} values, the encoder has ${writers.length} types`);
    }
    if (this.#finished) this.#begin();
    const mark = { full: this.#full.length, used: this.#used, buf: this.#buf, pos: this.#pos, bytes: this.#bytes };
    try {
      this.#ensure(2);
      this.#int2(writers.length);
      for (let i = 0; i < writers.length; i++) {
        const value = values[i];
        if (value === null || value === undefined) this.#null();
        else writers[i]?.(value);
      }
    } catch (error) {
      this.#full.length = mark.full;
      this.#used = mark.used;
      this.#buf = mark.buf;
      this.#pos = mark.pos;
      this.#bytes = mark.bytes;
      throw error;
    }
    this.#rows += 1;
  }

  /** All rows since the last `finish`, with COPY's header and trailer. */
  finish(): Buffer[] {
    if (this.#finished) this.#begin();
    this.#ensure(2);
    this.#int2(-1);
    const chunks = [...this.#full, this.#buf.subarray(0, this.#pos)];
    this.#finished = true;
    return chunks;
  }

  /** Forgets the rows. */
  reset(): void {
    this.#finished = true;
  }

  #begin(): void {
    this.#finished = false;
    this.#rows = 0;
    this.#bytes = 0;
    this.#full = [];
    this.#used = 0;
    this.#buf = this.#take(CHUNK_BYTES);
    this.#pos = SIGNATURE.copy(this.#buf, 0);
  }

  #take(bytes: number): Buffer {
    if (bytes > CHUNK_BYTES) return Buffer.allocUnsafeSlow(bytes);
    const kept = this.#kept[this.#used];
    if (kept !== undefined) {
      this.#used += 1;
      return kept;
    }
    const fresh = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    if (this.#used < KEPT_CHUNKS) {
      this.#kept.push(fresh);
      this.#used += 1;
    }
    return fresh;
  }

  // COPY data may be cut anywhere, so a chunk is simply closed when the next value does not fit.
  #ensure(bytes: number): void {
    if (this.#pos + bytes <= this.#buf.length) return;
    this.#full.push(this.#buf.subarray(0, this.#pos));
    this.#bytes += this.#pos;
    this.#buf = this.#take(bytes);
    this.#pos = 0;
  }

  #int2(value: number): void {
    this.#buf[this.#pos] = (value >> 8) & 0xff;
    this.#buf[this.#pos + 1] = value & 0xff;
    this.#pos += 2;
  }

  #int4(value: number): void {
    putInt4(this.#buf, this.#pos, value);
    this.#pos += 4;
  }

  #writer(type: CopyType): (value: unknown) => void {
    switch (type) {
      case 'text':
        return (value) => this.#text(asString(type, value));
      case 'int2':
        return (value) => this.#integer(2, asInteger(type, value, 32_767));
      case 'int4':
        return (value) => this.#integer(4, asInteger(type, value, 2_147_483_647));
      case 'int8':
        return (value) => this.#int8(asInteger(type, value, Number.MAX_SAFE_INTEGER));
      case 'float8':
        return (value) => this.#float8(asNumber(type, value));
      case 'bool':
        return (value) => this.#bool(value);
      case 'timestamptz':
        return (value) => this.#instant(asNumber(type, value));
      case 'date':
        return (value) => this.#integer(4, asDays(asString(type, value)));
      case 'bytea':
        return (value) => this.#bytea(value);
      case 'json':
        return (value) => this.#json(value);
      case 'jsonb':
        return (value) => this.#jsonb(value);
      case 'text[]':
        return (value) => this.#textArray(value);
    }
  }

  #null(): void {
    this.#ensure(4);
    this.#int4(-1);
  }

  #text(value: string): void {
    this.#ensure(4 + value.length * 3);
    const start = this.#pos;
    this.#pos += 4;
    const length = this.#utf8(value);
    this.#pos = start;
    this.#int4(length);
    this.#pos += length;
  }

  /** Writes at the current position, which `#ensure` has made room for, and returns the bytes written. */
  #utf8(value: string): number {
    const buf = this.#buf;
    const start = this.#pos;
    if (value.length <= SHORT_TEXT) {
      let i = 0;
      for (; i < value.length; i++) {
        const code = value.charCodeAt(i);
        if (code === 0 || code > 127) break;
        buf[start + i] = code;
      }
      if (i === value.length) return i;
    }
    if (value.includes('\0')) throw new RangeError('text: U+0000 cannot be stored in Postgres');
    return buf.write(value, start, 'utf8');
  }

  #integer(bytes: 2 | 4, value: number): void {
    this.#ensure(4 + bytes);
    this.#int4(bytes);
    if (bytes === 2) this.#int2(value);
    else this.#int4(value);
  }

  #int8(value: number): void {
    const high = Math.floor(value / TWO_32);
    this.#ensure(12);
    this.#int4(8);
    this.#int4(high);
    this.#int4(value - high * TWO_32);
  }

  #instant(ms: number): void {
    this.#ensure(12);
    this.#int4(8);
    putInstant(this.#buf, this.#pos, ms);
    this.#pos += 8;
  }

  #float8(value: number): void {
    this.#ensure(12);
    this.#int4(8);
    this.#pos = this.#buf.writeDoubleBE(value, this.#pos);
  }

  #bool(value: unknown): void {
    if (typeof value !== 'boolean') throw new TypeError(`bool: not a boolean but ${typeof value}`);
    this.#ensure(5);
    this.#int4(1);
    this.#buf[this.#pos] = value ? 1 : 0;
    this.#pos += 1;
  }

  #bytea(value: unknown): void {
    if (!(value instanceof Uint8Array)) throw new TypeError(`bytea: not bytes but ${typeof value}`);
    this.#ensure(4 + value.length);
    this.#int4(value.length);
    this.#buf.set(value, this.#pos);
    this.#pos += value.length;
  }

  #json(value: unknown): void {
    this.#text(jsonText('json', value));
  }

  #jsonb(value: unknown): void {
    const json = jsonText('jsonb', value);
    this.#ensure(5 + json.length * 3);
    const start = this.#pos;
    this.#pos += 5;
    const length = this.#utf8(json);
    this.#pos = start;
    this.#int4(length + 1);
    this.#buf[this.#pos] = 1;
    this.#pos += 1 + length;
  }

  #textArray(value: unknown): void {
    if (!Array.isArray(value)) throw new TypeError(`text[]: not an array but ${typeof value}`);
    const items: unknown[] = value;
    let bytes = 24;
    for (const item of items) bytes += 4 + (typeof item === 'string' ? item.length * 3 : 0);
    // In one chunk, because the length in front is known only at the end.
    this.#ensure(bytes);
    const start = this.#pos;
    this.#pos += 4;
    this.#int4(items.length === 0 ? 0 : 1);
    this.#int4(items.some((item) => item === null) ? 1 : 0);
    this.#int4(TEXT_OID);
    if (items.length > 0) {
      this.#int4(items.length);
      this.#int4(1);
      for (const item of items) {
        if (item === null) this.#null();
        else this.#text(asString('text[]', item));
      }
    }
    const end = this.#pos;
    this.#pos = start;
    this.#int4(end - start - 4);
    this.#pos = end;
  }
}

function asString(type: CopyType, value: unknown): string {
  if (typeof value !== 'string') throw new TypeError(`${type}: not a string but ${typeof value}`);
  return value;
}

function jsonText(type: CopyType, value: unknown): string {
  const json = JSON.stringify(value);
  if (json === undefined) throw new TypeError(`${type}: ${typeof value} is not a JSON value`);
  return json;
}

function asNumber(type: CopyType, value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(`${type}: not a number but ${typeof value}`);
  return value;
}

function asInteger(type: CopyType, value: unknown, max: number): number {
  const n = asNumber(type, value);
  // Two's complement reaches one further down; int8 does not need it (a number would not be exact there).
  const min = type === 'int8' ? -max : -max - 1;
  if (!Number.isInteger(n) || n < min || n > max) throw new RangeError(`${type}: ${n} is out of range`);
  return n;
}

function asDays(text: string): number {
  const m = DATE.exec(text);
  const [year, month, day] = m === null ? [0, 0, 0] : [Number(m[1]), Number(m[2]), Number(m[3])];
  const days = daysOfCivil(year, month, day);
  const exists = year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= daysInMonth(year, month);
  if (!exists || year > 5_874_897) throw new RangeError(`date: "${text}" is not a date YYYY-MM-DD`);
  return days - POSTGRES_EPOCH_DAY;
}

function daysInMonth(year: number, month: number): number {
  const next = month === 12 ? daysOfCivil(year + 1, 1, 1) : daysOfCivil(year, month + 1, 1);
  return next - daysOfCivil(year, month, 1);
}
