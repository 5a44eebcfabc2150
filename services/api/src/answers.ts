import { createHash } from 'node:crypto';

/** An answer as it is sent, and what a client names it by. */
export interface Answer {
  readonly etag: string;
  readonly body: Buffer;
}

/** Which data they are, and in which state. */
export interface Version {
  readonly generation: number;
  /** Equal versions mean equal answers; of two generations they are never equal. They have no order. */
  readonly version: string;
}

/** What was read, and the version of the data that it was read at. */
export interface Read extends Version {
  readonly content: unknown;
}

export interface AnswersOptions {
  /** The version of the data now. */
  readonly version: () => Promise<Version>;
  /** How old a version may be that counts as the present one. */
  readonly freshMs: number;
  readonly answersMax: number;
  readonly bytesMax: number;
}

interface Kept extends Answer {
  readonly version: string;
}

/**
 * Answers that are ready to be sent, by question, for as long as the data have the version that they were read at. However many
 * ask at once, the version is looked up once and an answer is made once. Bounded (law 10): the longest unused goes first.
 *
 * Whoever asks after somebody was told of another generation is never told of the former one: what began before (a look, an
 * answer that is being made) is then for those who wait for it already, and for nobody else.
 */
export class Answers {
  readonly #o: AnswersOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #making = new Map<string, Promise<Answer>>();
  #bytes = 0;
  /** The one that somebody was told of last. */
  #generation: number | null = null;
  #version: string | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<string> | null = null;
  /** Counts changes of the generation, each of which makes earlier work unfit for those who ask from now on. */
  #era = 0;

  constructor(options: AnswersOptions) {
    this.#o = options;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** The answer to a question: a kept one of the present version, or what `read` gives. Not a promise where nothing is to be done. */
  get(question: string, read: () => Promise<Read>): Answer | Promise<Answer> {
    const fresh = performance.now() - this.#lookedAt < this.#o.freshMs;
    const kept = fresh ? this.#keptAt(question, this.#version) : null;
    return kept ?? this.#ask(question, read);
  }

  /** Somebody is told of this generation, here or by other means: from now on nobody is told of another one that was active before. */
  told(generation: number | null): void {
    if (generation === this.#generation) return;
    this.#generation = generation;
    this.#era += 1;
    this.#lookedAt = Number.NEGATIVE_INFINITY;
    this.#looking = null;
    this.#making.clear();
  }

  async #ask(question: string, read: () => Promise<Read>): Promise<Answer> {
    const version = await this.#lookUp();
    const kept = this.#keptAt(question, version);
    if (kept !== null) return kept;
    let making = this.#making.get(question);
    if (making === undefined) {
      const made = this.#make(question, read).finally(() => {
        if (this.#making.get(question) === made) this.#making.delete(question);
      });
      this.#making.set(question, made);
      making = made;
    }
    return making;
  }

  async #lookUp(): Promise<string> {
    if (this.#version !== null && performance.now() - this.#lookedAt < this.#o.freshMs) return this.#version;
    if (this.#looking === null) {
      const look = this.#look().finally(() => {
        if (this.#looking === look) this.#looking = null;
      });
      this.#looking = look;
    }
    return await this.#looking;
  }

  async #look(): Promise<string> {
    // Before the question: what is written while it is answered may be missing in the answer.
    const began = performance.now();
    const era = this.#era;
    const { generation, version } = await this.#o.version();
    if (era === this.#era) {
      this.told(generation);
      this.#version = version;
      this.#lookedAt = began;
    }
    return version;
  }

  #keptAt(question: string, version: string | null): Answer | null {
    const kept = this.#kept.get(question);
    if (kept === undefined || kept.version !== version) return null;
    this.#kept.delete(question);
    this.#kept.set(question, kept);
    return kept;
  }

  async #make(question: string, read: () => Promise<Read>): Promise<Answer> {
    const era = this.#era;
    const { generation, version, content } = await read();
    const body = Buffer.from(JSON.stringify(content));
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`;
    const answer: Kept = { version, etag, body };
    if (era === this.#era) {
      this.told(generation);
      this.#keep(question, answer);
    }
    return answer;
  }

  #keep(question: string, answer: Kept): void {
    this.#forget(question);
    if (answer.body.length > this.#o.bytesMax) return;
    this.#kept.set(question, answer);
    this.#bytes += answer.body.length;
    while (this.#bytes > this.#o.bytesMax || this.#kept.size > this.#o.answersMax) {
      const [oldest] = this.#kept.keys();
      if (oldest === undefined) return;
      this.#forget(oldest);
    }
  }

  #forget(question: string): void {
    const kept = this.#kept.get(question);
    if (kept === undefined) return;
    this.#kept.delete(question);
    this.#bytes -= kept.body.length;
  }
}
