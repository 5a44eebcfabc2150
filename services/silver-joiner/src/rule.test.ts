import { call, journey } from '@leakage/testing';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_RULES } from './domain/rules.ts';
import { prepareBatch } from './prepare.ts';
import { BatchEncoder } from './staging.ts';
import { FakeTopics, prepareOptions, type SentRecord } from './testing/delivery.ts';
import { MemorySilver } from './testing/memory-silver.ts';
import { naiveSilver } from './testing/naive-model.ts';
import { expectedState, stateOf, vector, vectors } from './testing/vectors.ts';
import { comparableNaive, comparableSilver, cut, NAIVE_RULES, worlds } from './testing/worlds.ts';

const options = prepareOptions();
const T0 = Date.UTC(2025, 2, 11, 14);
const MINUTE = 60_000;
/** Thousands of runs: the machine may be busy with other tests. */
const PATIENCE_MS = 60_000;

class Rule {
  readonly silver = new MemorySilver(options.book);
  readonly #topics = new FakeTopics();
  readonly #encoder = new BatchEncoder();

  async take(records: readonly SentRecord[]): Promise<string[]> {
    const chunks = this.#topics.deliver(records.map((record) => this.#topics.send(record)));
    return await this.silver.apply(await prepareBatch(chunks, options, this.#encoder));
  }

  state() {
    return stateOf(this.silver.facts.values(), this.silver.outcomes.values());
  }
}

describe('the rule on the shared vectors', () => {
  it.each(vectors.map(({ name, says }) => [name, says]))('%s: %s', async (name) => {
    const rule = new Rule();
    for (const step of vector(name).steps) {
      const changed = await rule.take(step.records);
      expect(rule.state()).toEqual(expectedState(step));
      expect(changed.sort()).toEqual((step.changedCalls ?? changed).toSorted());
    }
  });

  it('all of them in one silver, one record at a time', async () => {
    const rule = new Rule();
    for (const { steps } of vectors)
      for (const step of steps) for (const record of step.records) await rule.take([record]);
    const finals = vectors.flatMap(({ steps }) => steps.at(-1) ?? []);
    expect(rule.state()).toEqual(expectedState(...finals));
  });

  it('T-ATT: the totals of the specification', async () => {
    const rule = new Rule();
    for (const step of vector('T-ATT').steps) await rule.take(step.records);
    const facts = [...rule.silver.facts.values()];
    const outcomes = [...rule.silver.outcomes.values()];
    const leaks = facts.filter((fact) => fact.attribution === 'leakage');
    const failed = outcomes.filter((row) => row.outcome !== 'completed' || row.leaked);
    expect({ calls: facts.length, leaks: leaks.length, decided: outcomes.length, failed: failed.length }).toEqual({
      calls: 17,
      leaks: 10,
      decided: 18,
      failed: 16,
    });
    expect(outcomes.filter((row) => row.leaked)).toHaveLength(9);
    expect(leaks.filter((fact) => fact.is_primary)).toHaveLength(9);
  });

  it(
    'T-ORD: 200 permutations with duplicates and batch cuts give the same silver',
    async () => {
      const records = vector('T-ATT').steps.flatMap((step) => step.records);
      const [step] = vector('T-ATT').steps;
      const expected = step && expectedState(step);
      const arrivals = fc
        .subarray(records)
        .chain((again) => {
          const sent = [...records, ...again];
          return fc.shuffledSubarray(sent, { minLength: sent.length, maxLength: sent.length });
        })
        .chain((sent) => fc.array(fc.integer({ min: 1, max: 12 })).map((sizes) => cut(sent, sizes)));
      await fc.assert(
        fc.asyncProperty(arrivals, async (batches) => {
          const rule = new Rule();
          for (const batch of batches) await rule.take(batch);
          expect(rule.state()).toEqual(expected);
        }),
        { numRuns: 200 },
      );
    },
    PATIENCE_MS,
  );

  it('hands is_primary over when a correction makes the first call the later one', async () => {
    const error = journey({ event_id: 'e', timestamp: T0, emitted_at: T0 });
    const early = call({ call_id: 'early', call_timestamp: T0 + 5 * MINUTE });
    const other = call({ call_id: 'other', call_timestamp: T0 + 10 * MINUTE });
    const rule = new Rule();
    await rule.take([
      { source: 'journeys', event: error },
      { source: 'calls', event: early },
      { source: 'calls', event: other },
    ]);
    const primaries = () =>
      [...rule.silver.facts.values()].filter((fact) => fact.is_primary).map((fact) => fact.call_id);
    expect(primaries()).toEqual(['early']);
    const moved = { ...early, call_timestamp: T0 + 20 * MINUTE, emitted_at: T0 + 30 * MINUTE, revision: 1 };
    await rule.take([{ source: 'calls', event: moved }]);
    expect(primaries()).toEqual(['other']);
  });
});

describe('one member with very many records', () => {
  it(
    'is decided in time that grows with their number, not with its square',
    async () => {
      const busy = (n: number): SentRecord[] =>
        Array.from({ length: n }, (_, i) => {
          const at = T0 + i * 7_000;
          return i % 2 === 0
            ? { source: 'journeys', event: journey({ session_id: `S${i}`, timestamp: at }) }
            : { source: 'calls', event: call({ call_timestamp: at, emitted_at: at }) };
        });
      const time = async (n: number) => {
        const began = process.cpuUsage();
        await new Rule().take(busy(n));
        const { user } = process.cpuUsage(began);
        return user;
      };
      await time(1_000);
      // Of two runs each, the ones by which a busy machine disturbs the verdict least: a square would be 64 times.
      const small = Math.max(await time(1_000), await time(1_000));
      expect(Math.min(await time(8_000), await time(8_000))).toBeLessThan(small * 18);
    },
    PATIENCE_MS,
  );
});

describe('the rule against the naive model', () => {
  it(
    'agrees on any set of records, in any order, duplicated and cut into any batches',
    async () => {
      await fc.assert(
        fc.asyncProperty(worlds, async ({ records, batches }) => {
          const rule = new Rule();
          for (const batch of batches) await rule.take(batch);
          const { silver } = rule;
          expect(comparableSilver({ facts: silver.facts.values(), outcomes: silver.outcomes.values() })).toEqual(
            comparableNaive(naiveSilver(records, NAIVE_RULES)),
          );
        }),
        { numRuns: 800 },
      );
    },
    PATIENCE_MS,
  );

  it(
    'agrees where any earlier call makes a repeat',
    async () => {
      const anyReason = prepareOptions({ ...DEFAULT_RULES, repeatScope: 'any_reason' });
      await fc.assert(
        fc.asyncProperty(worlds, async ({ records, batches }) => {
          const topics = new FakeTopics();
          const silver = new MemorySilver(anyReason.book);
          for (const batch of batches) {
            const chunks = topics.deliver(batch.map((record) => topics.send(record)));
            await silver.apply(await prepareBatch(chunks, anyReason, new BatchEncoder()));
          }
          expect(comparableSilver({ facts: silver.facts.values(), outcomes: silver.outcomes.values() })).toEqual(
            comparableNaive(naiveSilver(records, { ...NAIVE_RULES, anyReason: true })),
          );
        }),
        { numRuns: 200 },
      );
    },
    PATIENCE_MS,
  );

  it(
    'logs changes that add up to the facts',
    async () => {
      await fc.assert(
        fc.asyncProperty(worlds, async ({ batches }) => {
          const rule = new Rule();
          for (const batch of batches) await rule.take(batch);
          const { silver } = rule;
          const rows = new Map<string, number>();
          const add = (kind: string, row: object | null, n: number) => {
            if (row === null) return;
            const text = `${kind} ${JSON.stringify(row)}`;
            rows.set(text, (rows.get(text) ?? 0) + n);
          };
          for (const { kind, before, after } of silver.log) {
            add(kind, before, -1);
            add(kind, after, 1);
          }
          for (const fact of silver.facts.values()) add('call', fact, -1);
          for (const outcome of silver.outcomes.values()) add('journey', outcome, -1);
          const left = [...rows].filter(([text, n]) => n !== 0 && !text.startsWith('member'));
          expect(left).toEqual([]);
        }),
        { numRuns: 300 },
      );
    },
    PATIENCE_MS,
  );
});
