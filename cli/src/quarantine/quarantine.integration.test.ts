import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createKafkaClient, type OutgoingRecord, type Publisher, startPublisher } from '@leakage/kafka';
import { createPool, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { contracts, topicName } from '@leakage/schemas';
import {
  call,
  eventually,
  freshDatabase,
  freshPrefix,
  journey,
  profile,
  type ServiceProcess,
  startServiceProcess,
  temporaryFolder,
  testStack,
} from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const program = fileURLToPath(new URL('../../bin/leakage.mjs', import.meta.url));
const log = createLogger({ service: 'test', level: 'silent' });
const prefix = freshPrefix();
const folder = temporaryFolder();

let env: Record<string, string>;
let drop: () => Promise<void>;
let pool: Pool;
let publisher: Publisher;
let bronze: ServiceProcess;
let silver: ServiceProcess;

beforeAll(async () => {
  const database = await freshDatabase();
  drop = database.drop;
  const { brokers } = await testStack();
  env = {
    KAFKA_BROKERS: brokers.join(','),
    DATABASE_URL: database.url,
    TOPIC_PREFIX: prefix,
    LEAKAGE_DATA_DIR: '/nonexistent',
  };
  bronze = startServiceProcess('bronze-sink', env);
  silver = startServiceProcess('silver-joiner', env);
  await Promise.all([bronze.ready, silver.ready]);
  pool = createPool({ url: database.url, applicationName: 'test', max: 2, log });
  publisher = await startPublisher(createKafkaClient({ brokers, clientId: 'test', log }), { log });
});

afterAll(async () => {
  await Promise.all([bronze.stop(), silver.stop()]);
  await publisher.stop();
  await pool.stop();
  await drop();
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly problems: string;
}

function quarantine(...words: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env: { PATH: process.env.PATH, ...env } };
    execFile(process.execPath, [program, 'quarantine', ...words], options, (error, out, problems) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, problems });
    });
  });
}

async function document<T>(...words: string[]): Promise<T> {
  const { code, out, problems } = await quarantine(...words, '--json');
  expect(code, problems).toBe(0);
  return JSON.parse(out) as T;
}

let offsets = 0;

/** Sends records and waits until silver and bronze have them. */
async function send(records: readonly OutgoingRecord[]): Promise<void> {
  await publisher.publish(records);
  offsets += records.length;
  await drained();
}

async function drained(): Promise<void> {
  const read = async (pipeline: string): Promise<boolean> => {
    const { rows } = await pool.query<{ read: number }>(
      'select coalesce(sum(next_offset), 0)::bigint as read from ops.position where pipeline = $1',
      [pipeline],
    );
    return rows[0]?.read === offsets;
  };
  await eventually(async () => (await read('silver_1')) && (await read('bronze')), {
    what: `reading ${offsets} records`,
  });
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const at = (source: 'journeys' | 'calls' | 'members', offset: number) => `${topicName(prefix, source)}/3/${offset}`;
const record = (source: 'journeys' | 'calls' | 'members', value: Buffer | null, key = 'M-104382'): OutgoingRecord => {
  const headers = { source_file: 'crm.csv', other: 'dropped' };
  return { topic: topicName(prefix, source), partition: 3, key, value, headers };
};
let files = 0;
function fixOf(fix: object): string {
  files += 1;
  const file = join(folder, `${files}.json`);
  writeFileSync(file, JSON.stringify(fix));
  return file;
}

const member = { member_id: 'M-104382' };

describe('what is in quarantine', () => {
  beforeAll(async () => {
    const { emitted_at: _, ...unsent } = journey({ ...member, event_id: 'late', action: 'errror' });
    await send([
      // Sent without emitted_at: what is repaired was sent when Kafka got this.
      record('journeys', json({ ...unsent, timestamp: Date.now() - 60_000 })),
      record('journeys', json({ ...journey(member), action: 'errror', journey_type: 'dental' })),
      record('journeys', Buffer.from([0xff, 0x00, 0x41])),
      record('journeys', null),
      record('calls', contracts.calls.encode(call({ member_id: null }))),
    ]);
  });

  test('is listed by source and reason, with the position of one', async () => {
    const list = await document<{ records: number; groups: object[] }>('list');
    expect(list).toMatchObject({ generation: 1, status: 'open', records: 5 });
    expect(list.groups).toMatchObject([
      { source: 'journeys', reason: 'unknown:action', records: 2, sample: at('journeys', 1) },
      { source: 'calls', reason: 'unidentified', records: 1, sample: at('calls', 0) },
      { source: 'journeys', reason: 'null_value', records: 1 },
      { source: 'journeys', reason: 'unknown:journey_type', records: 1 },
      { source: 'journeys', reason: 'unknown_format', records: 1 },
    ]);
    const { out } = await quarantine('list');
    expect(out).toMatch(/^5 records in the quarantine of generation 1 \(open\)\n/);
    expect(out).toMatch(/journeys +unknown:action +2 +\d{4}-/);
    expect(out).toContain('A record with several reasons is counted for each.');
    expect(out).not.toContain('104382');
  });

  test.each([
    [['--source', 'calls'], 1],
    [['--reason', 'unknown'], 2],
    [['--reason', 'unknown:journey_type'], 1],
    [['--reason', 'unknown:action', '--since', '1h'], 2],
    [['--since', '2100-01-01T00:00:00Z'], 0],
    [['--status', 'replayed'], 0],
    [['--status', 'all'], 5],
  ])('is selected by %j', async (words, records) => {
    expect(await document('list', ...words)).toMatchObject({ records });
  });

  test('is shown record by record, and who looked is written down', async () => {
    const shown = await document<Record<string, unknown>>('show', at('journeys', 1), '--purpose', 'ticket 7');
    expect(shown).toMatchObject({
      position: at('journeys', 1),
      source: 'journeys',
      status: 'open',
      attempts: 0,
      key: 'M-104382',
      headers: { source_file: 'crm.csv', other: 'dropped' },
      sourceFile: 'crm.csv',
      reasons: [
        { reason: 'unknown:journey_type', words: 'journey_type is none of the values that are known' },
        { reason: 'unknown:action' },
      ],
      decoded: { member_id: 'M-104382', action: 'errror' },
      asSent: { member_id: 'M-104382', journey_type: 'dental' },
      text: expect.stringContaining('"dental"'),
    });
    const garbage = await quarantine('show', at('journeys', 2));
    expect(garbage.out).toContain('unknown_format: its first byte is of no format');
    expect(garbage.out).toMatch(/ff 00 41 +\.\.A/);
    expect(garbage.out).toContain('as it was sent: nothing can be read');
    expect((await quarantine('show', at('journeys', 3))).out).toContain('no value');
    const { rows } = await pool.query(
      'select command, kafka_offset, purpose, login, system_user_name from ops.disclosure order by id',
    );
    expect(rows).toMatchObject([
      { command: 'show', kafka_offset: 1, purpose: 'ticket 7' },
      { command: 'show', kafka_offset: 2, purpose: null },
      { command: 'show', kafka_offset: 3, purpose: null },
    ]);
    expect(rows.every((row) => row.login !== '' && row.system_user_name !== '')).toBe(true);
    await expect(pool.query('delete from ops.disclosure')).rejects.toThrow(/never changed or removed/);
  });

  test('is not shown where that cannot be written down', async () => {
    await pool.query('alter table ops.disclosure add constraint nobody check (kafka_offset < 0) not valid');
    const { code, out } = await quarantine('show', at('journeys', 1));
    expect([code, out]).toEqual([1, '']);
    await pool.query('alter table ops.disclosure drop constraint nobody');
  });

  test('a position that is not there, and words that mean nothing, are told apart', async () => {
    const absent = await quarantine('show', at('journeys', 4_711));
    expect([absent.code, absent.problems]).toEqual([
      1,
      expect.stringContaining('is not in the quarantine of generation 1'),
    ]);
    for (const words of [
      ['show', 'somewhere'],
      ['list', '--since', 'yesterday'],
      ['list', '--source', 'changes'],
      ['reinject', '--fix', fixOf({ source: 'calls' })],
      ['reinject', '--fix', fixOf({ source: 'calls' }), '--name', 'a b'],
      ['try', '--fix', fixOf({ source: 'calls' }), '--source', 'journeys'],
      ['try', '--fix', fixOf({ source: 'calls', steps: [{ set: { call_id: 1 } }] })],
      ['try', '--fix', join(folder, 'no such file')],
      ['discard', '--why', 'all of it'],
      ['discard', '--reason', 'empty'],
    ]) {
      expect(await quarantine(...words), words.join(' ')).toMatchObject({ code: 2, out: '' });
    }
  });
});

describe('a fix', () => {
  const fix = { source: 'journeys', steps: [{ map: { field: 'action', values: { errror: 'error' } } }] };

  test('is tried on a sample: what changes, and what the rules say', async () => {
    const tried = await quarantine('try', '--fix', fixOf(fix), '--reason', 'unknown:action');
    expect(tried.code).toBe(3);
    expect(tried.out).toContain('action      "errror" -> "error"');
    expect(tried.out).toMatch(/emitted_at {2}\(none\) -> \d{13}/);
    expect(tried.out).toContain('accepted');
    expect(tried.out).toContain('refused: unknown:journey_type');
    expect(tried.out).toContain('2 of 2 records of journeys tried: 1 would be accepted, 1 would not');
    expect(tried.out).not.toContain('104382');
  });

  test('sends what the rules accept, and leaves the rest open with its reason', async () => {
    const words = ['reinject', '--fix', fixOf(fix), '--reason', 'unknown:action', '--name', 'spelling'];
    const report = await document<object>(...words);
    offsets += 1;
    expect(report).toEqual({
      run: 'spelling',
      source: 'journeys',
      examined: 2,
      sent: 1,
      found: 0,
      refused: [{ reason: 'unknown:journey_type', records: 1, example: at('journeys', 1) }],
      interrupted: false,
      open: 1,
    });
    await drained();
    const { rows } = await pool.query(
      `select e.action, e.source_offset, e.emitted_at = b.kafka_timestamp as sent_when_received, n.kafka_key, n.headers, n.schema_id
         from silver_1.journey_event e
         join bronze.digital_journeys_raw b on b.kafka_partition = 3 and b.kafka_offset = 0
         join bronze.digital_journeys_raw n on n.kafka_partition = 3 and n.kafka_offset = e.source_offset
        where e.event_id = 'late'`,
    );
    expect(rows).toEqual([
      {
        action: 'error',
        source_offset: 4,
        sent_when_received: true,
        kafka_key: Buffer.from('M-104382'),
        headers: { source_file: 'crm.csv', repair_of: at('journeys', 0), repair: 'spelling' },
        schema_id: 5,
      },
    ]);
    const shown = await document('show', at('journeys', 0));
    expect(shown).toMatchObject({ status: 'replayed', attempts: 1, run: 'spelling', repairedAs: at('journeys', 4) });
    expect((await quarantine('show', at('journeys', 0))).out).toContain(
      `replayed by run spelling as ${at('journeys', 4)}`,
    );
  });

  test('of which nothing is accepted, ends with 3 and sends nothing', async () => {
    const words = ['reinject', '--fix', fixOf(fix), '--reason', 'unknown:action', '--name', 'spelling'];
    const { code, out } = await quarantine(...words);
    expect([code, out]).toEqual([
      3,
      `spelling: 1 record of journeys looked at, 0 sent again, 1 not\n` +
        `  1 x unknown:journey_type (journey_type is none of the values that are known), such as ${at('journeys', 1)}\n` +
        '1 record of this selection is open\n',
    ]);
  });

  test('may not make right, by coming late, a time that was wrong when the record came', async () => {
    const ahead = Date.now() + 3_600_000;
    await send([
      record('calls', json(call({ ...member, call_id: 'ahead', call_timestamp: ahead - 1_000, emitted_at: ahead }))),
    ]);
    // An hour later nobody could tell any more.
    await pool.query(
      `update silver_1.quarantine_record set received_at = received_at - interval '1 hour' where kafka_topic like '%calls' and kafka_offset = 1`,
    );
    const tried = await quarantine('try', '--fix', fixOf({ source: 'calls' }), at('calls', 1));
    expect([tried.code, tried.out]).toEqual([3, expect.stringContaining('refused: emitted_in_future')]);
  });
});

describe('records that nobody can repair', () => {
  test('are discarded with a reason, and are open no more', async () => {
    const discarded = await document('discard', '--reason', 'unknown_format', '--why', 'a port scanner');
    expect(discarded).toEqual({ discarded: 1, found: 0 });
    expect(await document('discard', '--reason', 'unknown_format', '--why', 'again')).toEqual({
      discarded: 0,
      found: 0,
    });
    expect((await quarantine('discard', at('journeys', 3), '--why', 'a tombstone')).out).toBe(
      '1 record discarded: a tombstone\n',
    );
    const { out } = await quarantine('show', at('journeys', 2));
    expect(out).toMatch(/discarded by \w+ at \S+: a port scanner/);
    expect(await document('list', '--status', 'discarded')).toMatchObject({ records: 2 });
    const { rows } = await pool.query(
      `select status, resolved_by from silver.quarantine where 'unknown_format' = any (reasons)`,
    );
    expect(rows).toMatchObject([{ status: 'discarded', resolved_by: expect.stringMatching(/\w/) }]);
  });
});

describe('many records', () => {
  const fix = { source: 'members', steps: [{ map: { field: 'plan_type', values: { Medicare: 'MAPD' } } }] };
  const words = (...more: string[]) => ['reinject', '--fix', fixOf(fix), '--name', 'plans', '--json', ...more];
  const profiles = 450;
  const statuses = async () => {
    const { rows } = await pool.query<{ status: string; n: number }>(
      `select status, count(*) as n from silver.quarantine where source = 'members' group by status order by status`,
    );
    return Object.fromEntries(rows.map(({ status, n }) => [status, n]));
  };
  beforeAll(async () => {
    await send(
      Array.from({ length: profiles }, (_, nr) => ({
        topic: topicName(prefix, 'members'),
        key: `M-${nr}`,
        value: json(profile({ member_id: `M-${nr}`, plan_type: 'Medicare' })),
      })),
    );
  });

  test('are sent up to a limit', async () => {
    const { out } = await quarantine(...words('--limit', '50'));
    expect(JSON.parse(out)).toMatchObject({ examined: 50, sent: 50, open: 400 });
    expect(await statuses()).toEqual({ open: 400, replayed: 50 });
    offsets += 50;
  });

  test('are sent no faster than wanted, and Ctrl-C ends after the batch', async () => {
    const child = spawn(process.execPath, [program, 'quarantine', ...words('--rate', '30')], {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    const began = Date.now();
    await eventually(async () => ((await statuses()).replayed ?? 0) >= 110, { what: 'two batches' });
    expect(Date.now() - began).toBeGreaterThan(900);
    child.kill('SIGINT');
    expect(await once(child, 'close')).toEqual([1, null]);
    const report = JSON.parse(out) as { sent: number; interrupted: boolean };
    expect(report).toMatchObject({ interrupted: true, refused: [] });
    expect(report.sent % 30).toBe(0);
    expect(await statuses()).toEqual({ open: 400 - report.sent, replayed: 50 + report.sent });
    offsets += report.sent;
  });

  test('are repaired by one at a time', async () => {
    await pool.withConnection(async (other) => {
      await other.query('select pg_advisory_lock(4718264)');
      expect(await quarantine(...words())).toMatchObject({
        code: 1,
        out: '',
        problems: expect.stringContaining('is at work'),
      });
      await other.query('select pg_advisory_unlock(4718264)');
    });
  });

  test('that bronze has not read yet stay open: their keys are not known', async () => {
    await bronze.stop();
    const value = json(profile({ member_id: 'M-new', plan_type: 'Medicare' }));
    await publisher.publish([record('members', value, 'M-new')]);
    offsets += 1;
    const { rows } = await eventually(
      async () => {
        const found = await pool.query<{ at: string }>(
          `select concat_ws('/', kafka_topic, kafka_partition, kafka_offset) as at from silver.quarantine
            where record_id = 'M-new'`,
        );
        return found.rows.length > 0 ? found : null;
      },
      { what: 'the quarantine' },
    );
    const { out, code } = await quarantine(...words(rows[0]?.at ?? ''));
    expect([code, JSON.parse(out)]).toMatchObject([3, { sent: 0, refused: [{ reason: 'not_in_bronze' }] }]);
  });

  test('of which nobody knows whether they were sent wait for bronze, which knows', async () => {
    const { rows } = await pool.query<{ open: number }>(
      `with one as (select kafka_topic, kafka_partition, kafka_offset from silver.quarantine
                     where source = 'members' and status = 'open' and record_id <> 'M-new' order by 1, 2, 3 limit 1)
       insert into ops.repair (kafka_topic, kafka_partition, kafka_offset, attempts, attempted_at, run)
       select one.*, 1, now(), 'plans' from one returning 1 as open`,
    );
    expect(rows).toHaveLength(1);
    for (const again of [
      words('--wait', '1'),
      ['discard', '--reason', 'unknown:plan_type', '--why', 'x', '--wait', '1'],
    ]) {
      const { code, problems } = await quarantine(...again);
      expect([code, problems]).toEqual([
        1,
        expect.stringMatching(/Bronze would know, but has \d+ records .* start bronze-sink/),
      ]);
    }
    bronze = startServiceProcess('bronze-sink', env);
    await bronze.ready;
    const before = (await statuses()).open ?? 0;
    const { code, out } = await quarantine(...words());
    expect([code, JSON.parse(out)]).toMatchObject([0, { found: 0, sent: before, open: 0 }]);
    expect(await statuses()).toEqual({ replayed: profiles + 1 });
    offsets += before;
    await drained();
    const members = await pool.query(`select count(*) as n from silver_1.member_profile where plan_type = 'MAPD'`);
    expect(members.rows).toEqual([{ n: profiles + 1 }]);
  });
});

describe('versions that contradict each other', () => {
  test('are all shown, with the one that counts, and people only on demand', async () => {
    const one = journey({ ...member, event_id: 'twice', device_type: 'mobile' });
    await send([
      record('journeys', contracts.journeys.encode({ ...one, device_type: 'desktop' })),
      record('journeys', contracts.journeys.encode(one)),
      record('members', contracts.members.encode(profile({ ...member, language_preference: 'Spanish' }))),
      record('members', contracts.members.encode(profile({ ...member, language_preference: 'English' }))),
    ]);
    const report = await document<{ conflicts: { identity: string }[] }>('conflicts');
    expect(report).toMatchObject({
      identities: 2,
      conflicts: [
        {
          source: 'journeys',
          identity: 'twice',
          revision: 0,
          versions: [
            { counts: false, content: { device_type: 'desktop', member_id: '***382' } },
            { counts: true, content: { device_type: 'mobile' } },
          ],
        },
        { source: 'members', identity: '***382 since ever' },
      ],
    });
    const stored = await pool.query(`select device_type from silver_1.journey_event where event_id = 'twice'`);
    expect(stored.rows).toEqual([{ device_type: 'mobile' }]);
    expect(JSON.stringify(report)).not.toContain('104382');
    const text = (await quarantine('conflicts', '--limit', '1')).out;
    expect(text).toContain('2 identities have versions that contradict each other, in generation 1; the first 1');
    expect(text).toMatch(/journeys\/3\/\d+ \(counts\): device_type mobile\n/);
    const looks = async () => (await pool.query(`select from ops.disclosure where command = 'conflicts'`)).rowCount;
    expect(await looks()).toBe(0);
    expect((await quarantine('conflicts', '--show')).out).toContain('M-104382');
    expect(await looks()).toBe(4);
  });
});
