import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, type SupervisedProcess, superviseService } from '@leakage/testing';

/** Figures that a generation may show; null: whatever it has at the time. */
export type Figures = ReadonlyMap<number, string | null>;

export interface Answer {
  readonly generation: number;
  /** Every row, as text. */
  readonly figures: string;
}

const everyMs = 50;
const answerWithinMs = 30_000;
const wrongMax = 20;

/** Somebody who asks the API for figures all the time: each answer must be one generation's, wholly, and one that may be shown. */
export class LiveReader {
  readonly #api: SupervisedProcess;
  readonly #url: string;
  readonly #stopping = new AbortController();
  readonly #reading: Promise<void>;
  #may: Figures;
  #wrong: string[] = [];
  #answers = 0;

  private constructor(api: SupervisedProcess, port: number, may: Figures) {
    this.#api = api;
    this.#url = `http://127.0.0.1:${port}/v1/daily-leakage-history?limit=10000`;
    this.#may = may;
    this.#reading = this.#run();
  }

  static async start(env: Readonly<Record<string, string>>, may: Figures): Promise<LiveReader> {
    const port = await freePort();
    const api = superviseService('api', { env: { ...env, API_PORT: String(port) } });
    await api.ready();
    return new LiveReader(api, port, may);
  }

  /** From now on. */
  mayShow(may: Figures): void {
    this.#may = may;
  }

  async read(): Promise<Answer> {
    const answer = await fetch(this.#url, { signal: AbortSignal.timeout(answerWithinMs) });
    const body = (await answer.json()) as { generation: number; rows: unknown[] };
    if (answer.status !== 200) throw new Error(`the API answered ${answer.status}: ${JSON.stringify(body)}`);
    return { generation: body.generation, figures: JSON.stringify(body.rows) };
  }

  /** Waits for a few answers to questions that were asked from now on, and says in words what was wrong since the last time. */
  async wrong(): Promise<string[]> {
    const before = this.#answers;
    for (let asked = 0; this.#answers < before + 3 && asked < answerWithinMs / everyMs; asked++) await sleep(everyMs);
    if (this.#answers < before + 3) this.#note('no answer has come');
    const wrong = this.#wrong;
    this.#wrong = [];
    return wrong;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#reading;
    await this.#api.stop();
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        this.#judge(await this.read());
      } catch (error) {
        this.#note(String(error));
      }
      await sleep(everyMs);
    }
  }

  #judge({ generation, figures }: Answer): void {
    this.#answers += 1;
    const expected = this.#may.get(generation);
    if (expected === undefined) this.#note(`generation ${generation} was shown`);
    else if (expected !== null && figures !== expected)
      this.#note(`figures that generation ${generation} does not have: ${figures.slice(0, 300)}`);
  }

  #note(what: string): void {
    if (this.#wrong.length < wrongMax) this.#wrong.push(what);
  }
}
