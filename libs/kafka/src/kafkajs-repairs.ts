import { createRequire } from 'node:module';
import { type DecodedRecord, decodeRecordBatches } from './record-batches.ts';

interface Decoder {
  readInt32(): number;
  canReadBytes(bytes: number): boolean;
  readBytes(bytes: number): Buffer;
}

interface ConsumerGroup {
  /** When the last heartbeat was sent, by the clock of the host. */
  lastRequest: number;
  heartbeat: (this: ConsumerGroup, o: { readonly interval: number }) => Promise<void>;
}

const require = createRequire(import.meta.url);
const parts = 'kafkajs/src/protocol';
const magicAt = 16;
const magicByte = 2;
let decodingRepaired = false;
let heartbeatsRepaired = false;

/** By this key alone kafkajs knows the end of an aborted transaction, whoever wrote it. */
const abortMarkerKey = Buffer.alloc(4);
const hiddenKeys = new WeakMap<object, Buffer>();

/**
 * Some things in a log, all allowed by Kafka, would stop kafkajs 2.2.4 for good: a record batch of more than some 120,000
 * records (it spreads them into arguments), and a header that has the name of something every object inherits, such as
 * `constructor`, or a record with tens of thousands of headers (it copies all of them for each one). And behind an aborted
 * record whose key looks like a marker's it would give the rest of the transaction, too. So record batches are decoded here;
 * kafkajs loads its own decoder with the first fetch, so before that is early enough.
 */
export function repairDecoding(): void {
  if (decodingRepaired) return;
  decodingRepaired = true;
  const NewDecoder = require(`${parts}/decoder`) as new (buffer: Buffer) => Decoder;
  const decodeOldMessages = require(`${parts}/messageSet/decoder`) as (decoder: Decoder, bytes: number) => unknown[];
  const decodeMessages = async (decoder: Decoder): Promise<unknown[]> => {
    const size = decoder.readInt32();
    if (size <= 0 || !decoder.canReadBytes(size)) return [];
    const bytes = decoder.readBytes(size);
    if (bytes.readInt8(magicAt) !== magicByte) return decodeOldMessages(new NewDecoder(bytes), size);
    const records = await decodeRecordBatches(bytes);
    for (const record of records) if (!record.isControlRecord && record.key?.equals(abortMarkerKey)) hideKey(record);
    return records;
  };
  replaceModule(`${parts}/requests/fetch/v4/decodeMessages`, decodeMessages);
}

function replaceModule(name: string, exports: unknown): void {
  require(name);
  const loaded = require.cache[require.resolve(name)];
  if (loaded === undefined) throw new Error(`${name} cannot be replaced: is this the kafkajs that package.json names?`);
  loaded.exports = exports;
}

function hideKey(record: DecodedRecord): void {
  hiddenKeys.set(record, abortMarkerKey);
  record.key = null;
}

/** The key of a message as it was sent. */
export function keyOf(message: { readonly key: Buffer | null }): Buffer | null {
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
