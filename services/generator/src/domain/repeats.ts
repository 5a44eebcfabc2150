import type { Cell } from './levels.ts';
import type { Roster } from './members.ts';
import { CATEGORIES, type JourneyType, type Parameters } from './parameters.ts';

const WINDOW_DAYS = 7;

/** A target and the people it is about, in groups within which calls are equally likely. */
interface Goal {
  name: string;
  target: number;
  cells: Cell[];
  groups: Group[];
}

interface Group {
  members: number;
  /** Leakage calls a day: now, when the calls that induce today's were made, and on average over the week before. */
  leaks: number;
  inducingLeaks: number;
  earlierLeaks: number;
  /** Same-family calls a day that are neither leakage nor induced by it. */
  others: number;
}

export type RepeatPlan =
  | {
      ok: true /** Probability that a leakage call induces another, by cell index. */;
      induced: ReadonlyMap<number, number>;
    }
  | { ok: false; problems: string[] };

export interface Volumes {
  /** Leakage calls a day of a cell, so many days ago, in an ordinary week before the anchor. */
  leaks: (cell: Cell, daysAgo: number) => number;
  otherCallsPerDay: number;
}

/**
 * How often a leakage call must induce another so that the share of repeats comes out at its target.
 * By chance alone a call has a predecessor with probability 1 - exp(-7 lambda): a target below that floor cannot be had.
 */
export function planRepeats(p: Parameters, roster: Roster, cells: readonly Cell[], volumes: Volumes): RepeatPlan {
  const induced = new Map<number, number>();
  const problems: string[] = [];
  for (const goal of goalsOf(p, roster, cells, volumes)) {
    const floor = repeatShare(p, goal, 0);
    if (floor > goal.target) {
      problems.push(
        `${goal.name}: with so few members ${percent(floor)} of the calls are repeats by chance, more than the intended ${percent(goal.target)}`,
      );
      continue;
    }
    const q = solve((probability) => repeatShare(p, goal, probability), goal.target);
    for (const cell of goal.cells) induced.set(cell.index, q);
  }
  return problems.length > 0 ? { ok: false, problems } : { ok: true, induced };
}

/** The share of leakage calls that are repeats if each induces another with probability `q`. */
function repeatShare(p: Parameters, goal: Goal, q: number): number {
  const { followOn } = p.calls;
  const { afterFailure } = p.repeats;
  const inFamily = shareInFamily(p);
  // An induced call is near its cause: it widens the week in which its member has called only by the delay between them.
  const inducedCoverage = meanDelayDays(p) / WINDOW_DAYS;
  let repeats = 0;
  let leaks = 0;
  for (const group of goal.groups) {
    const induced = (q * group.inducingLeaks) / (1 + followOn);
    const preceded = afterFailure * induced + followOn * group.leaks;
    const sure = inFamily * inFamily * preceded;
    const fresh = (group.earlierLeaks * (1 - afterFailure * q)) / (1 + followOn);
    const predecessors = fresh + induced * inducedCoverage + group.others;
    const chance = 1 - Math.exp((-WINDOW_DAYS * inFamily * predecessors) / group.members);
    repeats += sure + (inFamily * group.leaks - sure) * chance;
    leaks += group.leaks;
  }
  return leaks === 0 ? 0 : repeats / leaks;
}

/** The parts of the induced calls that come 0, 1, 2, ... days after the call that induced them. */
export function inducedAfterDays({ repeats: { meanDays, maxDays } }: Parameters): readonly number[] {
  const until = (days: number): number => 1 - Math.exp(-Math.min(maxDays, Math.max(0, days)) / meanDays);
  return Array.from(
    { length: Math.ceil(maxDays) + 1 },
    (_, day) => (until(day + 0.5) - until(day - 0.5)) / until(maxDays),
  );
}

/** Mean of the exponential that is cut at its longest delay. */
function meanDelayDays({ repeats: { meanDays, maxDays } }: Parameters): number {
  const beyond = Math.exp(-maxDays / meanDays);
  return meanDays - (maxDays * beyond) / (1 - beyond);
}

/** A call that gives a generic reason is of no family: it neither is a repeat nor makes one. */
function shareInFamily({ calls: { reasonGiven } }: Parameters): number {
  const weight = (of: (given: string) => boolean): number =>
    reasonGiven.reduce((sum, [given, share]) => sum + (of(given) ? share : 0), 0);
  return weight((given) => given !== 'generic') / weight(() => true);
}

function solve(f: (x: number) => number, target: number): number {
  let [low, high] = [0, 0.95];
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2;
    if (f(middle) < target) low = middle;
    else high = middle;
  }
  return low;
}

function goalsOf(p: Parameters, roster: Roster, cells: readonly Cell[], volumes: Volumes): Goal[] {
  const { targets } = p.repeats;
  const of = (type: JourneyType): Cell[] => cells.filter((cell) => cell.about.journeyType === type);
  const goal = (name: string, target: number, goalCells: Cell[], split: (cell: Cell) => string): Goal => ({
    name,
    target,
    cells: goalCells,
    groups: [...Map.groupBy(goalCells, split).values()].map((group) => groupOf(p, roster, group, volumes)),
  });
  const billing = CATEGORIES.map((category) =>
    goal(
      `billing calls of ${category}`,
      targets.billing[category],
      of('billing').filter((cell) => cell.category === category),
      () => '',
    ),
  );
  return [
    ...billing,
    goal('id card calls', targets.id_card, of('id_card'), (cell) => String(cell.language === 'Spanish')),
    goal('pharmacy calls', targets.pharmacy, of('pharmacy'), (cell) => cell.category),
  ].filter((one) => one.cells.length > 0);
}

function groupOf(p: Parameters, roster: Roster, cells: readonly Cell[], volumes: Volumes): Group {
  const cohorts = new Set(cells.map((cell) => `${cell.category}/${cell.language}`));
  let members = 0;
  for (const cell of cells) {
    if (cohorts.delete(`${cell.category}/${cell.language}`)) members += roster.count(cell.category, cell.language);
  }
  const sum = (of: (cell: Cell) => number): number => cells.reduce((total, cell) => total + of(cell), 0);
  const late = sum((cell) => (volumes.leaks(cell, 0) / p.issues[cell.issue].leakRate) * p.afterFailure.lateAlignedCall);
  return {
    members,
    leaks: sum((cell) => volumes.leaks(cell, 0)),
    inducingLeaks: sum((cell) => volumes.leaks(cell, p.repeats.meanDays)),
    earlierLeaks: sum((cell) => volumes.leaks(cell, WINDOW_DAYS / 2)),
    others: late + (otherCalls(p, cells, volumes) * members) / roster.size,
  };
}

function otherCalls(p: Parameters, cells: readonly Cell[], volumes: Volumes): number {
  const { topics } = p.otherCalls;
  const type = cells[0]?.about.journeyType;
  const all = topics.reduce((sum, [, weight]) => sum + weight, 0);
  const own = topics.filter(([topic]) => topic !== 'elsewhere' && p.issues[topic].journeyType === type);
  return (volumes.otherCallsPerDay * own.reduce((sum, [, weight]) => sum + weight, 0)) / all;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}
