import type pg from 'pg';
import { getInstant, getInt4, getInt8 } from './binary.ts';

/** Signature, flags, and the length of an extension that there is none of. */
const HEADER_BYTES = 19;
const FIRST_BYTES = 1024 * 1024;

/**
 * COPY ... TO STDOUT BINARY as one message of pg's protocol (a Submittable). All of it is collected into one buffer, so the caller
 * says in its statement how much that is at most (law 10).
 */
export class CopyOut {
  #data: Buffer = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #size = 0;
  #settled = false;
  readonly #text: string;
  readonly #settle: (error: Error | null, data: Buffer) => void;
  /** pg wraps this to enforce query_timeout. */
  callback: (error: Error | null) => void;

  private constructor(text: string, settle: (error: Error | null, data: Buffer) => void) {
    this.#text = text;
    this.#settle = settle;
    this.callback = (error) => {
      if (this.#settled) return;
      this.#settled = true;
      this.#settle(error, this.#data.subarray(0, this.#size));
    };
  }

  static run(client: pg.ClientBase, text: string): Promise<CopiedRows> {
    return new Promise((resolve, reject) => {
      const settle = (error: Error | null, data: Buffer) =>
        error === null ? resolve(new CopiedRows(data)) : reject(error);
      client.query(new CopyOut(text, settle) as unknown as pg.Submittable);
    });
  }

  submit(wire: { query(text: string): void }): null {
    wire.query(this.#text);
    return null;
  }

  handleCopyData({ chunk }: { readonly chunk: Buffer }): void {
    if (this.#size + chunk.length > this.#data.length) {
      const larger = Buffer.allocUnsafeSlow(2 * (this.#size + chunk.length));
      this.#data.copy(larger, 0, 0, this.#size);
      this.#data = larger;
    }
    // pg uses the buffer behind the chunk again.
    chunk.copy(this.#data, this.#size);
    this.#size += chunk.length;
  }

  handleCommandComplete(): void {
    // How many rows there were, the rows say too.
  }

  handleReadyForQuery(): void {
    this.callback(null);
  }

  handleError(error: Error): void {
    this.callback(error);
  }
}

/** Rows in the binary format of COPY: `next` goes to a row, and then each of its values is taken once, in order. */
export class CopiedRows {
  readonly #data: Buffer;
  #at = HEADER_BYTES;

  constructor(data: Buffer) {
    this.#data = data;
  }

  /** False behind the last row. */
  next(): boolean {
    if (this.#at + 2 > this.#data.length) throw new RangeError('COPY: the data ends before its end mark');
    const columns = this.#data.readInt16BE(this.#at);
    this.#at += 2;
    return columns >= 0;
  }

  int4(): number {
    return getInt4(this.#data, this.#fixed(4));
  }

  /** A value that a number cannot hold exactly throws RangeError. */
  int8(): number {
    return getInt8(this.#data, this.#fixed(8));
  }

  /** A timestamptz in epoch milliseconds; microseconds are cut towards the past. */
  instant(): number {
    return getInstant(this.#data, this.#fixed(8));
  }

  /** A part of the buffer of all rows, not a copy of it. */
  bytea(): Buffer | null {
    const length = getInt4(this.#data, this.#at);
    this.#at += 4;
    if (length < 0) return null;
    this.#at += length;
    return this.#data.subarray(this.#at - length, this.#at);
  }

  #fixed(bytes: number): number {
    const length = getInt4(this.#data, this.#at);
    if (length !== bytes) throw new RangeError(`COPY: a value of ${bytes} bytes has ${length}`);
    const at = this.#at + 4;
    this.#at = at + bytes;
    return at;
  }
}
