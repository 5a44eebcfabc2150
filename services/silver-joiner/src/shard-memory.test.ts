import { expect, test } from 'vitest';
import { ShardMemory } from './shard-memory.ts';
import { lockedShard } from './testing/locked-shard.ts';

const connection = {};

/** A memory of what was told of a shard: a list for each. */
const memory = () => new ShardMemory<string[]>(() => []);

test('what is remembered of a shard stays as long as this process alone writes to it', () => {
  const remembered = memory();
  remembered.begin(connection, [lockedShard(1, 7), lockedShard(2, 3)]);
  remembered.of(1)?.push('a');
  remembered.confirm(new Set([1, 2]));
  remembered.begin(connection, [lockedShard(2, 4)]);
  remembered.confirm(new Set([2]));
  remembered.begin(connection, [lockedShard(1, 8)]);
  expect(remembered.of(1)).toEqual(['a']);
  expect([...remembered.all()]).toEqual([['a'], []]);
});

test('of a shard that is not locked, nothing is certain', () => {
  const remembered = memory();
  remembered.begin(connection, [lockedShard(1, 7)]);
  expect(remembered.of(2)).toBeUndefined();
});

test('a batch that wrote nothing to a shard leaves it as it was, for this process and for others', () => {
  const [mine, theirs] = [memory(), memory()];
  for (const remembered of [mine, theirs]) {
    remembered.begin(connection, [lockedShard(1, 7), lockedShard(2, 3)]);
    remembered.of(1)?.push('a');
    remembered.confirm(new Set([2]));
  }
  mine.begin(connection, [lockedShard(1, 7)]);
  mine.of(1)?.push('b');
  mine.confirm(new Set());
  for (const remembered of [mine, theirs]) remembered.begin(connection, [lockedShard(1, 7)]);
  expect(mine.of(1)).toEqual(['a', 'b']);
  expect(theirs.of(1)).toEqual(['a']);
});

test.each([
  ['somebody else has written to the shard', connection, 9],
  ['the connection is another one, whatever version the shard has there', {}, 8],
])('it is forgotten when %s', (_, next, version) => {
  const remembered = memory();
  remembered.begin(connection, [lockedShard(1, 7)]);
  remembered.of(1)?.push('a');
  remembered.confirm(new Set([1]));
  remembered.begin(next, [lockedShard(1, version)]);
  expect(remembered.of(1)).toEqual([]);
});

test('and when the batch was not committed', () => {
  const remembered = memory();
  remembered.begin(connection, [lockedShard(1, 7)]);
  remembered.of(1)?.push('a');
  remembered.begin(connection, [lockedShard(1, 7)]);
  expect(remembered.of(1)).toEqual([]);
});
