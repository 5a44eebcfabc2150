import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createPool, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { freshDatabase } from '@leakage/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createWorld, type Delivered, type World } from '../../libs/oracle/src/testing/world.ts';
import { type VerifyReport, verifyPipeline } from './verify.ts';

const at = (minute: number) => `2026-03-02T15:${String(minute).padStart(2, '0')}:00Z`;
const failure = (member_id: string, minute: number): Delivered => ({
  source: 'journeys',
  event: {
    event_id: `event of ${member_id} ${minute}`,
    member_id,
    session_id: `session ${member_id}`,
    timestamp: at(minute),
    journey_type: 'billing',
    action: 'error',
    emitted_at: at(minute),
  },
});
const call = (member_id: string, minute: number): Delivered => ({
  source: 'calls',
  event: {
    call_id: `call ${minute}`,
    member_id,
    call_timestamp: at(minute),
    call_reason: 'billing_question',
    emitted_at: at(minute),
  },
});

let world: World;
let pool: Pool;
beforeAll(async () => {
  world = await createWorld();
  pool = createPool({
    url: world.url,
    applicationName: 'verify-test',
    log: createLogger({ service: 'test', level: 'silent' }),
  });
});
afterAll(async () => {
  await pool.stop();
  await world.close();
});
beforeEach(async () => {
  await world.reset();
  await world.deliver([failure('M-104382', 0), call('M-104382', 10), failure('M-2', 0), call('M-2', 40)]);
  await world.adopt();
});

const locksAreFree = async () =>
  (await pool.query<{ shard: number }>('select shard from ops.shard for update skip locked')).rows.length === 12;

/** As a person runs it; the last of the words may be variables. */
function leakage(
  ...all: (string | Record<string, string>)[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  const bin = fileURLToPath(new URL('../bin/leakage.mjs', import.meta.url));
  const words = all.filter((one) => typeof one === 'string');
  const env = { ...process.env, DATABASE_URL: world.url, ...all.find((one) => typeof one === 'object') };
  return new Promise((resolve) => {
    execFile(process.execPath, [bin, ...words], { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe('verify', () => {
  test('says that everything is equal, and changes nothing', async () => {
    const report = await verifyPipeline({ databaseUrl: world.url });
    expect(report).toMatchObject({ ok: true, generation: 1, records: 4 });
    expect(report.checks.length).toBeGreaterThan(15);
    expect(await locksAreFree()).toBe(true);
    expect(await world.run('select call_id from silver_1.call_fact order by 1')).toHaveLength(2);
  });

  test('shows the first differing rows, exits with 3, and names no member', async () => {
    await world.run(`update silver_1.journey_outcome set leaked = false, leakage_calls = 0 where leaked`);
    const text = await leakage('verify');
    expect(text.code).toBe(3);
    expect(text.stdout).toContain('member_id ***382, session_id session M-104382, journey_type billing');
    expect(text.stdout).toContain('leaked is false, should be true');
    const json = await leakage('verify', '--json');
    expect(json.code).toBe(3);
    const report = JSON.parse(json.stdout) as VerifyReport;
    expect(report.ok).toBe(false);
    const check = report.checks.find((one) => one.name === 'silver: journey outcomes');
    expect(check).toMatchObject({ differences: 1, examples: [{ columns: ['leaked', 'leakage_calls'] }] });
    expect(JSON.stringify(check?.examples)).not.toContain('"M-104382"');
  });

  test('exits with 0 when nothing differs', async () => {
    expect(await leakage('verify', '--json')).toMatchObject({ code: 0, stderr: '' });
  });

  test('says what was given up for lost, although everything that was read is equal', async () => {
    await pool.query(
      `select ops.accept_loss(pipeline, topic, partition, next_offset, next_offset + 5)
         from ops.position
        where pipeline in ('bronze', 'silver_1') and (topic, partition) = (
          select topic, partition from ops.position where pipeline = 'silver_1' order by topic, partition limit 1)`,
    );
    const { ok, warnings } = await verifyPipeline({ databaseUrl: world.url });
    expect(ok).toBe(true);
    expect(warnings.filter(({ rule }) => rule === 'ops.loss')).toEqual([
      { rule: 'ops.loss', name: 'bronze: offsets given up for lost', count: 5, of: expect.any(Number) },
      { rule: 'ops.loss', name: 'silver_1: offsets given up for lost', count: 5, of: expect.any(Number) },
    ]);
    await pool.query('truncate ops.loss');
  });

  test('says what is behind when gold never comes, and lets the shards go', async () => {
    await world.run('update ops.shard set change_seq = 7 where shard = 4');
    await expect(verifyPipeline({ databaseUrl: world.url, holdMs: 300 })).rejects.toThrow(
      /gold-aggregator \(7 changes\)\. Is everything running/,
    );
    expect(await locksAreFree()).toBe(true);
    await world.run('update ops.shard set change_seq = 100000 where shard = 4');
    await expect(verifyPipeline({ databaseUrl: world.url, catchUpMs: 300 })).rejects.toThrow(/100000 changes/);
  });

  test('says what is behind when bronze never comes', async () => {
    await world.run(
      `update ops.position set next_offset = 1, accepted = 1 where pipeline = 'bronze' and topic = 'leakage.calls'`,
    );
    await expect(verifyPipeline({ databaseUrl: world.url, holdMs: 300 })).rejects.toThrow(
      /bronze-sink \(1 records of leakage\.calls\)/,
    );
  });

  test('waits for gold while silver stands still', async () => {
    await world.run('update ops.shard set change_seq = 1 where shard = 4');
    await world.run(`insert into silver_1.change_log (shard, seq, last_seq, changes) values (4, 1, 1, '[]')`);
    let free: boolean | null = null;
    const report = await verifyPipeline({
      databaseUrl: world.url,
      onWait: () => {
        if (free !== null) return;
        free = true;
        void locksAreFree()
          .then((answer) => {
            free = answer;
          })
          .then(() => world.run('update ops.reader set next_seq = 2 where shard = 4'));
      },
    });
    expect(free).toBe(false);
    expect(report.ok).toBe(true);
  });

  test('gives up on locks that another process keeps', async () => {
    await pool.withConnection(async (other) => {
      await other.query('begin');
      await other.query('select 1 from ops.shard where shard = 3 for update');
      await expect(verifyPipeline({ databaseUrl: world.url, lockTimeoutMs: 200 })).rejects.toThrow(
        /holds the shard locks of generation 1 for longer than 0\.2 s/,
      );
      await other.query('rollback');
    });
  });

  test('says that there is nothing to verify', async () => {
    await expect(verifyPipeline({ databaseUrl: world.url, generation: 9 })).rejects.toThrow(/no generation 9/);
    const empty = await freshDatabase();
    await expect(verifyPipeline({ databaseUrl: empty.url })).rejects.toThrow(/no generation of silver yet/);
    await empty.drop();
  });
});

describe('some days', () => {
  const monday = ['--from', '2026-03-02', '--to', '2026-03-02'];
  const spoil = () => world.run('update silver_1.call_fact set local_hour = 3');

  test('are compared alone, and what is left out is listed', async () => {
    const json = await leakage('verify', ...monday, '--json');
    expect(json).toMatchObject({ code: 0, stderr: '' });
    const report = JSON.parse(json.stdout) as VerifyReport;
    expect(report).toMatchObject({ ok: true, records: 4, days: { from: '2026-03-02', to: '2026-03-02' } });
    expect(report.notChecked.map(({ name }) => name)).toContain('watermarks');
    expect(report.checks.find(({ name }) => name === 'silver: calls')).toMatchObject({ compared: 2 });
    const text = await leakage('verify', ...monday);
    expect(text.stdout).toMatch(/Generation 1, 2026-03-02, recomputed from 4 records of bronze in .*: equal/);
    expect(text.stdout).toContain('not   watermarks: needs every record');
    expect((await verifyPipeline({ databaseUrl: world.url })).notChecked).toEqual([]);
  });

  test('have differences only where there are some', async () => {
    await spoil();
    expect((await leakage('verify', ...monday)).code).toBe(3);
    expect((await leakage('verify', '--from', '2026-03-03')).code).toBe(0);
    expect((await leakage('verify', '--to', '2026-03-01')).code).toBe(0);
  });

  test.each([
    [['--from', '2026-03-32'], /a day such as/],
    [['--from', '2026-03-03', '--to', '2026-03-02'], /--from 2026-03-03 is after --to 2026-03-02/],
    [['--every', '6 hours'], /such as 30m or 6h/],
    [['--every', '6h', '--from', '2026-03-02'], /cannot be used with/],
  ])('%j is wrong usage', async (words, sentence) => {
    const { code, stderr } = await leakage('verify', ...words);
    expect(code).toBe(2);
    expect(stderr).toMatch(sentence);
  });
});

describe('what was found', () => {
  const recorded = () =>
    world.run(`select generation, rules_hash, from_day::text as from_day, to_day::text as to_day, records, ok, differing, trigger,
                      begun_at < ended_at as took, asked_by = current_user as asked
                 from ops.verification order by id`);

  test('by the command is recorded, and what a test asks is not', async () => {
    await leakage('verify');
    await world.run(`update silver_1.journey_outcome set leaked = false, leakage_calls = 0 where leaked`);
    await leakage('verify', '--to', '2026-03-02');
    await verifyPipeline({ databaseUrl: world.url });
    const same = { generation: 1, rules_hash: 'test', records: 4, trigger: 'command', took: true, asked: true };
    expect(await recorded()).toEqual([
      { ...same, from_day: null, to_day: null, ok: true, differing: [] },
      {
        ...same,
        from_day: null,
        to_day: '2026-03-02',
        ok: false,
        differing: [{ check: 'silver: journey outcomes', differences: 1 }],
      },
    ]);
  });

  test('is kept a thousand times for each generation', async () => {
    await world.run(`insert into ops.generation (id, state, rules, rules_hash) values (2, 'building', '{}', 'other')`);
    await world.run(
      `insert into ops.verification (generation, rules_hash, begun_at, records, ok, trigger)
       select g, 'test', now(), n, true, 'command' from generate_series(1, 1003) n, generate_series(1, 2) g`,
    );
    await verifyPipeline({ databaseUrl: world.url, record: 'promote' });
    expect(
      await world.run(
        `select generation, count(*)::int as rows, min(records)::int as first, max(trigger) as newest
           from ops.verification group by 1 order by 1`,
      ),
    ).toEqual([
      { generation: 1, rows: 1_000, first: 4, newest: 'promote' },
      { generation: 2, rows: 1_003, first: 1, newest: 'command' },
    ]);
  });

  test('is said although the login may not record it', async () => {
    const login = `verifier_${process.pid}`;
    await world.run(`create role ${login} login bypassrls password 'x'; grant pg_read_all_data to ${login}`);
    await world.run(`grant update on ops.shard to ${login}`);
    const url = new URL(world.url);
    url.username = login;
    url.password = 'x';
    try {
      const { code, stdout, stderr } = await leakage('verify', { DATABASE_URL: url.toString() });
      expect(stderr).toBe(
        'This verification is not recorded: the login of DATABASE_URL may not write ops.verification (the owner of the database may).\n',
      );
      expect(stdout).toContain('everything is equal');
      expect(code).toBe(0);
    } finally {
      await world.run(`drop owned by ${login}; drop role ${login}`);
    }
    expect(await recorded()).toEqual([]);
  });
});

test('compare-naive prints the naive join beside the exact rule', async () => {
  await world.deliver([{ ...failure('M-104382', 5), event: { ...failure('M-104382', 5).event, action: 'abandon' } }]);
  await world.adopt();
  const json = await leakage('compare-naive', '--json');
  expect(json).toMatchObject({ code: 0, stderr: '' });
  expect(JSON.parse(json.stdout)).toMatchObject({
    rows: 2,
    rawRows: 2,
    distinctCalls: 1,
    doubleCharged: 1,
    wrong: { cured: 0, unaligned: 0, other: 0 },
    leakageCalls: 1,
    overCountFactor: 2,
    costCents: { naive: 1600, exact: 800, double: 800 },
  });
  const text = await leakage('compare-naive');
  expect(text.stdout).toContain('charges 2.00 times what leakage costs');
});
