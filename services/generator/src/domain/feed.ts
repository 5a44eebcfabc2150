import { type Disturbance, Disturber, HOLD_SPAN_MS } from './disturbances.ts';
import type { Emission } from './emission.ts';
import { type StreamPosition, streamFrom } from './stream.ts';
import type { World } from './world.ts';

/** What lies between a world and Kafka. */
export interface Road {
  readonly disturbances: readonly Disturbance[];
  /** The partition of a key. */
  readonly shardOf: (key: string) => number;
}

const clearRoad: Road = { disturbances: [], shardOf: () => 0 };

/** The stream of a world as it is sent, disturbances and all, record by record from a position on. */
export class Feed {
  readonly #stream: Iterator<Emission[]>;
  readonly #disturber: Disturber;
  readonly #after: StreamPosition;
  #chunk: readonly Emission[] = [];
  #next = 0;
  #ready: Emission[] = [];
  /** Records of exactly the position's instant that were passed over. */
  #skipped = 0;

  constructor(world: World, position: StreamPosition, { disturbances, shardOf }: Road = clearRoad) {
    this.#stream = streamFrom(world, position.at - HOLD_SPAN_MS);
    this.#disturber = new Disturber(disturbances, shardOf);
    this.#after = position;
  }

  /** When the next record is to be sent; infinity after the last one of a final world. */
  get nextAt(): number {
    return this.#peek()?.at ?? Number.POSITIVE_INFINITY;
  }

  /** From an instant after `nextAt`. */
  disturb(disturbance: Disturbance): void {
    this.#disturber.add(disturbance);
  }

  /** The next records that are due at an instant, at most `max`. */
  take(dueAt: number, max: number): Emission[] {
    const taken: Emission[] = [];
    for (let next = this.#peek(); next !== null && taken.length < max && next.at <= dueAt; next = this.#peek()) {
      taken.push(next);
      this.#ready.shift();
    }
    return taken;
  }

  #peek(): Emission | null {
    for (;;) {
      const next = this.#ready[0];
      if (next === undefined) {
        const raw = this.#peekRaw();
        if (raw === null) return null;
        const released = this.#disturber.release(raw.at);
        if (released === null) this.#next += 1;
        this.#ready = released === null ? this.#disturber.apply(raw) : [released];
      } else if (this.#isSent(next)) this.#ready.shift();
      else return next;
    }
  }

  #isSent({ at }: Emission): boolean {
    if (at !== this.#after.at) return at < this.#after.at;
    this.#skipped += 1;
    return this.#skipped <= this.#after.sentAt;
  }

  #peekRaw(): Emission | null {
    for (;;) {
      const next = this.#chunk[this.#next];
      if (next !== undefined) return next;
      const chunk = this.#stream.next();
      if (chunk.done === true) return null;
      this.#chunk = chunk.value;
      this.#next = 0;
    }
  }
}
