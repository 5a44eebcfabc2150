import { PARTITIONS } from './topics.ts';

const SEED = 0x9747b28c;
const M = 0x5bd1e995;

/** Kafka's murmur2 over the first `length` bytes, as a signed 32-bit integer (org.apache.kafka.common.utils.Utils). */
export function murmur2(bytes: Uint8Array, length = bytes.length): number {
  let h = (SEED ^ length) | 0;
  const blocks = length & ~3;
  for (let i = 0; i < blocks; i += 4) {
    let k =
      (bytes[i] ?? 0) | ((bytes[i + 1] ?? 0) << 8) | ((bytes[i + 2] ?? 0) << 16) | ((bytes[i + 3] ?? 0) << 24) | 0;
    k = Math.imul(k, M);
    k ^= k >>> 24;
    h = Math.imul(h, M) ^ Math.imul(k, M);
  }
  const rest = length & 3;
  if (rest === 3) h ^= (bytes[blocks + 2] ?? 0) << 16;
  if (rest >= 2) h ^= (bytes[blocks + 1] ?? 0) << 8;
  if (rest >= 1) h = Math.imul(h ^ (bytes[blocks] ?? 0), M);
  h ^= h >>> 13;
  h = Math.imul(h, M);
  return h ^ (h >>> 15);
}

const scratch = Buffer.alloc(1024);

/** The partition that Java's and kafkajs' default partitioner give to a key. */
export function partitionOf(key: string, partitions: number): number {
  // A UTF-16 unit is at most three bytes of UTF-8, so this never truncates.
  const hash = key.length * 3 <= scratch.length ? murmur2(scratch, scratch.write(key)) : murmur2(Buffer.from(key));
  return (hash & 0x7fffffff) % partitions;
}

/** The shard of a member: the partition of its records in topics of ours. */
export function shardOf(memberId: string): number {
  return partitionOf(memberId, PARTITIONS);
}
