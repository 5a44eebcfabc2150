import type { Batch, KafkaMessage } from 'kafkajs';
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
      timestampMs = Number(lastTimestamp);
    }
    records.push({
      topic,
      partition,
      offset: Number(message.offset),
      timestampMs,
      key: message.key,
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

export function offsetOf(text: string | undefined): number {
  const offset = text === undefined ? Number.NaN : Number(text);
  if (!Number.isSafeInteger(offset)) throw new Error(`kafkajs gave the offset ${text}, which is no exact integer`);
  return offset;
}

function headersOf({ headers }: KafkaMessage): RecordHeaders | null {
  for (const _ in headers) return headers;
  return null;
}
