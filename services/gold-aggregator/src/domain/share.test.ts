import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rowsOf, shareOut } from './share.ts';

const total = (ranges: ReturnType<typeof shareOut>) => ranges.reduce((sum, r) => sum + r.toSeq - r.fromSeq, 0);

describe('which rows a fold takes', () => {
  it('takes everything that waits while it is little', () => {
    const ranges = shareOut(
      [
        { shard: 0, nextSeq: 1, changeSeq: 5 },
        { shard: 1, nextSeq: 8, changeSeq: 7 },
        { shard: 2, nextSeq: 7, changeSeq: 7 },
      ],
      100,
    );
    expect(ranges).toEqual([
      { shard: 0, fromSeq: 1, toSeq: 6 },
      { shard: 2, fromSeq: 7, toSeq: 8 },
    ]);
  });

  it('takes the same part of every shard when too much waits, and never nothing', () => {
    const ranges = shareOut(
      [
        { shard: 0, nextSeq: 1, changeSeq: 100_000 },
        { shard: 1, nextSeq: 1, changeSeq: 1_000 },
        { shard: 2, nextSeq: 1, changeSeq: 1 },
      ],
      10_000,
    );
    expect(ranges.map((r) => r.toSeq - r.fromSeq)).toEqual([9_898, 99, 1]);
  });

  it('stays within the limit, within what waits, and always gets on', () => {
    const backlog = fc.record({ nextSeq: fc.integer({ min: 1, max: 1e9 }), waits: fc.integer({ min: 0, max: 1e6 }) });
    fc.assert(
      fc.property(fc.array(backlog, { maxLength: 12 }), fc.integer({ min: 12, max: 20_000 }), (given, rowsMax) => {
        const backlogs = given.map(({ nextSeq, waits }, shard) => ({ shard, nextSeq, changeSeq: nextSeq - 1 + waits }));
        const ranges = shareOut(backlogs, rowsMax);
        expect(total(ranges)).toBeLessThanOrEqual(rowsMax);
        for (const { shard, fromSeq, toSeq } of ranges) {
          const backlog = backlogs[shard];
          if (backlog === undefined) throw new Error('a range of no shard');
          expect(fromSeq).toBe(backlog.nextSeq);
          expect(toSeq - fromSeq).toBeGreaterThan(0);
          expect(toSeq - fromSeq).toBeLessThanOrEqual(rowsOf(backlog));
        }
        expect(ranges).toHaveLength(backlogs.filter((b) => rowsOf(b) > 0).length);
        if (backlogs.reduce((sum, b) => sum + rowsOf(b), 0) <= rowsMax)
          expect(total(ranges)).toBe(backlogs.reduce((sum, b) => sum + rowsOf(b), 0));
      }),
    );
  });
});
