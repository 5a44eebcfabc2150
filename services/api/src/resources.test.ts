import { expect, test } from 'vitest';
import { isoInstant, jsonRow, resources } from './resources.ts';

test('numeric becomes a number, an instant ISO 8601, and what is absent null', () => {
  const columns = [
    { name: 'cost', kind: 'number', help: '' },
    { name: 'at', kind: 'instant', help: '' },
    { name: 'day', kind: 'date', help: '' },
    { name: 'calls', kind: 'integer', help: '' },
    { name: 'missing', kind: 'number', help: '' },
    { name: 'evidence', kind: 'json', help: '' },
  ] as const;
  const row = { cost: '14600000.25', at: 0, day: '2026-11-22', calls: 3, missing: null, evidence: { a: 1 } };
  expect(jsonRow(columns, row)).toEqual({
    cost: 14_600_000.25,
    at: '1970-01-01T00:00:00.000Z',
    day: '2026-11-22',
    calls: 3,
    missing: null,
    evidence: { a: 1 },
  });
});

test('an instant outside the calendar is null', () => {
  expect(isoInstant(Number.NEGATIVE_INFINITY)).toBeNull();
});

test('every resource filters by columns that it has, and sorts its rows completely', () => {
  for (const { table, columns, filters, order } of resources) {
    const names = columns.map((column) => column.name);
    expect(new Set(names).size, table).toBe(names.length);
    for (const filter of Object.values(filters)) expect(names, table).toContain(filter.column);
    for (const term of order.split(',')) expect(names, table).toContain(term.trim().split(' ')[0]);
  }
});
