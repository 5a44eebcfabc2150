export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

export interface LocalTime {
  /** Days from 1970-01-01 to the local date. */
  day: number;
  hour: number;
  /** 0 Monday to 6 Sunday. */
  weekday: number;
}

/** A year has 35,000 quarters of an hour, and a stream needs those of a few weeks at a time. */
const OFFSETS_MAX = 10_000;

/** The wall clock of a place. */
export class Zone {
  readonly name: string;
  readonly #format: Intl.DateTimeFormat;
  readonly #offsets = new Map<number, number>();

  constructor(name: string) {
    this.name = name;
    this.#format = new Intl.DateTimeFormat('en-US-u-ca-gregory-nu-latn', {
      timeZone: name,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
      second: 'numeric',
    });
  }

  /** Local time minus UTC, in milliseconds, in the quarter of an hour of the instant: no zone changes within one. */
  offset(ms: number): number {
    const quarter = Math.floor(ms / 900_000);
    const known = this.#offsets.get(quarter);
    if (known !== undefined) return known;
    const start = quarter * 900_000;
    const part: Partial<Record<Intl.DateTimeFormatPartTypes, number>> = {};
    for (const { type, value } of this.#format.formatToParts(start)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    const offset = Date.UTC(year, month - 1, day, hour, minute, second) - start;
    if (this.#offsets.size >= OFFSETS_MAX) this.#offsets.clear();
    this.#offsets.set(quarter, offset);
    return offset;
  }

  local(ms: number): LocalTime {
    const local = ms + this.offset(ms);
    const day = Math.floor(local / DAY_MS);
    return { day, hour: Math.floor((local - day * DAY_MS) / HOUR_MS), weekday: weekdayOf(day) };
  }

  /** The first instant of a local date, or the first one after it where clocks jump over midnight. */
  startOfDay(day: number): number {
    const guess = day * DAY_MS;
    let instant = guess - this.offset(guess);
    instant = guess - this.offset(instant);
    return this.local(instant).day < day ? instant + HOUR_MS : instant;
  }
}

/** 0 Monday to 6 Sunday; 1970-01-01 was a Thursday. */
export function weekdayOf(day: number): number {
  return (((day + 3) % 7) + 7) % 7;
}

export function dateText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

export function dayOfDate(date: string): number {
  return Math.floor(Date.parse(`${date}T00:00:00Z`) / DAY_MS);
}

/** The same day of the month `months` earlier, or that month's last day. */
export function monthsBefore(day: number, months: number): number {
  const date = new Date(day * DAY_MS);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() - months];
  const last = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  return Date.UTC(year, month, Math.min(date.getUTCDate(), last)) / DAY_MS;
}
