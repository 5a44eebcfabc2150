import { expect, test } from 'vitest';
import { EXPECTATIONS } from '../../../services/silver-joiner/src/domain/expectations.ts';
import { inWords } from './words.ts';

const reasons = [...new Set(EXPECTATIONS.flatMap((rule): readonly string[] => rule.reasons))].map((reason) =>
  reason.replace('*', 'thing'),
);

test.each(reasons)('%s has words of its own', (reason) => {
  expect(inWords(reason)).not.toBe(reason);
  expect(inWords(reason)).not.toContain('*');
});

test('words name what is behind the colon', () => {
  expect(inWords('missing:action')).toBe('action is required and is absent or empty');
  expect(inWords('unknown_schema_id:99')).toContain('schema id 99 is none of this topic');
  expect(inWords('timestamp_range')).toContain('2000 to 2099');
  expect(inWords('timestamp_range:timestamp')).toBe('timestamp lies outside the years 0001 to 9999');
  expect(inWords('future')).not.toBe(inWords('future:enrollment_date'));
  expect(inWords('something new')).toBe('something new');
});
