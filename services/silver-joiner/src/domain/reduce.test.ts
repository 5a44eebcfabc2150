import { describe, expect, it } from 'vitest';
import { compareContent } from './identity.ts';
import { reduceBatch } from './reduce.ts';

interface Sent {
  readonly id: string;
  readonly revision: number;
  readonly text: string | null;
}

const of = {
  identity: (record: Sent) => record.id,
  revision: (record: Sent) => record.revision,
  content: (record: Sent) => [record.id, record.text],
};
const sent = (id: string, revision: number, text: string | null): Sent => ({ id, revision, text });

describe('content order', () => {
  it('compares bytes, and null is greatest', () => {
    expect(compareContent(['a', null], ['a', 'z'])).toBeGreaterThan(0);
    expect(compareContent(['a', '9'], ['a', '10'])).toBeGreaterThan(0);
    expect(compareContent(['\uffee'], ['😀'])).toBeLessThan(0);
    expect(compareContent([null, 'x'], [null, 'x'])).toBe(0);
  });
});

describe('a batch', () => {
  it('keeps one record per identity: the highest revision, then the greatest content', () => {
    const { winners } = reduceBatch([sent('a', 1, 'x'), sent('a', 2, 'b'), sent('a', 2, 'c'), sent('b', 0, null)], of);
    expect([...winners.values()]).toEqual([sent('a', 2, 'c'), sent('b', 0, null)]);
  });

  it('names what became of the others: one outcome each', () => {
    const records = [sent('a', 1, 'old'), sent('a', 2, 'x'), sent('a', 2, null), sent('a', 2, null), sent('a', 2, 'x')];
    const { losers, rivals } = reduceBatch(records, of);
    expect(losers.map(({ record, outcome }) => [record.text, outcome])).toEqual([
      [null, 'duplicates'],
      ['x', 'conflicts'],
      ['x', 'conflicts'],
      ['old', 'superseded'],
    ]);
    expect(rivals.get('a')).toEqual([sent('a', 2, 'x')]);
  });

  it('does not take an exact duplicate for a conflict', () => {
    const { losers, rivals } = reduceBatch([sent('a', 0, 'x'), sent('a', 0, 'x')], of);
    expect(losers.map(({ outcome }) => outcome)).toEqual(['duplicates']);
    expect(rivals.size).toBe(0);
  });
});
