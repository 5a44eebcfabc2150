import { expect, test } from 'vitest';
import { generationNumber, wholeNumber } from './whole-number.ts';

test('whole numbers within their bounds, and nothing else', () => {
  expect(wholeNumber(0)('0')).toBe(0);
  expect(wholeNumber(0, 100)('100')).toBe(100);
  expect(generationNumber('2147483647')).toBe(2_147_483_647);
  for (const text of ['', ' 1', '1.5', '-1', '+1', '1e3', 'two', '9007199254740993']) {
    expect(() => wholeNumber(0)(text)).toThrow('a whole number from 0 is wanted');
  }
  expect(() => wholeNumber(0, 100)('101')).toThrow('a whole number from 0 to 100 is wanted');
  expect(() => generationNumber('2147483648')).toThrow('from 1 to 2147483647');
});
