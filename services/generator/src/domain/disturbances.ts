import type { Source } from '@leakage/schemas';
import { HOUR_MS, MINUTE_MS } from './calendar.ts';
import type { Emission } from './emission.ts';

export const DISTURBANCE_MINUTES_MAX = 240;
export const COPIES_MAX = 10;
/** No record is held longer, and after an outage they come a millisecond apart. */
export const HOLD_SPAN_MS = DISTURBANCE_MINUTES_MAX * MINUTE_MS + HOUR_MS;

/** What happens to records on their way, between two instants of sending. */
export type Disturbance = {
  /** Counts from 1 in a world. */
  id: number;
  from: number;
  until: number;
} & (Outage | Duplicates | Delay | OtherSchema);

interface Outage {
  kind: 'outage';
  source: Source;
  /** What is not sent never comes; else it does when the outage is over. */
  lost: boolean;
}

interface Duplicates {
  kind: 'duplicates';
  /** Null: of all sources. */
  source: Source | null;
  /** How often each record is sent. */
  copies: number;
}

interface Delay {
  kind: 'delay';
  source: Source;
  partition: number;
  delayMs: number;
}

interface OtherSchema {
  kind: 'schema';
  source: Source;
  /** A field has another type; else there is one that nobody knows. */
  breaking: boolean;
}

/** Applies disturbances to a stream in order of sending. What it holds depends only on the records that went through. */
export class Disturber {
  readonly #disturbances: Disturbance[];
  readonly #shardOf: (key: string) => number;
  /** One queue for each disturbance, each in order of sending. */
  readonly #held = new Map<number, Emission[]>();

  /** `shardOf`: the partition of a key. */
  constructor(disturbances: readonly Disturbance[], shardOf: (key: string) => number) {
    this.#disturbances = [...disturbances];
    this.#shardOf = shardOf;
  }

  /** From an instant on that no record has reached. */
  add(disturbance: Disturbance): void {
    this.#disturbances.push(disturbance);
  }

  /** What is sent at once instead of a record. */
  apply(emission: Emission): Emission[] {
    let records = [emission];
    for (const disturbance of this.#disturbances) {
      const { from, until } = disturbance;
      if (emission.at >= from && emission.at < until) {
        records = records.flatMap((record) => this.#disturbed(disturbance, record));
      }
    }
    return records;
  }

  /** The next held record that is to be sent at an instant or before. */
  release(at: number): Emission | null {
    let next: Emission[] | null = null;
    for (const queue of this.#held.values()) {
      const first = queue[0];
      if (first !== undefined && first.at <= at && (next?.[0] === undefined || first.at < next[0].at)) next = queue;
    }
    return next?.shift() ?? null;
  }

  #disturbed(disturbance: Disturbance, emission: Emission): Emission[] {
    switch (disturbance.kind) {
      case 'outage':
        if (emission.source !== disturbance.source) return [emission];
        return disturbance.lost ? [] : this.#hold(disturbance, emission, disturbance.until);
      case 'duplicates': {
        if (disturbance.source !== null && emission.source !== disturbance.source) return [emission];
        const copy = { ...emission, truth: null };
        return [emission, ...Array.from({ length: disturbance.copies - 1 }, () => copy)];
      }
      case 'delay': {
        const key = emission.event.member_id;
        const delayed =
          emission.source === disturbance.source && key !== null && this.#shardOf(key) === disturbance.partition;
        return delayed ? this.#hold(disturbance, emission, emission.at + disturbance.delayMs) : [emission];
      }
      case 'schema': {
        const other = emission.source === disturbance.source && emission.damage === null;
        return [other ? { ...emission, damage: { kind: 'schema', breaking: disturbance.breaking } } : emission];
      }
    }
  }

  #hold(disturbance: Disturbance, emission: Emission, until: number): Emission[] {
    const queue = this.#held.get(disturbance.id) ?? [];
    this.#held.set(disturbance.id, queue);
    // A backlog is sent one by one.
    const at = Math.max(until, (queue.at(-1)?.at ?? Number.NEGATIVE_INFINITY) + 1);
    // The union of three sources does not survive a spread of its event.
    queue.push({ ...emission, event: { ...emission.event, emitted_at: at }, at } as Emission);
    return [];
  }
}
