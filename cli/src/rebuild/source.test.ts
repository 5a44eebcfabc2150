import { describe, expect, it } from 'vitest';
import { chooseSource } from './source.ts';

const bronze = [
  { topic: 'calls', partition: 0, firstOffset: 0, nextOffset: 100, dropped: 0 },
  { topic: 'calls', partition: 1, firstOffset: 10, nextOffset: 60, dropped: 0 },
];
const ends = (...lows: number[]) => lows.map((low, partition) => ({ topic: 'calls', partition, low, high: 200 }));

describe('where a generation is read from', () => {
  it('is Kafka as long as it has everything that bronze has', () => {
    expect(chooseSource('auto', bronze, ends(0, 10))).toEqual({ source: 'topics', why: 'Kafka still has everything' });
    expect(chooseSource('topics', bronze, ends(0, 5)).source).toBe('topics');
  });

  it('is bronze when Kafka has forgotten something, and it says how much', () => {
    expect(chooseSource('auto', bronze, ends(30, 10))).toEqual({
      source: 'bronze',
      why: 'Kafka has forgotten 30 records that bronze has',
    });
    expect(() => chooseSource('topics', bronze, ends(150, 70))).toThrow('forgotten 150 records');
  });

  it('is bronze when Kafka does not answer, or no longer has a partition', () => {
    expect(chooseSource('auto', bronze, null).source).toBe('bronze');
    expect(() => chooseSource('topics', bronze, null)).toThrow('Kafka does not answer');
    expect(chooseSource('auto', bronze, ends(0))).toMatchObject({
      why: expect.stringContaining('50 records') as string,
    });
  });

  it('is bronze, which has a beginning, when Kafka has forgotten no more than retention has removed', () => {
    const removed = bronze.map((one) => ({ ...one, dropped: 30 }));
    expect(chooseSource('auto', removed, ends(30, 40))).toEqual({
      source: 'bronze',
      why: 'Kafka has forgotten records that retention has removed from bronze too, so it does not begin where bronze began',
    });
    expect(chooseSource('auto', removed, ends(50, 40)).why).toBe('Kafka has forgotten 20 records that bronze has');
    expect(chooseSource('auto', removed, ends(0, 10)).source).toBe('topics');
  });

  it('is bronze when that was ordered', () => {
    expect(chooseSource('bronze', bronze, ends(0, 10))).toEqual({ source: 'bronze', why: 'as ordered' });
  });
});
