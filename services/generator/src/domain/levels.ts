import type { Roster } from './members.ts';
import {
  CATEGORIES,
  type Category,
  type CellParameters,
  cellParameters,
  fullScaleCalls,
  ISSUES,
  type Issue,
  LANGUAGES,
  type Language,
  type Parameters,
} from './parameters.ts';

const WEEK = 7;

/**
 * Leakage calls a day at scale 1, without weekdays: how each issue rises so that its last week and its trend come out.
 * Throws a RangeError where no course does that.
 */
export class Levels {
  readonly #p: Parameters;
  readonly #eligibility: Growth;
  readonly #idCard: Growth;
  readonly #pharmacy: Growth;

  constructor(p: Parameters) {
    const { eligibility, other_billing, id_card, pharmacy } = p.issues;
    const { trends } = p;
    if (trends.onset > 1 - 2 * WEEK) {
      throw new RangeError(
        `the step begins ${-trends.onset} days before the anchor: trends.onset must be -13 or earlier, because the trend compares the last two weeks with each other`,
      );
    }
    this.#p = p;
    this.#eligibility = growth('billing', trends.billing, eligibility.leaksPerDay, other_billing.leaksPerDay);
    const growing = id_card.leaksPerDay * (p.idCardSpanish ?? 1);
    this.#idCard = growth('id_card', trends.id_card, growing, id_card.leaksPerDay - growing);
    this.#pharmacy = growth('pharmacy', trends.pharmacy, pharmacy.leaksPerDay, 0);
  }

  /** `offset`: days after the anchor. */
  at(issue: Issue, language: Language, offset: number): number {
    const { trends, issues, idCardSpanish } = this.#p;
    const day = Math.max(trends.onset, Math.min(trends.growthDays, offset));
    switch (issue) {
      case 'eligibility':
        return offset < trends.onset ? trends.eligibilityBefore : valueAt(this.#eligibility, day);
      case 'other_billing':
        return issues.other_billing.leaksPerDay;
      case 'id_card':
        if (idCardSpanish !== null && language !== 'Spanish') return issues.id_card.leaksPerDay * (1 - idCardSpanish);
        return valueAt(this.#idCard, day);
      case 'pharmacy':
        return valueAt(this.#pharmacy, day);
    }
  }
}

interface Growth {
  /** Mean of the last seven days up to the anchor. */
  readonly mean: number;
  readonly daily: number;
}

/** What must grow by `trend` a week together with a level part that does not: `mean` calls a day now, beside `steady` ones. */
function growth(name: string, trend: number, mean: number, steady: number): Growth {
  const weekBefore = (mean + steady) / (1 + trend) - steady;
  if (!(weekBefore > 0)) {
    throw new RangeError(
      `trends.${name} of ${Math.round(trend * 100)} % cannot be: ${Math.round(steady)} of its ${Math.round(mean + steady)} calls a day do not grow, and the others would have been less than none a week before`,
    );
  }
  return { mean, daily: (mean / weekBefore) ** (1 / WEEK) };
}

function valueAt({ mean, daily }: Growth, day: number): number {
  let lastWeek = 0;
  for (let d = 1 - WEEK; d <= 0; d++) lastWeek += daily ** d / WEEK;
  return (mean * daily ** day) / lastWeek;
}

/** One kind of failure in one cohort: its own streams, its own rate. */
export interface Cell {
  index: number;
  issue: Issue;
  category: Category;
  language: Language;
  /** This cohort's part of the level of its issue (and, for id cards, of its language group). */
  share: number;
  about: CellParameters;
}

/** All cells whose cohort has members; the shares of what belongs together add up to 1. */
export function cellsOf(p: Parameters, roster: Roster): Cell[] {
  const cells: Cell[] = [];
  let index = 0;
  for (const issue of ISSUES) {
    for (const category of CATEGORIES) {
      for (const language of LANGUAGES) {
        index += 1;
        const count = roster.count(category, language);
        if (count === 0) continue;
        const cell = { issue, category, language };
        cells.push({ index, ...cell, share: shareOf(p, roster, cell), about: cellParameters(p, cell) });
      }
    }
  }
  return cells;
}

function shareOf(
  p: Parameters,
  roster: Roster,
  cell: { issue: Issue; category: Category; language: Language },
): number {
  const count = roster.count(cell.category, cell.language);
  const { categories } = p.issues[cell.issue];
  if (categories !== null) {
    const all = categories.reduce((sum, [, weight]) => sum + weight, 0);
    const own = categories.find(([name]) => name === cell.category)?.[1] ?? 0;
    return ((own / all) * count) / roster.total({ category: cell.category });
  }
  if (cell.issue !== 'id_card' || p.idCardSpanish === null) return count / roster.size;
  const speakers = roster.total({ language: 'Spanish' });
  return count / (cell.language === 'Spanish' ? speakers : roster.size - speakers);
}

/** Leakage calls a day of the cells of a world, without weekday. */
export class CellLevels {
  readonly #levels: Levels;
  readonly #scale: number;

  constructor(p: Parameters, callsPerDay: number) {
    this.#levels = new Levels(p);
    this.#scale = callsPerDay / fullScaleCalls(p);
  }

  /** As the targets want them. */
  planned(cell: Cell, offset: number): number {
    return this.#levels.at(cell.issue, cell.language, offset) * cell.share * this.#scale;
  }

  /** With what is different in this cell. */
  actual(cell: Cell, offset: number): number {
    return this.planned(cell, offset) * cell.about.failures;
  }
}
