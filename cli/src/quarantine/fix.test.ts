import { describe, expect, test } from 'vitest';
import { FixError, fixText, parseFix } from './fix.ts';

const fix = (steps: unknown[], more: object = {}) => JSON.stringify({ source: 'journeys', ...more, steps });

function problemsOf(text: string): readonly string[] {
  try {
    parseFix(text);
  } catch (error) {
    if (error instanceof FixError) return error.problems;
    throw error;
  }
  return [];
}

describe('a fix file', () => {
  test('becomes steps in their order, those of one object too', () => {
    const parsed = parseFix(
      fix(
        [
          { rename: { jtype: 'journey_type', 'member_id.id': 'member_id' } },
          { set: { device_type: 'mobile', emitted_at: null } },
          { default: { revision: 0 } },
          { replace: { field: 'action', from: 'errror', to: 'error' } },
          { map: { field: 'deleted', values: { yes: true } } },
          { scale: { field: 'timestamp', factor: 1000 } },
          { toNumber: ['revision'] },
          { toText: ['session_id', 'event_id'] },
          { localTime: { field: 'timestamp', timeZone: 'America/New_York' } },
        ],
        { decodeAs: { schemaId: 5 } },
      ),
    );
    expect(parsed).toEqual({
      source: 'journeys',
      decodeAs: { format: 'avro', schemaId: 5, skipBytes: 5 },
      steps: [
        { kind: 'rename', from: 'jtype', to: 'journey_type' },
        { kind: 'rename', from: 'member_id.id', to: 'member_id' },
        { kind: 'set', field: 'device_type', value: 'mobile' },
        { kind: 'set', field: 'emitted_at', value: null },
        { kind: 'default', field: 'revision', value: 0 },
        { kind: 'replace', field: 'action', from: 'errror', to: 'error' },
        { kind: 'map', field: 'deleted', values: new Map([['yes', true]]) },
        { kind: 'scale', field: 'timestamp', factor: 1000 },
        { kind: 'toNumber', field: 'revision' },
        { kind: 'toText', field: 'session_id' },
        { kind: 'toText', field: 'event_id' },
        { kind: 'localTime', field: 'timestamp', timeZone: 'America/New_York' },
      ],
    });
    expect(JSON.parse(fixText(parsed))).toMatchObject({ steps: { 4: {}, 6: { values: { yes: true } } } });
  });

  test('may have no steps: records that are accepted now as they are', () => {
    expect(parseFix('{"source":"calls"}')).toEqual({ source: 'calls', decodeAs: null, steps: [] });
    expect(parseFix('{"source":"calls","decodeAs":{"json":true,"skipBytes":3}}').decodeAs).toEqual({
      format: 'json',
      skipBytes: 3,
    });
  });

  test.each([
    ['{', /^it is no JSON: /],
    ['[]', 'the file: an object is wanted'],
    ['{}', 'source: one of journeys, calls, members is wanted'],
    ['{"source":"calls","steps":{}}', 'steps: a list is wanted'],
    ['{"source":"calls","step":[]}', 'the file.step: is not known; there is source, decodeAs, steps'],
    [fix([], { decodeAs: {} }), 'decodeAs.schemaId: the id of a schema, a whole number from 1, is wanted'],
    [fix([], { decodeAs: { schemaId: '5' } }), /^decodeAs.schemaId: /],
    [fix([], { decodeAs: { schemaId: 5, json: true } }), 'decodeAs: either "schemaId" or "json": true is wanted'],
    [fix([], { decodeAs: { json: true, skipBytes: -1 } }), /^decodeAs.skipBytes: a whole number from 0/],
    [fix([{}]), /^steps\[0\]: a step has one of rename, set, .*, and only one$/],
    [fix([{ set: {}, map: {} }]), /^steps\[0\]: a step has one of/],
    [fix([{ eval: 'process.exit()' }]), /^steps\[0\]: a step has one of/],
    [fix([{ rename: { a: 'jtype' } }]), /^steps\[0\].rename.a: "jtype" is no field of journeys: event_id, member_id/],
    [fix([{ set: { timestamp: 'noon' } }]), 'steps[0].set.timestamp: "noon" is nothing that timestamp can hold'],
    [fix([{ default: { revision: 1.5 } }]), 'steps[0].default.revision: 1.5 is nothing that revision can hold'],
    [fix([{ set: { action: {} } }]), 'steps[0].set.action: {} is nothing that action can hold'],
    [fix([{ replace: { field: 'action', from: '', to: 'x' } }]), /^steps\[0\].replace.from: what is to be replaced/],
    [fix([{ replace: { field: 'action', from: 'x' } }]), 'steps[0].replace: to is missing'],
    [fix([{ map: { field: 'action', values: { a: 1 } } }]), 'steps[0].map.values.a: 1 is nothing that action can hold'],
    [fix([{ scale: { field: 'timestamp', factor: 0 } }]), 'steps[0].scale.factor: a number other than 0 is wanted'],
    [fix([{ scale: { field: 'timestamp', factor: 2, by: 3 } }]), /^steps\[0\].scale.by: is not known/],
    [fix([{ toText: 'action' }]), 'steps[0].toText: a list of fields is wanted'],
    [fix([{ localTime: { field: 'timestamp', timeZone: 'Mars' } }]), /Mars is no time zone/],
    [fix(Array.from({ length: 101 }, () => ({ set: {} }))), 'steps: more than 100 of them'],
  ])('%s', (text, problem) => {
    expect(problemsOf(text)).toEqual([typeof problem === 'string' ? problem : expect.stringMatching(problem)]);
  });

  test('says everything that is wrong at once', () => {
    const text = fix([{ set: { a: 1, b: 2 } }, { scale: { field: 'c', factor: 'x' } }], { decodeAs: 7 });
    expect(problemsOf(text)).toHaveLength(5);
  });
});
