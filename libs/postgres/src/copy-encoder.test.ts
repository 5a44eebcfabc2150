import { describe, expect, test } from 'vitest';
import { CopyEncoder, type CopyType } from './copy-encoder.ts';

function encode(types: readonly CopyType[], rows: readonly (readonly unknown[])[]): string {
  const encoder = new CopyEncoder(types);
  for (const row of rows) encoder.row(row);
  return Buffer.concat(encoder.finish()).toString('hex');
}

const HEADER = '5047434f50590aff0d0a000000000000000000';

describe('the bytes of COPY', () => {
  test('no rows: signature, flags and trailer', () => {
    expect(encode(['text'], [])).toBe(`${HEADER}ffff`);
  });

  test('a value is its length and its bytes, null is the length -1', () => {
    expect(encode(['text', 'int4', 'bool'], [['é', -2, null]])).toBe(
      `${HEADER}000300000002c3a900000004fffffffeffffffffffff`,
    );
  });

  test('the Postgres epoch, and infinity', () => {
    const rows = [[Date.UTC(2000, 0, 1)], [Number.POSITIVE_INFINITY], [Number.NEGATIVE_INFINITY]];
    expect(encode(['timestamptz'], rows)).toBe(
      `${HEADER}0001000000080000000000000000000100000008${'7fffffffffffffff'}0001000000088000000000000000ffff`,
    );
  });
});

describe('a value that its type cannot hold is refused', () => {
  const refused: readonly (readonly [CopyType, unknown])[] = [
    ['text', 'a\0b'],
    ['text', `${'long '.repeat(20)}\0`],
    ['text', 5],
    ['int2', 32_768],
    ['int4', 2 ** 31],
    ['int4', 1.5],
    ['int8', 2 ** 53],
    ['float8', '1'],
    ['bool', 1],
    ['timestamptz', Number.NaN],
    ['timestamptz', 0.5],
    ['timestamptz', 8.7e15],
    ['timestamptz', -210_866_803_200_001],
    ['date', '2026-02-29'],
    ['date', '2026-2-3'],
    ['bytea', 'abc'],
    ['jsonb', () => 1],
    ['text[]', 'abc'],
    ['text[]', ['a', 7]],
  ];
  test.each(refused)('%s %j', (type, value) => {
    expect(() => new CopyEncoder([type]).row([value])).toThrow(/^(text|int|float8|bool|timestamptz|date|bytea|jsonb)/);
  });

  test('and leaves the rows before it as they were', () => {
    const encoder = new CopyEncoder(['text', 'text', 'int4']);
    const big = 'x'.repeat(300_000);
    encoder.row(['a', 'b', 1]);
    expect(() => encoder.row([big, big, 0.5])).toThrow(RangeError);
    encoder.row(['c', null, 2]);
    expect(encoder.rows).toBe(2);
    expect(Buffer.concat(encoder.finish()).toString('hex')).toBe(
      encode(
        ['text', 'text', 'int4'],
        [
          ['a', 'b', 1],
          ['c', null, 2],
        ],
      ),
    );
  });

  test('a row of another length is a mistake of the program', () => {
    expect(() => new CopyEncoder(['text']).row(['a', 'b'])).toThrow(TypeError);
  });
});

test('buffers are used again for the next rows, and cut where a value does not fit', () => {
  const encoder = new CopyEncoder(['text']);
  const value = 'v'.repeat(1000);
  for (let i = 0; i < 1000; i++) encoder.row([value]);
  const first = encoder.finish();
  expect(first.length).toBeGreaterThan(3);
  const bytes = Buffer.concat(first).toString('latin1');
  for (let i = 0; i < 1000; i++) encoder.row([value]);
  const second = encoder.finish();
  expect(Buffer.concat(second).toString('latin1')).toBe(bytes);
  expect(second.map((chunk) => chunk.buffer)).toEqual(first.map((chunk) => chunk.buffer));
  expect(second[0]?.buffer).toBe(first[0]?.buffer);
});
