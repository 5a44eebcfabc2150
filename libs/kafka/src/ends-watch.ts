import type { Admin } from 'kafkajs';
import type { PartitionLag } from './consumer-metrics.ts';
import { StalledError } from './errors.ts';
import type { Intake, Reading } from './intake.ts';
import { endsOf } from './topics.ts';
import type { ConsumerLimits } from './types.ts';

export interface EndsWatchOptions {
  readonly admin: Admin;
  readonly topics: readonly string[];
  readonly intake: Intake;
  readonly limits: Pick<ConsumerLimits, 'endsMs' | 'stallMs'>;
  /** The log no longer reaches to where the next fetch begins: the position has to be checked. */
  misplaced(topic: string, partition: number): void;
  fail(error: unknown): void;
}

interface Behind {
  readonly fetchAt: number;
  readonly looks: number;
}

/**
 * Looks at the ends of the owned partitions every `endsMs`: for the lag, for "caught up", and for what kafkajs keeps silent
 * about (an offset out of range that it resets, a partition that it no longer fetches). The ends are those of committed
 * records, so an open transaction at the end of a log is no lag.
 */
export class EndsWatch {
  readonly #o: EndsWatchOptions;
  #seen: { readonly drop: number; readonly at: number; readonly highs: ReadonlyMap<string, number> } | null = null;
  #behind = new Map<string, Behind>();

  constructor(options: EndsWatchOptions) {
    this.#o = options;
  }

  /** Everything to be read that was readable at the last look is applied. False when the last look is too old to say. */
  caughtUp(): boolean {
    const { intake, limits } = this.#o;
    if (this.#seen === null || this.#seen.drop !== intake.drop || !intake.positioned) return false;
    if (performance.now() - this.#seen.at > 3 * limits.endsMs) return false;
    return intake.lanes.every(({ topic, partition, reading }) => {
      const high = this.#seen?.highs.get(`${topic}/${partition}`);
      return (
        reading !== null && reading.witness === null && high !== undefined && reading.applied >= endOf(reading, high)
      );
    });
  }

  /** What was readable at the last look and is not applied now. */
  lags(): PartitionLag[] {
    if (this.#seen === null || this.#seen.drop !== this.#o.intake.drop) return [];
    const { highs } = this.#seen;
    return this.#o.intake.lanes.map(({ topic, partition, reading }) => ({
      topic,
      partition,
      lag: Math.max(0, endOf(reading, highs.get(`${topic}/${partition}`) ?? 0) - (reading?.applied ?? 0)),
    }));
  }

  async look(): Promise<void> {
    const { intake, topics, admin } = this.#o;
    if (!intake.positioned) return;
    const { drop } = intake;
    const fetchedBefore = new Map(
      intake.lanes.map(({ topic, partition, reading }) => [`${topic}/${partition}`, reading?.fetchAt ?? 0]),
    );
    const ends = await endsOf(admin, topics);
    if (intake.drop !== drop) return;
    for (const { topic, partition, low, high } of ends) {
      const fetchAt = intake.lane(topic, partition)?.reading?.fetchAt;
      if (fetchAt === undefined || intake.isDelivered(topic, partition)) continue;
      if (fetchAt < low || (fetchedBefore.get(`${topic}/${partition}`) ?? 0) > high) {
        this.#o.misplaced(topic, partition);
        return;
      }
    }
    const highs = new Map(ends.map(({ topic, partition, high }) => [`${topic}/${partition}`, high]));
    this.#seen = { drop, at: performance.now(), highs };
    this.#checkProgress(highs);
  }

  /** A partition that has more to read, room to put it, and gives nothing for `stallMs`. */
  #checkProgress(highs: ReadonlyMap<string, number>): void {
    const { intake, limits } = this.#o;
    const blocked = intake.room.waiting > 0;
    const behind = new Map<string, Behind>();
    for (const { topic, partition, reading } of intake.lanes) {
      const key = `${topic}/${partition}`;
      if (blocked || reading === null || reading.fetchAt >= endOf(reading, highs.get(key) ?? 0)) continue;
      const before = this.#behind.get(key);
      const looks = before?.fetchAt === reading.fetchAt ? before.looks + 1 : 0;
      behind.set(key, { fetchAt: reading.fetchAt, looks });
      if (looks * limits.endsMs > limits.stallMs) {
        this.#o.fail(
          new StalledError(
            `${key} has records from offset ${reading.fetchAt} on and none has come for ${limits.stallMs} ms: the process has to be restarted; if it happens again, check the leader of this partition`,
          ),
        );
      }
    }
    this.#behind = behind;
  }
}

/** Up to where a partition is to be read that has `high` as its end now. */
function endOf(reading: Reading | null, high: number): number {
  return Math.min(high, reading?.until ?? high);
}
