import { createHash } from 'node:crypto';

/** An answer as it is sent, and what a client names it by. */
export interface Answer {
  readonly etag: string;
  readonly body: Buffer;
}

/** What was read, and the version of the data that it was read at. */
export interface Read {
  readonly version: string;
  readonly content: unknown;
}

export interface AnswersOptions {
  /** The version of the data now. Equal versions mean equal answers. */
  readonly version: () => Promise<string>;
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
 */
export class Answers {
  readonly #o: AnswersOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #making = new Map<string, Promise<Answer>>();
  #bytes = 0;
  #version: string | null = null;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<string> | null = null;

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

  async #ask(question: string, read: () => Promise<Read>): Promise<Answer> {
    const version = await this.#present();
    const kept = this.#keptAt(question, version);
    if (kept !== null) return kept;
    let making = this.#making.get(question);
    if (making === undefined) {
      making = this.#make(question, read).finally(() => this.#making.delete(question));
      this.#making.set(question, making);
    }
    return making;
  }

  async #present(): Promise<string> {
    if (this.#version !== null && performance.now() - this.#lookedAt < this.#o.freshMs) return this.#version;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return await this.#looking;
  }

  async #look(): Promise<string> {
    // Before the question: what is written while it is answered may be missing in the answer.
    const began = performance.now();
    this.#version = await this.#o.version();
    this.#lookedAt = began;
    return this.#version;
  }

  #keptAt(question: string, version: string | null): Answer | null {
    const kept = this.#kept.get(question);
    if (kept === undefined || kept.version !== version) return null;
    this.#kept.delete(question);
    this.#kept.set(question, kept);
    return kept;
  }

  async #make(question: string, read: () => Promise<Read>): Promise<Answer> {
    const { version, content } = await read();
    const body = Buffer.from(JSON.stringify(content));
    const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"`;
    const answer: Kept = { version, etag, body };
    this.#keep(question, answer);
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
