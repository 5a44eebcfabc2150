import { fingerprintOf } from './fingerprint.ts';
import type { KafkaRecord, PartitionChunk, RecordHeaders } from './types.ts';

/** What a record costs beyond its bytes: its objects, and kafkajs' share of the fetched buffer. */
const recordOverheadBytes = 250;
/** What a header costs beyond its bytes. */
const headerOverheadBytes = 100;

/** A producer may put anything into headers, so they count like the value (law 10). */
export function recordBytes({ key, value, headers }: Pick<KafkaRecord, 'key' | 'value' | 'headers'>): number {
  const bytes = recordOverheadBytes + (key?.length ?? 0) + (value?.length ?? 0);
  return headers === null ? bytes : bytes + headerBytes(headers);
}

function headerBytes(headers: RecordHeaders): number {
  let bytes = 0;
  for (const name in headers) {
    for (const value of [headers[name]].flat()) bytes += headerOverheadBytes + name.length + (value?.length ?? 0);
  }
  return bytes;
}

/** What one delivery added: `records` from `cursor` on are still here, and it ends before offset `next`. */
interface Segment {
  next: number;
  readonly records: KafkaRecord[];
  bytes: number;
  cursor: number;
}

/**
 * Offsets `start` to `end` of one partition, delivered and not yet taken. Records are not copied out of the buffer that they
 * were fetched in: they are taken in order, so that a fetched buffer lives only as long as its last record.
 */
export class PartitionBuffer {
  readonly topic: string;
  readonly partition: number;
  #start: number;
  #end: number;
  #records = 0;
  #bytes = 0;
  #segments: Segment[] = [];

  constructor(topic: string, partition: number, start: number) {
    this.topic = topic;
    this.partition = partition;
    this.#start = start;
    this.#end = start;
  }

  get start(): number {
    return this.#start;
  }

  get end(): number {
    return this.#end;
  }

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What the next record would add to a batch. */
  get headBytes(): number {
    const segment = this.#segments.find(({ cursor, records }) => cursor < records.length);
    const record = segment?.records[segment.cursor];
    return record === undefined ? 0 : recordBytes(record);
  }

  /** When Kafka got the record that `ahead` others are before. */
  timestampAt(ahead: number): number {
    let left = ahead;
    for (const { cursor, records } of this.#segments) {
      const record = records[cursor + left];
      if (record !== undefined) return record.timestampMs;
      left -= records.length - cursor;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Records, or holes only, that nobody has taken. */
  get pending(): boolean {
    return this.#end > this.#start;
  }

  /** Adds offsets `end` to `next`; those without a record are holes. The records become the buffer's. */
  append(records: KafkaRecord[], next: number): void {
    const first = records[0];
    const last = records.at(-1);
    if (next < this.#end || (first !== undefined && first.offset < this.#end) || (last?.offset ?? -1) >= next) {
      throw new Error(
        `${this.topic}/${this.partition}: offsets ${first?.offset} to ${next} do not continue a buffer that ends at ${this.#end}`,
      );
    }
    const tail = this.#segments.at(-1);
    if (records.length === 0 && tail !== undefined) {
      tail.next = next;
    } else if (next > this.#end) {
      let bytes = 0;
      for (const record of records) bytes += recordBytes(record);
      this.#segments.push({ next, records, bytes, cursor: 0 });
      this.#records += records.length;
      this.#bytes += bytes;
    }
    this.#end = next;
  }

  /**
   * Takes up to `maxRecords` records and `maxBytes` bytes, but one record at least if `maxRecords` allows one, with the holes
   * around them. Null when that is nothing.
   */
  take(maxRecords: number, maxBytes: number): PartitionChunk | null {
    const expectedOffset = this.#start;
    let taken: KafkaRecord[] = [];
    let bytes = 0;
    for (let segment = this.#segments[0]; segment !== undefined; segment = this.#segments[0]) {
      const whole = segment.cursor === 0 && taken.length === 0;
      if (whole && segment.records.length <= maxRecords && segment.bytes <= maxBytes) {
        taken = segment.records;
        bytes = segment.bytes;
        segment.cursor = segment.records.length;
      } else {
        bytes += this.#takeFrom(segment, taken, { maxRecords, maxBytes: maxBytes - bytes });
      }
      if (segment.cursor < segment.records.length) break;
      this.#start = segment.next;
      this.#segments.shift();
    }
    const last = taken.at(-1);
    if (last !== undefined && this.#start <= last.offset) this.#start = last.offset + 1;
    this.#records -= taken.length;
    this.#bytes -= bytes;
    if (this.#start === expectedOffset) return null;
    return {
      topic: this.topic,
      partition: this.partition,
      expectedOffset,
      nextOffset: this.#start,
      lastOffset: last?.offset ?? null,
      // With what was erased Kafka's record could not be compared.
      lastFingerprint: last === undefined || last.erased ? null : fingerprintOf(last),
      holes: this.#start - expectedOffset - taken.length,
      records: taken,
    };
  }

  #takeFrom(segment: Segment, taken: KafkaRecord[], room: { maxRecords: number; maxBytes: number }): number {
    let bytes = 0;
    for (; segment.cursor < segment.records.length && taken.length < room.maxRecords; segment.cursor += 1) {
      const record = segment.records[segment.cursor];
      if (record === undefined) break;
      const size = recordBytes(record);
      if (taken.length > 0 && bytes + size > room.maxBytes) break;
      taken.push(record);
      bytes += size;
    }
    segment.bytes -= bytes;
    return bytes;
  }
}
