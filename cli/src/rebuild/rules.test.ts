import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { CommandError } from '../command-error.ts';
import { parseRuleOrders, reasonFileText, ruleVariables } from './rules.ts';

const here = fileURLToPath(import.meta.url);
const base = {
  windowMs: 1_800_000,
  timeZone: 'America/New_York',
  repeatScope: 'same_issue' as const,
  reasons: {
    journeyTypes: ['billing', 'pharmacy'],
    reasons: { billing_question: 'billing', rx_coverage: 'pharmacy', login_help: 'any' },
    tokens: { rx: 'pharmacy' },
  },
};

describe('--set', () => {
  it.each([
    [['window=45m'], { windowMinutes: 45 }],
    [['window=45'], { windowMinutes: 45 }],
    [['window=1h', 'repeat-scope=any_reason'], { windowMinutes: 60, repeatScope: 'any_reason' }],
    [['time-zone=America/Chicago'], { timeZone: 'America/Chicago' }],
    [[`reasons=${here}`], { reasons: here }],
    [['window=15m', 'window=60m'], { windowMinutes: 60 }],
  ])('%j', (texts, orders) => {
    expect(parseRuleOrders(texts)).toEqual(orders);
  });

  it.each([
    ['window', /has no value/],
    ['window=', /has no value/],
    ['window=0m', /1m to 24h/],
    ['window=soon', /1m to 24h/],
    ['window=25h', /1m to 24h/],
    ['repeat-scope=all', /same_issue or any_reason/],
    ['reasons=/nowhere.json', /cannot be read \(ENOENT/],
    ['wndow=45m', /does not know wndow\. It takes window=45m/],
  ])('refuses %s', (text, what) => {
    expect(() => parseRuleOrders([text])).toThrow(what);
    expect(() => parseRuleOrders([text])).toThrow(CommandError);
  });
});

it('what was not ordered is as in the generation before', () => {
  expect(ruleVariables(base, { windowMinutes: 45 }, '/tmp/table.json')).toEqual({
    LEAKAGE_WINDOW_MINUTES: '45',
    REPEAT_SCOPE: 'same_issue',
    TIME_ZONE: 'America/New_York',
    REASON_TABLE: '/tmp/table.json',
  });
});

it('a stored reason table becomes a file that says the same', () => {
  expect(JSON.parse(reasonFileText(base.reasons))).toEqual({
    billing: { reasons: ['billing_question'], tokens: [] },
    pharmacy: { reasons: ['rx_coverage'], tokens: ['rx'] },
    any: { reasons: ['login_help'], tokens: [] },
  });
});
