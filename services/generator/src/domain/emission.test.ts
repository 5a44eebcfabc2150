import { expect, test } from 'vitest';
import { uuid7 } from './emission.ts';
import { Random } from './random.ts';

test('ids are uuids of version 7: their first 48 bits are the instant, so they sort by time', () => {
  const random = new Random(1, 'ids');
  const ms = Date.parse('2026-11-22T12:34:56.789Z');
  const ids = Array.from({ length: 1_000 }, (_, i) => uuid7(ms + i, () => random.uint32()));
  for (const [i, id] of ids.entries()) {
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toBe(ms + i);
  }
  expect([...ids].sort()).toEqual(ids);
});
