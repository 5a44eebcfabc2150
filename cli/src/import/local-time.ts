const QUARTER_MS = 900_000;
const DAY_MS = 86_400_000;
const KNOWN_MAX = 20_000;

const LOCAL = /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?)?$/;

/**
 * Instants from wall-clock times of a place. A time that happens twice (clocks go back) is the first of the two; one that
 * never happens (clocks go forward) is read with the offset from before the change, so it lies as much later as clocks moved.
 */
export class LocalTime {
  readonly #format: Intl.DateTimeFormat;
  readonly #offsets = new Map<number, number>();

  /** Throws a RangeError for a time zone that does not exist. */
  constructor(timeZone: string) {
    this.#format = new Intl.DateTimeFormat('en-US-u-ca-gregory-nu-latn', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  /** Epoch milliseconds of 'YYYY-MM-DD[ HH:MM[:SS[.fraction]]]', midnight where there is no time; null for anything else. */
  parse(text: string): number | null {
    const match = LOCAL.exec(text);
    if (match === null) return null;
    const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = ''] = match;
    const date = Date.UTC(Number(year), Number(month) - 1, Number(day));
    const [h, m, s] = [Number(hour), Number(minute), Number(second)];
    if (h > 23 || m > 59 || s > 59 || !isCalendarDay(date, { year, month, day })) return null;
    const wall = date + ((h * 60 + m) * 60 + s) * 1000 + Number(fraction.padEnd(3, '0').slice(0, 3));
    return wall - this.#offsetOfWall(wall);
  }

  /** Zones change at a quarter of an hour, in local time too: one look-up serves all wall times of a quarter. */
  #offsetOfWall(wall: number): number {
    const quarter = Math.floor(wall / QUARTER_MS);
    const known = this.#offsets.get(quarter);
    if (known !== undefined) return known;
    const start = quarter * QUARTER_MS;
    const before = this.#offsetAt(start - DAY_MS);
    const after = this.#offsetAt(start + DAY_MS);
    // The earlier of two instants is the one with the greater offset.
    const real = [Math.max(before, after), Math.min(before, after)].find((o) => this.#offsetAt(start - o) === o);
    const offset = real ?? before;
    if (this.#offsets.size >= KNOWN_MAX) this.#offsets.clear();
    this.#offsets.set(quarter, offset);
    return offset;
  }

  #offsetAt(ms: number): number {
    const part: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
    for (const { type, value } of this.#format.formatToParts(ms)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(ms / 1000) * 1000;
  }
}

function isCalendarDay(
  date: number,
  o: { year?: string | undefined; month?: string | undefined; day?: string | undefined },
): boolean {
  // Date.UTC reads years below 100 as 19xx, and rolls 30 February over to March.
  return !Number.isNaN(date) && new Date(date).toISOString().startsWith(`${o.year}-${o.month}-${o.day}`);
}
