import type { Emission } from './domain/emission.ts';
import { type StreamPosition, streamFrom } from './domain/stream.ts';
import type { World } from './domain/world.ts';

/** The stream of a world, taken record by record up to an instant. */
export class Feed {
  readonly #stream: Iterator<Emission[], never>;
  #chunk: readonly Emission[] = [];
  #next = 0;

  constructor(world: World, position: StreamPosition) {
    this.#stream = streamFrom(world, position);
  }

  /** When the next record is to be sent. */
  get nextAt(): number {
    return this.#peek().at;
  }

  /** The next records that are due at an instant, at most `max`. */
  take(dueAt: number, max: number): Emission[] {
    const taken: Emission[] = [];
    for (let next = this.#peek(); taken.length < max && next.at <= dueAt; next = this.#peek()) {
      taken.push(next);
      this.#next += 1;
    }
    return taken;
  }

  #peek(): Emission {
    for (;;) {
      const next = this.#chunk[this.#next];
      if (next !== undefined) return next;
      this.#chunk = this.#stream.next().value;
      this.#next = 0;
    }
  }
}
