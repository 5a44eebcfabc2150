import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { createPool, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { eventually } from '@leakage/testing';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createWorld, type World } from '../../../libs/oracle/src/testing/world.ts';
import { verifyPipeline } from '../verify.ts';
import { type ScheduleOptions, verifyOnSchedule } from './schedule.ts';

let world: World;
let pool: Pool;
beforeAll(async () => {
  world = await createWorld();
  pool = createPool({
    url: world.url,
    applicationName: 'schedule-test',
    log: createLogger({ service: 'test', level: 'silent' }),
  });
});
afterAll(async () => {
  await pool.stop();
  await world.close();
});

/** A failure on each of ten days and a call ten minutes after it; the last day is the running one. */
beforeEach(async () => {
  await world.reset();
  const days = Array.from({ length: 10 }, (_, i) => `2026-03-${String(i + 1).padStart(2, '0')}`);
  await world.deliver(
    days.flatMap((day) => [
      {
        source: 'journeys',
        event: {
          event_id: `event ${day}`,
          member_id: 'M',
          session_id: day,
          timestamp: `${day}T15:00:00Z`,
          journey_type: 'billing',
          action: 'error',
        },
      },
      {
        source: 'calls',
        event: {
          call_id: `call ${day}`,
          member_id: 'M',
          call_timestamp: `${day}T15:10:00Z`,
          call_reason: 'billing_question',
        },
      },
    ]),
  );
  await world.adopt();
});

const leftOut = () =>
  world.run('select kind, reason, times, last_at > first_at as again from ops.left_out_verification');

const recorded = () =>
  world.run(
    'select from_day::text as from_day, to_day, ok, records::int, trigger from ops.verification order by id',
  ) as Promise<Record<string, unknown>[]>;

describe('in one process', () => {
  /** Runs the schedule until it has said something so often. */
  async function runs(count: number, o: Partial<ScheduleOptions> = {}) {
    const abort = new AbortController();
    const said: string[] = [];
    const complaints: string[] = [];
    await verifyOnSchedule({
      databaseUrl: world.url,
      everyMs: 50,
      fullEveryMs: 3_600_000,
      firstInMs: 0,
      signal: abort.signal,
      say: (line) => {
        said.push(line.replace(/^\S+Z /, ''));
        if (said.length === count) abort.abort();
      },
      complain: (line) => complaints.push(line),
      ...o,
    });
    return { said, complaints };
  }

  test('it verifies everything once, then two complete days and the running one; a day later everything again', async () => {
    const { said, complaints } = await runs(3);
    expect(said).toEqual([
      expect.stringMatching(/^generation 1, everything: equal, 20 records in /),
      expect.stringMatching(/^generation 1, from 2026-03-08 on: equal, /),
      expect.stringMatching(/^generation 1, from 2026-03-08 on: equal, /),
    ]);
    expect(complaints).toEqual([]);
    await world.run(`update ops.verification set ended_at = ended_at - interval '24 hours'`);
    expect((await runs(2)).said).toEqual([
      expect.stringContaining('everything'),
      expect.stringContaining('2026-03-08'),
    ]);
    expect(await recorded()).toEqual([
      { from_day: null, to_day: null, ok: true, records: 20, trigger: 'schedule' },
      ...Array.from({ length: 2 }, () => ({
        from_day: '2026-03-08',
        to_day: null,
        ok: true,
        // Three days of events and one before them, and calls of the seven days before.
        records: 14,
        trigger: 'schedule',
      })),
      { from_day: null, to_day: null, ok: true, records: 20, trigger: 'schedule' },
      expect.objectContaining({ from_day: '2026-03-08' }),
    ]);
  });

  test('everything is left to others where that is switched off', async () => {
    expect((await runs(1, { fullEveryMs: null })).said).toEqual([expect.stringContaining('from 2026-03-08 on')]);
  });

  test('a difference is loud and recorded, and ends nothing', async () => {
    await world.run(`update silver_1.call_fact set is_repeat_call = false where call_id = 'call 2026-03-09'`);
    const { said, complaints } = await runs(2);
    expect(said).toHaveLength(2);
    expect(complaints).toEqual([
      expect.stringMatching(
        /^DIFFERENT: generation 1, everything: .*digital_call_leakage facts.*Run npx leakage verify/,
      ),
      expect.stringMatching(/^DIFFERENT: generation 1, from 2026-03-08 on: /),
    ]);
    expect((await recorded()).map(({ ok }) => ok)).toEqual([false, false]);
  });

  test('it leaves a run out, and says why, while silver is far behind, while gold does not come, and before anything is there', async () => {
    await world.run(`update ops.position set next_offset = 1, accepted = 1 where pipeline = 'silver_1'`);
    expect((await runs(1, { behindMax: 17 })).said).toEqual([
      'not verified, skipped: silver is 18 records behind bronze, and goes first',
    ]);
    await world.run(`update ops.position set next_offset = 10, accepted = 10 where pipeline = 'silver_1'`);
    await world.run('update ops.shard set change_seq = 7 where shard = 4');
    const { said } = await runs(1);
    expect(said).toEqual([
      expect.stringMatching(/^not verified, skipped: Cannot verify: .*gold-aggregator \(7 changes\)/),
    ]);
    await world.run('update ops.shard set change_seq = 0, wm_calls = null');
    expect((await runs(1, { fullEveryMs: null })).said).toEqual([expect.stringContaining('nothing has been heard')]);
    expect(await leftOut()).toEqual([
      { kind: 'skipped', reason: 'nothing has been heard of both journeys and calls yet', times: 3, again: true },
    ]);
    await world.run(`delete from ops.left_out_verification; delete from ops.reader; delete from ops.shard;
      delete from ops.generation`);
    expect((await runs(1)).said).toEqual([expect.stringContaining('no generation of silver yet')]);
    expect(await recorded()).toEqual([]);
  });

  test('that it was left out stays on record until a scheduled one takes place; what an error says does not', async () => {
    await world.run('alter table silver_1.call_fact rename column is_primary to secret');
    expect((await runs(1)).said).toEqual([expect.stringMatching(/^not verified, failed: .*is_primary/)]);
    expect(await leftOut()).toEqual([
      { kind: 'failed', reason: 'it ended with an error, which stands in its log', times: 1, again: false },
    ]);
    await world.run('alter table silver_1.call_fact rename column secret to is_primary');
    await verifyPipeline({ databaseUrl: world.url, record: 'command' });
    expect(await leftOut()).toHaveLength(1);
    await runs(1);
    expect(await leftOut()).toEqual([]);
  });

  test('one at a time', async () => {
    await pool.withConnection(async (other) => {
      await other.query(`select pg_advisory_lock(hashtextextended('leakage verify --every', 0))`);
      expect((await runs(1)).said).toEqual([
        'not verified, skipped: another schedule verifies this database right now',
      ]);
      await other.query('select pg_advisory_unlock_all()');
    });
    // It will say itself what became of it.
    expect(await leftOut()).toEqual([]);
    expect((await runs(1)).said).toEqual([expect.stringContaining('equal')]);
  });

  test('a database that is away is told of, and tried again', async () => {
    const nowhere = new URL(world.url);
    nowhere.pathname = '/nowhere';
    const { said } = await runs(2, { databaseUrl: nowhere.toString() });
    expect(said).toEqual([
      expect.stringMatching(/^not verified, failed: .*nowhere/),
      expect.stringMatching(/^not verified, failed: .*nowhere/),
    ]);
  });
});

describe('as a command', () => {
  const children: ChildProcess[] = [];
  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
  });

  function schedule(...words: string[]) {
    const bin = fileURLToPath(new URL('../../bin/leakage.mjs', import.meta.url));
    const env = { ...process.env, DATABASE_URL: world.url };
    const child = spawn(process.execPath, [bin, 'verify', ...words], { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    children.push(child);
    const output = { out: '', problems: '' };
    child.stdout?.on('data', (chunk: Buffer) => (output.out += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (output.problems += chunk.toString()));
    return { child, output, closed: once(child, 'exit') };
  }

  const atWork = async () =>
    (
      await pool.query(
        `select from pg_stat_activity where application_name = 'leakage-verify' and state <> 'idle' and query ~ 'oracle_call'`,
      )
    ).rowCount;

  test('it runs until it is stopped, with code 0 although something differs', async () => {
    await world.run(`update silver_1.call_fact set is_repeat_call = false where call_id = 'call 2026-03-09'`);
    const { child, output, closed } = schedule('--every', '1s');
    await eventually(async () => (await recorded()).length >= 2, { withinMs: 30_000, what: 'two runs' });
    child.kill('SIGTERM');
    await closed;
    expect(child.exitCode).toBe(0);
    expect(output.problems).toMatch(/^DIFFERENT: generation 1, everything:/);
    expect(output.out.split('\n')[0]).toMatch(/^\S+Z generation 1, everything: 1 of \d+ checks differ/);
  });

  test.each([
    ['SIGTERM', (child: ChildProcess) => child.kill('SIGTERM')],
    ['Ctrl-C', (child: ChildProcess) => child.kill('SIGINT')],
    ['the end of its parent', (child: ChildProcess) => child.disconnect()],
  ])('%s in the middle of a run ends it at once, on the server too', { retry: 1 }, async (_what, end) => {
    await pool.withConnection(async (other) => {
      await other.query('begin; lock table bronze.call_logs_raw in access exclusive mode');
      try {
        const { child, closed, output } = schedule('--every', '1h');
        await eventually(async () => (await atWork()) === 1, { withinMs: 20_000, what: 'a run that waits for bronze' });
        end(child);
        // While the lock is held: it does not wait for its statement.
        await closed;
        expect({ code: child.exitCode, ...output }).toEqual({ code: 0, out: '', problems: '' });
        await eventually(async () => (await atWork()) === 0, { what: 'the server to end the statement' });
      } finally {
        await other.query('rollback');
      }
    });
  });
});
