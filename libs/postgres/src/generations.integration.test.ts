import { createLogger } from '@leakage/runtime';
import { freshDatabase } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  activeGeneration,
  ensureGeneration,
  generationOrders,
  hashRules,
  lockShards,
  noteCaughtUp,
  publishViews,
  type Rules,
} from './generations.ts';
import { migrateOps } from './migrate.ts';
import { createPool, type Pool } from './pool.ts';
import { inTransaction } from './transaction.ts';
import { waitForRelation } from './wait.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const rules: Rules = {
  windowMs: 1_800_000,
  timeZone: 'America/New_York',
  repeatScope: 'same_issue',
  reasons: { journeyTypes: ['billing'], reasons: { billing_question: 'billing' }, tokens: { agent: 'any' } },
};
const wanted = { rules, rulesVersion: 1, shards: 12 };
let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;

beforeAll(async () => {
  database = await freshDatabase();
  pool = createPool({ url: database.url, applicationName: 'test', max: 6, lockTimeoutMs: 300, log });
  await migrateOps({ url: database.url, log });
});

afterAll(async () => {
  await pool.stop();
  await database.drop();
});

describe('a generation', () => {
  test('is created once, active, by whoever comes first; later ones get what is stored', async () => {
    expect(await activeGeneration(pool)).toBeNull();
    const asked = [wanted, { ...wanted, rulesVersion: 2 }, wanted].map((w) => ensureGeneration(pool, 1, w));
    const [first, ...others] = await Promise.all(asked);
    for (const generation of others) expect(generation).toEqual(first);
    expect(first).toMatchObject({ id: 1, state: 'active', rules });
    expect(await activeGeneration(pool)).toBe(1);
    const { rows } = await pool.query('select count(*), max(shard) from ops.shard where generation = 1');
    expect(rows).toEqual([{ count: 12, max: 11 }]);
  });

  test('beside an active one is prepared, and then built', async () => {
    expect(await ensureGeneration(pool, 2, { ...wanted, rulesVersion: 7 })).toMatchObject({
      state: 'preparing',
      rulesVersion: 7,
      rulesHash: hashRules(rules, 7),
    });
  });

  describe('has caught up', () => {
    /** Of bronze, and of silver of generation 2: where each stands in two partitions, and where silver is to end. */
    const stand = async (
      bronze: readonly number[],
      silver: readonly (number | null)[],
      until: number | null = null,
    ) => {
      await pool.query(`delete from ops.position; update ops.generation set caught_up_at = null, to_time = null`);
      for (const [pipeline, ends] of Object.entries({ bronze, silver_2: silver })) {
        await pool.query(
          `insert into ops.position (pipeline, topic, partition, first_offset, next_offset, until_offset, cluster_id, accepted)
           select $1, 'calls', p.nr - 1, 0, p.next, $3, 'test', p.next
             from unnest($2::bigint[]) with ordinality as p (next, nr) where p.next is not null`,
          [pipeline, ends, pipeline === 'bronze' ? null : until],
        );
      }
    };
    const noted = async () => (await generationOrders(pool, 2))?.caughtUp;

    test.each([
      ['when all that bronze has is read', [50_000, 50_000], [50_000, 50_000], null],
      ['when little is left', [50_000, 50_000], [50_000, 40_000], null],
      [
        'when it is ahead of bronze in one partition, and little behind in another',
        [10, 50_000],
        [90_000, 45_000],
        null,
      ],
      ['when it has reached where it is to end', [50_000, 50_000], [20_000, 20_000], 20_000],
    ] as const)('%s', async (_, bronze, silver, until) => {
      await stand(bronze, silver, until);
      expect([await noteCaughtUp(pool, 2), await noted(), await noteCaughtUp(pool, 2)]).toEqual([true, true, false]);
    });

    test.each([
      ['while another process has much to read in its partitions', [50_000, 50_000], [50_000, 39_999]],
      ['while nobody has begun a partition', [50_000, 50_000], [50_000, null]],
    ] as const)('but not %s', async (_, bronze, silver) => {
      await stand(bronze, silver);
      expect([await noteCaughtUp(pool, 2), await noted()]).toEqual([false, false]);
    });
  });

  test('the hash is of the rules and their version, not of the order of keys', () => {
    const { windowMs, ...rest } = rules;
    expect(hashRules({ ...rest, windowMs }, 1)).toBe(hashRules(rules, 1));
    expect(hashRules(rules, 2)).not.toBe(hashRules(rules, 1));
    expect(hashRules({ ...rules, windowMs: windowMs + 1 }, 1)).not.toBe(hashRules(rules, 1));
  });
});

describe('shard locks', () => {
  test('come in ascending order and hold until the end of the transaction', async () => {
    await inTransaction(pool, async (tx) => {
      const rows = await lockShards(tx, 1, [7, 2, 7]);
      expect(rows).toEqual(
        [2, 7].map((shard) => ({ shard, stateVersion: 0, changeSeq: 0, wmDigital: null, wmCalls: null })),
      );
      await expect(inTransaction(pool, (other) => lockShards(other, 1, [7]), { retries: 0 })).rejects.toThrow(
        /lock timeout/,
      );
      await inTransaction(pool, (other) => lockShards(other, 2, [7]));
    });
    await inTransaction(pool, (other) => lockShards(other, 1, [7]));
  });

  test('a shard that does not exist is a mistake of the program', async () => {
    await expect(inTransaction(pool, (tx) => lockShards(tx, 1, [3, 12]))).rejects.toThrow(/1 of the 2 shards/);
  });
});

describe('the stable views', () => {
  const columns = async () => {
    const { rows } = await pool.query<{ name: string; columns: string }>(
      `select name, columns from ops.view_columns('layer') order by name`,
    );
    return Object.fromEntries(rows.map((row) => [row.name, row.columns]));
  };

  test('show the active generation, and follow it when its views change', async () => {
    await pool.query(`create schema layer_1; create schema layer_2;
      create view layer_1.facts as select 1 as id, 'one' as source; create view layer_1.gone as select 1 as id;
      create view layer_2.facts as select 'two'::text as source, 2 as id; create table layer_2.base (id int)`);
    expect(await publishViews(pool, 'layer', 2)).toBe(false);
    expect(await publishViews(pool, 'layer', 1)).toBe(true);
    expect(await columns()).toEqual({ facts: 'id, source', gone: 'id' });
    await pool.query(`update ops.generation set state = 'retired' where id = 1`);
    await pool.query(`update ops.generation set state = 'active' where id = 2`);
    expect(await publishViews(pool, 'layer', 2)).toBe(true);
    expect(await columns()).toEqual({ facts: 'source, id' });
    expect((await pool.query('select source from layer.facts')).rows).toEqual([{ source: 'two' }]);
  });

  test('that are right already are left alone, so that nobody waits for them', async () => {
    await inTransaction(pool, async (reader) => {
      await reader.query('select from layer.facts');
      expect(await publishViews(pool, 'layer', 2)).toBe(true);
    });
  });

  test('a generation that does not exist is an error', async () => {
    await expect(publishViews(pool, 'layer', 3)).rejects.toThrow(/generation 3 does not exist/);
  });
});

test('waiting for a relation ends when another service has created it', async () => {
  const said: string[] = [];
  const health = { setReady: (check: string, ok: boolean) => said.push(`${check} ${ok}`) };
  const waiting = waitForRelation(pool, 'later.t', { signal: AbortSignal.timeout(20_000), health, log });
  await pool.query('create schema later');
  await pool.query('create table later.t (id int)');
  await waiting;
  expect(said.at(-1)).toBe('relation later.t true');
  const never = waitForRelation(pool, 'later.u', { signal: AbortSignal.timeout(200), health, log });
  await expect(never).rejects.toThrow(/abort/i);
});
