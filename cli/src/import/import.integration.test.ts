import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createPool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import {
  freshDatabase,
  freshPrefix,
  type ServiceProcess,
  startServiceProcess,
  temporaryFolder,
  testStack,
} from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ImportResult } from './import-files.ts';
import type { SilverOutcome } from './outcome.ts';

const program = fileURLToPath(new URL('../../bin/leakage.mjs', import.meta.url));

let env: Record<string, string>;
let drop: () => Promise<void>;
const services: ServiceProcess[] = [];

beforeAll(async () => {
  const database = await freshDatabase();
  drop = database.drop;
  const { brokers } = await testStack();
  env = {
    KAFKA_BROKERS: brokers.join(','),
    DATABASE_URL: database.url,
    TOPIC_PREFIX: freshPrefix(),
    LEAKAGE_DATA_DIR: '/nonexistent',
  };
  services.push(startServiceProcess('bronze-sink', env), startServiceProcess('silver-joiner', env));
  await Promise.all(services.map((service) => service.ready));
});

afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await drop();
});

interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

function leakage(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [program, ...args],
      { env: { PATH: process.env.PATH, ...env } },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
      },
    );
  });
}

async function folderOf(files: Record<string, string | Buffer>): Promise<string> {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  return folder;
}

const journeys = `member_id,session_id,timestamp,journey_type,action,device_type,error_code,error_message
M-1,SES-B-1,2026-01-15 09:00:00,billing,error,mobile,ERR_BILLING_GENERAL,"Your plan, as it is"
M-1,SES-B-1,2026-01-15 09:01:00,billing,abandon,mobile,,
M-1,SES-B-1,2026-01-15 09:01:00,billing,abandon,mobile,,
M-2,SES-B-2,never,billing,error,mobile,E,
M-2,SES-B-3,2026-01-15 09:00:00
`;
const calls = [
  {
    call_id: 'CALL-1',
    member_id: 'M-1',
    call_timestamp: '2026-01-15 09:10:00',
    call_reason: 'billing_question',
    sentiment_score: 'angry',
  },
  { call_id: 'CALL-2', call_timestamp: '2026-01-15T09:10:00-05:00' },
]
  .map((row) => JSON.stringify(row))
  .concat('{"call_id":', '')
  .join('\n');
const members = `member_id,plan_type,segment,language_preference,tenure_months,enrollment_date
M-1,MAPD,new,Spanish,3,2025-10-01
M-3,MAPD,new,Spanish,three,2025-10-01
`;

describe('a folder of files', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await folderOf({
      'digital_journeys.csv': journeys,
      'call_logs_1.jsonl': calls,
      'member_profiles.csv': members,
      'README.txt': '',
    });
  });

  test('becomes rows of silver, and every line ends in a figure', async () => {
    const { code, stdout, stderr } = await leakage('import', folder, '--json');
    expect([code, stderr]).toEqual([0, expect.stringContaining('Not imported: README.txt')]);
    const result = JSON.parse(stdout) as ImportResult & { silver: SilverOutcome };
    expect(result.files.map(({ file, sent, refused, sentAsJson }) => [file, sent, refused, sentAsJson])).toEqual([
      ['member_profiles.csv', 2, 0, 1],
      ['digital_journeys.csv', 4, 1, 1],
      ['call_logs_1.jsonl', 2, 1, 1],
    ]);
    expect(result.refusals).toEqual([
      { file: 'digital_journeys.csv', line: 6, reason: 'has 3 values, the header has 8' },
      { file: 'call_logs_1.jsonl', line: 3, reason: 'not a JSON object' },
    ]);
    expect(result.silver).toMatchObject({
      outcomes: { accepted: 4, superseded: 0, duplicates: 1, conflicts: 0, quarantined: 3 },
      others: 0,
      quarantined: 3,
    });
    expect(result.silver.reasons.map(({ source, reason, records }) => [source, reason, records])).toEqual(
      expect.arrayContaining([
        ['journeys', 'type:timestamp', 1],
        ['members', 'type:tenure_months', 1],
        ['calls', 'unidentified', 1],
      ]),
    );
    const pool = createPool({
      url: env.DATABASE_URL ?? '',
      applicationName: 'test',
      max: 1,
      log: createLogger({ service: 'test', level: 'error' }),
    });
    const { rows } = await pool.query(
      `select call_id, is_leakage_call, leakage_type, digital_session_id, time_to_call_minutes, error_code, member_category, sentiment_score
         from silver.digital_call_leakage`,
    );
    await pool.stop();
    expect(rows).toEqual([
      expect.objectContaining({
        call_id: 'CALL-1',
        is_leakage_call: true,
        leakage_type: 'billing',
        digital_session_id: 'SES-B-1',
        time_to_call_minutes: '9.0',
        error_code: 'ERR_BILLING_GENERAL',
        member_category: 'MAPD New',
        sentiment_score: null,
      }),
    ]);
  });

  test('imported again, its rows are duplicates', async () => {
    const { code, stdout } = await leakage('import', folder);
    expect(code).toBe(0);
    expect(stdout).toContain('digital_journeys.csv:6  has 3 values, the header has 8');
    expect(stdout).toContain('silver: 0 accepted, 5 duplicates, 3 quarantined');
    expect(stdout).toMatch(/1 x type:timestamp in journeys(, such as digital_journeys.csv:5)?\n/);
  });
});

test('what cannot be imported is wrong usage', async () => {
  const unknown = await leakage('import', await folderOf({ 'call_logs.jsonl': calls, 'claims.csv': 'x' }));
  expect([unknown.code, unknown.stdout, unknown.stderr]).toEqual([
    2,
    '',
    expect.stringContaining('claims.csv: no such table'),
  ]);
  const folder = await folderOf({ 'call_logs.jsonl': calls });
  expect(await leakage('import', folder, '--time-zone', 'Mars/North')).toMatchObject({ code: 2, stdout: '' });
});

test('not one readable line is a failure', async () => {
  const { code, stderr } = await leakage('import', await folderOf({ 'call_logs.jsonl': 'no json\n' }));
  expect([code, stderr]).toEqual([1, expect.stringContaining('Not one line could be sent')]);
});

test('without silver the lines are sent all the same, and waiting ends', async () => {
  const folder = await folderOf({ 'call_logs.jsonl': calls });
  const before = env.TOPIC_PREFIX ?? '';
  env.TOPIC_PREFIX = freshPrefix();
  const waited = await leakage('import', folder, '--patience', '1');
  const unasked = await leakage('import', folder, '--no-wait');
  env.TOPIC_PREFIX = before;
  expect([waited.code, waited.stdout, waited.stderr]).toEqual([
    1,
    expect.stringContaining('2 lines sent'),
    expect.stringContaining('silver has not read them'),
  ]);
  expect([unasked.code, unasked.stdout]).toEqual([0, expect.stringContaining('2 lines sent')]);
});
