import { type Clock, type Part, sleep } from '@leakage/runtime';
import { shardOf } from '@leakage/schemas';
import { HOUR_MS } from './domain/calendar.ts';
import { type Change, concerns } from './domain/changes.ts';
import type { Disturbance } from './domain/disturbances.ts';
import type { Emission } from './domain/emission.ts';
import { Feed } from './domain/feed.ts';
import { GENERATOR_VERSION } from './domain/parameters.ts';
import { advance, BEGINNING } from './domain/stream.ts';
import type { World } from './domain/world.ts';
import { Mailbox } from './mailbox.ts';
import type { Progress } from './progress.ts';
import type { Sink } from './sinks.ts';
import { type GeneratorState, writeState } from './state-file.ts';
import { Timetable, type TimetableOptions } from './timetable.ts';
import type { TruthFile } from './truth-file.ts';

export interface GeneratorOptions extends TimetableOptions {
  world: World;
  output: GeneratorState['output'];
  topicPrefix: string;
  folder: string;
  /** What an earlier run has left. */
  state: GeneratorState | null;
  batchRecords: number;
  sink: Sink;
  truth: TruthFile;
  progress: Progress;
  clock: Clock;
  onEnd: () => void;
}

export interface GeneratorStatus {
  seed: number;
  simulated: string;
  /** Null where there is none any more. */
  nextRecord: string | null;
  paused: boolean;
  speed: number;
  records: number;
  history: 'running' | 'published';
  changes: readonly Change[];
  disturbances: readonly Disturbance[];
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
export type NewChange = Omit<Change, 'id' | 'from'>;
export type NewDisturbance = DistributiveOmit<Disturbance, 'id' | 'from' | 'until'> & { minutes: number };

/** What can be done to a running generator; everything happens between two batches. */
export interface Controls {
  status(): Promise<GeneratorStatus>;
  /** Begins with the next hour that is not simulated yet. */
  change(change: NewChange): Promise<Change>;
  /** Begins with the next record. */
  disturb(disturbance: NewDisturbance): Promise<Disturbance>;
  pause(): Promise<GeneratorStatus>;
  resume(): Promise<GeneratorStatus>;
  step(ms: number): Promise<GeneratorStatus>;
  setSpeed(speed: number): Promise<GeneratorStatus>;
}

/**
 * Publishes a world in its order of sending: what is due as fast as it is taken, then what becomes due. After each
 * acknowledged batch the truth file and the position are written, so that a restart goes on where this process stopped.
 */
export function startGenerator(o: GeneratorOptions): Part & { failed: Promise<never>; controls: Controls } {
  const stopping = new AbortController();
  const run = new Run(o);
  const running = run.run(stopping.signal);
  const { promise: failed, reject } = Promise.withResolvers<never>();
  running.catch(reject);
  return {
    name: 'generator',
    failed,
    controls: run,
    stop: async () => {
      stopping.abort();
      // `failed` tells of a failure; stopping only waits for the batch in flight.
      await Promise.allSettled([running]);
    },
  };
}

class Run implements Controls {
  readonly #o: GeneratorOptions;
  readonly #state: GeneratorState;
  readonly #feed: Feed;
  readonly #time: Timetable;
  readonly #mailbox = new Mailbox();

  constructor(o: GeneratorOptions) {
    this.#o = o;
    this.#state = o.state ?? firstState(o);
    const { position, caughtUp, disturbances } = this.#state;
    this.#feed = new Feed(o.world, position, { disturbances, shardOf });
    this.#time = new Timetable(o, { at: position.at, caughtUp }, o.clock.now());
  }

  async run(signal: AbortSignal): Promise<void> {
    const { sink, progress, clock, historyEnd, live, onEnd } = this.#o;
    // Files that have begun belong to this world, before anything is in them.
    if (this.#o.state === null) await this.#save();
    let batch = this.#take();
    try {
      while (!signal.aborted) {
        if (batch.length === 0) {
          if (!this.#time.paused && this.#feed.nextAt > historyEnd) {
            progress.historySent(clock.now());
            if (!live) return onEnd();
          }
          await this.#idle(signal);
          progress.tell(clock.now());
        } else {
          const sending = sink.write(batch);
          // Drawn while this one is written.
          const following = this.#take();
          await sending;
          await this.#commit(batch);
          batch = following;
        }
        await this.#mailbox.drain();
        if (batch.length === 0) batch = this.#take();
      }
    } finally {
      await this.#mailbox.close();
    }
  }

  status(): Promise<GeneratorStatus> {
    return this.#mailbox.post(() => this.#status());
  }

  change(change: NewChange): Promise<Change> {
    return this.#mailbox.post(async () => {
      const { world, truth } = this.#o;
      const { changes } = this.#state;
      if (!world.cells.some((cell) => concerns(change.scope, cell)))
        throw new RangeError(
          'no failure of this world is in that scope: look at the error codes and devices of its parameters',
        );
      // Looking at the next record simulates its hour.
      void this.#feed.nextAt;
      const made = { ...change, id: changes.length + 1, from: world.simulatedUntil };
      changes.push(made);
      world.change(made);
      await truth.note({ event: 'change', ...made });
      await this.#save();
      return made;
    });
  }

  disturb({ minutes, ...disturbance }: NewDisturbance): Promise<Disturbance> {
    return this.#mailbox.post(async () => {
      if (this.#o.world.finalAt !== null)
        throw new RangeError('a history of final events is not on its way: nothing can happen to it there');
      const { disturbances } = this.#state;
      const from = Math.max(this.#feed.nextAt + 1, Math.min(this.#due(), this.#o.clock.now()));
      const made: Disturbance = { ...disturbance, id: disturbances.length + 1, from, until: from + minutes * 60_000 };
      disturbances.push(made);
      this.#feed.disturb(made);
      await this.#o.truth.note({ event: 'disturbance', ...made });
      await this.#save();
      return made;
    });
  }

  pause(): Promise<GeneratorStatus> {
    return this.#timed((now) =>
      this.#time.pause(Math.max(this.#state.position.at, this.#o.world.firstHour * HOUR_MS), now),
    );
  }

  resume(): Promise<GeneratorStatus> {
    return this.#timed((now) => this.#time.resume(now));
  }

  step(ms: number): Promise<GeneratorStatus> {
    return this.#timed((now) => this.#time.step(ms, now));
  }

  setSpeed(speed: number): Promise<GeneratorStatus> {
    return this.#timed((now) => this.#time.setSpeed(speed, now));
  }

  #timed(act: (now: number) => void): Promise<GeneratorStatus> {
    return this.#mailbox.post(() => {
      act(this.#o.clock.now());
      return this.#status();
    });
  }

  #status(): GeneratorStatus {
    const { records, position, changes, disturbances } = this.#state;
    const { world, historyEnd } = this.#o;
    const { nextAt } = this.#feed;
    const due = this.#due();
    return {
      seed: world.shape.seed,
      // The whole history is due at once: it is simulated as far as it was sent.
      simulated: instantText(nextAt > due ? due : Math.max(position.at, world.firstHour * HOUR_MS)),
      nextRecord: Number.isFinite(nextAt) ? instantText(nextAt) : null,
      paused: this.#time.paused,
      speed: this.#time.speed,
      records,
      history: nextAt > historyEnd ? 'published' : 'running',
      changes,
      disturbances,
    };
  }

  #due(): number {
    return this.#time.due(this.#feed, this.#o.clock.now());
  }

  #take(): Emission[] {
    return this.#feed.take(this.#due(), this.#o.batchRecords);
  }

  async #commit(batch: Emission[]): Promise<void> {
    const { truth, progress, clock } = this.#o;
    await truth.append(batch);
    for (const emission of batch) this.#state.position = advance(this.#state.position, emission);
    this.#state.records += batch.length;
    await this.#save();
    progress.sent(batch, clock.now());
  }

  async #save(): Promise<void> {
    const { truth, sink, folder, clock } = this.#o;
    this.#state.truthBytes = truth.bytes;
    this.#state.fileBytes = sink.lengths;
    this.#state.caughtUp = this.#time.caughtUp(clock.now());
    await writeState(folder, this.#state);
  }

  /** Waits until something may be due, somebody wants something, or the generator is to stop. */
  async #idle(signal: AbortSignal): Promise<void> {
    const waiting = new AbortController();
    const ms = this.#time.wait(this.#feed.nextAt, this.#o.clock.now());
    const slept = sleep(ms, AbortSignal.any([signal, waiting.signal])).catch((error: unknown) => {
      if (!signal.aborted && !waiting.signal.aborted) throw error;
    });
    await Promise.race([slept, this.#mailbox.posted]);
    waiting.abort();
  }
}

function instantText(ms: number): string {
  return new Date(ms).toISOString();
}

function firstState(o: GeneratorOptions): GeneratorState {
  const { shape } = o.world;
  return {
    version: GENERATOR_VERSION,
    output: o.output,
    topicPrefix: o.topicPrefix,
    shape,
    changes: [],
    disturbances: [],
    position: BEGINNING,
    caughtUp: false,
    records: 0,
    truthBytes: o.truth.bytes,
    fileBytes: o.sink.lengths,
  };
}
