import { crc32 } from 'node:zlib';
import type { KafkaRecord } from './types.ts';

const head = Buffer.alloc(16);
const absent = -1;

/**
 * Tells a record from any other that could stand at its offset: crc32 (unsigned) over the Kafka timestamp, the lengths of key
 * and value (-1 where absent), and both. Stored with positions, so it must never change.
 */
export function fingerprintOf({ timestampMs, key, value }: Pick<KafkaRecord, 'timestampMs' | 'key' | 'value'>): number {
  head.writeBigInt64BE(BigInt(timestampMs), 0);
  head.writeInt32BE(key?.length ?? absent, 8);
  head.writeInt32BE(value?.length ?? absent, 12);
  let crc = crc32(head);
  if (key !== null) crc = crc32(key, crc);
  if (value !== null) crc = crc32(value, crc);
  return crc;
}
