/** Wakes those who wait; who does not wait when it rings hears nothing, so conditions are checked before each wait. */
export class Bell {
  readonly #waiting = new Set<() => void>();

  ring(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Resolves at the next ring, or after `ms`. */
  heard(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const wake = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
        resolve();
      };
      if (ms !== undefined) timer = setTimeout(wake, ms);
      this.#waiting.add(wake);
    });
  }

  get waiting(): number {
    return this.#waiting.size;
  }
}
