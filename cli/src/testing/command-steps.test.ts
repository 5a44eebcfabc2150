import { checkEdits } from '@leakage/testing';
import { expect, test } from 'vitest';
import { dropSteps, promotionSteps, rebuildSteps } from './command-steps.ts';

test('every step of a command has its place in the code', () => {
  const edits = [...promotionSteps, ...rebuildSteps, ...dropSteps].map(({ edit }) => edit);
  expect(edits.length).toBe(26);
  expect(() => checkEdits(edits)).not.toThrow();
});
