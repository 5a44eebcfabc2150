import { expect, test } from 'vitest';
import { cellsOf, leaksPerDay, level, ONSET } from './levels.ts';
import { Roster } from './members.ts';

const week = (issue: Parameters<typeof level>[0], language: Parameters<typeof level>[1], last: number): number => {
  let sum = 0;
  for (let d = last - 6; d <= last; d++) sum += level(issue, language, d);
  return sum;
};

test('billing: 35,000 calls in the last week, 14 % more than in the week before, after a step at the onset', () => {
  const billing = (last: number): number =>
    week('eligibility', 'English', last) + week('other_billing', 'English', last);
  expect(billing(0)).toBeCloseTo(35_000, -1);
  expect(billing(0) / billing(-7)).toBeCloseTo(1.14, 3);
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
  const cells = cellsOf(new Roster(1, 3_000));
  const perDay = (issue: string): number =>
    cells.filter((cell) => cell.issue === issue).reduce((sum, cell) => sum + leaksPerDay(cell, 0, 12_000), 0);
  expect(perDay('eligibility')).toBeCloseTo(level('eligibility', 'English', 0), 6);
  expect(perDay('id_card')).toBeCloseTo(level('id_card', 'Spanish', 0) + level('id_card', 'English', 0), 6);
  expect(perDay('pharmacy')).toBeCloseTo(level('pharmacy', 'English', 0), 6);
  const eligibilityOfNew = cells.filter((cell) => cell.issue === 'eligibility' && cell.category === 'MAPD New');
  expect(eligibilityOfNew.reduce((sum, cell) => sum + cell.share, 0)).toBeCloseTo(2_700 / 3_900, 6);
});

test('a cohort without members has no cell', () => {
  const cells = cellsOf(new Roster(1, 12));
  expect(cells.length).toBeGreaterThan(0);
  expect(cells.length).toBeLessThan(36);
});
