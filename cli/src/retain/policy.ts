import { CommandError } from '../command-error.ts';

/** How long what is kept. */
export interface RetentionPolicy {
  /** Events, calls and what follows from them, by their own time. */
  readonly keepDays: number;
  /** Partitions of bronze, by when they were received. */
  readonly bronzeKeepDays: number;
  readonly quarantineKeepDays: number;
  readonly goldKeepMonths: number;
}

/** Views of gold look at silver's calls of up to five weeks: with less they would become wrong. */
const KEEP_DAYS_MIN = 35;
const DAYS_OF_MONTH = 31;
const DAY_MS = 86_400_000;

/** Whole days (`90d`) or months (`25mo`); null: neither. */
export function parseKeep(text: string): { readonly days: number } | { readonly months: number } | null {
  const [, digits, unit] = /^([1-9]\d{0,4})(d|mo)$/.exec(text.trim().toLowerCase()) ?? [];
  if (digits === undefined) return null;
  return unit === 'd' ? { days: Number(digits) } : { months: Number(digits) };
}

/** Throws CommandError (wrong usage) where the parts of a policy do not fit together. */
export function checkPolicy({ keepDays, goldKeepMonths }: RetentionPolicy): void {
  if (keepDays < KEEP_DAYS_MIN) {
    throw new CommandError(
      `--keep is at least ${KEEP_DAYS_MIN}d: figures of the last weeks are read from single calls.`,
      2,
    );
  }
  if (goldKeepMonths * DAYS_OF_MONTH < keepDays + 2 * DAYS_OF_MONTH) {
    throw new CommandError(
      `--gold-keep ${goldKeepMonths}mo is too short for --keep ${keepDays}d: figures are kept for at least two months longer than what they count.`,
      2,
    );
  }
}

/** Local days of a generation, as YYYY-MM-DD. */
export interface HorizonDays {
  /** What is before it is taken in no more. */
  readonly refusedBefore: string;
  /** What is before it is removed from silver. */
  readonly keptFrom: string;
}

/**
 * A fact looks back: a call 168 hours for the one that it repeats, and two windows for the error before its failure; a journey, as
 * verification reads it, one day. Whole days, and one more for those that are an hour short.
 */
export function horizonDays(today: string, keepDays: number, windowMs: number): HorizonDays {
  const refusedBefore = addDays(today, -keepDays);
  return { refusedBefore, keptFrom: addDays(refusedBefore, -(8 + Math.ceil((2 * windowMs) / DAY_MS))) };
}

/** The first local day whose figures gold keeps. */
export function goldKeptFrom(today: string, months: number): string {
  const [year = 0, month = 1] = today.split('-').map(Number);
  return new Date(Date.UTC(year, month - 1 - months, 1)).toISOString().slice(0, 10);
}

export function addDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}
