import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import { SOURCES, type Source } from '@leakage/schemas';

/** A record as Kafka gets it, without the prefix of its topic. */
export interface PreparedRecord {
  readonly source: Source;
  readonly key: Buffer | null;
  readonly value: Buffer;
  /** Null: the partitioner decides by the key. */
  readonly partition: number | null;
}

const headBytes = 8;
const none = 0xffff;
const chunkBytes = 1024 * 1024;

/** Records one behind the other: source, partition, length of the key, length of the value, then both. */
export async function writeRecords(path: string, records: Iterable<PreparedRecord>): Promise<number> {
  const part = `${path}.part`;
  const file = createWriteStream(part, { highWaterMark: chunkBytes });
  let count = 0;
  for (const { source, key, value, partition } of records) {
    const head = Buffer.alloc(headBytes);
    head.writeUInt8(SOURCES.indexOf(source), 0);
    head.writeInt8(partition ?? -1, 1);
    head.writeUInt16LE(key === null ? none : key.length, 2);
    head.writeUInt32LE(value.length, 4);
    if (!file.write(Buffer.concat(key === null ? [head, value] : [head, key, value]))) await once(file, 'drain');
    count += 1;
  }
  file.end();
  await once(file, 'finish');
  // A file under its name is whole.
  await rename(part, path);
  return count;
}

/** Gives what `writeRecords` wrote, some at a time; `null` after the last one. */
export class RecordsReader {
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(path: string) {
    this.#chunks = createReadStream(path, { highWaterMark: chunkBytes })[
      Symbol.asyncIterator
    ]() as AsyncIterator<Buffer>;
  }

  /** Up to `max` records; fewer only at the end of the file. */
  async take(max: number): Promise<PreparedRecord[]> {
    const taken: PreparedRecord[] = [];
    while (taken.length < max) {
      const record = this.#next();
      if (record !== null) taken.push(record);
      else if (!(await this.#more())) break;
    }
    return taken;
  }

  #next(): PreparedRecord | null {
    const buffer = this.#rest;
    const start = this.#at;
    if (buffer.length - start < headBytes) return null;
    const source = SOURCES[buffer.readUInt8(start)];
    if (source === undefined) throw new Error('this is not a file of prepared records');
    const partition = buffer.readInt8(start + 1);
    const keyLength = buffer.readUInt16LE(start + 2);
    const keyAt = start + headBytes;
    const valueAt = keyAt + (keyLength === none ? 0 : keyLength);
    const end = valueAt + buffer.readUInt32LE(start + 4);
    if (buffer.length < end) return null;
    this.#at = end;
    return {
      source,
      key: keyLength === none ? null : buffer.subarray(keyAt, valueAt),
      value: buffer.subarray(valueAt, end),
      partition: partition < 0 ? null : partition,
    };
  }

  async #more(): Promise<boolean> {
    const next = await this.#chunks.next();
    if (next.done === true) return false;
    this.#rest = Buffer.concat([this.#rest.subarray(this.#at), next.value]);
    this.#at = 0;
    return true;
  }
}
