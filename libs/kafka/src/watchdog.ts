import { StalledError } from './errors.ts';

const looksPerLimit = 10;

/**
 * Says when nothing has moved for `stallMs`. It counts its own looks and does not compare clocks, so that a process that was
 * frozen (a sleeping laptop, a long pause) is not taken for one that stalled.
 */
export class Watchdog {
  readonly #timer: NodeJS.Timeout;
  readonly #lookMs: number;
  #quietLooks = 0;

  constructor(stallMs: number, onStall: (error: StalledError) => void) {
    this.#lookMs = stallMs / looksPerLimit;
    this.#timer = setInterval(() => {
      this.#quietLooks += 1;
      if (this.#quietLooks <= looksPerLimit) return;
      this.stop();
      onStall(
        new StalledError(
          `no fetch from Kafka has completed for ${stallMs} ms: the process has to be restarted; if it happens again, check that the brokers answer`,
        ),
      );
    }, this.#lookMs);
  }

  /** Something moved: a completed fetch, a heartbeat of a handler that waits for room, a joined group. */
  moved(): void {
    this.#quietLooks = 0;
  }

  /** Something began that may take `ms` longer than a fetch: the group waits for its slowest member. */
  allow(ms: number): void {
    this.#quietLooks = -Math.ceil(ms / this.#lookMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
