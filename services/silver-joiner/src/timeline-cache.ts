import type { ShardRow } from '@leakage/postgres';
import { isDecisive } from './domain/attribution.ts';
import { CLOCK_SKEW_MS } from './domain/clean.ts';
import type { StoredCall } from './domain/plan.ts';
import type { Call, Change, DecisiveEvent, JourneyEvent, MemberRange } from './domain/types.ts';
import type { Writes } from './domain/writes.ts';
import { ShardMemory } from './shard-memory.ts';

/** Decisive events, and calls with their facts, that are kept at most. */
const EVENTS_MAX = 100_000;
const CALLS_MAX = 50_000;

/** What is remembered of one kind of row of a shard: every row from an instant on, by member. */
class Recent<T> {
  readonly #instantOf: (row: T) => number;
  readonly #members = new Map<string, T[]>();
  /** Every row of the shard at or after it is here. */
  #from: number;
  size = 0;

  constructor(from: number, instantOf: (row: T) => number) {
    this.#from = from;
    this.#instantOf = instantOf;
  }

  covers(range: MemberRange): boolean {
    return range.from >= this.#from;
  }

  /** In no order. */
  within({ member_id, from, to }: MemberRange): T[] {
    const rows = this.#members.get(member_id) ?? [];
    return rows.filter((row) => this.#instantOf(row) >= from && this.#instantOf(row) <= to);
  }

  add(memberId: string, row: T): void {
    if (this.#instantOf(row) < this.#from) return;
    const rows = this.#members.get(memberId);
    if (rows === undefined) this.#members.set(memberId, [row]);
    else rows.push(row);
    this.size += 1;
  }

  /** Removes and returns the row that is meant, if it is here. */
  take(memberId: string, isMeant: (row: T) => boolean): T | null {
    const rows = this.#members.get(memberId);
    // From the end: what changes is mostly what came last.
    const at = rows?.findLastIndex(isMeant) ?? -1;
    if (rows === undefined || at < 0) return null;
    const [row = null] = rows.splice(at, 1);
    if (rows.length === 0) this.#members.delete(memberId);
    this.size -= 1;
    return row;
  }

  /** Forgets the older half. */
  halve(): void {
    const instants = Float64Array.from([...this.#members.values()].flat(), this.#instantOf).sort();
    const [first = 0, middle = 0, last = 0] = [instants[0], instants[instants.length >> 1], instants.at(-1)];
    this.#from = middle > first ? middle : last + 1;
    this.size = 0;
    for (const [memberId, rows] of this.#members) {
      const kept = rows.filter((row) => this.#instantOf(row) >= this.#from);
      if (kept.length === 0) this.#members.delete(memberId);
      else this.#members.set(memberId, kept);
      this.size += kept.length;
    }
  }
}

interface Timelines {
  readonly events: Recent<DecisiveEvent>;
  readonly calls: Recent<StoredCall>;
}

/**
 * The newest decisive events and calls of every member: what the rule asks for almost always, so that it need not be read. A
 * shard begins where its watermark stands, or, without one, with everything there is: nothing. From then on it has what is written.
 */
export class TimelineCache {
  readonly #memory = new ShardMemory<Timelines>((row) => ({
    events: new Recent(behind(row.wmDigital), (event) => event.timestamp),
    calls: new Recent(behind(row.wmCalls), ({ call }) => call.call_timestamp),
  }));
  readonly #shardOf: (memberId: string) => number;
  readonly #max: { readonly events: number; readonly calls: number };

  constructor(shardOf: (memberId: string) => number, max = { events: EVENTS_MAX, calls: CALLS_MAX }) {
    this.#shardOf = shardOf;
    this.#max = max;
  }

  begin(connection: object, locked: readonly ShardRow[]): void {
    this.#memory.begin(connection, locked);
  }

  /** The batch has changed these rows of silver. */
  merged(changes: {
    readonly journeys: readonly Change<JourneyEvent>[];
    readonly calls: readonly Change<Call>[];
  }): void {
    for (const { before, after } of changes.journeys) {
      if (before !== null)
        this.#of(before)?.events.take(before.member_id, ({ event_id }) => event_id === before.event_id);
      if (after !== null && !after.deleted && isDecisive(after.action))
        this.#of(after)?.events.add(after.member_id, after);
    }
    for (const { before, after } of changes.calls) {
      const isMeant = ({ call }: StoredCall): boolean => call.call_id === before?.call_id;
      const known = before === null ? null : (this.#of(before)?.calls.take(before.member_id, isMeant) ?? null);
      if (after === null || after.deleted) continue;
      // A fact belongs to a call of a member: of a call that moved, silver has none yet. One whose version before is too old to be
      // here gets its fact when that is written: with another time it is another fact.
      const fact = before?.member_id === after.member_id ? (known?.fact ?? null) : null;
      this.#of(after)?.calls.add(after.member_id, { call: after, fact });
    }
  }

  /** The batch has written these facts. */
  written({ newFacts, changedFacts }: Pick<Writes, 'newFacts' | 'changedFacts'>): void {
    for (const fact of [...newFacts, ...changedFacts]) {
      const calls = this.#of(fact)?.calls;
      const known = calls?.take(fact.member_id, ({ call }) => call.call_id === fact.call_id) ?? null;
      if (known !== null) calls?.add(fact.member_id, { call: known.call, fact });
    }
  }

  async events(
    ranges: readonly MemberRange[],
    read: (ranges: readonly MemberRange[]) => Promise<readonly DecisiveEvent[]>,
  ): Promise<readonly DecisiveEvent[]> {
    return await this.#answer(ranges, (timelines) => timelines.events, read);
  }

  async calls(
    ranges: readonly MemberRange[],
    read: (ranges: readonly MemberRange[]) => Promise<readonly StoredCall[]>,
  ): Promise<readonly StoredCall[]> {
    return await this.#answer(ranges, (timelines) => timelines.calls, read);
  }

  confirm(raised: ReadonlySet<number>): void {
    this.#memory.confirm(raised);
    this.#shrink((timelines) => timelines.events, this.#max.events);
    this.#shrink((timelines) => timelines.calls, this.#max.calls);
  }

  async #answer<T>(
    ranges: readonly MemberRange[],
    kind: (timelines: Timelines) => Recent<T>,
    read: (ranges: readonly MemberRange[]) => Promise<readonly T[]>,
  ): Promise<readonly T[]> {
    const found: T[] = [];
    const unknown: MemberRange[] = [];
    for (const range of ranges) {
      const timelines = this.#of(range);
      const recent = timelines === undefined ? undefined : kind(timelines);
      if (recent?.covers(range)) for (const row of recent.within(range)) found.push(row);
      else unknown.push(range);
    }
    if (unknown.length > 0) for (const row of await read(unknown)) found.push(row);
    return found;
  }

  #of({ member_id }: { readonly member_id: string }): Timelines | undefined {
    return this.#memory.of(this.#shardOf(member_id));
  }

  #shrink<T>(kind: (timelines: Timelines) => Recent<T>, max: number): void {
    const all = [...this.#memory.all()].map(kind);
    if (all.reduce((size, recent) => size + recent.size, 0) <= max) return;
    for (const recent of all) recent.halve();
  }
}

/** The first instant that no stored row can have: a watermark is the lesser of a row's own time and when it was sent. */
function behind(watermark: number | null): number {
  return watermark === null ? Number.NEGATIVE_INFINITY : watermark + CLOCK_SKEW_MS + 1;
}
