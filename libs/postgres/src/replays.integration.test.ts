import { createLogger, type Part, SettingsError } from '@leakage/runtime';
import { eventually, freshDatabase } from '@leakage/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sqlState } from './errors.ts';
import { ensureGeneration } from './generations.ts';
import { mendLosses, readLosses } from './losses.ts';
import { migrateOps } from './migrate.ts';
import { createPool, type Pool } from './pool.ts';
import { addOutcomes, advance, type Move, type Outcomes, positionStore } from './positions.ts';
import { openReplay, type ReplayOptions } from './replays.ts';
import { inTransaction } from './transaction.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const rules = {
  windowMs: 1_800_000,
  timeZone: 'America/New_York',
  repeatScope: 'same_issue' as const,
  reasons: { journeyTypes: [], reasons: {}, tokens: {} },
};
let database: Awaited<ReturnType<typeof freshDatabase>>;
let pool: Pool;

beforeAll(async () => {
  database = await freshDatabase();
  pool = createPool({ url: database.url, applicationName: 'test', max: 8, log });
  await migrateOps({ url: database.url, log });
  await ensureGeneration(pool, 2, { rules, rulesVersion: 1, shards: 12 });
});

beforeEach(async () => {
  await pool.query('truncate ops.position, ops.loss, ops.replay restart identity');
});

afterAll(async () => {
  await pool.stop();
  await database.drop();
});

async function begin(o: { service?: string; rate?: number | null } = {}): Promise<{ id: number; pipeline: string }> {
  const service = o.service ?? 'silver-joiner';
  const { rows } = await pool.query<{ id: number; pipeline: string }>(
    `insert into ops.replay (service, generation, begins, records_per_second) values ($1, $2, 'earliest', $3)
     returning id, pipeline`,
    [service, service === 'bronze-sink' ? null : 2, o.rate ?? null],
  );
  const [made] = rows;
  if (made === undefined) throw new Error('nothing was made');
  await pool.query(
    `insert into ops.position (pipeline, topic, partition, first_offset, next_offset, until_offset, cluster_id)
     values ($1, 't.calls', 0, 10, 10, 20, 'cluster'), ($1, 't.calls', 1, 0, 0, 5, 'cluster')`,
    [made.pipeline],
  );
  return made;
}

const move = (partition: number, expectedOffset: number, nextOffset: number, holes = 0): Move => {
  return {
    topic: 't.calls',
    partition,
    expectedOffset,
    nextOffset,
    lastOffset: nextOffset - 1,
    lastFingerprint: 1,
    holes,
  };
};
const counts = (partition: number, some: Partial<Outcomes>): Outcomes => {
  const none = { accepted: 0, superseded: 0, duplicates: 0, conflicts: 0, quarantined: 0 };
  return { topic: 't.calls', partition, ...none, ...some };
};
const apply = (pipeline: string, moves: readonly Move[], outcomes: readonly Outcomes[]) =>
  inTransaction(pool, async (tx) => {
    await advance(tx, pipeline, moves);
    await addOutcomes(tx, pipeline, { counts: outcomes, judgedBy: 1 });
  });
const end = async (id: number, state: string) =>
  (await pool.query<{ ended: boolean }>('select ops.end_replay($1, $2) as ended', [id, state])).rows[0]?.ended;

/** What a process has of its service, and why it was stopped. */
function process() {
  const parts: Part[] = [];
  const stopped: string[] = [];
  const abort = new AbortController();
  return {
    parts,
    stopped,
    ctx: {
      own: <T extends Part>(part: T): T => {
        parts.push(part);
        return part;
      },
      stop: (reason: string) => void stopped.push(reason),
      signal: abort.signal,
      log,
    },
  };
}

const silver = (id: number): ReplayOptions => ({ id, service: 'silver-joiner', generation: 2 });

describe('a replay', () => {
  test('has a pipeline of its own, named after what is read and its number', async () => {
    expect(await begin()).toEqual({ id: 1, pipeline: 'silver_2_replay_1' });
    expect(await begin({ service: 'bronze-sink' })).toEqual({ id: 2, pipeline: 'bronze_replay_2' });
  });

  test('is the only one of its service and generation that is not over', async () => {
    const { id } = await begin();
    await expect(begin()).rejects.toSatisfy((error) => sqlState(error) === '23505');
    expect(await end(id, 'cancelled')).toBe(true);
    await begin();
  });

  test('reads what it was given and nothing else: not a partition that came later', async () => {
    const { id } = await begin();
    const { parts, ctx } = process();
    const replay = await openReplay(pool, silver(id), ctx);
    const asked = [0, 1, 2].map((partition) => ({ topic: 't.calls', partition, lowOffset: 3 }));
    expect(await replay.positions.load(asked, 'cluster')).toMatchObject([
      { partition: 0, nextOffset: 10, untilOffset: 20 },
      { partition: 1, nextOffset: 0, untilOffset: 5 },
      { partition: 2, nextOffset: 3, untilOffset: 3, clusterId: 'cluster' },
    ]);
    expect((await pool.query('select from ops.position')).rowCount).toBe(2);
    await Promise.all(parts.map((part) => part.stop()));
  });

  test('cannot be moved beyond its end', async () => {
    const { pipeline } = await begin();
    await apply(pipeline, [move(1, 0, 5)], [counts(1, { accepted: 5 })]);
    await expect(apply(pipeline, [move(1, 5, 6)], [counts(1, { accepted: 1 })])).rejects.toThrow(/until_offset/);
  });

  test('that keeps to a rate takes at most a second of it at once, and rests', async () => {
    const { id } = await begin({ rate: 500 });
    const { parts, ctx } = process();
    const replay = await openReplay(pool, silver(id), ctx);
    expect([replay.batchRecords(10_000), replay.batchRecords(20)]).toEqual([500, 20]);
    const began = performance.now();
    await replay.pace?.({ records: 100 });
    await replay.pace?.({ records: 100 });
    expect(performance.now() - began).toBeGreaterThan(190);
    await Promise.all(parts.map((part) => part.stop()));
  });

  test.each([
    ['there is none with this number', { ...silver(99) }],
    [
      'it is one of silver-joiner, and this is bronze-sink',
      { id: 1, service: 'bronze-sink', generation: null } as const,
    ],
    ['it is one of generation 2, and GENERATION is 1', { ...silver(1), generation: 1 }],
  ])('a process is told when it cannot work on it: %s', async (reason, options) => {
    await begin();
    const opening = openReplay(pool, options, process().ctx);
    await expect(opening).rejects.toThrow(SettingsError);
    await expect(opening).rejects.toThrow(`REPLAY ${options.id}: ${reason}`);
  });

  test.each([
    ['is paused', 'update ops.replay set paused = true'],
    ['is cancelled', `select ops.end_replay(id, 'cancelled') from ops.replay`],
  ])('that %s ends its processes, whoever did it', async (what, statement) => {
    const { id } = await begin();
    const { parts, stopped, ctx } = process();
    await openReplay(pool, silver(id), ctx);
    await pool.query(statement);
    await eventually(() => stopped.length > 0);
    expect(stopped[0]).toBe(`replay 1 ${what}`);
    await Promise.all(parts.map((part) => part.stop()));
  });
});

describe('the end of a replay', () => {
  const row = async () => (await pool.query('select * from ops.replay')).rows[0];

  test('is refused as long as something is left to read', async () => {
    const { id, pipeline } = await begin();
    await apply(pipeline, [move(0, 10, 20)], [counts(0, { duplicates: 10 })]);
    expect(await end(id, 'done')).toBe(false);
    expect(await row()).toMatchObject({ state: 'running', ended_at: null });
    expect((await pool.query('select from ops.position')).rowCount).toBe(2);
  });

  test('keeps what was counted, and its positions go: nothing grows', async () => {
    const { id, pipeline } = await begin();
    const some = { accepted: 1, superseded: 2, duplicates: 3, conflicts: 1, quarantined: 1 };
    await apply(pipeline, [move(0, 10, 20, 2), move(1, 0, 5)], [counts(0, some), counts(1, { duplicates: 5 })]);
    expect(await end(id, 'done')).toBe(true);
    const totals = { offsets: 15, accepted: 1, superseded: 2, duplicates: 8, conflicts: 1, quarantined: 1, holes: 2 };
    expect(await row()).toMatchObject({ state: 'done', ...totals });
    expect((await pool.query('select from ops.position')).rowCount).toBe(0);
    expect(await end(id, 'done')).toBe(false);
    expect(await end(id, 'cancelled')).toBe(false);
  });

  test('finds a process in the middle of a batch: that one is kept, the next one moves nothing', async () => {
    const { id, pipeline } = await begin();
    const moving = Promise.withResolvers<void>();
    const commit = Promise.withResolvers<void>();
    const batch = inTransaction(pool, async (tx) => {
      await advance(tx, pipeline, [move(0, 10, 14)]);
      await addOutcomes(tx, pipeline, { counts: [counts(0, { accepted: 4 })], judgedBy: 1 });
      moving.resolve();
      await commit.promise;
    });
    await moving.promise;
    const cancelling = end(id, 'cancelled');
    commit.resolve();
    await batch;
    expect(await cancelling).toBe(true);
    expect(await row()).toMatchObject({ state: 'cancelled', offsets: 4, accepted: 4 });
    await expect(apply(pipeline, [move(0, 14, 15)], [counts(0, { accepted: 1 })])).rejects.toThrow(
      /was moved by another/,
    );
  });
});

describe('what was given up for lost and is found again', () => {
  const pipeline = 'silver_2';
  const lost = { topic: 't.calls', partition: 1, fromOffset: 100, nextOffset: 130 };
  beforeEach(async () => {
    const store = positionStore(pool, pipeline);
    await store.load([{ topic: 't.calls', partition: 1, lowOffset: 90 }], 'cluster');
    await apply(pipeline, [move(1, 90, 100)], [counts(1, { accepted: 10 })]);
    await pool.query(store.acceptLoss([lost]));
    await apply(pipeline, [move(1, 130, 140)], [counts(1, { accepted: 10 })]);
  });
  const position = async () =>
    (await pool.query(`select next_offset, accepted, duplicates, quarantined, holes from ops.position`)).rows[0];
  const found = (fromOffset: number, nextOffset: number, some: Partial<Outcomes>) =>
    inTransaction(pool, (tx) =>
      mendLosses(tx, pipeline, [{ ...counts(1, some), topic: 't.calls', partition: 1, fromOffset, nextOffset }]),
    );

  test('is counted by what became of it, and is lost no longer; what holds no record stays a hole', async () => {
    await found(100, 130, { accepted: 20, duplicates: 5, quarantined: 3 });
    expect(await position()).toEqual({ next_offset: 140, accepted: 40, duplicates: 5, quarantined: 3, holes: 2 });
    expect(await readLosses(pool, pipeline)).toEqual([]);
  });

  test('in parts: the rest stays lost, with who gave it up', async () => {
    await found(110, 120, { accepted: 10 });
    expect(await readLosses(pool, pipeline)).toEqual([
      { ...lost, nextOffset: 110 },
      { ...lost, fromOffset: 120 },
    ]);
    await found(100, 110, { accepted: 10 });
    await found(120, 130, { accepted: 9 });
    expect(await readLosses(pool, pipeline)).toEqual([]);
    expect(await position()).toMatchObject({ accepted: 49, holes: 1 });
  });

  test.each([
    ['a second time', 100, 110, { accepted: 10 }],
    ['of what was never given up', 90, 120, {}],
    ['of more records than offsets', 110, 120, { accepted: 11 }],
    ['of nothing', 120, 120, {}],
  ])('%s is refused and changes nothing', async (_, from, next, some) => {
    await found(100, 110, { accepted: 10 });
    const before = [await position(), await readLosses(pool, pipeline)];
    await expect(found(from, next, some)).rejects.toSatisfy((error) => sqlState(error) === 'LK004');
    expect([await position(), await readLosses(pool, pipeline)]).toEqual(before);
  });
});
