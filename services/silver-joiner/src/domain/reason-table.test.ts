import { describe, expect, it } from 'vitest';
import { buildReasonTable, compileAligner, DEFAULT_REASON_TABLE, parseReasonTable } from './reason-table.ts';
import { DEFAULT_RULES, rulesDifferences } from './rules.ts';

const aligner = compileAligner(DEFAULT_REASON_TABLE);
const ALL = ['billing', 'id_card', 'pharmacy'];

describe('what a call is about', () => {
  it.each([
    ['billing_dispute', 'main > rx', { known: true, types: ['billing'], strength: 2, family: 'billing' }],
    ['login_help', null, { known: true, types: ALL, strength: 2, family: 'any' }],
    ['claims_status', 'main > billing', { known: true, types: [], strength: 2, family: 'claims_status' }],
    ['constructor', null, { known: true, types: [], strength: 2, family: 'constructor' }],
    [null, 'Main > BILLING > agent', { known: true, types: ['billing'], strength: 1, family: 'billing' }],
    ['other', 'main>rx>billing', { known: true, types: ['pharmacy', 'billing'], strength: 1, family: 'pharmacy' }],
    ['unknown', 'tech_support > billing', { known: true, types: ALL, strength: 1, family: 'any' }],
    [null, 'billing_2 > mybilling', { known: false, types: [], strength: 1, family: null }],
    [null, null, { known: false, types: [], strength: 1, family: null }],
  ])('reason %j, path %j', (reason, path, alignment) => {
    expect(aligner.align(reason, path)).toEqual(alignment);
  });
});

describe('a reason table', () => {
  it('lists every word of the specification once', () => {
    expect(Object.keys(DEFAULT_REASON_TABLE.reasons)).toHaveLength(15);
    expect(Object.keys(DEFAULT_REASON_TABLE.tokens)).toHaveLength(8);
    expect(DEFAULT_REASON_TABLE.journeyTypes).toEqual(ALL);
  });

  it('is refused when a word is listed for two types', () => {
    const twice = { billing: { reasons: ['pay'], tokens: [] }, pharmacy: { reasons: ['pay'], tokens: [] } };
    expect(() => buildReasonTable(twice)).toThrow("reason 'pay' is listed for 'billing' and for 'pharmacy'");
    const token = { billing: { reasons: [], tokens: ['x'] }, any: { reasons: [], tokens: ['x'] } };
    expect(() => buildReasonTable(token)).toThrow("token 'x' is listed");
  });

  it('is read from a file, and what is wrong with it is named', () => {
    const table = parseReasonTable('{"dental":{"reasons":["crown"]},"any":{"tokens":["help"]}}');
    expect(table).toEqual({ journeyTypes: ['dental'], reasons: { crown: 'dental' }, tokens: { help: 'any' } });
    expect(() => parseReasonTable('[]')).toThrow('one JSON object');
    expect(() => parseReasonTable('{"dental":{"reasons":"crown"}}')).toThrow('dental.reasons must be a list');
    expect(() => parseReasonTable('{"dental":{"reasons":["Crown Work"]}}')).toThrow("reason 'Crown Work'");
    expect(() => parseReasonTable('{"any":{}}')).toThrow('no journey type');
  });
});

describe('rules of a generation', () => {
  it('differ only in what was set on purpose', () => {
    expect(rulesDifferences({}, DEFAULT_RULES)).toEqual([]);
    expect(rulesDifferences(structuredClone(DEFAULT_RULES), DEFAULT_RULES)).toEqual([]);
    const other = parseReasonTable('{"dental":{"reasons":["crown"]}}');
    expect(
      rulesDifferences(
        { windowMs: 45 * 60_000, timeZone: 'UTC', repeatScope: 'any_reason', reasons: other },
        DEFAULT_RULES,
      ),
    ).toEqual([
      'LEAKAGE_WINDOW_MINUTES is 45, the generation has 30',
      'TIME_ZONE is UTC, the generation has America/New_York',
      'REPEAT_SCOPE is any_reason, the generation has same_issue',
      'REASON_TABLE lists other journey types, reasons or tokens than the generation',
    ]);
  });
});
