import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createKafkaClient, ensureTopics, startPublisher } from '@leakage/kafka';
import { createPool, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { topicName, topicTable } from '@leakage/schemas';
import { freshDatabase, freshPrefix, temporaryFolder, testStack } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWorld, type Delivered, type World } from '../../../libs/oracle/src/testing/world.ts';
import type { Score } from './judge.ts';

const program = fileURLToPath(new URL('../../bin/leakage.mjs', import.meta.url));
const folder = temporaryFolder();
const truth = join(folder, 'truth.jsonl');
let pool: Pool;
let env: Record<string, string | undefined>;
let drop: () => Promise<void>;

const lines = [
  { event: 'onset', journey_type: 'billing', local_date: '2026-02-26' },
  { call_id: 'A', leakage: true, session_id: 'S1', journey_type: 'billing', kind: 'leak' },
  { call_id: 'B', leakage: true, session_id: 'S2', journey_type: 'pharmacy', kind: 'leak' },
  { call_id: 'C', leakage: false, session_id: null, journey_type: null, kind: 'unaligned' },
].map((line) => JSON.stringify(line));

beforeAll(async () => {
  const database = await freshDatabase();
  drop = database.drop;
  env = { PATH: process.env.PATH, DATABASE_URL: database.url, LEAKAGE_DATA_DIR: '/nonexistent', OUTPUT_PATH: folder };
  pool = createPool({ url: database.url, applicationName: 'tests', log: createLogger({ service: 'tests' }) });
  await writeFile(truth, `${lines.join('\n')}\n`);
  await pool.query('create schema team');
  await pool.query('create table team.charged (call_id text, digital_session_id text, leakage_type text)');
  await pool.query(
    `insert into team.charged values ('A', 'S1', 'billing'), ('B', 'S2', 'pharmacy'), ('C', null, null)`,
  );
  await pool.query('create table team.sloppy (call_id text, session_id text, leakage_type text)');
  await pool.query(
    `insert into team.sloppy select 'A', 'S1', 'billing' from generate_series(1, 25000) union all select 'C', 'S3', 'billing'`,
  );
});

afterAll(async () => {
  await pool.stop();
  await drop();
});

function score(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return scoreIn(env, ...args);
}

function scoreIn(
  environment: typeof env,
  ...args: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((done) => {
    execFile(process.execPath, [program, 'score', ...args], { env: environment }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test('a table that is right has code 0 and a report', async () => {
  const { code, stdout } = await score('--table', 'team.charged');
  expect([code, stdout]).toEqual([0, expect.stringContaining('truth of 3 calls, of which 2 are leakage')]);
  expect(stdout).toMatch(/precision: charged calls that are right +100\.00 %/);
  expect(stdout).toContain('Precision and recall are at least 99.50 %.');
});

test('a table that is wrong has code 3, however long it is; --at-least says how wrong it may be', async () => {
  const { code, stdout } = await score('--table', 'team.sloppy', '--json');
  expect(code).toBe(3);
  expect(JSON.parse(stdout) as Score).toMatchObject({
    rowsCharged: 25_001,
    callsCharged: 2,
    correct: 1,
    precision: 0.5,
    recall: 0.5,
    mistakes: { wronglyCharged: { unaligned: { count: 1, examples: ['C'] } }, missed: { leak: { examples: ['B'] } } },
  });
  expect((await score('--table', 'team.sloppy', '--at-least', '0.5')).code).toBe(0);
});

test('files are judged without a database', async () => {
  const csv = join(folder, 'attributed.csv');
  await writeFile(csv, 'leakage_type,call_id,session_id\r\nbilling,A,S1\r\n"pharmacy",B,S2\r\n,C,\r\n');
  const jsonl = join(folder, 'attributed.jsonl');
  await writeFile(
    jsonl,
    '{"call_id":"A","session_id":"S1","leakage_type":"billing"}\n{"call_id":"C","leakage_type":null}\n',
  );
  const database = env.DATABASE_URL;
  env.DATABASE_URL = 'postgres://nobody@127.0.0.1:1/none';
  try {
    expect((await score('--file', csv)).code).toBe(0);
    const { code, stdout } = await score('--file', jsonl, '--json');
    expect([code, JSON.parse(stdout)]).toMatchObject([3, { precision: 1, recall: 0.5, rowsCharged: 1 }]);
  } finally {
    env.DATABASE_URL = database;
  }
});

test('a line that the generator is still writing is left out, a broken one in the middle is an error', async () => {
  const half = join(folder, 'half.jsonl');
  await writeFile(half, `${lines.join('\n')}\n{"call_id":"D","leak`);
  expect((await score('--table', 'team.charged', '--truth', half)).code).toBe(0);
  await writeFile(half, `${lines[0]}\n{"call_id":\n${lines[1]}\n`);
  const { code, stderr } = await score('--table', 'team.charged', '--truth', half);
  expect([code, stderr]).toEqual([1, expect.stringContaining('half.jsonl, line 2: no JSON object')]);
});

test.each([
  [['--truth', '/nonexistent/truth.jsonl'], 1, 'There is no file /nonexistent/truth.jsonl: the generator writes it'],
  [['--truth', folder], 1, `There is no file ${folder}: the generator writes it`],
  [['--file', '/nonexistent/attributed.csv'], 2, 'There is no file /nonexistent/attributed.csv.'],
  [[], 1, 'This database holds no generation of silver yet'],
  [['--table', 'team.nothing'], 2, 'There is no table team.nothing'],
  [['--table', 'team.charged; drop table team.charged'], 2, 'is no name of a table'],
  [['--table', 'pg_catalog.pg_class'], 2, 'call_id, session_id (or digital_session_id) and leakage_type are needed'],
  [['--table', 'team.charged', '--naive'], 2, 'cannot be used with'],
  [['--at-least', '99'], 2, 'a number from 0 to 1 is wanted'],
])('%j is code %d with a sentence', async (args, expected, sentence) => {
  const { code, stderr } = await score(...args);
  expect([code, stderr]).toEqual([expected, expect.stringContaining(sentence)]);
});

describe('what silver holds', () => {
  const at = (minute: number) => `2026-03-02T15:${String(minute).padStart(2, '0')}:00Z`;
  const journey = (member: string, session: string, minute: number, action: string): Delivered => ({
    source: 'journeys',
    event: {
      event_id: `${session} ${minute}`,
      member_id: member,
      session_id: session,
      timestamp: at(minute),
      journey_type: 'billing',
      action,
      emitted_at: at(minute),
    },
  });
  const call = (member: string, id: string, minute: number, reason: string): Delivered => ({
    source: 'calls',
    event: { call_id: id, member_id: member, call_timestamp: at(minute), call_reason: reason, emitted_at: at(minute) },
  });
  const made = join(folder, 'made.jsonl');
  let world: World;

  beforeAll(async () => {
    world = await createWorld();
    await world.reset();
    await world.deliver([
      // Two failures, the second with an error and an abandon: the call is about the last, the naive join charges it three times.
      journey('M-1', 'S1', 0, 'error'),
      journey('M-1', 'S2', 5, 'error'),
      journey('M-1', 'S2', 6, 'abandon'),
      call('M-1', 'A', 15, 'billing_question'),
      // Completed before the call.
      journey('M-2', 'S3', 0, 'error'),
      journey('M-2', 'S3', 5, 'complete'),
      call('M-2', 'B', 10, 'billing_question'),
      // About something else.
      journey('M-3', 'S4', 0, 'abandon'),
      call('M-3', 'C', 10, 'claims_status'),
    ]);
    await world.adopt();
    const calls = [
      { call_id: 'A', leakage: true, session_id: 'S2', journey_type: 'billing', kind: 'leak' },
      { call_id: 'B', leakage: false, session_id: null, journey_type: null, kind: 'cured' },
      { call_id: 'C', leakage: false, session_id: null, journey_type: null, kind: 'unaligned' },
    ];
    await writeFile(made, calls.map((one) => `${JSON.stringify(one)}\n`).join(''));
  });
  afterAll(() => world.close());

  const judged = (o: Record<string, string>, ...args: string[]) =>
    scoreIn({ ...env, DATABASE_URL: world.url, ...o }, '--truth', made, ...args);

  test('the facts of the active generation are what is judged', async () => {
    const { code, stdout } = await judged({}, '--json');
    expect([code, JSON.parse(stdout)]).toMatchObject([0, { rowsCharged: 1, correct: 1, precision: 1, recall: 1 }]);
  });

  test('the naive join charges every error and every abandon', async () => {
    const { code, stdout } = await judged({}, '--naive', '--json');
    expect([code, JSON.parse(stdout)]).toMatchObject([
      3,
      {
        leakage: 1,
        rowsCharged: 5,
        callsCharged: 3,
        chargedAgain: 2,
        correct: 1,
        overCount: 5,
        mistakes: { misattributed: {}, wronglyCharged: { cured: { count: 1 }, unaligned: { count: 1 } }, missed: {} },
      },
    ]);
  });

  test('what silver has still to read is said', async () => {
    expect((await judged({})).stdout).toContain('Lag is not known: KAFKA_BROKERS is not set.');
    expect((await judged({ KAFKA_BROKERS: '127.0.0.1:9' })).stdout).toContain('Lag is not known: nothing listens at');

    const { brokers } = await testStack();
    const prefix = freshPrefix();
    const log = createLogger({ service: 'tests', level: 'error' });
    const kafka = createKafkaClient({ brokers, clientId: 'tests', log });
    await ensureTopics(kafka, topicTable(prefix));
    const servers = { KAFKA_BROKERS: brokers.join(','), TOPIC_PREFIX: prefix };
    expect((await judged(servers)).stdout).not.toContain('still to read');
    const publisher = await startPublisher(kafka, { log });
    const value = Buffer.from('{}');
    await publisher.publish(
      ['M-1', 'M-2', 'M-3'].map((key) => ({ topic: topicName(prefix, 'calls'), key: Buffer.from(key), value })),
    );
    await publisher.stop();
    expect((await judged(servers)).stdout).toContain('Silver has 3 records still to read');
    expect(JSON.parse((await judged(servers, '--json')).stdout)).toMatchObject({ unread: 3 });
  });
});
