import { createKafkaClient, ensureTopics, startPublisher, topicOffsets } from '@leakage/kafka';
import { createPool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type FaultServers, startFaultServers } from './fault-servers.ts';
import { eventually } from './waiting.ts';

const log = createLogger({ service: 'testing', level: 'silent' });
let servers: FaultServers;

beforeAll(async () => {
  servers = await startFaultServers();
});

afterAll(async () => {
  await servers?.stop();
});

async function records(topic: string): Promise<number> {
  const client = createKafkaClient({ brokers: [servers.brokers], clientId: 'testing', log });
  await ensureTopics(client, [{ name: topic, partitions: 1, config: {} }]);
  return (await topicOffsets(client, [topic]))[0]?.high ?? -1;
}

test('a broker keeps its address and its data, whatever is done to it; a replaced one has its address only', {
  timeout: 240_000,
}, async () => {
  expect(await records('one')).toBe(0);
  const client = createKafkaClient({ brokers: [servers.brokers], clientId: 'testing', log });
  const publisher = await startPublisher(client, { log });
  await publisher.publish([{ topic: 'one', key: null, value: Buffer.from('1') }]);
  await publisher.stop();
  const pid = servers.kafka.pid();
  await servers.kafka.killAndStart();
  expect(servers.kafka.pid()).not.toBe(pid);
  expect(await records('one')).toBe(1);
  await servers.kafka.replace();
  expect(await records('one')).toBe(0);
  await servers.kafka.bringBack();
  expect(await records('one')).toBe(1);
});

test('Postgres keeps its address and what was committed; paused, every connection of it stands still', {
  timeout: 120_000,
}, async () => {
  const pool = createPool({ url: servers.adminUrl, applicationName: 'test', log });
  await pool.query('create table kept (id int); insert into kept values (1)');
  await servers.postgres.killAndStart();
  const kept = () => pool.query<{ id: number }>('select id from kept order by id');
  expect((await eventually(kept)).rows).toEqual([{ id: 1 }]);
  servers.postgres.pause();
  let answered = false;
  const answer = kept().then(() => {
    answered = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(answered).toBe(false);
  servers.postgres.resume();
  await answer;
  await servers.postgres.restart();
  expect((await eventually(kept)).rows).toEqual([{ id: 1 }]);
  await pool.stop();
});
