import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import kafkajs from 'kafkajs';
import { compressSync } from 'snappy';
import { beforeAll, expect, test } from 'vitest';
import { compressXerial, registerCodecs, uncompressXerial } from './codecs.ts';

beforeAll(() => registerCodecs());

const { CompressionTypes } = kafkajs;
const types = [CompressionTypes.GZIP, CompressionTypes.Snappy, CompressionTypes.LZ4, CompressionTypes.ZSTD];

interface Codec {
  compress(encoder: { buffer: Buffer }): Promise<Buffer>;
  decompress(data: Buffer): Promise<Buffer>;
}

const codecOf = (type: kafkajs.CompressionTypes) => Reflect.get(kafkajs.CompressionCodecs, type) as () => Codec;

test.each(types)('codec %i gives back what it was given', async (type) => {
  const codec = codecOf(type)();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 100_000 }), async (bytes) => {
      const packed = await codec.compress({ buffer: Buffer.from(bytes) });
      expect(Buffer.from(bytes).equals(await codec.decompress(packed))).toBe(true);
    }),
    { numRuns: 20 },
  );
});

// One record batch of 1,500 records, compressed by the Java client 4.3.1 (compression.type), as its broker handed it out. The
// payload is longer than one block of each format.
test.each([
  ['gzip', CompressionTypes.GZIP],
  ['snappy', CompressionTypes.Snappy],
  ['lz4', CompressionTypes.LZ4],
  ['zstd', CompressionTypes.ZSTD],
] as const)('%s as the Java client writes it is understood', async (name, type) => {
  const packed = readFileSync(new URL(`../fixtures/java-${name}.bin`, import.meta.url));
  const records = await codecOf(type)().decompress(packed);
  expect(records.length).toBe(163_436);
  expect(createHash('sha256').update(records).digest('hex')).toBe(
    '0334d744ef7e8d2570f5b3964136df8a64ae3b47ef4a88c6d2be71617506c0a2',
  );
});

test('snappy is understood in the xerial stream of Java clients and as one plain block of others', async () => {
  const text = Buffer.from('leakage '.repeat(20_000));
  const codec = codecOf(CompressionTypes.Snappy)();
  expect((await codec.decompress(await compressXerial(text))).equals(text)).toBe(true);
  expect((await codec.decompress(compressSync(text))).equals(text)).toBe(true);
});

test('a xerial stream that is cut off is an error, not half a batch', async () => {
  const packed = await compressXerial(Buffer.from('leakage '.repeat(20_000)));
  await expect(uncompressXerial(packed.subarray(0, -3))).rejects.toThrow('ends after its record batch');
});

test('a batch that unfolds without end is refused', async () => {
  const codec = codecOf(CompressionTypes.ZSTD)();
  const bomb = await codec.compress({ buffer: Buffer.alloc(257 * 1024 * 1024) });
  await expect(codec.decompress(bomb)).rejects.toThrow(RangeError);
});

test('a snappy block that declares more than anybody may unfold is refused before memory is taken for it', async () => {
  const codec = codecOf(CompressionTypes.Snappy)();
  const fourGigabytes = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00]);
  await expect(codec.decompress(fourGigabytes)).rejects.toThrow('unfolds to more than');
});
