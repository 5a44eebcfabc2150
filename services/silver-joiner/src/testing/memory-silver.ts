import { decide, type SilverReader } from '../decide.ts';
import { isDecisive } from '../domain/attribution.ts';
import { compareContent } from '../domain/identity.ts';
import type { Reduced } from '../domain/reduce.ts';
import type { RuleBook } from '../domain/rules.ts';
import type { Call, CallFact, Change, JourneyEvent, JourneyKey, JourneyOutcome, Profile } from '../domain/types.ts';
import type { LoggedChange } from '../domain/writes.ts';
import type { PreparedBatch } from '../prepare.ts';
import { type Arrival, CALLS, JOURNEYS, MEMBERS, type SourceTable, type Version } from '../sources.ts';

const outcomeKey = (key: JourneyKey): string => JSON.stringify([key.member_id, key.session_id, key.journey_type]);

/** Silver without Postgres: the store's behaviour in a few maps, so that the rule can be tried thousands of times. */
export class MemorySilver {
  readonly facts = new Map<string, CallFact>();
  readonly outcomes = new Map<string, JourneyOutcome>();
  readonly log: LoggedChange[] = [];
  readonly #journeys = new Map<string, JourneyEvent>();
  readonly #calls = new Map<string, Call>();
  readonly #profiles = new Map<string, Profile>();
  readonly #book: RuleBook;

  constructor(book: RuleBook) {
    this.#book = book;
  }

  /** Returns the ids of the calls whose facts were added, changed or removed. */
  async apply(batch: PreparedBatch): Promise<string[]> {
    const changes = {
      journeys: merge(this.#journeys, JOURNEYS, batch.journeys),
      calls: merge(this.#calls, CALLS, batch.calls),
      profiles: merge(this.#profiles, MEMBERS, batch.members),
    };
    const { writes } = await decide(this.#reader(), changes, this.#book);
    for (const callId of writes.removedCalls) this.facts.delete(callId);
    const facts = [...writes.newFacts, ...writes.changedFacts];
    for (const fact of facts) this.facts.set(fact.call_id, fact);
    for (const key of writes.removedOutcomes) this.outcomes.delete(outcomeKey(key));
    for (const outcome of [...writes.newOutcomes, ...writes.changedOutcomes])
      this.outcomes.set(outcomeKey(outcome), outcome);
    this.log.push(...writes.changes);
    return [...writes.removedCalls, ...facts.map((fact) => fact.call_id)];
  }

  #reader(): SilverReader {
    const calls = () => [...this.#calls.values()].filter((call) => !call.deleted);
    const ask = <R>(rows: () => readonly R[]) => Promise.resolve(rows());
    return {
      profiles: (ids) => ask(() => [...this.#profiles.values()].filter((row) => ids.includes(row.member_id))),
      calls: (ranges) =>
        ask(() =>
          ranges.flatMap((range) =>
            calls()
              .filter((call) => within(range, call.member_id, call.call_timestamp))
              .map((call) => {
                const fact = this.facts.get(call.call_id);
                return { call, fact: fact?.member_id === call.member_id ? fact : null };
              }),
          ),
        ),
      facts: (ids) => ask(() => [...this.facts.values()].filter((fact) => ids.includes(fact.call_id))),
      outcomes: (keys) => ask(() => keys.flatMap((key) => this.outcomes.get(outcomeKey(key)) ?? [])),
      outcomesBetween: (ranges) =>
        ask(() =>
          ranges.flatMap((range) =>
            [...this.outcomes.values()].filter((row) => within(range, row.member_id, row.last_decisive_at)),
          ),
        ),
      events: (ranges) =>
        ask(() =>
          ranges.flatMap((range) =>
            [...this.#journeys.values()].filter(
              (row) => !row.deleted && isDecisive(row.action) && within(range, row.member_id, row.timestamp),
            ),
          ),
        ),
      attributed: (keys) =>
        ask(() =>
          keys.flatMap((key) =>
            [...this.facts.values()].filter(
              (fact) =>
                fact.member_id === key.member_id &&
                fact.digital_session_id === key.session_id &&
                fact.leakage_type === key.journey_type,
            ),
          ),
        ),
    };
  }
}

function within(range: { member_id: string; from: number; to: number }, memberId: string, instant: number): boolean {
  return memberId === range.member_id && instant >= range.from && instant <= range.to;
}

function merge<R extends Version, K extends keyof R>(
  stored: Map<string, R>,
  table: SourceTable<R, K>,
  reduced: Reduced<Arrival<R>>,
): Change<R>[] {
  const changes: Change<R>[] = [];
  for (const { identity, row } of reduced.winners.values()) {
    const before = stored.get(identity) ?? null;
    const isNewer =
      before === null ||
      row.revision > before.revision ||
      (row.revision === before.revision && compareContent(table.content(row), table.content(before)) > 0);
    if (!isNewer) continue;
    stored.set(identity, row);
    changes.push({ before, after: row });
  }
  return changes;
}
