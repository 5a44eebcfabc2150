import type { LeakageChange, LeakageFact } from '@leakage/schemas';
import type { CallFact } from './types.ts';

/** A row of the change log, taken apart. */
export interface LogEntry {
  readonly shard: number;
  /** Of the first change. */
  readonly seq: number;
  readonly lastSeq: number;
  /** Epoch milliseconds. */
  readonly loggedAt: number;
  readonly changes: readonly (readonly [kind: string, before: unknown, after: unknown])[];
}

/** The changes of calls in a row of the log, in order: what those outside are told. Journeys and members have seqs too. */
export function changeRecords(entry: LogEntry, generation: number): LeakageChange[] {
  const { shard, loggedAt } = entry;
  if (entry.changes.length !== entry.lastSeq - entry.seq + 1) {
    throw new Error(`a row of the change log (shard ${shard}, seq ${entry.seq}) does not hold what its numbers say`);
  }
  const told = (fact: CallFact | null) => (fact === null ? null : leakageFact(fact, loggedAt));
  return entry.changes.flatMap(([kind, was, is], i) => {
    if (kind !== 'call') return [];
    const [before, after] = [was as CallFact | null, is as CallFact | null];
    const { call_id } = after ?? (before as CallFact);
    const change = { generation, shard, seq: entry.seq + i, call_id, cause: null };
    return [{ ...change, before: told(before), after: told(after) }];
  });
}

/** Everything about one member goes where its key leads. */
export function memberOf({ before, after }: LeakageChange): string {
  return (after ?? before)?.member_id ?? '';
}

/** The same columns, rounded alike, as silver.digital_call_leakage shows. */
function leakageFact(fact: CallFact, processedAt: number): LeakageFact {
  const { shard: _shard, local_hour: _hour, sentiment_e4, ...columns } = fact;
  return {
    ...columns,
    leakage_id: fact.call_id,
    is_leakage_call: fact.attribution === 'leakage',
    time_to_call_minutes: minutes(fact.time_to_call_ms),
    sentiment_score: sentiment_e4 === null ? null : sentiment_e4 / 10_000,
    processing_timestamp: processedAt,
  };
}

/** One decimal, halves away from zero, as Postgres rounds a numeric. */
function minutes(ms: number | null): number | null {
  return ms === null ? null : (Math.sign(ms) * Math.round(Math.abs(ms) / 6_000)) / 10;
}
