import { type ComparedDays, DiffError } from './types.ts';

/** How far one of the two generations reaches. Days are YYYY-MM-DD in its own time zone, instants epoch milliseconds. */
export interface Reach {
  readonly id: number;
  readonly timeZone: string;
  /** First and last local day with a figure; null: it has none. */
  readonly firstDay: string | null;
  readonly lastDay: string | null;
  readonly asOf: number | null;
  /** Records that the other one has read and this one has not. */
  readonly recordsBehind: number;
  /** The least watermark of the partitions in which it is behind; null: of one of them it has read nothing at all. */
  readonly heardUntil: number | null;
  /** In some partition it begins later than the other one does. */
  readonly beginsLater: boolean;
  /** Where it was made of a part only. */
  readonly fromTime: number | null;
  readonly toTime: number | null;
  /** The first local day of which retention has left every single call, where it has removed any. */
  readonly horizonDay?: string | null;
}

export interface AskedDays {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

interface Bound {
  readonly day: string;
  readonly because: string;
}

/**
 * The local days on which the two may be compared. All there are where both were made of the same records; else only those
 * that are complete in both, and then it is said why. Null: neither has a figure. Throws DiffError where no day is left.
 */
export function comparedDays(a: Reach, b: Reach, asked: AskedDays): ComparedDays | null {
  const first = least([a.firstDay, b.firstDay]);
  const last = greatest([a.lastDay, b.lastDay]);
  if (first === null || last === null) return null;
  const wanted = { from: asked.from ?? first, to: asked.to ?? last };
  if (wanted.from > wanted.to) {
    throw new DiffError('no_common_day', `Generations ${a.id} and ${b.id} have figures from ${first} to ${last} only.`);
  }
  const whole = isWhole(a) && isWhole(b);
  const horizons = [...removed(a), ...removed(b)];
  const lower = [...horizons, ...(whole ? [] : [...begins(a), ...begins(b)])].filter(
    (bound) => bound.day > wanted.from,
  );
  const upper = whole ? [] : [ends(a, b), ends(b, a)].filter((bound) => bound.day < wanted.to);
  const from = greatest([wanted.from, ...lower.map(({ day }) => day)]) ?? wanted.from;
  const to = least([wanted.to, ...upper.map(({ day }) => day)]) ?? wanted.to;
  const because = [...lower, ...upper].map((bound) => bound.because);
  if (from > to) {
    throw new DiffError(
      'no_common_day',
      `Generations ${a.id} and ${b.id} have no complete local day in common from ${wanted.from} to ${wanted.to}: ${because.join('; ')}.`,
    );
  }
  return { from, to, because };
}

/** Made of everything that the other one was made of. */
function isWhole(reach: Reach): boolean {
  const part = reach.fromTime !== null || reach.toTime !== null;
  return !part && reach.recordsBehind === 0 && !reach.beginsLater;
}

function removed({ id, horizonDay = null }: Reach): Bound[] {
  if (horizonDay === null) return [];
  return [
    { day: horizonDay, because: `retention has removed single calls of generation ${id} from before ${horizonDay}` },
  ];
}

/** First days that it has completely, for each reason why it may lack an earlier one. */
function begins(reach: Reach): Bound[] {
  const bounds: Bound[] = [];
  if (reach.beginsLater && reach.firstDay !== null) {
    bounds.push({
      day: addDays(reach.firstDay, 1),
      because: `generation ${reach.id} begins at later records: its first day with figures, ${reach.firstDay}, may lack some`,
    });
  }
  if (reach.fromTime !== null) {
    // Exactly at midnight, that very day is complete.
    const day = addDays(localDay(reach.fromTime - 1, reach.timeZone), 1);
    const since = new Date(reach.fromTime).toISOString();
    bounds.push({
      day,
      because: `generation ${reach.id} was made of what Kafka received from ${since} on: its first complete local day is ${day}`,
    });
  }
  return bounds;
}

/** The last day that it has completely: everything of it had been heard when it had read what it has read. */
function ends(reach: Reach, other: Reach): Bound {
  const { id, recordsBehind, asOf, heardUntil, toTime, timeZone } = reach;
  const heard = recordsBehind === 0 ? asOf : earlier(asOf, heardUntil);
  const behind = `generation ${id} has read ${records(recordsBehind)} less than generation ${other.id}`;
  if (heard === null) {
    const what = recordsBehind > 0 ? `${behind}, and` : `generation ${id}`;
    return { day: '', because: `${what} has no complete local day yet` };
  }
  if (toTime !== null && toTime < heard) {
    const day = addDays(localDay(toTime, timeZone), -1);
    const until = new Date(toTime).toISOString();
    return {
      day,
      because: `generation ${id} was made of what Kafka received until ${until}: its last complete local day is ${day}`,
    };
  }
  const day = addDays(localDay(heard, timeZone), -1);
  const because = `the last complete local day of generation ${id} is ${day}`;
  return { day, because: recordsBehind > 0 ? `${behind}: its last complete local day is ${day}` : because };
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.min(a, b);
}

const whole = new Intl.NumberFormat('en-US');
const records = (count: number) => `${whole.format(count)} ${count === 1 ? 'record' : 'records'}`;

const present = (days: readonly (string | null)[]) => days.filter((day) => day !== null).sort();
const least = (days: readonly (string | null)[]): string | null => present(days)[0] ?? null;
const greatest = (days: readonly (string | null)[]): string | null => present(days).at(-1) ?? null;

export function localDay(instant: number, timeZone: string): string {
  // The one locale whose dates are written as ISO 8601 writes them.
  return new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short' }).format(instant);
}

export function addDays(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
}
