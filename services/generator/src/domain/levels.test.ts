import { expect, test } from 'vitest';
import { CellLevels, cellsOf, Levels } from './levels.ts';
import { Roster } from './members.ts';
import { DEFAULT_PARAMETERS, type Issue, type Language } from './parameters.ts';

const p = DEFAULT_PARAMETERS;
const ONSET = p.trends.onset;
const levels = new Levels(p);
const level = (issue: Issue, language: Language, offset: number): number => levels.at(issue, language, offset);

const week = (issue: Issue, language: Language, last: number): number => {
  let sum = 0;
  for (let d = last - 6; d <= last; d++) sum += level(issue, language, d);
  return sum;
};

test('billing: 35,000 calls in the last week, 14 % more than in the week before, after a step at the onset', () => {
  const billing = (last: number): number =>
    week('eligibility', 'English', last) + week('other_billing', 'English', last);
  expect(billing(0)).toBeCloseTo(35_000, 6);
  expect(billing(0) / billing(-7)).toBeCloseTo(1.14, 9);
  expect(level('eligibility', 'English', ONSET) / level('eligibility', 'English', ONSET - 1)).toBeGreaterThan(2.5);
});

test('id cards: 3,000 a day, 8 % more in a week, all of it from Spanish speakers, without a step', () => {
  const all = (last: number): number => week('id_card', 'Spanish', last) + week('id_card', 'English', last);
  expect(all(0) / 7).toBeCloseTo(3_000, 5);
  expect(all(0) / all(-7)).toBeCloseTo(1.08, 5);
  expect(level('id_card', 'Spanish', ONSET)).toBe(level('id_card', 'Spanish', ONSET - 1));
});

test('pharmacy: 4,000 a day, 3 % more in a week', () => {
  expect(week('pharmacy', 'Other', 0) / 7).toBeCloseTo(4_000, 5);
  expect(week('pharmacy', 'Other', 0) / week('pharmacy', 'Other', -7)).toBeCloseTo(1.03, 5);
});

test('growth ends a week after the anchor', () => {
  expect(level('eligibility', 'English', 7)).toBe(level('eligibility', 'English', 30));
  expect(level('eligibility', 'English', 7)).toBeGreaterThan(level('eligibility', 'English', 6));
});

test('the cells of all cohorts add up to the levels', () => {
  const cells = cellsOf(p, new Roster(p.members, 1, 3_000));
  const perDay = (issue: string): number =>
    cells
      .filter((cell) => cell.issue === issue)
      .reduce((sum, cell) => sum + new CellLevels(p, 12_000).planned(cell, 0), 0);
  expect(perDay('eligibility')).toBeCloseTo(level('eligibility', 'English', 0), 6);
  expect(perDay('id_card')).toBeCloseTo(level('id_card', 'Spanish', 0) + level('id_card', 'English', 0), 6);
  expect(perDay('pharmacy')).toBeCloseTo(level('pharmacy', 'English', 0), 6);
  const eligibilityOfNew = cells.filter((cell) => cell.issue === 'eligibility' && cell.category === 'MAPD New');
  expect(eligibilityOfNew.reduce((sum, cell) => sum + cell.share, 0)).toBeCloseTo(2_700 / 3_900, 6);
});

test('a cohort without members has no cell', () => {
  const cells = cellsOf(p, new Roster(p.members, 1, 12));
  expect(cells.length).toBeGreaterThan(0);
  expect(cells.length).toBeLessThan(36);
});

test('growth that cannot be is refused with the reason', () => {
  const trends = { ...p.trends, billing: 5 };
  expect(() => new Levels({ ...p, trends })).toThrow(
    /billing of 500 % cannot be: 1100 of its 5000 calls a day do not grow/,
  );
  expect(() => new Levels({ ...p, trends: { ...p.trends, onset: -9 } })).toThrow(/-13 or earlier/);
});

test('id cards of all languages grow together where Spanish has no part of its own', () => {
  const all = new Levels({ ...p, idCardSpanish: null });
  expect(all.at('id_card', 'Spanish', 0)).toBe(all.at('id_card', 'English', 0));
  const lastWeek = [0, 1, 2, 3, 4, 5, 6].reduce((sum, d) => sum + all.at('id_card', 'Other', -d), 0);
  expect(lastWeek / 7).toBeCloseTo(3_000, 6);
});
