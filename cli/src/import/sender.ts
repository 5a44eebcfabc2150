import type { OutgoingRecord, PublishedRange, Publisher } from '@leakage/kafka';

/** Small enough for one request, so that the offsets of a batch lie together. */
const BATCH_RECORDS = 2_000;
const BATCH_BYTES = 600_000;
/** Of one partition: only while others publish to it at the same time is there more than one. */
const RANGES_MAX = 1_000;

/** Publishes rows in batches, one in flight while the next is filled, and remembers where they went. */
export class Sender {
  readonly #publisher: Publisher;
  #batch: OutgoingRecord[] = [];
  #bytes = 0;
  #inFlight: Promise<void> = Promise.resolve();
  readonly #ranges = new Map<string, PublishedRange[]>();

  constructor(publisher: Publisher) {
    this.#publisher = publisher;
  }

  async add(record: OutgoingRecord): Promise<void> {
    this.#batch.push(record);
    this.#bytes += record.value?.length ?? 0;
    if (this.#batch.length >= BATCH_RECORDS || this.#bytes >= BATCH_BYTES) await this.#send();
  }

  /** Waits until everything is acknowledged. */
  async flush(): Promise<void> {
    await this.#send();
    await this.#inFlight;
  }

  /** Where everything went, in as few ranges as possible. */
  get ranges(): PublishedRange[] {
    return [...this.#ranges.values()].flat();
  }

  async #send(): Promise<void> {
    await this.#inFlight;
    if (this.#batch.length === 0) return;
    const batch = this.#batch;
    this.#batch = [];
    this.#bytes = 0;
    this.#inFlight = this.#publish(batch);
    // Whoever adds or flushes next hears of a failure; until then it is nobody's.
    this.#inFlight.catch(() => undefined);
  }

  async #publish(batch: readonly OutgoingRecord[]): Promise<void> {
    for (const range of await this.#publisher.publish(batch)) {
      const key = `${range.topic}/${range.partition}`;
      const known = this.#ranges.get(key) ?? [];
      const last = known.at(-1);
      // Of too many ranges the last one goes on, over the records of others: they are told of, and nothing else is.
      if (last !== undefined && (last.lastOffset + 1 === range.firstOffset || known.length >= RANGES_MAX))
        known[known.length - 1] = { ...last, lastOffset: range.lastOffset };
      else known.push(range);
      this.#ranges.set(key, known);
    }
  }
}
