import fc from 'fast-check';
import { expect, test } from 'vitest';
import { murmur2, shardOf } from './shard.ts';
import { PARTITIONS } from './topics.ts';

// The vectors of Kafka's own test of its murmur2 (org.apache.kafka.common.utils.UtilsTest).
test.each([
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
])('murmur2 of %s is what Java computes', (key, hash) => {
  expect(murmur2(Buffer.from(key))).toBe(hash);
});

test('the shard is the partition of the default partitioner: positive hash, modulo 12', () => {
  expect(shardOf('foobar')).toBe((-790332482 & 0x7fffffff) % 12);
  expect(shardOf('21')).toBe((-973932308 & 0x7fffffff) % 12);
});

test('any text has a shard, the same for the reused and for an own buffer', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 700 }), (text) => {
      const shard = shardOf(text);
      expect(shard).toBe((murmur2(Buffer.from(text)) & 0x7fffffff) % PARTITIONS);
    }),
  );
});

test('members spread over the shards', () => {
  const counts = Array.from({ length: PARTITIONS }, () => 0);
  for (let i = 0; i < 12_000; i++) {
    const shard = shardOf(`M-${100_000 + i}`);
    counts[shard] = (counts[shard] ?? 0) + 1;
  }
  expect(Math.min(...counts)).toBeGreaterThan(800);
  expect(Math.max(...counts)).toBeLessThan(1200);
});
