import type { Logger } from './logger.ts';
import { withDeadline } from './timing.ts';

/** Something that was started and must be stopped: a server, a consumer, a pool. */
export interface Part {
  readonly name: string;
  stop(): Promise<void>;
  /** Rejects when the part can no longer do its work; never resolves. */
  readonly failed?: Promise<never>;
}

export interface StopReport {
  /** Whether every part stopped by itself within the deadline. */
  readonly clean: boolean;
}

/** The parts of a process, in the order in which they were started; they stop in reverse. */
export class Lifecycle {
  readonly #log: Logger;
  readonly #parts: Part[] = [];
  readonly #onFailure: (error: unknown, part: Part) => void;
  #stopping = false;

  constructor(log: Logger, onFailure: (error: unknown, part: Part) => void) {
    this.#log = log;
    this.#onFailure = onFailure;
  }

  own<T extends Part>(part: T): T {
    this.#parts.push(part);
    part.failed?.catch((error: unknown) => {
      if (this.#stopping) this.#log.warn({ err: error, part: part.name }, 'a part failed while stopping');
      else this.#onFailure(error, part);
    });
    return part;
  }

  /** Stops every part, the last started first. A part that throws or hangs does not keep the others from stopping. */
  async stop(deadlineMs: number): Promise<StopReport> {
    this.#stopping = true;
    const end = performance.now() + deadlineMs;
    let clean = true;
    for (let part = this.#parts.pop(); part !== undefined; part = this.#parts.pop()) {
      try {
        await withDeadline(part.stop(), Math.max(1, end - performance.now()), `stopping ${part.name}`);
      } catch (error) {
        clean = false;
        this.#log.error({ err: error, part: part.name }, `${part.name} did not stop cleanly`);
      }
    }
    return { clean };
  }
}
