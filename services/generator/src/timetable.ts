import type { Feed } from './domain/feed.ts';
import { SimulatedClock } from './simulated-clock.ts';

/** Live records are gathered for so long, and the clock is looked at at least so often. */
const TICK_MS = 200;
const LOOK_MS = 1_000;

export interface TimetableOptions {
  /** Where the history ends and simulated time begins to run. */
  historyEnd: number;
  /** Simulated time is the wall clock: everything up to now is due. */
  followClock: boolean;
  speed: number;
  /** False: the stream ends with the history. */
  live: boolean;
}

/** What is due: the history at once, then what the simulated clock has reached; nothing while it is paused. */
export class Timetable {
  readonly #o: TimetableOptions;
  #clock: SimulatedClock | null;
  #speed: number;
  #pausedAt: number | null = null;

  /** `from`: the last record sent by an earlier run, and whether its clock had reached the wall clock. */
  constructor(o: TimetableOptions, from: { at: number; caughtUp: boolean }, wallMs: number) {
    this.#o = o;
    this.#speed = o.speed;
    if (o.followClock || from.caughtUp) this.#clock = this.#clockFrom(null, wallMs);
    else this.#clock = from.at < o.historyEnd ? null : this.#clockFrom(from.at, wallMs);
  }

  get paused(): boolean {
    return this.#pausedAt !== null;
  }

  get speed(): number {
    return this.#speed;
  }

  caughtUp(wallMs: number): boolean {
    return this.#pausedAt === null && this.#clock !== null && this.#clock.now(wallMs) === wallMs;
  }

  /** The instant up to which records are due. */
  due(feed: Feed, wallMs: number): number {
    const { historyEnd, live } = this.#o;
    if (this.#pausedAt !== null) return this.#pausedAt;
    if (!live) return Math.min(wallMs, historyEnd);
    if (this.#clock === null && feed.nextAt > historyEnd) this.#clock = this.#clockFrom(historyEnd, wallMs);
    return this.#clock === null ? Math.min(wallMs, historyEnd) : this.#clock.now(wallMs);
  }

  wait(instant: number, wallMs: number): number {
    if (this.#pausedAt !== null) return LOOK_MS;
    return Math.min(LOOK_MS, Math.max(TICK_MS, this.#clock?.wait(instant, wallMs) ?? 0));
  }

  /** `at`: what was sent up to; in the history that is behind what is due. */
  pause(at: number, wallMs: number): void {
    this.#pausedAt ??= this.#clock === null ? at : this.#clock.now(wallMs);
  }

  /** Lets a paused clock go on by so much, never past the wall clock. */
  step(ms: number, wallMs: number): void {
    if (this.#pausedAt !== null) this.#pausedAt = Math.min(wallMs, this.#pausedAt + ms);
  }

  /** Goes on where it was; what follows the wall clock sends at once what became due meanwhile. */
  resume(wallMs: number): void {
    const at = this.#pausedAt;
    this.#pausedAt = null;
    if (at === null || this.#clock === null) return;
    this.#clock = this.#clockFrom(this.#o.followClock && this.#speed === 1 ? null : at, wallMs);
  }

  setSpeed(speed: number, wallMs: number): void {
    this.#speed = speed;
    if (this.#clock !== null && this.#pausedAt === null) this.#clock = this.#clockFrom(this.#clock.now(wallMs), wallMs);
  }

  #clockFrom(from: number | null, wallMs: number): SimulatedClock {
    return new SimulatedClock({ from, startedAt: wallMs, speed: this.#speed });
  }
}
