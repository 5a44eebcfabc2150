import type { Batch, KafkaMessage } from 'kafkajs';
import { keyOf } from './kafkajs-repairs.ts';
import type { KafkaRecord, RecordHeaders } from './types.ts';

/** What Kafka gave for one fetch of one partition: everything from `fetchedOffset` up to, not including, `nextOffset`. */
export interface Delivery {
  readonly topic: string;
  readonly partition: number;
  readonly fetchedOffset: number;
  readonly nextOffset: number;
  readonly records: KafkaRecord[];
}

/** kafkajs has this field and does not declare it. */
interface FetchedBatch extends Batch {
  readonly fetchedOffset: string;
}

export function readDelivery(batch: Batch): Delivery {
  const { topic, partition, fetchedOffset } = batch as FetchedBatch;
  const records: KafkaRecord[] = [];
  let lastTimestamp = '';
  let timestampMs = 0;
  for (const message of batch.messages) {
    // One append gives all its records one timestamp, even one string object.
    if (message.timestamp !== lastTimestamp) {
      lastTimestamp = message.timestamp;
      timestampMs = instantOf(lastTimestamp);
    }
    records.push({
      topic,
      partition,
      offset: Number(message.offset),
      timestampMs,
      key: keyOf(message),
      value: message.value,
      headers: headersOf(message),
    });
  }
  return {
    topic,
    partition,
    fetchedOffset: offsetOf(fetchedOffset),
    // The last offset counts records that kafkajs filtered out, too: markers, aborted ones.
    nextOffset: offsetOf(batch.lastOffset()) + 1,
    records,
  };
}

const earliestMs = Date.parse('0001-01-01T00:00:00Z');
const latestMs = Date.parse('9999-12-31T23:59:59.999Z');

/** Where a topic says CreateTime a producer may set any 64 bits; beyond the years 0001 to 9999 nobody could store them. */
function instantOf(timestamp: string): number {
  return Math.min(Math.max(Number(timestamp), earliestMs), latestMs);
}

export function offsetOf(text: string | undefined): number {
  const offset = text === undefined ? Number.NaN : Number(text);
  if (!Number.isSafeInteger(offset)) throw new Error(`kafkajs gave the offset ${text}, which is no exact integer`);
  return offset;
}

function headersOf({ headers }: KafkaMessage): RecordHeaders | null {
  for (const _ in headers) return headers;
  return null;
}
