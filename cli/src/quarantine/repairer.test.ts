import { contractReading } from '@leakage/registry';
import { contracts } from '@leakage/schemas';
import { call, journey } from '@leakage/testing';
import { describe, expect, test } from 'vitest';
import { parseFix } from './fix.ts';
import { type Repaired, Repairer } from './repairer.ts';

const received = Date.parse('2026-11-28T10:00:00.5Z');

async function repaired(fix: object, payload: Buffer | null, receivedAt = received): Promise<Repaired> {
  const repairer = new Repairer({
    fix: parseFix(JSON.stringify(fix)),
    reading: contractReading,
    encoders: contracts,
  });
  const [only] = await repairer.repair([{ receivedAt, payload }]);
  if (only === undefined) throw new Error('nothing came back');
  return only;
}

const bytesOf = (one: Repaired): Buffer => (one.ok ? one.value : Buffer.alloc(0));
const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const misnamed = (value: Buffer, id: number): Buffer =>
  Buffer.concat([Buffer.from([0, 0, 0, 0, id]), value.subarray(5)]);

describe('a repaired record', () => {
  test('is Avro with our schema, whatever it was', async () => {
    const { journey_type, timestamp, ...rest } = journey();
    const sent = json({ ...rest, jtype: journey_type, timestamp: (timestamp ?? 0) / 1000 });
    expect(contracts.journeys.decode(sent)).toMatchObject({ ok: true, event: { journey_type: null } });
    const steps = [{ rename: { jtype: 'journey_type' } }, { scale: { field: 'timestamp', factor: 1000 } }];
    const one = await repaired({ source: 'journeys', steps }, sent);
    expect(bytesOf(one)).toEqual(contracts.journeys.encode({ ...rest, journey_type, timestamp }));
  });

  test.each([1, 99])('is read by the schema that was meant, not by %i', async (id) => {
    const value = contracts.journeys.encode(journey());
    const broken = misnamed(value, id);
    expect(contracts.journeys.decode(broken).ok).toBe(false);
    expect(bytesOf(await repaired({ source: 'journeys', decodeAs: { schemaId: 5 } }, broken))).toEqual(value);
    expect(await repaired({ source: 'journeys', decodeAs: { schemaId: 1 } }, broken)).toMatchObject({
      ok: false,
      problem: 'unreadable',
    });
  });

  test('may come without its header, or as JSON behind one', async () => {
    const value = contracts.calls.encode(call());
    const bare = { source: 'calls', decodeAs: { schemaId: 2, skipBytes: 0 } };
    expect(bytesOf(await repaired(bare, value.subarray(5)))).toEqual(value);
    const framed = Buffer.concat([Buffer.from([0, 0, 0, 1, 7]), json(call({ call_id: 'C' }))]);
    const event = contracts.calls.decode(
      bytesOf(await repaired({ source: 'calls', decodeAs: { json: true } }, framed)),
    );
    expect(event).toMatchObject({ ok: true, event: { call_id: 'C' }, schemaId: 2 });
  });

  test('says when it was sent: as it says itself, else when Kafka got the broken one', async () => {
    const emittedAt = async (sent: object) => {
      const decoded = contracts.calls.decode(bytesOf(await repaired({ source: 'calls' }, json(sent))));
      return decoded.event?.emitted_at;
    };
    expect(await emittedAt(call({ emitted_at: 7 }))).toBe(7);
    expect(await emittedAt(call({ emitted_at: null }))).toBe(received);
    for (const never of [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]) {
      const lost = await repaired({ source: 'calls' }, json(call({ emitted_at: null })), never);
      expect(lost).toMatchObject({ ok: false, problem: 'no_emitted_at' });
    }
  });

  test('stays JSON where Avro would have to leave something out', async () => {
    const sent = { ...call(), sentiment_score: 'angry' };
    expect(JSON.parse(bytesOf(await repaired({ source: 'calls' }, json(sent))).toString())).toEqual(sent);
    const wrong = { ...call(), call_timestamp: 'noon' };
    expect(JSON.parse(bytesOf(await repaired({ source: 'calls' }, json(wrong))).toString())).toEqual(wrong);
  });

  test.each([null, Buffer.alloc(0), Buffer.from('hello'), Buffer.from('{'), Buffer.from([0, 0, 0, 0, 2])])(
    'is none where nothing can be read: %s',
    async (payload) => {
      expect(await repaired({ source: 'calls' }, payload)).toEqual({ ok: false, problem: 'unreadable', before: null });
    },
  );
});
