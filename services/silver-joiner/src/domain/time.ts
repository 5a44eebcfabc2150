const MINUTE_MS = 60_000;
/** Zones change their offset on quarters of an hour only (since 2000, the years that are accepted). */
const SLOT_MS = 15 * MINUTE_MS;
export const DAY_MS = 86_400_000;
/** Enough for a decade of quarters in constant use; the cache starts anew beyond it. */
const CACHE_MAX = 400_000;

export interface LocalTime {
  readonly date: string;
  readonly hour: number;
}

/** The day that leads silver's event index: whole UTC days since the epoch. */
export function epochDay(instant: number): number {
  return Math.floor(instant / DAY_MS);
}

export function utcDate(instant: number): string {
  return new Date(instant).toISOString().slice(0, 10);
}

function offsetReader(timeZone: string): (instant: number) => number {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  return (instant) => {
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(instant)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(instant / 1000) * 1000;
  };
}

/**
 * Local date and hour of an instant in a zone. Formatting costs microseconds, a lookup nanoseconds: offsets are
 * remembered per quarter of an hour. Throws RangeError for a zone that does not exist.
 */
export function localClock(timeZone: string): (instant: number) => LocalTime {
  const offsetAt = offsetReader(timeZone);
  const offsets = new Map<number, number>();
  const dates = new Map<number, string>();
  return (instant) => {
    const slot = Math.floor(instant / SLOT_MS);
    let offset = offsets.get(slot);
    if (offset === undefined) {
      if (offsets.size >= CACHE_MAX) offsets.clear();
      offset = offsetAt(slot * SLOT_MS);
      offsets.set(slot, offset);
    }
    const local = instant + offset;
    const day = epochDay(local);
    let date = dates.get(day);
    if (date === undefined) {
      if (dates.size >= CACHE_MAX) dates.clear();
      date = utcDate(day * DAY_MS);
      dates.set(day, date);
    }
    return { date, hour: Math.floor((local - day * DAY_MS) / (60 * MINUTE_MS)) };
  };
}
