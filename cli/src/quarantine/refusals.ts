import { type Position, positionText } from './position.ts';

/** Records that stay open for one reason. */
export interface Refused {
  readonly reason: string;
  readonly records: number;
  /** The position of the first of them. */
  readonly example: string;
}

/** Counts by reason what is not sent; a record with several reasons counts for each. */
export class Refusals {
  readonly #byReason = new Map<string, { records: number; example: string }>();

  add(reasons: readonly string[], record: Position): void {
    for (const reason of reasons) {
      const known = this.#byReason.get(reason);
      if (known === undefined) this.#byReason.set(reason, { records: 1, example: positionText(record) });
      else known.records += 1;
    }
  }

  /** The most frequent first. */
  list(): Refused[] {
    return [...this.#byReason]
      .map(([reason, { records, example }]) => ({ reason, records, example }))
      .sort((a, b) => b.records - a.records || (a.reason < b.reason ? -1 : 1));
  }
}
