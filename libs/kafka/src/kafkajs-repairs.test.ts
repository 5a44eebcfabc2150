import { createRequire } from 'node:module';
import { beforeAll, describe, expect, test } from 'vitest';
import { keyOf, repairDecoding } from './kafkajs-repairs.ts';

interface Encoder {
  buffer: Buffer;
  writeInt16(value: number): Encoder;
  writeInt32(value: number): Encoder;
  writeInt64(value: number): Encoder;
  writeString(value: string): Encoder;
  writeBytes(value: Buffer): Encoder;
}

interface Fetched {
  key: Buffer | null;
  value: Buffer | null;
  offset: string;
  headers: Record<string, unknown>;
}

const require = createRequire(import.meta.url);
const protocol = <T>(name: string) => require(`kafkajs/src/protocol/${name}`) as T;

beforeAll(() => repairDecoding());

/** The answer to a fetch of one partition, encoded by kafkajs and decoded as its consumer does. */
async function fetched(records: readonly object[], cutBytes = 0): Promise<Fetched[]> {
  const encodeRecord = protocol<(record: object) => Encoder>('recordBatch/record/v0');
  const { RecordBatch } = protocol<{ RecordBatch: (batch: object) => Promise<Encoder> }>('recordBatch/v0');
  const NewEncoder = protocol<new () => Encoder>('encoder');
  const response = protocol<{
    decode(data: Buffer): Promise<{ responses: { partitions: { messages: Fetched[] }[] }[] }>;
  }>('requests/fetch/v11/response');
  const encoded = records.map((record, offsetDelta) => encodeRecord({ key: null, offsetDelta, ...record }));
  const { buffer } = await RecordBatch({
    records: encoded,
    lastOffsetDelta: records.length - 1,
    firstTimestamp: 0,
    maxTimestamp: 0,
  });
  const twice = Buffer.concat([buffer, buffer.subarray(0, cutBytes)]);
  const answer = new NewEncoder()
    .writeInt32(0)
    .writeInt16(0)
    .writeInt32(0)
    .writeInt32(1)
    .writeString('topic')
    .writeInt32(1);
  answer.writeInt32(0).writeInt16(0).writeInt64(0).writeInt64(0).writeInt64(0).writeInt32(0).writeInt32(-1);
  const { responses } = await response.decode(answer.writeBytes(twice).buffer);
  return responses[0]?.partitions[0]?.messages ?? [];
}

describe('what kafkajs would not survive', () => {
  test('a record batch of more records than a call has room for arguments', async () => {
    const records = await fetched(Array.from({ length: 150_000 }, () => ({ value: null })));
    expect(records.length).toBe(150_000);
    expect(records.at(-1)?.offset).toBe('149999');
  });

  test.each(['constructor', 'toString', '__proto__', 'hasOwnProperty'])('a header called %s', async (name) => {
    const headers = { [name]: Buffer.from('sent') };
    const [record] = await fetched([{ value: Buffer.from('v'), headers }]);
    expect(Object.entries(record?.headers ?? {})).toEqual([[name, Buffer.from('sent')]]);
  });

  test('a record with 100,000 headers, and one header sent 100,000 times', async () => {
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`h${i}`, Buffer.from('v')]));
    const same = { h: Array.from({ length: 100_000 }, () => Buffer.from('v')) };
    const records = await fetched([
      { value: null, headers: many },
      { value: null, headers: same },
    ]);
    expect(Object.keys(records[0]?.headers ?? {}).length).toBe(100_000);
    expect(records[1]?.headers.h).toHaveLength(100_000);
  });
});

test('a key that looks like the marker of an abort is kept from kafkajs, and given to who asks for it', async () => {
  const keys = [Buffer.alloc(4), Buffer.alloc(5), null];
  const records = await fetched(keys.map((key) => ({ key, value: null })));
  expect(records.map(({ key }) => key)).toEqual([null, Buffer.alloc(5), null]);
  expect(records.map(keyOf)).toEqual(keys);
});

test('what kafkajs reads well is read as before', async () => {
  const value = Buffer.from('value');
  const headers = { once: Buffer.from('1'), more: [Buffer.from('1'), Buffer.from('2'), Buffer.from('3')] };
  const records = [{ value: null }, { key: Buffer.from('k'), value, headers }];
  const whole = await fetched(records);
  expect(whole.map((record) => [record.key, record.value, record.offset])).toEqual([
    [null, null, '0'],
    [Buffer.from('k'), value, '1'],
  ]);
  expect({ ...whole[1]?.headers }).toEqual(headers);
  expect(Object.keys(whole[0]?.headers ?? {})).toEqual([]);
  // The broker cuts where its answer is long enough: the beginning of the next batch is not a record.
  expect(await fetched(records, 60)).toEqual(whole);
  expect(await fetched(records, 20)).toEqual(whole);
});
