import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CopyEncoder } from './copy-encoder.ts';
import { withoutRows } from './copy-rows.ts';

function encoded(rows: readonly string[]): CopyEncoder {
  const encoder = new CopyEncoder(['text']);
  for (const row of rows) encoder.row([row]);
  return encoder;
}

test('leaving rows out gives the bytes of the others, wherever chunks end', () => {
  // Rows of very different lengths, so that they begin, end and lie around the ends of chunks of 256 KB.
  const row = fc.oneof(
    fc.string(),
    fc.integer({ min: 0, max: 600_000 }).map((length) => 'x'.repeat(length)),
  );
  const rows = fc.array(fc.record({ row, left: fc.boolean() }), { maxLength: 12 });
  fc.assert(
    fc.property(rows, (all) => {
      const encoder = encoded(all.map((one) => one.row));
      const data = encoder.finish();
      const left = all.flatMap((one, nr) => (one.left ? [nr] : []));
      const rest = encoded(all.filter((one) => !one.left).map((one) => one.row)).finish();
      expect(Buffer.concat(withoutRows(data, encoder.rowEnds, left)).equals(Buffer.concat(rest))).toBe(true);
    }),
    { numRuns: 200 },
  );
});
