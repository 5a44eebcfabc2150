import type { Batch } from 'kafkajs';
import { expect, test } from 'vitest';
import { readDelivery } from './delivery.ts';
import { fingerprintOf } from './fingerprint.ts';

const delivered = (timestamp: string) => {
  const message = { key: null, value: Buffer.from('v'), timestamp, attributes: 0, offset: '0', headers: {} };
  const batch = { topic: 't', partition: 0, fetchedOffset: '0', messages: [message], lastOffset: () => '0' };
  return readDelivery(batch as unknown as Batch).records[0];
};

test.each([
  ['of today', '1795372906763', '2026-11-22T18:41:46.763Z'],
  ['that was not set', '-1', '1969-12-31T23:59:59.999Z'],
  ['of the greatest 64 bits', '9223372036854775807', '9999-12-31T23:59:59.999Z'],
  ['of the least 64 bits', '-9223372036854775808', '0001-01-01T00:00:00.000Z'],
])('a Kafka timestamp %s is an instant that every layer can hold', (_what, timestamp, instant) => {
  const record = delivered(timestamp);
  expect(new Date(record?.timestampMs ?? Number.NaN).toISOString()).toBe(instant);
  expect(record && fingerprintOf(record)).toBeGreaterThan(0);
});
