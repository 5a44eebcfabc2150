import { createLogger, sleep } from '@leakage/runtime';
import { freshDatabase } from '@leakage/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PositionMovedError, sqlState } from './errors.ts';
import { migrateOps } from './migrate.ts';
import { createPool, type Pool } from './pool.ts';
import { addOutcomes, advance, type Move, type Outcomes, positionStore } from './positions.ts';
import { inTransaction } from './transaction.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const pipeline = 'silver_1';
let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;

beforeAll(async () => {
  database = await freshDatabase();
  pool = createPool({ url: database.url, applicationName: 'test', max: 8, log });
  await migrateOps({ url: database.url, log });
});

beforeEach(async () => {
  await pool.query('truncate ops.position, ops.loss');
  await positionStore(pool, pipeline).load(
    [
      { topic: 't.calls', partition: 0, lowOffset: 0 },
      { topic: 't.calls', partition: 1, lowOffset: 100 },
    ],
    'cluster',
  );
});

afterAll(async () => {
  await pool.stop();
  await database.drop();
});

const move = (partition: number, expectedOffset: number, nextOffset: number, o: Partial<Move> = {}): Move => ({
  topic: 't.calls',
  partition,
  expectedOffset,
  nextOffset,
  lastOffset: nextOffset - 1,
  lastFingerprint: 4_000_000_000,
  holes: 0,
  ...o,
});
const accepted = (partition: number, records: number): Outcomes => ({
  topic: 't.calls',
  partition,
  accepted: records,
  superseded: 0,
  duplicates: 0,
  conflicts: 0,
  quarantined: 0,
});
const apply = (moves: readonly Move[], counts: readonly Outcomes[]) =>
  inTransaction(pool, async (tx) => {
    await advance(tx, pipeline, moves);
    await addOutcomes(tx, pipeline, { counts, judgedBy: 1 });
  });
const stored = () => positionStore(pool, pipeline).load([{ topic: 't.calls', partition: 1, lowOffset: 0 }], 'cluster');

describe('load', () => {
  test('creates what is missing at the low offset, keeps what is there, and answers in the order asked', async () => {
    await apply([move(1, 100, 103)], [accepted(1, 3)]);
    const parts = [
      { topic: 't.members', partition: 7, lowOffset: 5 },
      { topic: 't.calls', partition: 1, lowOffset: 90 },
      { topic: 't.calls', partition: 0, lowOffset: 0 },
    ];
    expect(await positionStore(pool, pipeline).load(parts, 'another cluster')).toEqual([
      {
        topic: 't.members',
        partition: 7,
        nextOffset: 5,
        lastOffset: null,
        lastFingerprint: null,
        clusterId: 'another cluster',
        untilOffset: null,
      },
      {
        topic: 't.calls',
        partition: 1,
        nextOffset: 103,
        lastOffset: 102,
        lastFingerprint: 4_000_000_000,
        clusterId: 'cluster',
        untilOffset: null,
      },
      {
        topic: 't.calls',
        partition: 0,
        nextOffset: 0,
        lastOffset: null,
        lastFingerprint: null,
        clusterId: 'cluster',
        untilOffset: null,
      },
    ]);
  });

  test('by several processes at once creates each position once', async () => {
    const parts = Array.from({ length: 12 }, (_, partition) => ({ topic: 't.new', partition, lowOffset: partition }));
    const loads = [parts, parts.toReversed(), parts].map((some) => positionStore(pool, pipeline).load(some, 'cluster'));
    for (const positions of await Promise.all(loads)) expect(positions).toHaveLength(12);
  });

  test('another pipeline has positions of its own', async () => {
    await apply([move(1, 100, 103)], [accepted(1, 3)]);
    const [bronze] = await positionStore(pool, 'bronze').load([{ topic: 't.calls', partition: 1, lowOffset: 2 }], 'c');
    expect(bronze?.nextOffset).toBe(2);
  });
});

describe('advance', () => {
  test('moves positions and keeps the last record where a chunk had none', async () => {
    await apply([move(1, 100, 103)], [accepted(1, 3)]);
    await apply([move(1, 103, 105, { lastOffset: null, lastFingerprint: null, holes: 2 })], []);
    expect(await stored()).toMatchObject([{ nextOffset: 105, lastOffset: 102, lastFingerprint: 4_000_000_000 }]);
  });

  test.each([
    ['a position that is elsewhere', [move(0, 0, 1), move(1, 99, 103)]],
    ['a position that does not exist', [move(0, 0, 1), move(9, 0, 1)]],
    ['a step backwards (law 3)', [move(1, 100, 99)]],
    ['the same partition twice', [move(1, 100, 101), move(1, 100, 102)]],
  ])('refuses %s, and the whole batch with it', async (_, moves) => {
    await expect(apply(moves, [])).rejects.toBeInstanceOf(PositionMovedError);
    const { rows } = await pool.query('select next_offset from ops.position order by partition');
    expect(rows).toEqual([{ next_offset: 0 }, { next_offset: 100 }]);
  });

  test('of several at once exactly one wins, and every loser is told', async () => {
    const contenders = Array.from({ length: 6 }, async () => {
      await apply([move(1, 100, 110), move(0, 0, 10)], [accepted(0, 10), accepted(1, 10)]);
    });
    const results = await Promise.allSettled(contenders);
    expect(results.filter((r) => r.status === 'fulfilled')).toHaveLength(1);
    for (const r of results) if (r.status === 'rejected') expect(r.reason).toBeInstanceOf(PositionMovedError);
    const { rows } = await pool.query('select next_offset, accepted from ops.position order by partition');
    expect(rows).toEqual([
      { next_offset: 10, accepted: 10 },
      { next_offset: 110, accepted: 10 },
    ]);
  });
});

describe('conservation (law 3)', () => {
  test('a batch whose outcomes do not add up is refused at COMMIT', async () => {
    await expect(apply([move(1, 100, 103)], [accepted(1, 2)])).rejects.toSatisfy((e) => sqlState(e) === 'LK002');
    await expect(apply([move(1, 100, 103)], [])).rejects.toSatisfy((e) => sqlState(e) === 'LK002');
    await expect(apply([], [accepted(1, 1)])).rejects.toSatisfy((e) => sqlState(e) === 'LK002');
    expect(await stored()).toMatchObject([{ nextOffset: 100 }]);
  });

  test('holes and every outcome count', async () => {
    const counts = { ...accepted(1, 1), superseded: 2, duplicates: 3, conflicts: 4, quarantined: 5 };
    await apply([move(1, 100, 121, { holes: 6 })], [counts]);
    expect(await stored()).toMatchObject([{ nextOffset: 121 }]);
  });

  test('outcomes of a partition that has no position are a mistake of the program', async () => {
    await expect(apply([], [accepted(9, 1)])).rejects.toThrow(/1 partitions were given, 0 positions/);
  });
});

describe('giving up what a log has lost', () => {
  const lost = { topic: 't.calls', partition: 1, fromOffset: 100, nextOffset: 130 };
  const giveUp = (range: typeof lost) => pool.query(positionStore(pool, pipeline).acceptLoss([range]));

  test('moves the position, counts the offsets as holes and keeps them on record', async () => {
    expect((await giveUp(lost)).rows).toEqual([{ accept_loss: 30 }]);
    expect(await stored()).toMatchObject([{ nextOffset: 130, lastOffset: null, lastFingerprint: null }]);
    await apply([move(1, 130, 133)], [accepted(1, 3)]);
    const { rows } = await pool.query(
      `select l.pipeline, l.topic, l.partition, l.from_offset, l.next_offset, l.accepted_by = session_user as by_me, p.holes
         from ops.loss l join ops.position p using (pipeline, topic, partition) order by l.from_offset`,
    );
    expect(rows).toEqual([
      { pipeline, topic: 't.calls', partition: 1, from_offset: 100, next_offset: 130, by_me: true, holes: 30 },
    ]);
  });

  test('of several partitions is one text', async () => {
    const other = { topic: 't.calls', partition: 0, fromOffset: 0, nextOffset: 7 };
    await pool.query(positionStore(pool, pipeline).acceptLoss([lost, other]));
    const { rows } = await pool.query('select next_offset from ops.position order by partition');
    expect(rows).toEqual([{ next_offset: 7 }, { next_offset: 130 }]);
  });

  test.each([
    ['a second time', lost, 'stands at offset 130 of t.calls/1, not at 100'],
    ['backwards', { ...lost, fromOffset: 130, nextOffset: 120 }, 'a position never moves back'],
    ['of nothing', { ...lost, fromOffset: 130 }, 'is not forward'],
    ['of what was read meanwhile', { ...lost, fromOffset: 129, nextOffset: 140 }, 'nothing was given up'],
    ['of a partition without a position', { ...lost, partition: 9 }, 'has no position of t.calls/9'],
  ])('%s is refused and changes nothing', async (_, range, reason) => {
    await giveUp(lost);
    const before = await pool.query('select * from ops.position order by topic, partition');
    await expect(giveUp(range)).rejects.toThrow(reason);
    expect((await pool.query('select * from ops.position order by topic, partition')).rows).toEqual(before.rows);
    expect((await pool.query('select from_offset from ops.loss order by from_offset')).rows).toHaveLength(1);
  });

  test('waits for a batch that is moving the position, and is then refused', async () => {
    const moving = Promise.withResolvers<void>();
    const commit = Promise.withResolvers<void>();
    const batch = inTransaction(pool, async (tx) => {
      await advance(tx, pipeline, [move(1, 100, 103)]);
      await addOutcomes(tx, pipeline, { counts: [accepted(1, 3)], judgedBy: 1 });
      moving.resolve();
      await commit.promise;
    });
    await moving.promise;
    const refused = giveUp(lost).catch((error: unknown) => error);
    await sleep(100);
    commit.resolve();
    await batch;
    expect(String(await refused)).toContain('stands at offset 103 of t.calls/1, not at 100');
  });
});
