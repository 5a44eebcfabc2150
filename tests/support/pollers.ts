import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@leakage/testing';

/** What somebody who asks the api has been told. Times are those of performance.now(). */
export interface Heard {
  readonly path: string;
  readonly askedAt: number;
  readonly heardAt: number;
  readonly status: number;
  /** Of a 304: what the client remembers under that name. */
  readonly text: string;
}

export interface PollersOptions {
  readonly url: string;
  /** What each poller asks, in its order, again and again. */
  readonly paths: readonly (readonly string[])[];
  /** By all of them together. */
  readonly answersPerSecond: number;
  /** The generation that an answer comes from. */
  readonly generationOf: (path: string, text: string) => number;
}

interface Kept {
  readonly etag: string;
  readonly text: string;
}

const answerWithinMs = 20_000;

/**
 * Programs that ask the api for figures without a pause, each one question after the other, as browsers do: what they
 * remember is asked for by its ETag, in turn that of either generation.
 */
export class Pollers {
  readonly #o: PollersOptions;
  readonly #heard: Heard[][];
  readonly #stopping = new AbortController();
  readonly #done: Promise<unknown>;

  constructor(options: PollersOptions) {
    this.#o = options;
    this.#heard = options.paths.map(() => []);
    this.#done = Promise.all(options.paths.map((paths, nr) => this.#poll(paths, nr)));
    this.#done.catch(() => undefined);
  }

  /** By poller, in order. */
  get heard(): readonly (readonly Heard[])[] {
    return this.#heard;
  }

  get all(): readonly Heard[] {
    return this.#heard.flat();
  }

  /** Every poller has heard the answers to all that it asks, asked after this was called. */
  async round(): Promise<void> {
    const now = performance.now();
    const enough = () =>
      this.#heard.every((heard, nr) => {
        const since = new Set(heard.filter(({ askedAt }) => askedAt > now).map(({ path }) => path));
        return this.#o.paths[nr]?.every((path) => since.has(path)) === true;
      });
    await Promise.race([
      eventually(enough, { withinMs: 60_000, what: 'a round of all pollers' }),
      // Ends before that only by an error.
      this.#done.then(() => undefined),
    ]);
  }

  /** Throws what a poller has thrown. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #poll(paths: readonly string[], nr: number): Promise<void> {
    const { signal } = this.#stopping;
    const everyMs = (1_000 * this.#o.paths.length) / this.#o.answersPerSecond;
    const kept = new Map<string, Kept>();
    await sleep((everyMs * nr) / this.#o.paths.length);
    for (let asked = 0; !signal.aborted; asked += 1) {
      const path = paths[asked % paths.length] ?? '/';
      // Rounds in which the generation that was active last is asked after, and rounds in which the other one is.
      const generation = (Math.floor(asked / paths.length) % 2) + 1;
      const heard = await this.#ask(path, kept, kept.get(`${generation} ${path}`));
      this.#heard[nr]?.push(heard);
      await sleep(Math.max(0, everyMs - (heard.heardAt - heard.askedAt)), undefined, { signal }).catch(() => undefined);
    }
  }

  async #ask(path: string, kept: Map<string, Kept>, known: Kept | undefined): Promise<Heard> {
    const askedAt = performance.now();
    const answer = await fetch(`${this.#o.url}${path}`, {
      headers: known === undefined ? {} : { 'if-none-match': known.etag },
      signal: AbortSignal.timeout(answerWithinMs),
    });
    const body = await answer.text();
    const heardAt = performance.now();
    const text = answer.status === 304 ? (known?.text ?? '') : body;
    const etag = answer.headers.get('etag');
    if (answer.status === 200 && etag !== null) {
      kept.set(`${this.#o.generationOf(path, text)} ${path}`, { etag, text });
    }
    return { path, askedAt, heardAt, status: answer.status, text };
  }
}

/** A change of the active generation that somebody has ordered, and from when to when. */
export interface Switched {
  readonly to: number;
  readonly orderedAt: number;
  readonly doneAt: number;
}

/** What contradicts that, at every moment, exactly one generation was the active one, in the order of the switches. */
export function contradictions(
  pollers: Pick<Pollers, 'heard'>,
  o: {
    readonly switches: readonly Switched[];
    readonly first: number;
    readonly generationOf: PollersOptions['generationOf'];
  },
): string[] {
  const order = [o.first, ...o.switches.map(({ to }) => to)];
  const found: string[] = [];
  for (const [nr, heard] of pollers.heard.entries()) {
    const told = heard.map((one) => ({ ...one, generation: o.generationOf(one.path, one.text) }));
    const runs = told.filter(({ generation }, i) => generation !== told[i - 1]?.generation);
    if (runs.map(({ generation }) => generation).join(' ') !== order.join(' ')) {
      const words = runs.map(({ generation, path }) => `${generation} (${path})`).join(', ');
      found.push(`poller ${nr} was told of ${words}; active were ${order.join(', ')}`);
    }
    for (const { generation, path, askedAt, heardAt } of told) {
      const nextAt = o.switches.find(({ doneAt }) => doneAt > askedAt)?.orderedAt ?? Number.POSITIVE_INFINITY;
      const active = o.switches.findLast(({ doneAt }) => doneAt <= askedAt)?.to ?? o.first;
      if (heardAt < nextAt && generation !== active) {
        found.push(`poller ${nr} was told of ${generation} by ${path} while ${active} was active`);
      }
    }
  }
  return found;
}
