import { setTimeout as sleep } from 'node:timers/promises';
import type { Queryable } from '@leakage/postgres';
import type { RunningService } from '../up/services.ts';
import { readWorkedOn, type WorkedOn } from './worked-on.ts';

export interface GenerationRunnerOptions {
  readonly db: Queryable;
  /** Which of the generations that are to be worked on are this runner's. */
  readonly serves: (generation: WorkedOn) => boolean;
  /** Starts the processes of one generation. */
  readonly start: (generation: WorkedOn) => Promise<RunningService[]>;
  /** A process is beyond help. */
  readonly onBroken: (generation: number, why: string) => void;
  readonly say: (line: string) => void;
}

const LOOK_MS = 1_000;
/** Another program's processes take over meanwhile: nobody who reads figures should wait for that. */
const LEAVE_AFTER_MS = 30_000;

interface Worker {
  services: readonly RunningService[];
  unwantedSince: number | null;
}

/**
 * Has processes for every generation that ops.generation says is to be worked on, and for no other: what somebody orders there
 * survives every restart of this program.
 */
export class GenerationRunner {
  readonly #o: GenerationRunnerOptions;
  readonly #workers = new Map<number, Worker>();
  readonly #broken = new Set<number>();
  readonly #stopping = new AbortController();
  #done: Promise<void> = Promise.resolve();

  constructor(options: GenerationRunnerOptions) {
    this.#o = options;
  }

  /** The processes that are there after the first look. */
  async start(): Promise<RunningService[]> {
    // What stops us meanwhile waits for it: nothing is started behind its back.
    const first = this.#reconcile();
    this.#done = first.catch(() => undefined);
    await first;
    this.#done = this.#run();
    return this.services();
  }

  services(): RunningService[] {
    return [...this.#workers.values()].flatMap(({ services }) => services);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
    await Promise.all(this.services().map(({ service }) => service.stop()));
  }

  /** For a second Ctrl-C: now. */
  kill(): void {
    for (const { service } of this.services()) service.kill();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      // A database that is away says nothing about what is to be worked on.
      const problem = await this.#reconcile().then(
        () => null,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      );
      if (problem !== null && !signal.aborted)
        this.#o.say(`Which generations are to be worked on cannot be read: ${problem}`);
    }
  }

  async #reconcile(): Promise<void> {
    const wanted = new Map((await readWorkedOn(this.#o.db)).filter(this.#o.serves).map((one) => [one.id, one]));
    for (const [id, worker] of this.#workers) {
      if (wanted.has(id)) worker.unwantedSince = null;
      else await this.#leave(id, worker);
    }
    for (const [id, generation] of wanted) {
      const worker = this.#workers.get(id);
      if (worker !== undefined && !generation.hurried) await this.#endUnhurried(worker);
      // Processes that ended by themselves, which a dropped generation's do, are started again if it is wanted after all.
      if (worker?.services.every(({ service }) => !service.over)) continue;
      if (this.#broken.has(id) || this.#stopping.signal.aborted) continue;
      if (worker !== undefined) await this.#end(id, worker);
      await this.#begin(generation);
    }
  }

  async #begin(generation: WorkedOn): Promise<void> {
    const services = await this.#o.start(generation);
    this.#workers.set(generation.id, { services, unwantedSince: null });
    for (const { service } of services) {
      void service.broken.then((why) => {
        this.#broken.add(generation.id);
        this.#o.onBroken(generation.id, why);
      });
    }
  }

  async #endUnhurried(worker: Worker): Promise<void> {
    const ended = worker.services.filter(({ whileHurried }) => whileHurried === true);
    if (ended.length === 0) return;
    worker.services = worker.services.filter(({ whileHurried }) => whileHurried !== true);
    await Promise.all(ended.map(({ service }) => service.stop()));
  }

  async #leave(id: number, worker: Worker): Promise<void> {
    worker.unwantedSince ??= Date.now();
    const over = worker.services.every(({ service }) => service.over);
    if (over || Date.now() - worker.unwantedSince >= LEAVE_AFTER_MS) await this.#end(id, worker);
  }

  async #end(id: number, worker: Worker): Promise<void> {
    await Promise.all(worker.services.map(({ service }) => service.stop()));
    this.#workers.delete(id);
  }
}
