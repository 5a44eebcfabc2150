import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SentRecord } from './testing/delivery.ts';
import { naiveSilver } from './testing/naive-model.ts';
import type { JoinerProcess } from './testing/postgres-silver.ts';
import { partitionOf, SilverFixture } from './testing/silver-fixture.ts';
import { expectedState, vector, vectors } from './testing/vectors.ts';
import { comparableNaive, comparableSilver, cut, NAIVE_RULES, type World, worlds } from './testing/worlds.ts';

const PATIENCE_MS = 300_000;

let silver: SilverFixture;

beforeAll(async () => {
  silver = await SilverFixture.open();
});

beforeEach(async () => {
  await silver.reset();
});

afterAll(async () => {
  await silver.close();
});

async function expectNaive(records: readonly SentRecord[]): Promise<void> {
  const naive = naiveSilver(records, NAIVE_RULES);
  const stored = { facts: await silver.db.facts(), outcomes: await silver.db.outcomes() };
  expect(comparableSilver(stored)).toEqual(comparableNaive(naive));
  expect(await silver.db.conflicts()).toEqual(naive.conflicts);
}

describe.each([
  ['staged', false],
  ['straight into their tables', true],
])('merge and rule on the shared vectors, records %s', (_, building) => {
  beforeEach(() => {
    silver.building = building;
  });

  it.each(vectors.map(({ name, says }) => [name, says]))('%s: %s', async (name) => {
    const seen = new Set<string>();
    for (const step of vector(name).steps) {
      await silver.take(step.records);
      expect(await silver.state()).toEqual(expectedState(step));
      const logged = (await silver.db.changes()).filter(
        ({ kind, shard, seq }) => kind === 'call' && !seen.has(`${shard}/${seq}`),
      );
      for (const { shard, seq } of logged) seen.add(`${shard}/${seq}`);
      const changed = [
        ...new Set(logged.map(({ before, after }) => JSON.stringify((after ?? before)?.call_id))),
      ].sort();
      const expected = step.changedCalls?.map((callId) => JSON.stringify(callId)) ?? changed;
      expect(changed).toEqual(expected.toSorted());
      expect(await silver.problems()).toEqual([]);
    }
  });

  it(
    'T-ORD: 200 permutations with duplicates and batch cuts give the same silver',
    async () => {
      const steps = vector('T-ATT').steps;
      const records = steps.flatMap((step) => step.records);
      const arrivals = fc
        .subarray(records)
        .chain((again) => {
          const sent = [...records, ...again];
          return fc.shuffledSubarray(sent, { minLength: sent.length, maxLength: sent.length });
        })
        .chain((sent) => fc.array(fc.integer({ min: 8, max: 60 })).map((sizes) => cut(sent, sizes)));
      await fc.assert(
        fc.asyncProperty(arrivals, async (batches) => {
          await silver.reset({ building });
          for (const batch of batches) await silver.take(batch);
          expect(await silver.state()).toEqual(expectedState(...steps));
          expect(await silver.problems()).toEqual([]);
        }),
        { numRuns: 200 },
      );
    },
    PATIENCE_MS,
  );
});

describe('merge and rule against the naive model', () => {
  it(
    'agree on any set of records, permuted, duplicated, cut into batches, with restarts and batches delivered again',
    async () => {
      const runs = fc.tuple(
        worlds,
        fc.array(fc.constantFrom('none', 'restart', 'again'), { minLength: 1, maxLength: 8 }),
        fc.boolean(),
      );
      await fc.assert(
        fc.asyncProperty(runs, async ([{ records, batches }, faults, building]) => {
          await silver.reset({ building });
          for (const [i, batch] of batches.entries()) {
            const chunks = silver.topics.deliver(silver.send(batch));
            expect(await silver.one.take(chunks)).toBe('applied');
            const fault = faults[i % faults.length];
            if (fault === 'again') expect(await silver.one.take(chunks)).toBe('moved');
            if (fault === 'restart') {
              await silver.restart();
            }
          }
          await expectNaive(records);
          expect(await silver.problems()).toEqual([]);
        }),
        { numRuns: 120 },
      );
    },
    PATIENCE_MS,
  );

  it(
    'agree when two processes work at once',
    async () => {
      await fc.assert(
        fc.asyncProperty(worlds, fc.boolean(), async (world, building) => {
          await silver.reset({ building });
          await takeTogether(world);
          await expectNaive(world.records);
          expect(await silver.problems()).toEqual([]);
        }),
        { numRuns: 60 },
      );
    },
    PATIENCE_MS,
  );
});

/** Each process owns every other partition, as after a rebalance, and takes its own batches without waiting. */
async function takeTogether({ batches }: Pick<World, 'batches'>): Promise<void> {
  const owned = (rest: number) =>
    batches
      .map((batch) => batch.filter((record) => partitionOf(record) % 2 === rest))
      .filter((batch) => batch.length > 0);
  const work = async (process: JoinerProcess, own: readonly (readonly SentRecord[])[]) => {
    for (const batch of own) await silver.take(batch, process);
  };
  await Promise.all([work(silver.one, owned(0)), work(silver.other, owned(1))]);
}
