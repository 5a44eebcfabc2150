import { createRequire } from 'node:module';

type Bytes = Buffer | null;

/** A record as kafkajs hands it on. */
export interface DecodedRecord {
  readonly magicByte: number;
  readonly attributes: number;
  /** Epoch milliseconds, as digits; one string for all records of an append. */
  readonly timestamp: string;
  readonly offset: string;
  key: Bytes;
  readonly value: Bytes;
  readonly headers: Readonly<Record<string, Bytes | Bytes[]>>;
  readonly isControlRecord: boolean;
  readonly batchContext: BatchContext;
}

/** What kafkajs asks of a batch to leave out aborted records. */
interface BatchContext {
  readonly producerId: string;
  readonly inTransaction: boolean;
}

interface Compression {
  readonly lookupCodecByAttributes: (attributes: number) => { decompress(data: Buffer): Promise<Buffer> } | null;
}

const require = createRequire(import.meta.url);
const { lookupCodecByAttributes } = require('kafkajs/src/protocol/message/compression') as Compression;

/** The places of the fields of a record batch (Kafka protocol, "Record Batch"), from its first byte. */
const at = {
  length: 8,
  magic: 16,
  attributes: 21,
  firstTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  count: 57,
  records: 61,
} as const;
/** What `length` does not count. */
const lengthEnd = 12;
const logAppendTime = 0x08;
const transactional = 0x10;
const control = 0x20;
const noHeaders: DecodedRecord['headers'] = Object.freeze(Object.create(null) as Record<string, Bytes>);

/**
 * The records of all whole batches (magic 2); what the broker has cut off at the end comes with the next fetch. kafkajs' own
 * decoder makes several objects and big integers for every field of a record and is four times as slow.
 */
export async function decodeRecordBatches(bytes: Buffer): Promise<DecodedRecord[]> {
  const records: DecodedRecord[] = [];
  for (let start = 0; start + at.records <= bytes.length; ) {
    const end = start + lengthEnd + bytes.readInt32BE(start + at.length);
    if (end < start + at.records) throw new RangeError('a record batch is shorter than its own head');
    if (end > bytes.length) break;
    await decodeBatch(bytes.subarray(start, end), records);
    start = end;
  }
  return records;
}

async function decodeBatch(batch: Buffer, into: DecodedRecord[]): Promise<void> {
  const attributes = batch.readInt16BE(at.attributes);
  const count = batch.readInt32BE(at.count);
  const codec = lookupCodecByAttributes(attributes);
  const rest = batch.subarray(at.records);
  const cursor = new Cursor(codec === null || count === 0 ? rest : await codec.decompress(rest));
  const firstOffset = Number(batch.readBigInt64BE(0));
  const firstTimestamp = batch.readBigInt64BE(at.firstTimestamp);
  const appended = (attributes & logAppendTime) === 0 ? null : String(batch.readBigInt64BE(at.maxTimestamp));
  const isControlRecord = (attributes & control) !== 0;
  const magicByte = batch.readInt8(at.magic);
  const batchContext = {
    producerId: String(batch.readBigInt64BE(at.producerId)),
    inTransaction: (attributes & transactional) !== 0,
  };
  for (let nr = 0; nr < count; nr++) {
    const length = cursor.varint();
    if (length < 0) throw new RangeError('a record has a negative length');
    const end = cursor.position + length;
    const recordAttributes = cursor.int8();
    // Where the broker set the time, what a producer says of it is not looked at.
    const timestamp = appended ?? String(firstTimestamp + cursor.varlong());
    if (appended !== null) cursor.skipVarint();
    into.push({
      magicByte,
      attributes: recordAttributes,
      timestamp,
      offset: String(firstOffset + cursor.varint()),
      key: cursor.bytes(),
      value: cursor.bytes(),
      headers: readHeaders(cursor),
      isControlRecord,
      batchContext,
    });
    cursor.position = end;
  }
}

/** Names may be anything, also those that every object inherits, and may come any number of times. */
function readHeaders(cursor: Cursor): DecodedRecord['headers'] {
  const count = cursor.varint();
  if (count <= 0) return noHeaders;
  const headers = Object.create(null) as Record<string, Bytes | Bytes[]>;
  for (let nr = 0; nr < count; nr++) {
    const name = cursor.bytes()?.toString('utf8') ?? 'null';
    const value = cursor.bytes();
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else headers[name] = [before, value];
  }
  return headers;
}

class Cursor {
  position = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int8(): number {
    return this.#bytes.readInt8(this.position++);
  }

  /** Zigzag, at most 32 bits. */
  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
    }
    throw new RangeError('a number in a record batch is longer than 32 bits');
  }

  /** Zigzag, at most 64 bits. */
  varlong(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return (value >> 1n) ^ -(value & 1n);
    }
    throw new RangeError('a number in a record batch is longer than 64 bits');
  }

  skipVarint(): void {
    while (this.#byte() >= 0x80);
  }

  bytes(): Bytes {
    const length = this.varint();
    if (length < 0) return null;
    const end = this.position + length;
    if (end > this.#bytes.length) throw new RangeError('a record reaches beyond its batch');
    const bytes = this.#bytes.subarray(this.position, end);
    this.position = end;
    return bytes;
  }

  #byte(): number {
    const byte = this.#bytes[this.position++];
    if (byte === undefined) throw new RangeError('a record batch ends within a record');
    return byte;
  }
}
