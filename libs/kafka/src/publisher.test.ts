import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sendsOf, settle } from './publisher.ts';
import type { OutgoingRecord } from './types.ts';

const record = (size: number): OutgoingRecord => ({ topic: 't', key: 'k', value: Buffer.alloc(size) });

test('a batch is cut into sends that a broker takes, in order and complete', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(300_000), { maxLength: 60 }), (sizes) => {
      const batch = sizes.map(record);
      const sends = sendsOf(batch);
      expect(sends.flat()).toEqual(batch);
      for (const send of sends) {
        const bytes = send.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
        expect(send.length === 1 || bytes <= 900_000).toBe(true);
      }
    }),
  );
});

test('many small records and one large one: the number is bounded, too, and the large one goes alone', () => {
  expect(sendsOf(Array.from({ length: 10_000 }, () => record(1))).length).toBeGreaterThan(1);
  expect(sendsOf([record(1), record(2_000_000), record(1)]).map((send) => send.length)).toEqual([1, 1, 1]);
  expect(sendsOf([])).toEqual([]);
});

const sent = (partition: number) => ({ topic: 't', partition, value: null });
const answer = (partition: number, baseOffset: string, errorCode = 0) => ({
  topicName: 't',
  partition,
  errorCode,
  baseOffset,
});

test('an acknowledged partition gives the offsets of its records', () => {
  expect(settle([sent(0), sent(1), sent(0)], [answer(0, '40'), answer(1, '7')])).toEqual({
    acknowledged: [
      { topic: 't', partition: 0, firstOffset: 40, lastOffset: 41 },
      { topic: 't', partition: 1, firstOffset: 7, lastOffset: 7 },
    ],
    missing: [],
  });
});

test('a partition that nobody answered for is missing, although kafkajs reports success', () => {
  expect(settle([sent(0), sent(1), sent(1)], [answer(0, '40')]).missing).toEqual([sent(1), sent(1)]);
});

test('an error code or an answer without an offset is a refusal', () => {
  expect(() => settle([sent(0)], [answer(0, '40', 10)])).toThrow(/refused records for t\/0 \(error code 10/);
  expect(() => settle([sent(0)], [answer(0, '-1')])).toThrow('refused');
});
