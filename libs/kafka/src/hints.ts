import { type Logger, withDeadline } from '@leakage/runtime';
import type { Consumer } from 'kafkajs';
import type { Intake } from './intake.ts';

/** A hint is not worth a longer wait when leaving. */
const flushMs = 2_000;

export interface HintOptions {
  readonly consumer: Pick<Consumer, 'commitOffsets'>;
  readonly intake: Intake;
  readonly hintMs: number;
  readonly log: Logger;
}

/** Tells Kafka now and then what is applied, so that its lag tools work. It decides nothing (law 2), so failures are no news. */
export class OffsetHints {
  readonly #o: HintOptions;
  readonly #told = new Map<string, number>();
  #telling: Promise<void> | null = null;
  #toldAt = Number.NEGATIVE_INFINITY;

  constructor(options: HintOptions) {
    this.#o = options;
  }

  /** At most one hint under way, at most one in `hintMs`. */
  offer(): void {
    if (this.#telling !== null || performance.now() - this.#toldAt < this.#o.hintMs) return;
    this.#toldAt = performance.now();
    this.#telling = this.#tell().finally(() => {
      this.#telling = null;
    });
  }

  /** The last word before leaving. */
  async flush(): Promise<void> {
    const last = async (): Promise<void> => {
      await this.#telling;
      await this.#tell();
    };
    try {
      await withDeadline(last(), flushMs, 'the last offset hint');
    } catch (error) {
      this.#o.log.debug({ err: error }, 'the last offsets could not be told to Kafka; they are a hint only');
    }
  }

  async #tell(): Promise<void> {
    const news = this.#o.intake.lanes.flatMap(({ topic, partition, reading }) => {
      const offset = reading?.applied;
      if (offset === undefined || this.#told.get(`${topic}/${partition}`) === offset) return [];
      return [{ topic, partition, offset }];
    });
    if (news.length === 0) return;
    try {
      await this.#o.consumer.commitOffsets(news.map((item) => ({ ...item, offset: String(item.offset) })));
      for (const { topic, partition, offset } of news) this.#told.set(`${topic}/${partition}`, offset);
    } catch (error) {
      this.#o.log.debug({ err: error }, 'the offsets could not be told to Kafka; they are a hint only');
    }
  }
}
