import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@leakage/runtime';
import { eventually, freshDatabase, startPostgresProxy } from '@leakage/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CopyEncoder } from './copy-encoder.ts';
import { CommitUnknownError, RolledBackError, sqlState } from './errors.ts';
import { createPool, type Pool } from './pool.ts';
import { Session } from './session.ts';
import { inTransaction } from './transaction.ts';

const log = createLogger({ service: 'test', level: 'silent' });
let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;
let other: Pool;

beforeAll(async () => {
  database = await freshDatabase();
  pool = createPool({ url: database.url, applicationName: 'one', log, lockTimeoutMs: 300 });
  other = createPool({ url: database.url, applicationName: 'two', log });
  // A row that makes COMMIT take a second: long enough to cut the connection during it.
  await pool.query(`
    create table item (id int primary key, n int not null default 0);
    create function slow_commit() returns trigger language plpgsql as $$ begin perform pg_sleep(1); return null; end $$;
    create table slow (id int primary key);
    create constraint trigger slow after insert on slow deferrable initially deferred for each row execute function slow_commit();
    create table parent (id int primary key);
    create table child (id int primary key, parent int not null references parent deferrable initially deferred)`);
});

beforeEach(async () => {
  await other.query('truncate item, slow, child, parent; insert into item values (1), (2)');
});

afterAll(async () => {
  await pool.stop();
  await other.stop();
  await database.drop();
});

const numbers = async () =>
  (await other.query<{ n: number }>('select n from item order by id')).rows.map((row) => row.n);
const add = (id: number) => `update item set n = n + 1 where id = ${id}`;

async function terminate(pid: number): Promise<void> {
  await other.query('select pg_terminate_backend($1)', [pid]);
}

async function terminateDuring(query: string): Promise<void> {
  const found = await eventually(async () => {
    const { rows } = await other.query<{ pid: number }>(
      `select pid from pg_stat_activity where datname = current_database() and state = 'active' and query = $1`,
      [query],
    );
    return rows[0];
  });
  await terminate(found.pid);
}

describe('a transaction on the pool', () => {
  test('that only reads is run again when the answer to its COMMIT was lost; one that writes is not', async () => {
    const proxy = await startPostgresProxy(database.url);
    const through = createPool({ url: proxy.url, applicationName: 'cut', log });
    const cut = proxy.cutNext('after COMMIT', 'cut');
    const read = inTransaction(through, (tx) => tx.query<{ n: number }>('select 7 as n'), { readOnly: true });
    expect((await read).rows).toEqual([{ n: 7 }]);
    await cut;
    void proxy.cutNext('after COMMIT', 'cut');
    await expect(inTransaction(through, (tx) => tx.query(add(1)))).rejects.toThrow(CommitUnknownError);
    expect(await numbers()).toEqual([1, 0]);
    await through.stop();
    await proxy.stop();
  });

  test('is applied when it returns and not at all when its function throws', async () => {
    expect(await inTransaction(pool, async (tx) => (await tx.query(add(1))).rowCount)).toBe(1);
    const failing = inTransaction(pool, async (tx) => {
      await tx.query(add(1));
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await numbers()).toEqual([1, 0]);
  });

  test('COMMIT that answers ROLLBACK is an error: a failed statement was ignored', async () => {
    const ignoring = inTransaction(pool, async (tx) => {
      await tx.query(add(1));
      await tx.query('select 1 / 0').catch(() => undefined);
    });
    await expect(ignoring).rejects.toBeInstanceOf(RolledBackError);
    expect(await numbers()).toEqual([0, 0]);
  });

  test('a check that fails at COMMIT is that error, and nothing is applied', async () => {
    const violating = inTransaction(pool, async (tx) => {
      await tx.query(add(1));
      await tx.query('insert into child values (1, 99)');
    });
    await expect(violating).rejects.toSatisfy((error) => sqlState(error) === '23503');
    expect(await numbers()).toEqual([0, 0]);
  });

  test('runs again after a deadlock: both sides are applied once', async () => {
    const bothIn = Promise.withResolvers<void>();
    let inside = 0;
    const crossing = (first: number, second: number) =>
      inTransaction(other, async (tx) => {
        await tx.query(add(first));
        inside += 1;
        if (inside === 2) bothIn.resolve();
        await bothIn.promise;
        await tx.query(add(second));
      });
    await Promise.all([crossing(1, 2), crossing(2, 1)]);
    // One of the two was a victim; on a slow machine its second try may meet the first one once more.
    expect(inside).toBeGreaterThanOrEqual(3);
    expect(await numbers()).toEqual([2, 2]);
  });

  test('runs again after a serialization failure', async () => {
    let runs = 0;
    await inTransaction(
      pool,
      async (tx) => {
        runs += 1;
        const { rows } = await tx.query<{ n: number }>('select n from item where id = 1');
        if (runs === 1) await other.query(add(1));
        await tx.query('update item set n = $1 where id = 1', [(rows[0]?.n ?? 0) + 10]);
      },
      { isolation: 'repeatable read' },
    );
    expect(runs).toBe(2);
    expect(await numbers()).toEqual([11, 0]);
  });

  test('gives up after the retries it was given, with the error of the last one', async () => {
    const holding = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const holder = inTransaction(other, async (tx) => {
      await tx.query(add(1));
      held.resolve();
      await holding.promise;
    });
    await held.promise;
    let runs = 0;
    const waiting = inTransaction(
      pool,
      async (tx) => {
        runs += 1;
        await tx.query(add(1));
      },
      { retries: 2 },
    );
    await expect(waiting).rejects.toSatisfy((error) => sqlState(error) === '55P03');
    holding.resolve();
    await holder;
    expect(runs).toBe(3);
    expect(await numbers()).toEqual([1, 0]);
  });

  test('runs again when its connection is cut before COMMIT', async () => {
    let runs = 0;
    await inTransaction(pool, async (tx) => {
      runs += 1;
      await tx.query(add(1));
      const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
      if (runs === 1) await terminate(rows[0]?.pid ?? 0);
      await tx.query(add(1));
    });
    expect(runs).toBe(2);
    expect(await numbers()).toEqual([2, 0]);
  });

  test('a connection cut while nobody looks (between statements) does not end the process', async () => {
    let pid = 0;
    await inTransaction(pool, async (tx) => {
      const own = (await tx.query<{ pid: number }>('select pg_backend_pid() as pid')).rows[0]?.pid ?? 0;
      if (pid === 0) {
        pid = own;
        await terminate(pid);
        await sleep(200);
      }
      await tx.query(add(1));
    });
    expect(await numbers()).toEqual([1, 0]);
  });

  test('a cut during COMMIT is unknown, and is not run again', async () => {
    let runs = 0;
    const committing = inTransaction(pool, async (tx) => {
      runs += 1;
      await tx.query('insert into slow values (1)');
    });
    committing.catch(() => undefined);
    await terminateDuring('commit');
    await expect(committing).rejects.toSatisfy((e) => e instanceof CommitUnknownError && e.commitSent);
    expect(runs).toBe(1);
  });

  test('the guards are set on every connection', async () => {
    const { rows } = await pool.query(
      `select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement,
              current_setting('idle_in_transaction_session_timeout') as idle, current_setting('TimeZone') as zone`,
    );
    expect(rows).toEqual([{ lock: '300ms', statement: '1min', idle: '1min', zone: 'UTC' }]);
  });
});

describe('values', () => {
  test('come as what the house works with', async () => {
    const { rows } = await pool.query(
      `select 9007199254740991 as big, count(*) as counted, 12.50::numeric(6, 2) as money, '2026-03-01'::date as day,
              '-infinity'::timestamptz as ever, '2026-03-01 10:00:00.123+02'::timestamptz as at, '{"a": [1]}'::jsonb as json,
              array[1, 2]::bigint[] as bigs, array['2026-03-01'::date, null] as days, array[1.10]::numeric[] as moneys,
              array['infinity'::timestamptz] as instants, '\\x00ff'::bytea as bytes`,
    );
    expect(rows).toEqual([
      {
        big: 9_007_199_254_740_991,
        counted: 1,
        money: '12.50',
        day: '2026-03-01',
        ever: Number.NEGATIVE_INFINITY,
        at: Date.parse('2026-03-01T08:00:00.123Z'),
        json: { a: [1] },
        bigs: [1, 2],
        days: ['2026-03-01', null],
        moneys: ['1.10'],
        instants: [Number.POSITIVE_INFINITY],
        bytes: Buffer.from([0, 255]),
      },
    ]);
  });

  test('a bigint that no number can hold is an error', async () => {
    await expect(pool.query('select 9007199254740993 as n')).rejects.toThrow(/does not fit/);
    expect((await pool.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
  });
});

describe('the session of a sink', () => {
  const setup = ['create temp table staged (id int) on commit delete rows'];
  let session: Session;

  beforeAll(() => {
    session = new Session({ url: database.url, applicationName: 'sink', setup, log });
  });
  afterAll(() => session.stop());

  const stage = (rows: number) => {
    const encoder = new CopyEncoder(['int4']);
    for (let i = 0; i < rows; i++) encoder.row([i]);
    return encoder.finish();
  };

  test('a cut in the middle of a batch applies nothing, says unknown, and the next batch works', async () => {
    const cut = session.transaction(async (tx) => {
      await tx.copy('staged', ['id'], stage(3));
      await tx.query(add(1));
      const { rows } = await tx.query<{ pid: number }>('select pg_backend_pid() as pid');
      await terminate(rows[0]?.pid ?? 0);
      await tx.query(add(2));
    });
    await expect(cut).rejects.toSatisfy((e) => e instanceof CommitUnknownError && !e.commitSent);
    expect(await numbers()).toEqual([0, 0]);
    const staged = await session.transaction(async (tx) => {
      await tx.copy('staged', ['id'], stage(2));
      await tx.query(add(1));
      return (await tx.query('select count(*) from staged')).rows;
    });
    expect(staged).toEqual([{ count: 2 }]);
    expect(await numbers()).toEqual([1, 0]);
  });

  test('a cut in the middle of a COPY applies nothing', async () => {
    await other.query(`create table gate (id int); create function gate() returns trigger language plpgsql as
      $$ begin if new.id = 5 then perform pg_sleep(5); end if; return new; end $$;
      create trigger gate before insert on gate for each row execute function gate()`);
    const cut = session.transaction((tx) => tx.copy('gate', ['id'], stage(100_000)));
    cut.catch(() => undefined);
    await terminateDuring('copy gate ("id") from stdin (format binary)');
    await expect(cut).rejects.toSatisfy((e) => e instanceof CommitUnknownError && !e.commitSent);
    expect((await other.query('select count(*) from gate')).rows).toEqual([{ count: 0 }]);
  });

  test('a cut during COMMIT is unknown', async () => {
    const committing = session.transaction((tx) => tx.query('insert into slow values (2)'));
    committing.catch(() => undefined);
    await terminateDuring('commit');
    await expect(committing).rejects.toSatisfy((e) => e instanceof CommitUnknownError && e.commitSent);
  });

  test('an error of the function leaves the connection and its temporary tables as they were', async () => {
    const pid = () => session.transaction(async (tx) => (await tx.query('select pg_backend_pid() as pid')).rows);
    const before = await pid();
    await expect(session.transaction(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await pid()).toEqual(before);
  });

  test('two transactions at once are a mistake of the program', async () => {
    const one = session.transaction(() => sleep(100));
    await expect(session.transaction(() => sleep(1))).rejects.toThrow(/one transaction at a time/);
    await one;
  });

  test('after stop there is no new transaction, and the server has no connection left', async () => {
    const stopped = new Session({ url: database.url, applicationName: 'stopped', setup, log });
    await stopped.transaction((tx) => tx.query('select 1'));
    await stopped.stop();
    await expect(stopped.transaction((tx) => tx.query('select 1'))).rejects.toThrow(/abort/i);
    await eventually(async () => {
      const { rows } = await other.query(`select from pg_stat_activity where application_name = 'stopped'`);
      return rows.length === 0;
    });
  });
});

test('a database that does not exist is an error at once: waiting would not help', async () => {
  const wrong = new URL(database.url);
  wrong.pathname = '/does_not_exist';
  const nowhere = createPool({ url: wrong.href, applicationName: 'x', log });
  const began = performance.now();
  await expect(nowhere.query('select 1')).rejects.toThrow(/has no database does_not_exist: create it, or name another/);
  expect(performance.now() - began).toBeLessThan(10_000);
  await nowhere.stop();
});
