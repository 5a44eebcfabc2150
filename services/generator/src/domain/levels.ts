import type { Roster } from './members.ts';
import {
  CATEGORIES,
  type Category,
  FULL_SCALE_CALLS,
  ISSUES,
  type Issue,
  LANGUAGES,
  type Language,
} from './parameters.ts';

/** Days from the anchor to the first day of the spike, to the last day of growth. */
export const ONSET = -13;
const GROWTH_ENDS = 7;

const ELIGIBILITY_BEFORE = 1_200;
const ELIGIBILITY_AT_ONSET = 3_049.7;
const ELIGIBILITY_GROWTH = 1.024776;
const OTHER_BILLING = 1_100;
const SPANISH_ID_CARD = 2_250;
const OTHER_ID_CARD = 750;
// The whole grows 8 % a week while only the Spanish part does: 2,250 of 3,000 after (3,000 / 1.08 - 750) of 2,777.8.
const SPANISH_GROWTH = (SPANISH_ID_CARD / (3_000 / 1.08 - OTHER_ID_CARD)) ** (1 / 7);
const PHARMACY = 4_000;
const PHARMACY_GROWTH = 1.03 ** (1 / 7);

/** Leakage calls a day at scale 1, without weekday, `offset` days after the anchor. */
export function level(issue: Issue, language: Language, offset: number): number {
  const day = Math.max(ONSET, Math.min(GROWTH_ENDS, offset));
  switch (issue) {
    case 'eligibility':
      return offset < ONSET ? ELIGIBILITY_BEFORE : ELIGIBILITY_AT_ONSET * ELIGIBILITY_GROWTH ** (day - ONSET);
    case 'other_billing':
      return OTHER_BILLING;
    case 'id_card':
      return language === 'Spanish' ? growing(SPANISH_ID_CARD, SPANISH_GROWTH, day) : OTHER_ID_CARD;
    case 'pharmacy':
      return growing(PHARMACY, PHARMACY_GROWTH, day);
  }
}

/** A growing level whose mean over the anchor's last seven days is `mean`. */
function growing(mean: number, factor: number, day: number): number {
  let lastWeek = 0;
  for (let d = -6; d <= 0; d++) lastWeek += factor ** d / 7;
  return (mean * factor ** day) / lastWeek;
}

const CATEGORY_OF_ISSUE: Readonly<Record<Issue, Readonly<Record<Category, number>> | null>> = {
  eligibility: { 'MAPD New': 2_700 / 3_900, 'MAPD Tenured': 960 / 3_900, Commercial: 240 / 3_900 },
  other_billing: { 'MAPD New': 300 / 1_100, 'MAPD Tenured': 240 / 1_100, Commercial: 560 / 1_100 },
  id_card: null,
  pharmacy: { 'MAPD New': 0.37, 'MAPD Tenured': 0.31, Commercial: 0.32 },
};

/** One kind of failure in one cohort: its own streams, its own rate. */
export interface Cell {
  index: number;
  issue: Issue;
  category: Category;
  language: Language;
  /** This cohort's part of the level of its issue (and, for id cards, of its language group). */
  share: number;
}

/** All cells whose cohort has members; the shares of what belongs together add up to 1. */
export function cellsOf(roster: Roster): Cell[] {
  const cells: Cell[] = [];
  let index = 0;
  for (const issue of ISSUES) {
    for (const category of CATEGORIES) {
      for (const language of LANGUAGES) {
        index += 1;
        const count = roster.count(category, language);
        if (count === 0) continue;
        cells.push({ index, issue, category, language, share: shareOf(roster, { issue, category, language }) });
      }
    }
  }
  return cells;
}

function shareOf(roster: Roster, cell: { issue: Issue; category: Category; language: Language }): number {
  const count = roster.count(cell.category, cell.language);
  const weights = CATEGORY_OF_ISSUE[cell.issue];
  if (weights !== null) return (weights[cell.category] * count) / roster.total({ category: cell.category });
  const spanish = roster.total({ language: 'Spanish' });
  return count / (cell.language === 'Spanish' ? spanish : roster.size - spanish);
}

/** Leakage calls a day of a cell, without weekday. */
export function leaksPerDay(cell: Cell, offset: number, callsPerDay: number): number {
  return (level(cell.issue, cell.language, offset) * cell.share * callsPerDay) / FULL_SCALE_CALLS;
}
