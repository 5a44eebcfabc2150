import { describe, expect, test } from 'vitest';
import { describeHeaders, type Headers, textHeader } from './headers.ts';

describe('headers as JSON', () => {
  const cases: readonly (readonly [string, Headers | null, unknown])[] = [
    ['none', null, null],
    ['an empty set', {}, null],
    ['text', { a: Buffer.from('grüße'), b: 'plain' }, { a: 'grüße', b: 'plain' }],
    ['a byte order mark stays', { a: Buffer.from('\ufeffx') }, { a: '\ufeffx' }],
    ['bytes that are not UTF-8', { a: Buffer.from([0xff, 0x00]) }, { a: { base64: '/wA=' } }],
    ['text with U+0000', { a: 'a\0b' }, { a: { base64: 'YQBi' } }],
    ['no value', { a: undefined, b: null }, { a: null, b: null }],
    ['a name sent twice', { a: [Buffer.from('1'), Buffer.from([0xfe]), null] }, { a: ['1', { base64: '/g==' }, null] }],
    ['a name that cannot be stored', { 'a\0\ud800': 'x' }, { 'a��': 'x' }],
  ];
  test.each(cases)('%s', (_, headers, json) => {
    expect(describeHeaders(headers)).toEqual(json);
  });

  test('a long value is cut, and says how long it was', () => {
    const described = describeHeaders({ a: 'x'.repeat(5000) }) as { a: { base64: string; bytes: number } };
    expect(described.a.bytes).toBe(5000);
    expect(Buffer.from(described.a.base64, 'base64').toString()).toBe('x'.repeat(4096));
  });

  test('many headers are cut, and say how many were left out', () => {
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`h${i}`, 'v']));
    const described = describeHeaders(many) as Record<string, unknown>;
    expect(Object.keys(described)).toHaveLength(65);
    expect(described['(left out)']).toBe(36);
    const values = describeHeaders({ a: Array.from({ length: 100 }, () => 'v') }) as { a: unknown[] };
    expect(values.a).toHaveLength(65);
  });

  test('a header called __proto__ is a header', () => {
    const headers = JSON.parse('{"__proto__": "x"}') as Headers;
    expect(JSON.stringify(describeHeaders(headers))).toBe('{"__proto__":"x"}');
  });
});

describe('the text of a header', () => {
  test.each([
    ['its text', { source_file: Buffer.from('a/calls.csv') }, 'a/calls.csv'],
    ['nothing without headers', null, null],
    ['nothing for another name', { sourceFile: 'x' }, null],
    ['nothing when it is not text', { source_file: Buffer.from([0xff]) }, null],
    ['nothing when it was sent twice', { source_file: ['a', 'b'] }, null],
    ['nothing when it is endless', { source_file: 'x'.repeat(1025) }, null],
  ] as const)('%s', (_, headers, text) => {
    expect(textHeader(headers, 'source_file')).toBe(text);
  });
});
