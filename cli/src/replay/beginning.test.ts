import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { temporaryFolder } from '@leakage/testing';
import { describe, expect, test } from 'vitest';
import { CommandError } from '../command-error.ts';
import { LocalTime } from '../import/local-time.ts';
import { type Beginning, readBeginning, startsOf } from './beginning.ts';

const localTime = new LocalTime('America/New_York');
const read = (text: string) => readBeginning(text, localTime);

describe('what --from says', () => {
  test.each([
    ['2026-03-02T15:00:00Z', '2026-03-02T15:00:00Z'],
    ['2026-03-02T15:00+02:00', '2026-03-02T13:00:00Z'],
    ['2026-03-02 15:00', '2026-03-02T20:00:00Z'],
    ['2026-03-02', '2026-03-02T05:00:00Z'],
  ])('%s is a time, local where it has no offset', (text, instant) => {
    expect(read(text)).toEqual({ kind: 'time', ms: Date.parse(instant) });
  });

  test('offsets of partitions, as a list or as a file', () => {
    const file = join(temporaryFolder(), 'offsets.json');
    writeFileSync(file, '{"leakage.calls/3": 1200, "leakage.calls/11": 0}');
    const offsets = [
      { topic: 'leakage.calls', partition: 3, offset: 1200 },
      { topic: 'leakage.calls', partition: 11, offset: 0 },
    ];
    expect(read('leakage.calls/3@1200, leakage.calls/11@0')).toEqual({ kind: 'offsets', offsets });
    expect(read(file)).toEqual({ kind: 'offsets', offsets });
    expect(read('earliest')).toEqual({ kind: 'earliest' });
  });

  test.each([
    ['2026-02-30', 'is no time'],
    ['2026-03-02T25:00:00Z', 'is no time'],
    ['leakage.calls/3@', 'is no place in a log'],
    ['leakage.calls@7', 'is no place in a log'],
    ['leakage.calls/3@99999999999999999999', 'is no place in a log'],
    ['latest', 'is neither earliest, nor a time, nor offsets, nor a JSON file'],
  ])('%s is wrong usage, and why is said', (text, reason) => {
    const wrong = () => read(text);
    expect(wrong).toThrow(reason);
    expect(wrong).toThrow(expect.objectContaining({ exitCode: 2 }) as CommandError);
  });

  test.each([
    ['[1, 2]', 'must hold one object'],
    ['{"a/1": "x"}', 'a/1@x is no place in a log'],
    ['{', 'JSON'],
  ])('a file that holds %s is refused', (content, reason) => {
    const file = join(temporaryFolder(), 'offsets.json');
    writeFileSync(file, content);
    expect(() => read(file)).toThrow(reason);
  });
});

describe('where a replay begins', () => {
  const at = (partition: number) => ({ topic: 't', partition });
  const live = [
    { ...at(0), firstOffset: 0, nextOffset: 100 },
    { ...at(1), firstOffset: 50, nextOffset: 60 },
    { ...at(2), firstOffset: 0, nextOffset: 0 },
  ];
  const lows = [
    { ...at(0), low: 30 },
    { ...at(1), low: 10 },
    { ...at(2), low: 0 },
  ];
  const starts = (beginning: Beginning, since: { topic: string; partition: number; offset: number }[] = []) =>
    startsOf(beginning, { live, lows, since });
  const offsets = (partition: number, offset: number): Beginning => ({
    kind: 'offsets',
    offsets: [{ ...at(partition), offset }],
  });

  test('earliest: at what Kafka still has and live has read; a partition of which nothing is read is left out', () => {
    expect(starts({ kind: 'earliest' })).toEqual({
      starts: [
        { ...at(0), fromOffset: 30 },
        { ...at(1), fromOffset: 50 },
      ],
      removed: 30,
    });
  });

  test('a time: at the first record from then on; where that is beyond live there is nothing', () => {
    const since = [
      { ...at(0), offset: 70 },
      { ...at(1), offset: 60 },
      { ...at(2), offset: 5 },
    ];
    expect(starts({ kind: 'time', ms: 0 }, since)).toEqual({ starts: [{ ...at(0), fromOffset: 70 }], removed: 0 });
    expect(starts({ kind: 'time', ms: 0 }, [{ ...at(0), offset: 0 }]).starts[0]).toEqual({ ...at(0), fromOffset: 30 });
  });

  test('offsets: there, and no other partition', () => {
    expect(starts(offsets(0, 99)).starts).toEqual([{ ...at(0), fromOffset: 99 }]);
    expect(starts(offsets(0, 100)).starts).toEqual([]);
  });

  test.each([
    ['that Kafka has removed', 0, 29, 't/0 begins at offset 30: 29 is not there (any more)'],
    ['from before live began', 1, 49, 't/1 begins at offset 50'],
    ['that live has not read', 0, 101, 't/0 has been read up to offset 100: nothing from 101 on'],
    ['of a partition that live does not know', 7, 0, 'the service has never read t/7'],
  ])('an offset %s is refused', (_, partition, offset, reason) => {
    expect(() => starts(offsets(partition, offset))).toThrow(reason);
  });

  test('a partition that Kafka does not have is said', () => {
    expect(() => startsOf({ kind: 'earliest' }, { live, lows: [], since: [] })).toThrow(CommandError);
  });
});
