import { generationOrders, type Queryable } from '@leakage/postgres';
import { type Logger, type Part, sleep } from '@leakage/runtime';

const LOOK_MS = 1_000;

export interface GenerationWatchOptions {
  readonly generation: number;
  /** The process was not told a generation: it works on the active one, whichever that is. */
  readonly follows: boolean;
  /** There is nothing to do here any more. */
  readonly onEnd: (reason: string) => void;
  readonly log: Logger;
}

/** Notices within a second that a generation was dropped, or is no longer the one to work on. */
export function watchGeneration(db: Queryable, o: GenerationWatchOptions): Part {
  const stopping = new AbortController();
  const { signal } = stopping;
  const done = (async () => {
    while (!signal.aborted) {
      try {
        const orders = await generationOrders(db, o.generation);
        if (orders?.state === 'dropped') o.onEnd(`generation ${o.generation} was dropped`);
        else if (o.follows && orders !== null && orders.state !== 'active')
          o.onEnd('another generation is the active one now');
      } catch (error) {
        // It can wait for the database like everything else here, which says so loudly itself.
        o.log.debug({ err: error }, 'the state of the generation could not be read');
      }
      await sleep(LOOK_MS, signal).catch(() => undefined);
    }
  })();
  return {
    name: 'generation watch',
    async stop() {
      stopping.abort();
      await done;
    },
  };
}
