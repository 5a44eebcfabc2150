import pg from 'pg';

type Parse = (text: string) => unknown;

// The one place that says how a Postgres value looks in TypeScript. pg's own defaults lose information: int8 and numeric
// are strings, date and timestamptz become Date in local time, and infinity is not an instant there.

/** int8 as a number; a value that a number cannot hold exactly is an error, never a rounded count. */
export function parseInt8(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new RangeError(`bigint ${text} does not fit a number exactly (2^53)`);
  return value;
}

const INSTANT =
  /^(\d{4,})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?( BC)?$/;

/** timestamptz as epoch milliseconds (microseconds are cut towards the past), -infinity and infinity as such. */
export function parseInstant(text: string): number {
  if (text === 'infinity') return Number.POSITIVE_INFINITY;
  if (text === '-infinity') return Number.NEGATIVE_INFINITY;
  const m = INSTANT.exec(text);
  if (m === null) throw new RangeError(`timestamptz "${text}" is not in ISO style`);
  const year = m[12] === undefined ? Number(m[1]) : 1 - Number(m[1]);
  const day = daysOfCivil(year, Number(m[2]), Number(m[3]));
  const offset = (Number(m[9]) * 3600 + Number(m[10] ?? 0) * 60 + Number(m[11] ?? 0)) * (m[8] === '-' ? -1 : 1);
  const seconds = day * 86_400 + Number(m[4]) * 3600 + Number(m[5]) * 60 + Number(m[6]) - offset;
  return seconds * 1000 + Math.floor(Number((m[7] ?? '').padEnd(6, '0')) / 1000);
}

/** Epoch milliseconds (or ±Infinity, or null) as a query parameter of type timestamptz. */
export function instantParameter(ms: number | null): string | null {
  if (ms === null) return null;
  if (ms === Number.POSITIVE_INFINITY) return 'infinity';
  if (ms === Number.NEGATIVE_INFINITY) return '-infinity';
  const iso = new Date(ms).toISOString();
  if (!/^[+-]/.test(iso)) return iso.startsWith('0000') ? `0001${iso.slice(4)} BC` : iso;
  const year = Number(iso.slice(0, 7));
  const rest = iso.slice(7);
  return year > 0 ? `${year}${rest}` : `${String(1 - year).padStart(4, '0')}${rest} BC`;
}

/** Days since 1970-01-01 of a proleptic Gregorian date; years may be zero (1 BC) or negative. */
export function daysOfCivil(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year;
  const era = Math.floor(y / 400);
  const yearOfEra = y - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  return (
    era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
  );
}

const BIGINT = 20;
const DATE = 1082;
const TIMESTAMP = 1114;
const TIMESTAMPTZ = 1184;
const NUMERIC = 1700;
const elements = new Map<number, Parse>([
  [1016, parseInt8],
  [1182, String],
  [1115, String],
  [1185, parseInstant],
  [1231, String],
]);
const scalars = new Map<number, Parse>([
  [BIGINT, parseInt8],
  [DATE, String],
  [TIMESTAMP, String],
  [TIMESTAMPTZ, parseInstant],
  [NUMERIC, String],
]);

/** For pg's `types` option: this library's connections only, no global state. */
export const valueTypes: pg.CustomTypesConfig = {
  getTypeParser(oid: number, format?: 'text' | 'binary'): Parse {
    const element = elements.get(oid);
    if (format !== 'binary' && element !== undefined) return arrayOf(element);
    const scalar = format === 'binary' ? undefined : scalars.get(oid);
    return scalar ?? (pg.types.getTypeParser(oid, format) as Parse);
  },
};

const TEXT_ARRAY = 1009;
const parseTextArray = (pg.types.getTypeParser as (oid: number) => Parse)(TEXT_ARRAY) as (
  text: string,
) => (string | null)[];

function arrayOf(element: Parse): Parse {
  return (text) => parseTextArray(text).map((entry) => (entry === null ? null : element(entry)));
}
