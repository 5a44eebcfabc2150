import { loadSettings } from '@leakage/runtime';
import { expect, test } from 'vitest';
import { settings } from './config.ts';
import { dateText } from './domain/calendar.ts';
import { differences, planShape } from './plan.ts';

const EVENING = Date.parse('2026-11-23T02:00:00Z'); // 21:00 on the 22nd in New York
const plan = (env: Record<string, string>) =>
  planShape(loadSettings(settings, { KAFKA_BROKERS: 'k:9092', ...env }), EVENING);

test('by default a small world whose last complete day is yesterday, in local time', () => {
  const shape = plan({});
  expect(shape).toMatchObject({ seed: 42, members: 10_000, eventsPerDay: 12_850, callsPerDay: 300, parity: false });
  expect(dateText(shape.anchorDay)).toBe('2026-11-21');
  expect(shape.anchorDay - shape.firstDay + 1).toBe(42);
  expect(dateText(plan({ TIME_ZONE: 'Asia/Tokyo' }).anchorDay)).toBe('2026-11-22');
});

test('single numbers overrule the preset', () => {
  const shape = plan({
    PRESET: 'standard',
    NUM_CALLS: '600',
    ANCHOR_DATE: '2026-01-31',
    HISTORY_DAYS: '2',
    LATE_RATE: '0.5',
  });
  expect(shape).toMatchObject({ members: 40_000, callsPerDay: 600, rates: { late: 0.5 } });
  expect([dateText(shape.firstDay), dateText(shape.anchorDay)]).toEqual(['2026-01-30', '2026-01-31']);
});

test('parity is one day', () => {
  const shape = plan({ PRESET: 'parity' });
  expect([shape.parity, shape.firstDay]).toEqual([true, shape.anchorDay]);
});

test('a world that goes on may begin earlier, but is otherwise the same', () => {
  const begun = plan({ HISTORY_DAYS: '10', ANCHOR_DATE: '2026-01-31' });
  expect(differences(begun, plan({}))).toEqual([]);
  expect(differences(begun, plan({ SEED: '7', ORPHAN_RATE: '0' }))).toEqual([
    'seed was 42, is now 7',
    'orphans was 0.002, is now 0',
  ]);
});

test('wrong settings are all named', () => {
  const wrong = { PRESET: 'huge', SPEED: '0', ANCHOR_DATE: '31.1.2026', MALFORMED_RATE: '0.9' };
  expect(() => plan(wrong)).toThrow(/PRESET.*ANCHOR_DATE.*SPEED.*MALFORMED_RATE/);
});
