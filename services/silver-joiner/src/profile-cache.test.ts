import { describe, expect, test } from 'vitest';
import type { ProfileVersion } from './domain/types.ts';
import { ProfileCache } from './profile-cache.ts';
import { lockedShard as shard } from './testing/locked-shard.ts';

const version = (member_id: string, valid_from = 0): ProfileVersion => ({
  member_id,
  valid_from,
  plan_type: 'MAPD',
  segment: 'new',
  language_preference: 'English',
});
const connection = {};
const shardOf = (memberId: string): number => Number(memberId.at(-1));

/** A cache, and which members were read from the database. */
function cacheOver(stored: readonly ProfileVersion[], max?: number) {
  const asked: string[] = [];
  const cache = new ProfileCache(shardOf, max);
  const read = async (ids: readonly string[]) => {
    asked.push(...ids);
    return stored.filter(({ member_id }) => ids.includes(member_id));
  };
  const ask = async (...ids: string[]) => await cache.profiles(ids, read);
  return { cache, asked, ask };
}

describe('profiles of members', () => {
  test('are read once, those of members without one included, as long as nobody else writes', async () => {
    const { cache, asked, ask } = cacheOver([version('a1', 5), version('a1', 0), version('b2')]);
    cache.begin(connection, [shard(1, 7), shard(2, 3)]);
    expect(await ask('a1', 'b2', 'c1')).toHaveLength(3);
    cache.confirm(new Set([1, 2]));
    cache.begin(connection, [shard(1, 8), shard(2, 4)]);
    expect(await ask('a1', 'b2', 'c1')).toHaveLength(3);
    expect(asked).toEqual(['a1', 'b2', 'c1']);
  });

  test('are read again after a batch that was not committed', async () => {
    const { cache, asked, ask } = cacheOver([version('a1')]);
    cache.begin(connection, [shard(1, 7)]);
    await ask('a1');
    cache.begin(connection, [shard(1, 7)]);
    await ask('a1');
    expect(asked).toEqual(['a1', 'a1']);
    expect(cache.size).toBe(1);
  });

  test('of a member that a batch changes are read again', async () => {
    const { cache, asked, ask } = cacheOver([version('a1')]);
    cache.begin(connection, [shard(1, 7)]);
    await ask('a1');
    cache.confirm(new Set([1]));
    cache.begin(connection, [shard(1, 8)]);
    cache.forget(['a1', 'x1']);
    await ask('a1');
    expect(asked).toEqual(['a1', 'a1']);
  });

  test('of a member whose shard is not locked are not kept', async () => {
    const { cache, asked, ask } = cacheOver([version('a1'), version('b2')]);
    cache.begin(connection, [shard(1, 7), shard(2, 1)]);
    cache.confirm(new Set([1]));
    cache.begin(connection, [shard(1, 8)]);
    await ask('b2');
    await ask('b2');
    expect(asked).toEqual(['b2', 'b2']);
  });

  test('no more than may be: the oldest of the shard goes', async () => {
    const { cache, asked, ask } = cacheOver([], 2);
    cache.begin(connection, [shard(1, 7)]);
    await ask('a1', 'b1', 'c1');
    expect(cache.size).toBe(2);
    await ask('b1', 'c1', 'a1');
    expect(asked).toEqual(['a1', 'b1', 'c1', 'a1']);
  });
});
