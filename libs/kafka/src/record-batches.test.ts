import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { registerCodecs } from './codecs.ts';
import { decodeRecordBatches } from './record-batches.ts';

interface Encoder {
  readonly buffer: Buffer;
}

interface Decoded {
  readonly records: readonly { readonly headers: Record<string, unknown> }[];
}

const require = createRequire(import.meta.url);
const protocol = <T>(name: string) => require(`kafkajs/src/protocol/${name}`) as T;
const encodeRecord = protocol<(record: object) => Encoder>('recordBatch/record/v0');
const { RecordBatch } = protocol<{ RecordBatch: (batch: object) => Promise<Encoder> }>('recordBatch/v0');
const theirDecode = protocol<(decoder: object) => Promise<Decoded>>('recordBatch/v0/decoder');
const TheirDecoder = protocol<new (buffer: Buffer) => object>('decoder');

registerCodecs();

/** Bits of a batch's attributes. */
const logAppendTime = 0x08;
const compressions = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 };

const bytes = fc.option(fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array)));
const record = fc.record({
  key: bytes,
  value: bytes,
  timestampDelta: fc.bigInt({ min: -(2n ** 45n), max: 2n ** 45n }),
  headers: fc.dictionary(
    fc.string({ minLength: 1, maxLength: 5 }).filter((name) => !(name in {})),
    bytes.map((value) => value ?? Buffer.alloc(0)),
    {
      maxKeys: 3,
      noNullPrototype: true,
    },
  ),
});
const batch = fc.record({
  records: fc.array(record, { minLength: 1, maxLength: 50 }),
  compression: fc.constantFrom(...Object.values(compressions)),
  firstOffset: fc.bigInt({ min: 0n, max: 2n ** 52n }),
  firstTimestamp: fc.bigInt({ min: -(2n ** 45n), max: 2n ** 45n }),
  appended: fc.boolean(),
  producerId: fc.bigInt({ min: -1n, max: 2n ** 60n }),
  transactional: fc.boolean(),
});

test('everything that kafkajs reads in a batch is read as kafkajs reads it', async () => {
  await fc.assert(
    fc.asyncProperty(batch, async ({ records, appended, firstOffset, ...o }) => {
      const encoded = records.map((one, offsetDelta) => encodeRecord({ offsetDelta, ...one }));
      const { buffer } = await RecordBatch({
        ...o,
        records: encoded,
        lastOffsetDelta: records.length - 1,
        maxTimestamp: o.firstTimestamp,
      });
      buffer.writeBigInt64BE(firstOffset, 0);
      if (appended) buffer.writeInt16BE(buffer.readInt16BE(21) | logAppendTime, 21);
      const theirs = await theirDecode(new TheirDecoder(buffer));
      const ours = await decodeRecordBatches(Buffer.concat([buffer, buffer.subarray(0, buffer.length - 1)]));
      const comparable = (all: readonly object[]) =>
        all.map((one) => ({
          ...one,
          headers: { ...('headers' in one ? (one.headers as object) : {}) },
          batchContext: null,
        }));
      expect(comparable(ours)).toEqual(comparable(theirs.records));
      expect(ours.map(({ batchContext }) => batchContext)).toEqual(
        ours.map(() => ({ producerId: String(o.producerId), inTransaction: o.transactional })),
      );
    }),
    { numRuns: 200 },
  );
});

test.each([
  ['a number of more than 32 bits', Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]), /longer than 32 bits/],
  ['a record that goes on behind its batch', Buffer.from([0x10]), /ends within a record|out of range/],
  ['a record of negative length', Buffer.from([0x01, 0, 0, 0]), /negative length/],
])('%s is an error, not an endless loop', async (_, garbage, message) => {
  const head = Buffer.alloc(61);
  head.writeInt32BE(61 - 12 + garbage.length, 8);
  head.writeInt8(2, 16);
  head.writeInt32BE(1, 57);
  await expect(decodeRecordBatches(Buffer.concat([head, garbage]))).rejects.toThrow(message);
});

test.each([-61, -12, 0, 48])(
  'a batch that says it is %i bytes long is an error, not an endless loop',
  async (length) => {
    const head = Buffer.alloc(100);
    head.writeInt32BE(length, 8);
    await expect(decodeRecordBatches(head)).rejects.toThrow('shorter than its own head');
  },
);
