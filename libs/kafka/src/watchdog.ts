import { StalledError } from './errors.ts';

const looksPerLimit = 10;

/**
 * Says when nothing has moved for `stallMs`. It counts its own looks and does not compare clocks, so that a process that was
 * frozen (a sleeping laptop, a long pause) is not taken for one that stalled.
 */
export class Watchdog {
  readonly #timer: NodeJS.Timeout;
  #quietLooks = 0;
  #allowance = looksPerLimit;

  constructor(stallMs: number, onStall: (error: StalledError) => void, describe: () => string) {
    this.#timer = setInterval(() => {
      this.#quietLooks += 1;
      if (this.#quietLooks <= this.#allowance) return;
      this.stop();
      onStall(
        new StalledError(
          `no fetch from Kafka has completed for ${stallMs} ms (${describe()}): the process has to be restarted; if it happens again, check that the brokers answer`,
        ),
      );
    }, stallMs / looksPerLimit);
    this.#timer.unref();
  }

  /** Something moved: a completed fetch, a heartbeat of a handler that waits for room, a joined group. */
  moved(): void {
    this.#quietLooks = 0;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
