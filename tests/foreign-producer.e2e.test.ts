import { topicName } from '@leakage/schemas';
import { Kafka, logLevel, Partitioners } from 'kafkajs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyPipeline } from '../cli/src/verify.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

/** What somebody who has never read our code would send: plain JSON, by a stock client, with what it does by default. */
const journeyAt = (member: string, time: string, action: string) =>
  JSON.stringify({
    member_id: member,
    session_id: `S-${member}`,
    timestamp: time,
    journey_type: 'Billing',
    action,
    device_type: 'iPhone',
    app_version: '7.1',
  });
const callAt = (member: string, id: string, time: string) =>
  JSON.stringify({ call_id: id, member_id: member, call_timestamp: time, call_reason: 'Billing Question' });

describe("a stranger's records", () => {
  let pipeline: Pipeline;
  let kafka: Kafka;
  beforeAll(async () => {
    pipeline = await startPipeline();
    kafka = new Kafka({ brokers: [...pipeline.brokers], clientId: 'stranger', logLevel: logLevel.NOTHING });
  });
  afterAll(async () => await pipeline.stop());

  async function send(
    createPartitioner: typeof Partitioners.DefaultPartitioner,
    source: 'journeys' | 'calls',
    messages: readonly { key: string | null; value: string; partition?: number }[],
  ): Promise<void> {
    const producer = kafka.producer({ createPartitioner });
    await producer.connect();
    await producer.send({ topic: topicName(pipeline.prefix, source), messages: [...messages] });
    await producer.disconnect();
  }

  it('end right whatever the partitioner, without a key, and all in one partition', async () => {
    const { DefaultPartitioner, LegacyPartitioner } = Partitioners;
    const key = 'M-default';
    await send(DefaultPartitioner, 'journeys', [{ key, value: journeyAt(key, '2026-03-02T10:00:00-05:00', 'error') }]);
    await send(DefaultPartitioner, 'calls', [{ key, value: callAt(key, 'C-default', '2026-03-02T15:10:00Z') }]);

    const legacy = 'M-legacy';
    await send(LegacyPartitioner, 'journeys', [
      { key: legacy, value: journeyAt(legacy, '2026-03-02T10:00:00-05:00', 'abandon') },
    ]);
    await send(LegacyPartitioner, 'calls', [
      { key: legacy, value: callAt(legacy, 'C-legacy', '2026-03-02T15:10:00Z') },
    ]);

    const keyless = 'M-null';
    for (let nr = 0; nr < 5; nr += 1) {
      const minute = String(10 + nr);
      await send(DefaultPartitioner, 'journeys', [
        { key: null, value: journeyAt(keyless, `2026-03-02T10:${minute}:00-05:00`, 'error') },
      ]);
      await send(DefaultPartitioner, 'calls', [
        { key: null, value: callAt(keyless, `C-null-${nr}`, `2026-03-02T15:${minute}:30Z`) },
      ]);
    }

    const crowded = ['M-one', 'M-two', 'M-three', 'M-four'];
    await send(
      DefaultPartitioner,
      'journeys',
      crowded.map((member) => ({
        key: member,
        partition: 7,
        value: journeyAt(member, '2026-03-02T10:00:00-05:00', 'error'),
      })),
    );
    await send(
      DefaultPartitioner,
      'calls',
      crowded.map((member) => ({
        key: member,
        partition: 3,
        value: callAt(member, `C-${member}`, '2026-03-02T15:05:00Z'),
      })),
    );
    await pipeline.drained();

    const { rows } = await pipeline.pool.query<{ call_id: string; attribution: string; device_type: string }>(
      'select call_id, attribution, device_type from silver.digital_call_leakage order by call_id',
    );
    expect(rows.map((row) => `${row.call_id} ${row.attribution} ${row.device_type}`)).toEqual(
      ['C-M-four', 'C-M-one', 'C-M-three', 'C-M-two', 'C-default', 'C-legacy']
        .concat([0, 1, 2, 3, 4].map((nr) => `C-null-${nr}`))
        .map((call) => `${call} leakage other`),
    );
    const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
    expect(report.checks.filter((check) => check.differences > 0)).toEqual([]);
  });

  it('that are broken are kept with their bytes and a reason, and stop nothing', async () => {
    const { DefaultPartitioner } = Partitioners;
    await send(DefaultPartitioner, 'journeys', [
      { key: 'M-x', value: 'hello' },
      { key: 'M-x', value: '{"member_id": 7}' },
      { key: 'M-x', value: journeyAt('M-x', '2026-03-02T10:00:00-05:00', 'teleport') },
    ]);
    await send(DefaultPartitioner, 'calls', [
      { key: null, value: JSON.stringify({ call_id: 'C-nobody', call_timestamp: '2026-03-02T15:05:00Z' }) },
    ]);
    await pipeline.drained();
    const { rows } = await pipeline.pool.query<{ payload: Buffer; reasons: string[] }>(
      'select payload, reasons from silver.quarantine order by source, kafka_offset',
    );
    expect(rows).toHaveLength(4);
    expect(rows.every((row) => row.reasons.length > 0)).toBe(true);
    expect(rows.flatMap((row) => row.reasons)).toEqual(expect.arrayContaining(['unidentified', 'type:member_id']));
    expect(rows.map((row) => row.payload.toString())).toContain('hello');
    const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
    expect(report.ok).toBe(true);
  });
});
