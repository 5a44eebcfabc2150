import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CsvReader, type CsvRecord } from './csv.ts';

function read(text: string | Buffer): CsvRecord[] {
  const bytes = Buffer.from(text);
  const lines = bytes
    .toString('latin1')
    .split('\n')
    .map((line, i) => ({ number: i + 1, bytes: Buffer.from(line, 'latin1') }));
  const reader = new CsvReader();
  return [...reader.read(lines), ...reader.end()];
}

test('values, quoted values, quotes, commas and line breaks in quotes, empty lines, both line ends', () => {
  expect(read('a,b,c\r\n"x,1","say ""hi""",\n\n"two\nlines",é,"日本"\n')).toEqual([
    { line: 1, cells: ['a', 'b', 'c'] },
    { line: 2, cells: ['x,1', 'say "hi"', ''] },
    { line: 4, cells: ['two\nlines', 'é', '日本'] },
  ]);
});

test('a stray quote costs its own line and no other', () => {
  expect(read('1,5" screen,x\n2,ok,y\n3,"never closed,z\n4,ok,z')).toEqual([
    { line: 1, refused: 'a quote within a value that is not quoted' },
    { line: 2, cells: ['2', 'ok', 'y'] },
    { line: 3, refused: 'a quote is opened and never closed' },
    { line: 4, cells: ['4', 'ok', 'z'] },
  ]);
  expect(read('1,"a"b,c\n2,ok,y')).toEqual([
    { line: 1, refused: 'text after a closing quote' },
    { line: 2, cells: ['2', 'ok', 'y'] },
  ]);
});

test('a quote that is never closed is given up after a limit, not at the end of the file', () => {
  const records = read(`1,"open\n${'2,ok\n'.repeat(3_000)}`);
  expect(records[0]).toEqual({ line: 1, refused: 'a quote is opened and never closed' });
  expect(records.length).toBe(3_001);
  expect(records.slice(1).every((record) => 'cells' in record)).toBe(true);
});

test('bytes that are not UTF-8 are refused, never replaced', () => {
  expect(read(Buffer.concat([Buffer.from('1,caf'), Buffer.from([0xe9]), Buffer.from('\n2,ok')]))).toEqual([
    { line: 1, refused: 'not valid UTF-8' },
    { line: 2, cells: ['2', 'ok'] },
  ]);
});

test('whatever values are written as CSV are read back', () => {
  const value = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r\n', ' ', 'é') });
  const record = fc.array(value, { minLength: 2, maxLength: 4 });
  const write = (cells: readonly string[]): string => cells.map((cell) => `"${cell.replaceAll('"', '""')}"`).join(',');
  fc.assert(
    fc.property(fc.array(record, { maxLength: 6 }), fc.constantFrom('\n', '\r\n'), (records, end) => {
      const found = read(records.map((cells) => write(cells) + end).join(''));
      expect(found.map((one) => ('cells' in one ? one.cells : one))).toEqual(records);
    }),
  );
});

test('any bytes give records or refusals, and no line is told twice', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(0x22, 0x2c, 0x0a, 0x0d, 0x61, 0xe9), { maxLength: 200 }), (bytes) => {
      const lines = read(Buffer.from(bytes)).map((record) => record.line);
      expect([...new Set(lines)].sort((a, b) => a - b)).toEqual(lines);
    }),
  );
});
