const DAY_MS = 86_400_000;

// Years 0001 to 9999: the range in which ISO 8601, Postgres and JavaScript agree on how an instant is written.
const INSTANT_MIN = Date.parse('0001-01-01T00:00:00Z');
const INSTANT_MAX = Date.parse('9999-12-31T23:59:59.999Z');

const INSTANT =
  /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?(?:([Zz])|([+-])(\d{2})(?::?(\d{2}))?)$/;

export function isInstantInRange(ms: number): boolean {
  return ms >= INSTANT_MIN && ms <= INSTANT_MAX;
}

/** Days since 1970-01-01 of a 'YYYY-MM-DD' that the calendar has; null for anything else. */
export function daysOfDate(text: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return null;
  const ms = Date.parse(`${text}T00:00:00Z`);
  // V8 rolls 30 February over to March instead of refusing it.
  if (Number.isNaN(ms) || ms < INSTANT_MIN || dateOfDays(ms / DAY_MS) !== text) return null;
  return ms / DAY_MS;
}

/** 'YYYY-MM-DD' of days since 1970-01-01; null outside the years 0001 to 9999. */
export function dateOfDays(days: number): string | null {
  const ms = days * DAY_MS;
  return isInstantInRange(ms) ? new Date(ms).toISOString().slice(0, 10) : null;
}

/** Epoch milliseconds of an ISO 8601 instant with an offset; digits below the millisecond are cut. Null for anything else. */
export function parseInstant(text: string): number | null {
  const match = INSTANT.exec(text);
  if (match === null) return null;
  const [, date = '', hour, minute, second = '0', fraction = '', , sign, offsetHour = '0', offsetMinute = '0'] = match;
  const days = daysOfDate(date);
  const [h, m, s] = [Number(hour), Number(minute), Number(second)];
  const [oh, om] = [Number(offsetHour), Number(offsetMinute)];
  if (days === null || h > 23 || m > 59 || s > 59 || oh > 23 || om > 59) return null;
  const offsetMs = (oh * 60 + om) * 60_000 * (sign === '-' ? -1 : 1);
  return days * DAY_MS + ((h * 60 + m) * 60 + s) * 1000 + Number(fraction.padEnd(3, '0').slice(0, 3)) - offsetMs;
}
