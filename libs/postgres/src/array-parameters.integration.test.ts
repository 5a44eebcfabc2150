import { createLogger } from '@leakage/runtime';
import { freshDatabase, type TestDatabase } from '@leakage/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { instantArray, int4Array, textArray } from './array-parameters.ts';
import { createPool, type Pool } from './pool.ts';

let server: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  server = await freshDatabase();
  pool = createPool({
    url: server.url,
    applicationName: 'array-parameters',
    log: createLogger({ service: 'test', level: 'error' }),
  });
});

afterAll(async () => {
  await pool.stop();
  await server.drop();
});

async function returned(type: string, parameter: Buffer): Promise<unknown[]> {
  const { rows } = await pool.query(
    `select value from unnest($1::${type}[]) with ordinality as u (value, nr) order by nr`,
    [parameter],
  );
  return rows.map(({ value }) => value);
}

// A lone surrogate becomes U+FFFD, as in COPY.
const text = fc.string({ unit: 'binary' }).map((s) => s.toWellFormed().replaceAll('\0', ''));
const instant = fc.oneof(
  fc
    .date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
    .map((date) => date.getTime()),
  fc.constantFrom(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
);

test('Postgres reads the same values', async () => {
  const values = fc.record({
    texts: fc.array(text),
    ints: fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })),
    instants: fc.array(instant),
  });
  await fc.assert(
    fc.asyncProperty(values, async ({ texts, ints, instants }) => {
      expect(await returned('text', textArray(texts))).toEqual(texts);
      expect(await returned('int4', int4Array(ints))).toEqual(ints);
      expect(await returned('timestamptz', instantArray(instants))).toEqual(instants);
    }),
    { numRuns: 100 },
  );
});

test('what Postgres cannot hold is refused', () => {
  expect(() => textArray(['a\0'])).toThrow(/^text: U\+0000/);
  expect(() => instantArray([0.5])).toThrow(/^timestamptz: 0.5 is not an instant/);
});
