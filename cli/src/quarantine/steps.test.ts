import { describe, expect, test } from 'vitest';
import { parseFix } from './fix.ts';
import { type Fields, stepsOfFix } from './steps.ts';

const make = (steps: unknown[], fields: Fields) =>
  stepsOfFix(parseFix(JSON.stringify({ source: 'journeys', steps })))(fields);

describe('a step', () => {
  test.each([
    ['renames a field', { rename: { jtype: 'journey_type' } }, { jtype: 'billing' }, { journey_type: 'billing' }],
    ['renames over an empty one', { rename: { a: 'action' } }, { a: 'x', action: null }, { action: 'x' }],
    ['leaves a record that has no such field', { rename: { a: 'action' } }, { action: 'x' }, { action: 'x' }],
    [
      'takes a value out of the object in its place',
      { rename: { 'member_id.id': 'member_id' } },
      { member_id: { id: 'M-1', system: 'crm' } },
      { member_id: 'M-1' },
    ],
    [
      'takes a value out of another object',
      { rename: { 'data.action': 'action' } },
      { data: { action: 'x', n: 1 } },
      { data: { n: 1 }, action: 'x' },
    ],
    ['knows a name with a dot', { rename: { 'a.b': 'action' } }, { 'a.b': 'x' }, { action: 'x' }],
    ['never leaves the record', { rename: { '__proto__.toString': 'action' } }, { n: 1 }, { n: 1 }],
    ['sets', { set: { action: 'error', revision: null } }, { revision: 3 }, { action: 'error', revision: null }],
    [
      'gives what is absent or null its default',
      { default: { action: 'error', revision: 1, device_type: 'mobile' } },
      { revision: 0, device_type: null },
      { action: 'error', revision: 0, device_type: 'mobile' },
    ],
    [
      'replaces in text',
      { replace: { field: 'member_id', from: '$&x', to: '$&' } },
      { member_id: 'a$&x$&x' },
      { member_id: 'a$&$&' },
    ],
    [
      'replaces in text alone',
      { replace: { field: 'revision', from: '1', to: '2' } },
      { revision: 1 },
      { revision: 1 },
    ],
    [
      'maps a text',
      { map: { field: 'action', values: { fehler: 'error' } } },
      { action: 'fehler' },
      { action: 'error' },
    ],
    ['maps to another type', { map: { field: 'deleted', values: { 1: true } } }, { deleted: 1 }, { deleted: true }],
    [
      'maps nothing else',
      { map: { field: 'action', values: { a: 'b' } } },
      { action: 'toString' },
      { action: 'toString' },
    ],
    [
      'scales seconds with a fraction',
      { scale: { field: 'timestamp', factor: 1000 } },
      { timestamp: 1_772_463_600.123 },
      { timestamp: 1_772_463_600_123 },
    ],
    [
      'scales microseconds',
      { scale: { field: 'timestamp', factor: 0.001 } },
      { timestamp: 1_772_463_600_123_456 },
      { timestamp: 1_772_463_600_123 },
    ],
    ['scales numbers alone', { scale: { field: 'timestamp', factor: 2 } }, { timestamp: '7' }, { timestamp: '7' }],
    [
      'reads numbers',
      { toNumber: ['revision', 'timestamp'] },
      { revision: ' 7 ', timestamp: '7e3' },
      { revision: 7, timestamp: '7e3' },
    ],
    [
      'writes text',
      { toText: ['member_id', 'session_id'] },
      { member_id: 104382, session_id: null },
      { member_id: '104382', session_id: null },
    ],
    [
      'knows when it was at a place',
      { localTime: { field: 'timestamp', timeZone: 'America/New_York' } },
      { timestamp: '2026-03-02 10:00:00' },
      { timestamp: Date.parse('2026-03-02T15:00:00Z') },
    ],
    [
      'leaves an instant with an offset',
      { localTime: { field: 'timestamp', timeZone: 'America/New_York' } },
      { timestamp: '2026-03-02T10:00:00Z' },
      { timestamp: '2026-03-02T10:00:00Z' },
    ],
  ])('%s', (_what, step, before, after) => {
    expect(make([step], before)).toEqual({ ok: true, fields: after });
  });

  test('does not overwrite what a record says: the record is refused', () => {
    const steps = [{ rename: { jtype: 'journey_type' } }];
    expect(make(steps, { jtype: 'billing', journey_type: 'pharmacy' })).toEqual({
      ok: false,
      problem: 'rename:journey_type',
    });
  });

  test('works on what the one before has left, and not on what was given', () => {
    const sent = { ts: 7, nested: { a: 1 } };
    const steps = [
      { rename: { ts: 'timestamp' } },
      { scale: { field: 'timestamp', factor: 1000 } },
      { rename: { 'nested.a': 'revision' } },
    ];
    expect(make(steps, sent)).toEqual({ ok: true, fields: { timestamp: 7000, revision: 1, nested: {} } });
    expect(sent).toEqual({ ts: 7, nested: { a: 1 } });
  });
});

test('a double is scaled without rounding', () => {
  const steps = [{ scale: { field: 'sentiment_score', factor: 0.01 } }];
  const fix = parseFix(JSON.stringify({ source: 'calls', steps }));
  expect(stepsOfFix(fix)({ sentiment_score: 25 })).toEqual({ ok: true, fields: { sentiment_score: 0.25 } });
});
