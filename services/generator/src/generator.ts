import type { Publisher } from '@leakage/kafka';
import { type Clock, type Part, sleep } from '@leakage/runtime';
import type { Emission } from './domain/emission.ts';
import { GENERATOR_VERSION } from './domain/parameters.ts';
import { advance, BEGINNING } from './domain/stream.ts';
import type { World } from './domain/world.ts';
import type { Encoder } from './encoding.ts';
import { Feed } from './feed.ts';
import type { Progress } from './progress.ts';
import { SimulatedClock } from './simulated-clock.ts';
import { type GeneratorState, writeState } from './state-file.ts';
import type { TruthFile } from './truth-file.ts';

/** Live records are gathered for so long, and the clock is looked at at least so often. */
const TICK_MS = 200;
const LOOK_MS = 1_000;

export interface GeneratorOptions {
  world: World;
  topicPrefix: string;
  folder: string;
  /** What an earlier run has left. */
  state: GeneratorState | null;
  /** Where the history ends and simulated time begins to run. */
  historyEnd: number;
  /** Simulated time is the wall clock: everything up to now is due. */
  followClock: boolean;
  speed: number;
  /** False: the stream ends with the history. */
  live: boolean;
  batchRecords: number;
  publisher: Publisher;
  encoder: Encoder;
  truth: TruthFile;
  progress: Progress;
  clock: Clock;
  onEnd: () => void;
}

/**
 * Publishes a world in its order of sending: what is due as fast as Kafka takes it, then what becomes due. After each
 * acknowledged batch the truth file and the position are written, so that a restart goes on where this process stopped.
 */
export function startGenerator(o: GeneratorOptions): Part & { failed: Promise<never> } {
  const stopping = new AbortController();
  const running = run(o, stopping.signal);
  const { promise: failed, reject } = Promise.withResolvers<never>();
  running.catch(reject);
  return {
    name: 'generator',
    failed,
    stop: async () => {
      stopping.abort();
      // `failed` tells of a failure; stopping only waits for the batch in flight.
      await Promise.allSettled([running]);
    },
  };
}

async function run(o: GeneratorOptions, signal: AbortSignal): Promise<void> {
  const state: GeneratorState = o.state ?? firstState(o);
  const feed = new Feed(o.world, state.position);
  const time = new Timetable(o, state);
  let batch = feed.take(time.due(feed), o.batchRecords);
  while (!signal.aborted) {
    if (batch.length === 0) {
      if (feed.nextAt > o.historyEnd) o.progress.historySent(o.clock.now());
      if (!o.live && feed.nextAt > o.historyEnd) return o.onEnd();
      await idle(time.wait(feed.nextAt), signal);
      o.progress.tell(o.clock.now());
      batch = feed.take(time.due(feed), o.batchRecords);
      continue;
    }
    const sending = o.publisher.publish(batch.map((emission) => o.encoder.encode(emission)));
    // Drawn while Kafka writes this one.
    const following = feed.take(time.due(feed), o.batchRecords);
    await sending;
    await commit(o, state, { batch, caughtUp: time.caughtUp });
    batch = following;
  }
}

function firstState(o: GeneratorOptions): GeneratorState {
  const { shape } = o.world;
  return {
    version: GENERATOR_VERSION,
    topicPrefix: o.topicPrefix,
    shape,
    changes: [],
    position: BEGINNING,
    caughtUp: false,
    records: 0,
    truthBytes: 0,
  };
}

async function commit(
  o: GeneratorOptions,
  state: GeneratorState,
  done: { batch: Emission[]; caughtUp: boolean },
): Promise<void> {
  await o.truth.append(done.batch);
  for (const emission of done.batch) state.position = advance(state.position, emission);
  state.records += done.batch.length;
  state.truthBytes = o.truth.bytes;
  state.caughtUp = done.caughtUp;
  await writeState(o.folder, state);
  o.progress.sent(done.batch, o.clock.now());
}

/** What is due: the history at once, then what the simulated clock has reached. */
class Timetable {
  readonly #o: GeneratorOptions;
  #clock: SimulatedClock | null;

  constructor(o: GeneratorOptions, state: GeneratorState) {
    this.#o = o;
    const startedAt = o.clock.now();
    if (o.followClock || state.caughtUp) this.#clock = new SimulatedClock({ from: null, startedAt, speed: o.speed });
    else if (state.position.at < o.historyEnd) this.#clock = null;
    else this.#clock = new SimulatedClock({ from: state.position.at, startedAt, speed: o.speed });
  }

  get caughtUp(): boolean {
    const wall = this.#o.clock.now();
    return this.#clock !== null && this.#clock.now(wall) === wall;
  }

  due(feed: Feed): number {
    const wall = this.#o.clock.now();
    const { historyEnd, live, speed } = this.#o;
    if (!live) return Math.min(wall, historyEnd);
    if (this.#clock === null && feed.nextAt > historyEnd) {
      this.#clock = new SimulatedClock({ from: historyEnd, startedAt: wall, speed });
    }
    return this.#clock === null ? Math.min(wall, historyEnd) : this.#clock.now(wall);
  }

  wait(instant: number): number {
    const ms = this.#clock?.wait(instant, this.#o.clock.now()) ?? 0;
    return Math.min(LOOK_MS, Math.max(TICK_MS, ms));
  }
}

/** Waits, or returns at once when the generator is to stop. */
async function idle(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await sleep(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
