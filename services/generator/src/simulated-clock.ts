/** Simulated time: it runs `speed` times as fast as the wall clock, from an instant, and never passes the wall clock. */
export class SimulatedClock {
  readonly #from: number;
  readonly #startedAt: number;
  readonly #speed: number;

  /** `from` null: the simulated clock is the wall clock. */
  constructor(o: { from: number | null; startedAt: number; speed: number }) {
    this.#from = o.from ?? Number.POSITIVE_INFINITY;
    this.#startedAt = o.startedAt;
    this.#speed = o.speed;
  }

  now(wallMs: number): number {
    return Math.min(wallMs, this.#from + (wallMs - this.#startedAt) * this.#speed);
  }

  /** How long until a simulated instant. */
  wait(instant: number, wallMs: number): number {
    const now = this.now(wallMs);
    if (now >= instant) return 0;
    return Math.max(instant - wallMs, (instant - now) / this.#speed);
  }
}
