import { createRequire } from 'node:module';

type Bytes = Buffer | null;

interface Decoder {
  readInt32(): number;
  canReadBytes(bytes: number): boolean;
  readBytes(bytes: number): Buffer;
  readVarIntArray: ReadArray;
}

type ReadArray = (this: Decoder, reader: unknown) => Header[];

interface Header {
  readonly key: string | null;
  readonly value: Bytes;
}

type Headers = Record<string, Bytes | Bytes[]>;

interface ConsumerGroup {
  /** When the last heartbeat was sent, by the clock of the host. */
  lastRequest: number;
  heartbeat: (this: ConsumerGroup, o: { readonly interval: number }) => Promise<void>;
}

interface Internals {
  readonly Decoder: { new (buffer: Buffer): Decoder; readonly prototype: Decoder };
  /** Used for the headers of a record and nothing else. */
  readonly readVarIntArray: ReadArray;
  readonly decodeRecordBatch: (decoder: Decoder) => Promise<{ readonly records: readonly DecodedRecord[] }>;
}

interface DecodedRecord {
  key: Bytes;
  readonly isControlRecord: boolean;
}

const require = createRequire(import.meta.url);
const parts = 'kafkajs/src/protocol';
/** Where the size and the magic byte of a record batch are, and what kafkajs must see of one before it reads on. */
const magicAt = 16;
const magicByte = 2;
const recordBatchOverhead = 49;
let internals: Internals | null = null;
let heartbeatsRepaired = false;

/** By this key alone kafkajs knows the end of an aborted transaction, whoever wrote it. */
const abortMarkerKey = Buffer.alloc(4);
const hiddenKeys = new WeakMap<object, Buffer>();

/**
 * Some things in a log, all allowed by Kafka, would stop kafkajs 2.2.4 for good: a record batch of more than some 120,000
 * records (it spreads them into arguments), and a header that has the name of something every object inherits, such as
 * `constructor`, or a record with tens of thousands of headers (it copies all of them for each one). And behind an aborted
 * record whose key looks like a marker's it would give the rest of the transaction, too. Its own functions are replaced; they
 * are loaded by the first fetch, so before that is early enough.
 */
export function repairDecoding(): void {
  if (internals !== null) return;
  const Decoder = require(`${parts}/decoder`) as Internals['Decoder'];
  const { readVarIntArray } = Decoder.prototype;
  const decodeRecordBatch = require(`${parts}/recordBatch/v0/decoder`) as Internals['decodeRecordBatch'];
  internals = { Decoder, readVarIntArray, decodeRecordBatch };
  Decoder.prototype.readVarIntArray = readHeaders;
  replaceModule(`${parts}/requests/fetch/v4/decodeMessages`, messagesDecoder(internals));
}

function replaceModule(name: string, exports: unknown): void {
  require(name);
  const loaded = require.cache[require.resolve(name)];
  if (loaded === undefined) throw new Error(`${name} cannot be replaced: is this the kafkajs that package.json names?`);
  loaded.exports = exports;
}

/** Gives kafkajs a list that folds itself, in one pass, into an object that inherits nothing. */
function readHeaders(this: Decoder, reader: unknown): Header[] {
  const headers = internals?.readVarIntArray.call(this, reader) ?? [];
  if (headers.length > 0) Object.defineProperty(headers, 'reduce', { value: () => gathered(headers) });
  return headers;
}

function gathered(headers: readonly Header[]): Headers {
  const found = Object.create(null) as Headers;
  for (const { key, value } of headers) {
    const name = String(key);
    const before = found[name];
    if (before === undefined) found[name] = value;
    else if (Array.isArray(before)) before.push(value);
    else found[name] = [before, value];
  }
  return found;
}

function messagesDecoder({ Decoder, decodeRecordBatch }: Internals): (decoder: Decoder) => Promise<unknown[]> {
  const decodeOldMessages = require(`${parts}/messageSet/decoder`) as (decoder: Decoder, bytes: number) => unknown[];
  return async (decoder) => {
    const size = decoder.readInt32();
    if (size <= 0 || !decoder.canReadBytes(size)) return [];
    const bytes = decoder.readBytes(size);
    const batches = new Decoder(bytes);
    if (bytes.readInt8(magicAt) !== magicByte) return decodeOldMessages(batches, size);
    const records: unknown[] = [];
    while (batches.canReadBytes(recordBatchOverhead)) {
      const batch = await decodeRecordBatch(batches).catch(endOfWholeBatches);
      if (batch === null) break;
      for (const record of batch.records) {
        if (!record.isControlRecord && record.key?.equals(abortMarkerKey)) hideKey(record);
        records.push(record);
      }
    }
    return records;
  };
}

function hideKey(record: DecodedRecord): void {
  hiddenKeys.set(record, abortMarkerKey);
  record.key = null;
}

/** The key of a message as it was sent. */
export function keyOf(message: { readonly key: Bytes }): Bytes {
  return message.key ?? hiddenKeys.get(message) ?? null;
}

/**
 * When the clock of the host goes back, kafkajs sends no heartbeat until it has caught up with itself: the member loses its
 * partitions without hearing of it. A last heartbeat that lies in the future counts as one that was never sent.
 */
export function repairHeartbeats(): void {
  if (heartbeatsRepaired) return;
  heartbeatsRepaired = true;
  const { prototype } = require('kafkajs/src/consumer/consumerGroup') as { readonly prototype: ConsumerGroup };
  const { heartbeat } = prototype;
  prototype.heartbeat = function heartbeatByAnyClock(this: ConsumerGroup, o) {
    if (this.lastRequest > Date.now()) this.lastRequest = 0;
    return heartbeat.call(this, o);
  };
}

/** A fetch may end in the middle of a batch, which then comes with the next one. */
function endOfWholeBatches(error: unknown): null {
  if (error instanceof Error && error.name === 'KafkaJSPartialMessageError') return null;
  throw error;
}
