import type { Pace } from '@leakage/kafka';
import { type GenerationOrders, generationOrders, noteCaughtUp, type Queryable } from '@leakage/postgres';
import { type Logger, type Part, sleep } from '@leakage/runtime';
import { restMs } from './domain/pace.ts';

const LOOK_MS = 1_000;
/** How often a process that is to rest looks whether it still is. */
const REST_MS = 250;

export interface GenerationWatchOptions {
  readonly db: Queryable;
  readonly generation: number;
  /** The process was not told a generation: it works on the active one, whichever that is. */
  readonly follows: boolean;
  /** Everything that there is has been read. */
  readonly caughtUp: () => boolean;
  /** It has just been noted that the generation has caught up. */
  readonly onCaughtUp: () => void;
  /** There is nothing to do here any more. */
  readonly onEnd: (reason: string) => void;
  readonly log: Logger;
}

/** Heeds within a second what has been ordered of a generation: rest, go slower, end. */
export class GenerationWatch implements Part {
  readonly name = 'generation watch';
  readonly #o: GenerationWatchOptions;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #orders: GenerationOrders | null = null;

  constructor(options: GenerationWatchOptions) {
    this.#o = options;
    this.#done = this.#run();
  }

  /** Holds the reader of records back: wholly while paused, in part while the generation has not caught up. */
  readonly pace: Pace = async (work, signal) => {
    const orders = this.#orders;
    if (orders !== null && !orders.caughtUp) {
      const ms = restMs(work, orders);
      if (ms > 0) await sleep(ms, signal);
    }
    while (this.#orders?.paused === true) await sleep(REST_MS, signal);
  };

  /** Nobody reads the generation yet, and it has not caught up; false until its orders are known. */
  get building(): boolean {
    return this.#orders?.state === 'building' && !this.#orders.caughtUp;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        await this.#look();
        await sleep(LOOK_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        // Orders can wait for the database like everything else here, which says so loudly itself.
        this.#o.log.debug({ err: error }, 'the orders of the generation could not be read');
        await sleep(LOOK_MS, signal).catch(() => undefined);
      }
    }
  }

  async #look(): Promise<void> {
    const { db, generation, follows, log, onEnd } = this.#o;
    const orders = await generationOrders(db, generation);
    if (orders === null) return;
    if (orders.paused !== (this.#orders?.paused ?? false))
      log.info({ generation, paused: orders.paused }, 'told to rest, or to go on');
    this.#orders = orders;
    if (orders.state === 'dropped') onEnd(`generation ${generation} was dropped`);
    else if (follows && orders.state !== 'active') onEnd('another generation is the active one now');
    if (!orders.caughtUp && this.#o.caughtUp() && (await noteCaughtUp(db, generation))) {
      log.info({ generation }, 'the generation has read everything that there was');
      this.#o.onCaughtUp();
    }
  }
}
