import { createLogger } from '@leakage/runtime';
import { freshDatabase, type TestDatabase } from '@leakage/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createPool, type Pool } from './pool.ts';
import { instantParameter } from './values.ts';

const log = createLogger({ service: 'test', level: 'error' });
let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await freshDatabase();
  pool = createPool({ url: database.url, applicationName: 'test', max: 1, log });
  await pool.query('create table t (nr serial, a int, b bigint, c timestamptz, d bytea)');
});

afterAll(async () => {
  await pool.stop();
  await database.drop();
});

interface Row {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: Buffer | null;
}

async function store(rows: readonly Row[]): Promise<void> {
  await pool.query('truncate t');
  for (const { a, b, c, d } of rows) {
    await pool.query('insert into t (a, b, c, d) values ($1, $2, $3, $4)', [a, b, instantParameter(c), d]);
  }
}

async function readAll(text = 'copy (select a, b, c, d from t order by nr) to stdout (format binary)'): Promise<Row[]> {
  return await pool.withConnection(async (connection) => {
    const copied = await connection.copyOut(text);
    const rows: Row[] = [];
    while (copied.next()) rows.push({ a: copied.int4(), b: copied.int8(), c: copied.instant(), d: copied.bytea() });
    return rows;
  });
}

const row = fc.record({
  a: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  b: fc.maxSafeInteger(),
  c: fc.oneof(
    fc.integer({ min: -210_866_803_200_000, max: 8_640_000_000_000_000 }),
    fc.integer({ min: Date.UTC(1990), max: Date.UTC(2040) }),
    fc.constantFrom(946_684_800_000, 946_684_799_999, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
  ),
  d: fc.option(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    { nil: null },
  ),
});

test('every row comes back as it was stored', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 10 }), async (rows) => {
      await store(rows);
      expect(await readAll()).toEqual(rows);
    }),
    { numRuns: 60 },
  );
});

test('many rows, and values larger than what is made room for at first', async () => {
  const large = { a: 1, b: 2, c: 3, d: Buffer.alloc(3_000_000, 'ab\0\xff', 'latin1') };
  await store([large, { ...large, d: Buffer.from('small') }]);
  await pool.query(
    `insert into t (a, b, c, d) select i, i, 'epoch', decode(lpad(to_hex(i), 400, '0'), 'hex') from generate_series(1, 20000) i`,
  );
  const rows = await readAll();
  expect(rows.length).toBe(20_002);
  expect(rows[0]).toEqual(large);
  expect(rows.at(-1)).toEqual({
    a: 20_000,
    b: 20_000,
    c: 0,
    d: Buffer.from((20_000).toString(16).padStart(400, '0'), 'hex'),
  });
});

test('microseconds are cut towards the past, and a bigint that no number holds is refused', async () => {
  const instants = `copy (select 1, 1::bigint, t, null::bytea from unnest($$
    {1969-12-31 23:59:59.999999+00,1999-12-31 23:59:59.999999+00,2026-01-01 00:00:00.000999+00}$$::timestamptz[]) t)
    to stdout (format binary)`;
  expect((await readAll(instants)).map(({ c }) => c)).toEqual([-1, 946_684_799_999, Date.UTC(2026, 0, 1)]);
  await expect(
    readAll(`copy (select 1, 9007199254740993, now(), null::bytea) to stdout (format binary)`),
  ).rejects.toThrow(RangeError);
});

test('a statement that fails says why, and the connection goes on', async () => {
  await expect(readAll('copy (select 1 / 0, 1::bigint, now(), null::bytea) to stdout (format binary)')).rejects.toThrow(
    'division by zero',
  );
  await store([]);
  expect(await readAll()).toEqual([]);
});
