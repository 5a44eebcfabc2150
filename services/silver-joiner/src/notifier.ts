import type { Queryable } from '@leakage/postgres';
import type { Logger, Part } from '@leakage/runtime';

/** The channel on which readers of a generation's change log are woken. */
export function changesChannel(generation: number): string {
  return `leakage_changes_${generation}`;
}

/**
 * Wakes the readers of the change log after a commit. Outside the transaction, because committing a NOTIFY takes a lock
 * that all commits of the database share. At most one is under way, and one more when something changed meanwhile.
 */
export class ChangesNotifier implements Part {
  readonly name = 'change notifier';
  readonly #db: Queryable;
  readonly #channel: string;
  readonly #log: Logger;
  #running: Promise<void> | null = null;
  #again = false;

  constructor(db: Queryable, channel: string, log: Logger) {
    this.#db = db;
    this.#channel = channel;
    this.#log = log;
  }

  notify(): void {
    if (this.#running !== null) {
      this.#again = true;
      return;
    }
    this.#running = this.#send().finally(() => {
      this.#running = null;
      if (!this.#again) return;
      this.#again = false;
      this.notify();
    });
  }

  async stop(): Promise<void> {
    this.#again = false;
    await this.#running;
  }

  async #send(): Promise<void> {
    try {
      await this.#db.query('select pg_notify($1, $2)', [this.#channel, '']);
    } catch (error) {
      // Readers poll as well: a lost wake-up costs them a moment, and the next batch wakes them again.
      this.#log.debug({ err: error }, 'readers of the change log could not be woken');
    }
  }
}
