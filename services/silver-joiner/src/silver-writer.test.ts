import { expect, test } from 'vitest';
import { raisedShards } from './silver-writer.ts';
import { lockedShard } from './testing/locked-shard.ts';

const nothing = { written: new Set<number>(), watermarks: new Map() };

test('a shard in which something was written has a new version, one that was only locked has not', () => {
  const locked = [lockedShard(1, 7, 100), lockedShard(2, 3, 100)];
  expect(raisedShards(locked, nothing)).toEqual(new Set());
  expect(raisedShards(locked, { ...nothing, written: new Set([2]) })).toEqual(new Set([2]));
});

test('and so has one whose watermark comes forward: what is shown is as of another time', () => {
  const marks = (digital: number | null, calls: number | null) =>
    raisedShards([lockedShard(1, 7, 100)], { ...nothing, watermarks: new Map([[1, { digital, calls }]]) });
  expect(marks(101, null)).toEqual(new Set([1]));
  expect(marks(null, 101)).toEqual(new Set([1]));
  expect(marks(100, 99)).toEqual(new Set());
  expect(marks(null, null)).toEqual(new Set());
  const first = { ...nothing, watermarks: new Map([[1, { digital: 5, calls: null }]]) };
  expect(raisedShards([lockedShard(1, 0)], first)).toEqual(new Set([1]));
});
