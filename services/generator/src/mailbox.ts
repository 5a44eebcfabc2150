/** Work that others want done between two steps of a loop, so that nothing changes in the middle of one. */
export class Mailbox {
  #posted: (() => Promise<void>)[] = [];
  #wake = Promise.withResolvers<void>();
  #closed = false;

  /** Resolves with what the work gives, when the loop has come to it. */
  post<T>(work: () => T | Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('the generator is stopping'));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#posted.push(async () => {
      try {
        resolve(await work());
      } catch (error) {
        reject(error);
      }
    });
    this.#wake.resolve();
    return promise;
  }

  /** Resolves as soon as something is posted. */
  get posted(): Promise<void> {
    return this.#wake.promise;
  }

  async drain(): Promise<void> {
    const posted = this.#posted;
    this.#posted = [];
    this.#wake = Promise.withResolvers();
    for (const work of posted) await work();
  }

  /** What is posted already is done; nothing more is taken. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.drain();
  }
}
