import { createKafkaClient, ensureTopics, startPublisher } from '@leakage/kafka';
import { createPool, type Pool } from '@leakage/postgres';
import { contracts, topicName, topicTable } from '@leakage/schemas';
import {
  eventually,
  freshDatabase,
  freshPrefix,
  startServiceProcess,
  type TestDatabase,
  testStack,
} from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encode } from './testing/delivery.ts';
import { SCHEMA, testLog } from './testing/postgres-silver.ts';
import { vector } from './testing/vectors.ts';

let server: TestDatabase;
let pool: Pool;
let env: Record<string, string>;
const prefix = freshPrefix();

beforeAll(async () => {
  const { brokers } = await testStack();
  server = await freshDatabase();
  pool = createPool({ url: server.url, applicationName: 'silver-test', log: testLog });
  env = { DATABASE_URL: server.url, KAFKA_BROKERS: brokers.join(','), TOPIC_PREFIX: prefix };
  const kafka = createKafkaClient({ brokers, clientId: 'silver-test', log: testLog });
  await ensureTopics(kafka, topicTable(prefix));
  const publisher = await startPublisher(kafka, { log: testLog });
  const records = vector('T-ATT').steps.flatMap((step) => step.records);
  await publisher.publish(
    records.map((record) => ({
      topic: topicName(prefix, record.source),
      key: record.event.member_id,
      // Calls as a first producer would send them, by hand.
      value: record.source === 'calls' ? contracts.calls.encodeJson(record.event) : encode(record),
    })),
  );
  await publisher.stop();
});

afterAll(async () => {
  await pool.stop();
  await server.drop();
});

const leakageCalls = async () => {
  const { rows } = await pool.query<{ calls: number }>(
    'select count(*) as calls from silver.digital_call_leakage where is_leakage_call',
  );
  return rows[0]?.calls;
};

describe('the service', () => {
  it('reads the topics into silver, shows it under the stable names, and stops when asked', async () => {
    const service = startServiceProcess('silver-joiner', env);
    await service.ready;
    const found = await eventually(async () => (await leakageCalls()) === 10, { what: '10 leakage calls' });
    expect(found).toBe(true);
    expect(await service.stop('SIGTERM')).toBe(0);
  });

  it('goes on where it stood', async () => {
    const before = await pool.query(`select sum(next_offset) as read from ops.position`);
    const service = startServiceProcess('silver-joiner', env);
    await service.ready;
    expect(await service.stop('SIGTERM')).toBe(0);
    expect((await pool.query(`select sum(next_offset) as read from ops.position`)).rows).toEqual(before.rows);
    expect((await pool.query(`select count(*) as facts from ${SCHEMA}.call_fact`)).rows).toEqual([{ facts: 17 }]);
  });

  it('refuses to mix rules, with exit code 2 and a message that says what to do', async () => {
    const service = startServiceProcess('silver-joiner', { ...env, LEAKAGE_WINDOW_MINUTES: '45' });
    expect(await service.exited).toBe(2);
    expect(service.output()).toContain('LEAKAGE_WINDOW_MINUTES is 45, the generation has 30');
  });
});
