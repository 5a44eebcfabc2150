import { createLogger } from '@leakage/runtime';
import { freshDatabase } from '@leakage/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CopyEncoder, type CopyType } from './copy-encoder.ts';
import { sqlState } from './errors.ts';
import { Session } from './session.ts';

const log = createLogger({ service: 'test', level: 'error' });
const types: readonly CopyType[] = [
  'text',
  'int2',
  'int4',
  'int8',
  'float8',
  'bool',
  'timestamptz',
  'date',
  'bytea',
  'jsonb',
  'text[]',
];
const columns = types.map((type) => type.replace('[]', '_array').replace(/^/, 'c_'));
let database: Awaited<ReturnType<typeof freshDatabase>>;
let session: Session;

beforeAll(async () => {
  database = await freshDatabase();
  const definitions = columns.map((column, i) => `${column} ${types[i]}`).join(', ');
  session = new Session({
    url: database.url,
    applicationName: 'test',
    setup: [`create temp table t (nr bigserial, ${definitions}) on commit delete rows`],
    log,
  });
});

afterAll(async () => {
  await session.stop();
  await database.drop();
});

const storable = fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '').toWellFormed());
const text = fc.oneof(storable, fc.string({ maxLength: 60 }), fc.string({ unit: 'grapheme', maxLength: 80 }));
const instant = fc.oneof(
  fc.integer({ min: -210_866_803_200_000, max: 8_640_000_000_000_000 }),
  fc.integer({ min: Date.UTC(1990), max: Date.UTC(2040) }),
  fc.constantFrom(
    -210_866_803_200_000,
    8_640_000_000_000_000,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    946_684_800_000,
    946_684_799_999,
    0,
    -1,
  ),
);
const date = fc
  .date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T00:00:00Z'), noInvalidDate: true })
  .map((d) => d.toISOString().slice(0, 10));
// JSON has no -0.
const json = fc
  .jsonValue()
  .map((value): unknown => JSON.parse(JSON.stringify(value)))
  .filter((value) => value !== null);
const orNull = <T>(value: fc.Arbitrary<T>) => fc.option(value, { freq: 8, nil: null });
const row = fc.tuple(
  orNull(text),
  orNull(fc.integer({ min: -32_768, max: 32_767 })),
  orNull(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
  orNull(fc.maxSafeInteger()),
  orNull(fc.double()),
  orNull(fc.boolean()),
  orNull(instant),
  orNull(date),
  orNull(fc.uint8Array({ maxLength: 300 })),
  orNull(json),
  orNull(fc.array(orNull(text), { maxLength: 5 })),
);

test('every row that is copied comes back as it was', { timeout: 120_000 }, async () => {
  const encoder = new CopyEncoder(types);
  await fc.assert(
    fc.asyncProperty(fc.array(row, { maxLength: 20 }), async (rows) => {
      for (const values of rows) encoder.row(values);
      const stored = await session.transaction(async (tx) => {
        expect(await tx.copy('t', columns, encoder.finish())).toBe(rows.length);
        return (await tx.query<Record<string, unknown>>(`select ${columns.join(', ')} from t order by nr`)).rows;
      });
      const expected = rows.map((values) => Object.fromEntries(columns.map((c, i) => [c, asStored(values[i])])));
      expect(stored).toEqual(expected);
    }),
    { numRuns: 150 },
  );
});

function asStored(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value) : value;
}

test('Postgres reads an instant as the same instant, to the microsecond', async () => {
  const encoder = new CopyEncoder(['timestamptz']);
  const instants = [
    '0001-01-01T00:00:00.000Z',
    '1999-12-31T23:59:59.999Z',
    '2285-06-05T23:47:34.741Z',
    '9999-12-31T23:59:59.999Z',
  ];
  for (const iso of instants) encoder.row([Date.parse(iso)]);
  const stored = await session.transaction(async (tx) => {
    await tx.copy('t', ['c_timestamptz'], encoder.finish());
    return await tx.query<{ iso: string }>(
      `select to_char(c_timestamptz, 'YYYY-MM-DD"T"HH24:MI:SS.USZ') iso from t order by nr`,
    );
  });
  expect(stored.rows.map((r) => r.iso)).toEqual(instants.map((iso) => iso.replace('Z', '000Z')));
});

test('a value of many megabytes, and rows over many chunks', async () => {
  const encoder = new CopyEncoder(['text', 'bytea']);
  const bytes = Buffer.alloc(5_000_000, 'ab\0\xff', 'latin1');
  encoder.row(['é'.repeat(1_000_000), bytes]);
  for (let i = 0; i < 5000; i++) encoder.row([`row ${i}`, Buffer.alloc(200, i)]);
  const answer = await session.transaction(async (tx) => {
    const copied = await tx.copy('t', ['c_text', 'c_bytea'], encoder.finish());
    const { rows } = await tx.query(
      `select (select octet_length(c_text) from t where nr = (select min(nr) from t)) as text_bytes,
              (select c_bytea = $1 from t where nr = (select min(nr) from t)) as same,
              (select count(*) from t where c_text like 'row %') as others`,
      [bytes],
    );
    return { copied, ...rows[0] };
  });
  expect(answer).toEqual({ copied: 5001, text_bytes: 2_000_000, same: true, others: 5000 });
});

test('several COPYs in one round trip', async () => {
  const a = new CopyEncoder(['text']);
  const b = new CopyEncoder(['int4', 'bool']);
  a.row(['x']);
  for (let i = 0; i < 3; i++) b.row([i, true]);
  const counts = await session.transaction((tx) =>
    tx.copyAll([
      { table: 't', columns: ['c_text'], data: a.finish() },
      { table: 't', columns: ['c_int4', 'c_bool'], data: b.finish() },
    ]),
  );
  expect(counts).toEqual([1, 3]);
});

test('a COPY that fails leaves a connection that works, whatever was sent behind it', async () => {
  const encoder = new CopyEncoder(['text']);
  for (let i = 0; i < 20_000; i++) encoder.row(['a long enough text to fill the socket buffers of both ends']);
  const data = encoder.finish();
  const copying = session.transaction((tx) =>
    tx.copyAll([
      { table: 't', columns: ['c_int4'], data },
      { table: 't', columns: ['c_text'], data },
    ]),
  );
  await expect(copying).rejects.toSatisfy((error) => sqlState(error) === '22P03');
  await expect(session.transaction((tx) => tx.copy('missing', ['c_text'], data))).rejects.toSatisfy(
    (error) => sqlState(error) === '42P01',
  );
  const { rows } = await session.transaction((tx) =>
    tx.query('select pg_backend_pid() is not null as alive, count(*) from t'),
  );
  expect(rows).toEqual([{ alive: true, count: 0 }]);
});
