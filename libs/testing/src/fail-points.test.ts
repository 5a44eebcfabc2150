import { expect, test } from 'vitest';
import { checkEdits } from './code-edits.ts';
import { archiveFailPoints, failPoints } from './fail-points.ts';

test('every fail point has its place in the code', () => {
  expect(() => checkEdits([...failPoints, ...archiveFailPoints].map(({ edit }) => edit))).not.toThrow();
});

test('names are unique within a service', () => {
  const names = [...failPoints, ...archiveFailPoints].map(({ service, name }) => `${service}: ${name}`);
  expect(new Set(names).size).toBe(names.length);
});

test('an edit that does not fit its file, or fits twice, is refused', () => {
  const file = 'libs/testing/src/fail-points.ts';
  expect(() => checkEdits([{ file, right: 'this text is' + ' not there', wrong: '' }])).toThrow(/0 times/);
  expect(() => checkEdits([{ file, right: 'silverStore', wrong: '' }])).toThrow(/times, not once/);
});
