// Each problem is made for real, and doctor has to tell of it and of what mends it.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder, testStack } from '@leakage/testing';
import { Kafka, logLevel } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { editedCode } from '../../../libs/testing/src/code-edits.ts';
import { roleNames } from '../init/role-table.ts';
import { type Installation, newInstallation } from '../testing/installation.ts';
import type { Check } from './check.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

interface Report {
  readonly code: number;
  readonly checks: readonly Check[];
  readonly of: (name: string) => readonly Check[];
}

async function doctor(it: Installation, env: Record<string, string> = {}): Promise<Report> {
  const { code, out, problems } = await it.leakage(['doctor', '--json', '--role-prefix', it.rolePrefix], env);
  if (out === '') throw new Error(problems);
  const { checks } = JSON.parse(out) as { checks: Check[] };
  return { code, checks, of: (name) => checks.filter((check) => check.name === name) };
}

test('before init it says that nothing is there yet, and that init and the services make it', async () => {
  const it = await newInstallation();
  try {
    const { of } = await doctor(it);
    expect(of('topics')).toEqual([
      expect.objectContaining({ state: 'note', remedy: expect.stringContaining('leakage init') as string }),
    ]);
    expect(of('schemas')).toEqual([expect.objectContaining({ state: 'note', found: 'none yet' })]);
    expect(of('login')).toEqual([expect.objectContaining({ state: 'ok' })]);
    const role = roleNames(it.rolePrefix).reader;
    await it.owner.query(`create role ${role} login password 'somebody'`);
    const url = new URL(it.url);
    url.username = role;
    url.password = 'somebody';
    const other = await doctor(it, { DATABASE_URL: url.href });
    expect(other.code).toBe(3);
    expect(other.of('login')).toEqual([
      {
        name: 'login',
        state: 'no',
        found: `${role} may not make schemas, and there are none yet`,
        remedy: 'Run leakage init with the DATABASE_URL of the owner.',
      },
    ]);
  } finally {
    await it.stop();
  }
});

describe('after init', () => {
  let it: Installation;
  const admin = async () => {
    const { brokers } = await testStack();
    const client = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
    await client.connect();
    return client;
  };
  /** Puts right what a test has made wrong. */
  let mend: string | null = null;
  beforeAll(async () => {
    it = await newInstallation();
    await it.init();
  });
  afterEach(async () => {
    if (mend !== null) await it.owner.query(mend);
    mend = null;
  });
  afterAll(async () => await it.stop());

  test('all is well, asked by the owner', async () => {
    const { checks } = await doctor(it);
    const wanted = ['Kafka', 'topics', 'Postgres', 'connections', 'clock', 'time zone', 'login', 'schemas', 'rights'];
    const found = checks.filter(({ name }) => wanted.includes(name));
    expect(found.map(({ name, state }) => `${state} ${name}`)).toEqual(
      // The database of a test is not called main.
      wanted.map((name) => `${name === 'Postgres' ? 'note' : 'ok'} ${name}`),
    );
  });

  test('all is well, asked with the login of a service', async () => {
    const { of } = await doctor(it, { DATABASE_URL: it.urlOf('bronze') });
    expect(of('login')[0]?.found).toBe(`${it.rolePrefix}_bronze may not make schemas, and need not: leakage init has`);
    expect(of('schemas').map(({ state }) => state)).toEqual(['ok']);
    expect(of('rights')[0]?.found).toContain('may not see which generations there are');
    const silver = await doctor(it, { DATABASE_URL: it.urlOf('silver') });
    expect(silver.of('schemas').map(({ state }) => state)).toEqual(['ok']);
    expect(silver.of('rights').map(({ state }) => state)).toEqual(['ok']);
  });

  test('a topic with another number of partitions or another setting', async () => {
    const topicPrefix = `${it.topicPrefix}.odd`;
    const client = await admin();
    const configEntries = [
      { name: 'message.timestamp.type', value: 'CreateTime' },
      { name: 'cleanup.policy', value: 'delete' },
    ];
    await client.createTopics({
      topics: [
        {
          topic: `${topicPrefix}.calls`,
          numPartitions: 3,
          configEntries: [configEntries[1] ?? { name: '', value: '' }],
        },
        { topic: `${topicPrefix}.journeys`, numPartitions: 12, configEntries },
      ],
    });
    await client.disconnect();
    const { code, of } = await doctor(it, { TOPIC_PREFIX: topicPrefix });
    expect(code).toBe(3);
    const told = of('topics').map(({ state, found, remedy }) => `${state} ${found} -> ${remedy}`);
    expect(told).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^note \S+\.members, \S+\.changes not there yet -> .*leakage init/),
        expect.stringMatching(/^no topic \S+\.calls has 3 partitions, expected 12 -> .*TOPIC_PREFIX/),
        expect.stringMatching(/^no topic \S+\.journeys has message\.timestamp\.type=CreateTime, .* -> .*kafka-configs/),
      ]),
    );
  });

  test('migrations that are missing', async () => {
    await it.owner.query(`delete from bronze.migrations where name = '0003_partition_functions'`);
    mend = `insert into bronze.migrations (name, run_on) values ('0003_partition_functions', now())`;
    const { code, of } = await doctor(it);
    expect(code).toBe(3);
    expect(of('schemas')).toEqual([
      {
        name: 'schemas',
        state: 'no',
        found: 'schema bronze lacks its migrations 0003_partition_functions',
        remedy: 'Run leakage init, or start the service: either makes it.',
      },
    ]);
  });

  test('settings that are not the rules of the generation, and a program of other rules', async () => {
    const other = await doctor(it, { LEAKAGE_WINDOW_MINUTES: '60' });
    expect(other.code).toBe(3);
    expect(other.of('schemas')[0]?.found).toContain('generation 1 was made with other rules');
    const missing = await doctor(it, { GENERATION: '9' });
    expect(
      missing
        .of('schemas')
        .map(({ found }) => found)
        .join(),
    ).toContain('schema silver_9 lacks');
    const { rows } = await it.owner.query<{ version: string }>(
      `select rules ->> 'rulesVersion' as version from ops.generation`,
    );
    await it.owner.query(`update ops.generation set rules = jsonb_set(rules, '{rulesVersion}', '0')`);
    mend = `update ops.generation set rules = jsonb_set(rules, '{rulesVersion}', '${rows[0]?.version}')`;
    const old = await doctor(it);
    expect(old.of('schemas')[0]?.found).toContain('generation 1 was made by version 0 of the rules');
  });

  test('rights that somebody has given or taken', async () => {
    const { silver, bronze } = roleNames(it.rolePrefix);
    await it.owner.query(
      `grant select on bronze.call_logs_raw to ${silver}; revoke insert on bronze.call_logs_raw from ${bronze}`,
    );
    mend = `revoke select on bronze.call_logs_raw from ${silver}; grant insert on bronze.call_logs_raw to ${bronze}`;
    const { code, of } = await doctor(it);
    expect(code).toBe(3);
    expect(of('rights')).toEqual([
      {
        name: 'rights',
        state: 'no',
        found: `grant insert on table "bronze"."call_logs_raw" to "${bronze}" is missing and 1 more`,
        remedy: 'Run leakage init with the DATABASE_URL of the owner: it puts them right.',
      },
    ]);
  });

  test('too few connections', async () => {
    const { reader } = roleNames(it.rolePrefix);
    await it.owner.query(`alter role ${reader} connection limit 3`);
    const { code, of } = await doctor(it, { DATABASE_URL: it.urlOf('reader') });
    expect(code).toBe(3);
    expect(of('connections')[0]).toMatchObject({
      state: 'no',
      found: expect.stringContaining('has a limit of 3') as string,
    });
  });

  test('a clock that is wrong', async () => {
    const clockFile = join(temporaryFolder(), 'clock');
    const { execArgv, env } = editedCode([], { LEAKAGE_CLOCK_FILE: clockFile });
    for (const [ms, state] of [
      [90_000, 'no'],
      [-5_000, 'note'],
    ] as const) {
      writeFileSync(clockFile, String(ms));
      const { of } = await doctor(it, { ...env, NODE_OPTIONS: execArgv.join(' ') });
      const [found] = of('clock');
      expect(found?.state).toBe(state);
      expect(found?.found).toMatch(ms > 0 ? /^Postgres is (89|9\d)\.\d s behind/ : /^Postgres is [45]\.\d s ahead of/);
      expect(found?.remedy).toContain('NTP');
    }
  });

  test('a broker whose clock is ahead', async () => {
    await it.owner.query(`insert into bronze.call_logs_raw (kafka_topic, kafka_partition, kafka_offset, kafka_timestamp)
      values ('t', 0, 0, now() + interval '10 minutes')`);
    mend = 'delete from bronze.call_logs_raw';
    const { of } = await doctor(it);
    expect(of('clock of Kafka')[0]?.found).toMatch(/^the newest record is stamped (59\d|600) s ahead/);
  });

  test('a time zone that Node knows and Postgres does not', async () => {
    const { code, of } = await doctor(it, { TIME_ZONE: '+05:00' });
    expect(code).toBe(3);
    expect(of('time zone')[0]?.found).toBe('Postgres does not know +05:00 (TIME_ZONE)');
  });
});
