import { contracts, shardOf } from '@leakage/schemas';
import { call, journey, profile } from '@leakage/testing';
import { expect, test } from 'vitest';
import { Encoder } from './encoding.ts';

const topics = ['p.journeys', 'p.calls', 'p.members'];
const partitions = new Map(topics.map((topic) => [topic, 12]));
const encoder = new Encoder({ topicPrefix: 'p', partitions, encoders: contracts });
const clean = { at: 0, damage: null, truth: null };

test('every source goes to its topic under its member, as Avro', () => {
  const event = journey();
  const record = encoder.encode({ ...clean, source: 'journeys', event });
  expect([record.topic, record.key, record.partition]).toEqual(['p.journeys', 'member-1', shardOf('member-1')]);
  expect(contracts.journeys.decode(record.value)).toMatchObject({ ok: true, event });
  expect(encoder.encode({ ...clean, source: 'calls', event: call() }).topic).toBe('p.calls');
  expect(encoder.encode({ ...clean, source: 'members', event: profile() }).topic).toBe('p.members');
});

test('a record without a member always goes to the same partition', () => {
  const event = call({ call_id: 'CALL-X-1', member_id: null });
  const record = encoder.encode({ ...clean, source: 'calls', event });
  expect([record.key, typeof record.partition]).toEqual([null, 'number']);
  expect(encoder.encode({ ...clean, source: 'calls', event })).toEqual(record);
});

test('damaged bytes do not decode', () => {
  const cut = encoder.encode({ ...clean, source: 'calls', event: call(), damage: { kind: 'cut', keep: 0.9 } });
  expect(contracts.calls.decode(cut.value)).toMatchObject({ ok: false, error: 'truncated' });
  const noise = encoder.encode({
    ...clean,
    source: 'calls',
    event: call(),
    damage: { kind: 'noise', bytes: [1, 2, 3] },
  });
  expect(noise.value).toEqual(Buffer.from([1, 2, 3]));
});
