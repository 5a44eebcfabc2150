import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { callLogV1 as callLog } from './avro.generated.ts';
import { changes, contracts, createContract } from './contracts.ts';
import type { CallLog, DigitalJourneyEvent, LeakageFact, MemberProfile } from './events.ts';
import type { AvroRecord } from './shape.ts';

const AT = Date.UTC(2026, 10, 22, 12);

const journey: DigitalJourneyEvent = {
  event_id: '01935b2e-0000-7000-8000-000000000001',
  member_id: 'M-104382',
  session_id: 'SES-B-17',
  timestamp: AT,
  journey_type: 'billing',
  action: 'error',
  device_type: 'mobile',
  error_code: 'ERR_BILLING_ELIGIBILITY',
  error_message: 'Your plan is not eligible for this option',
  revision: 0,
  deleted: false,
  emitted_at: AT + 1500,
  app_version: '7.14.2',
};

const call: CallLog = {
  call_id: 'CALL-B-17',
  member_id: 'M-104382',
  call_timestamp: AT,
  ivr_path: 'main > billing > agent',
  handle_time_seconds: 1080,
  agent_id: 'A-7',
  call_reason: 'billing_question',
  sentiment_score: -0.65,
  resolution_status: 'resolved',
  revision: 1,
  deleted: true,
  emitted_at: null,
};

const profile: MemberProfile = {
  member_id: 'M-104382',
  plan_type: 'MAPD',
  segment: 'new',
  language_preference: 'Spanish',
  tenure_months: 3,
  enrollment_date: '2026-08-31',
  valid_from: null,
  revision: 0,
  emitted_at: AT,
};

/** A wire-format record of journeys whose body is the given bytes. */
const raw = (id: number, ...body: number[]): Buffer => Buffer.from([0, 0, 0, 0, id, ...body]);

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe('arbitrary events', () => {
  const text = fc.option(fc.string({ unit: 'grapheme' }).map((s) => s.replaceAll('\0', '')));
  const instant = fc.option(fc.integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 }));
  const int = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const calls: fc.Arbitrary<CallLog> = fc.record({
    call_id: text,
    member_id: text,
    call_timestamp: instant,
    ivr_path: text,
    handle_time_seconds: fc.option(int),
    agent_id: text,
    call_reason: text,
    sentiment_score: fc.option(fc.double()),
    resolution_status: text,
    revision: int,
    deleted: fc.boolean(),
    emitted_at: instant,
  });
  const profiles: fc.Arbitrary<MemberProfile> = fc.record({
    member_id: text,
    plan_type: text,
    segment: text,
    language_preference: text,
    tenure_months: fc.option(int),
    enrollment_date: fc.option(
      fc.integer({ min: 0, max: 40_000 }).map((d) => new Date(d * 86_400_000).toISOString().slice(0, 10)),
    ),
    valid_from: instant,
    revision: int,
    emitted_at: instant,
  });

  test('survive Avro', () => {
    fc.assert(
      fc.property(calls, profiles, (c, p) => {
        expect(contracts.calls.decode(contracts.calls.encode(c))).toEqual({
          ok: true,
          event: c,
          schemaId: 2,
          unknownFields: 0,
          emptied: [],
        });
        expect(contracts.members.decode(contracts.members.encode(p))).toMatchObject({ ok: true, event: p });
      }),
    );
  });

  test('survive JSON, where numbers are finite', () => {
    fc.assert(
      fc.property(calls, profiles, (c, p) => {
        const finite = { ...c, sentiment_score: Number.isFinite(c.sentiment_score) ? c.sentiment_score : null };
        const decoded = contracts.calls.decode(contracts.calls.encodeJson(finite));
        expect(decoded).toMatchObject({ ok: true, schemaId: null, emptied: [] });
        // JSON has no negative zero worth keeping.
        expect(JSON.stringify(decoded.event)).toBe(JSON.stringify(finite));
        expect(contracts.members.decode(contracts.members.encodeJson(p))).toMatchObject({ ok: true, event: p });
      }),
    );
  });

  test('random bytes and damaged good records never throw, and what fails says why', { timeout: 120_000 }, () => {
    const good = [contracts.journeys.encode(journey), contracts.calls.encode(call), contracts.members.encode(profile)];
    const jsons = [contracts.journeys.encodeJson(journey), contracts.calls.encodeJson(call)];
    const damaged = fc
      .tuple(
        fc.constantFrom(...good, ...jsons),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        fc.nat(),
      )
      .map(([bytes, changesMade, cut]) => {
        const copy = Buffer.from(bytes);
        for (const [at, value] of changesMade) copy[at % copy.length] = value;
        return cut % 3 === 0 ? copy.subarray(0, cut % copy.length) : copy;
      });
    const random = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes));
    const behindHeader = fc
      .tuple(fc.constantFrom(1, 2, 3), fc.uint8Array({ maxLength: 80 }))
      .map(([id, b]) => raw(id, ...b));
    fc.assert(
      fc.property(fc.oneof(damaged, random, behindHeader), (value) => {
        for (const contract of Object.values(contracts)) {
          const decoded = contract.decode(value);
          if (!decoded.ok) expect(decoded.error).toMatch(/^[a-z_0-9]+(:[-a-z_0-9]+)?$/);
          // Whatever is returned can be stored: no U+0000, no number beyond int4, no instant beyond year 9999.
          for (const held of Object.values(decoded.event ?? {})) {
            if (typeof held === 'string') expect(held).not.toContain('\0');
            if (typeof held === 'string') expect(held.isWellFormed()).toBe(true);
          }
          const revision = decoded.event?.revision ?? 0;
          expect(Math.abs(revision)).toBeLessThanOrEqual(2 ** 31);
        }
        changes.decode(value);
      }),
      { numRuns: process.env.FAULTS === 'long' ? 100_000 : 3000 },
    );
  });
});

describe('what does not decode', () => {
  const { journeys, calls, members } = contracts;
  const encoded = journeys.encode(journey);
  const nothing = [0, 0, 0, 0, 0, 0, 0, 0, 0]; // nine nulls

  test.each([
    ['no value', null, 'null_value'],
    ['an empty value', Buffer.alloc(0), 'empty'],
    ['text', Buffer.from('hello'), 'unknown_format'],
    ['JSON behind white space', Buffer.from(' {}'), 'unknown_format'],
    ['a JSON array', Buffer.from('[1]'), 'unknown_format'],
    ['half a header', Buffer.from([0, 0, 0]), 'truncated'],
    ['a body that ends early', encoded.subarray(0, encoded.length - 2), 'truncated'],
    ['a body that goes on', Buffer.concat([encoded, Buffer.from([7])]), 'trailing_bytes'],
    ['a schema of another source', calls.encode(call), 'unknown_schema_id:2'],
    ['a schema nobody knows', raw(99, 0), 'unknown_schema_id:99'],
    ['a union branch that does not exist', raw(1, 8), 'avro:union_index'],
    [
      'a long beyond 2^53',
      raw(1, 0, 0, 0, 2, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1),
      'avro:long_range',
    ],
    ['an int beyond 32 bits', raw(1, ...nothing, 0xfe, 0xff, 0xff, 0xff, 0xff, 0x01, 0, 0), 'avro:int_range'],
    ['a string of negative length', raw(1, 2, 3), 'truncated'],
    ['broken JSON', Buffer.from('{"event_id":'), 'json'],
  ])('%s', (_what, value, error) => {
    expect(journeys.decode(value)).toMatchObject({ ok: false, error });
  });

  test('U+0000 in a string: Postgres would refuse the row', () => {
    const bad = { ...journey, session_id: 'a\0b' };
    for (const value of [journeys.encode(bad), journeys.encodeJson(bad)]) {
      expect(journeys.decode(value)).toMatchObject({
        ok: false,
        error: 'nul:session_id',
        event: { ...journey, session_id: null },
      });
    }
  });

  describe('text that is not UTF-8', () => {
    const marked = { ...journey, session_id: 'a?z', error_message: 'sent as \ufffd' };
    const without = (bytes: number[]) => {
      const forms = [journeys.encode({ ...marked, session_id: `a${'?'.repeat(bytes.length)}z` })];
      forms.push(journeys.encodeJson({ ...marked, session_id: `a${'?'.repeat(bytes.length)}z` }));
      return forms.map((value) => {
        Buffer.from(bytes).copy(value, value.indexOf(`a${'?'.repeat(bytes.length)}z`) + 1);
        return value;
      });
    };

    test.each([
      ['a byte that is never in UTF-8', [0xff]],
      ['a sequence that ends early', [0xe2, 0x82]],
      ['a surrogate', [0xed, 0xa0, 0x80]],
      ['an overlong form', [0xc0, 0xaf]],
      ['beyond U+10FFFF', [0xf4, 0x90, 0x80, 0x80]],
      ['a bad byte beside a true U+FFFD', [0xef, 0xbf, 0xbd, 0x80]],
      ['the beginning of a U+FFFD', [0xef, 0xbf]],
    ])('%s: the field is named and empty, the others stay', (_what, bytes) => {
      for (const value of without(bytes)) {
        expect(journeys.decode(value)).toMatchObject({
          ok: false,
          error: 'utf8:session_id',
          event: { ...marked, session_id: null },
        });
      }
    });

    test('U+FFFD itself is text, like every other character', () => {
      const texts = { ...marked, session_id: '\ufffd', action: '\u0080\u07ff\ud7ff\ue000\uffff\u{10000}\u{10ffff}' };
      for (const value of [journeys.encode(texts), journeys.encodeJson(texts)]) {
        expect(journeys.decode(value)).toMatchObject({ ok: true, event: texts });
      }
    });

    test.each([
      ['alone', '"\\ud800"'],
      ['in the wrong order', '"\\udc00\\ud800"'],
      ['before a bad byte', '"\\ud800\xff"'],
    ])('an escaped surrogate %s has no UTF-8 form', (_what, text) => {
      const value = Buffer.from(`{"action":"error","session_id":${text}}`, 'latin1');
      expect(journeys.decode(value)).toMatchObject({
        ok: false,
        error: 'utf8:session_id',
        event: { action: 'error', session_id: null },
      });
    });

    test('is not looked at in what is unknown, and breaks JSON outside of strings', () => {
      const value = Buffer.from('{"action":"error","no\xffte":"\xfe","note":"\\ud800"}', 'latin1');
      expect(journeys.decode(value)).toMatchObject({ ok: true, event: { action: 'error' }, unknownFields: 2 });
      for (const broken of ['{"action":\xff}', '{\xff}', '{"action":"a\\\xff"}']) {
        expect(journeys.decode(Buffer.from(broken, 'latin1'))).toMatchObject({ ok: false, error: 'json' });
      }
    });

    test('where several fields are wrong the first in the order of the schema is named', () => {
      const value = journeys.encode({ ...journey, member_id: 'm?', session_id: 'a\0', action: 'x?' });
      const bad = Buffer.from(value.toString('latin1').replaceAll('?', '\xff'), 'latin1');
      const emptied = { member_id: null, session_id: null, action: null };
      expect(journeys.decode(bad)).toMatchObject({ ok: false, error: 'utf8:member_id', event: emptied });
    });
  });

  test('an instant or a date outside the years 0001 to 9999', () => {
    const bad = { ...journey, timestamp: 253_402_300_800_000 };
    for (const value of [journeys.encode(bad), journeys.encodeJson(bad)]) {
      expect(journeys.decode(value)).toMatchObject({
        ok: false,
        error: 'timestamp_range:timestamp',
        event: { ...journey, timestamp: null },
      });
    }
    // enrollment_date: branch 1, then an int of ten million days.
    const faraway = raw(3, 0, 0, 0, 0, 0, 2, 0x80, 0xda, 0xc4, 0x09, 0, 0, 0);
    expect(members.decode(faraway)).toMatchObject({ ok: false, error: 'timestamp_range:enrollment_date' });
  });

  test('what the schema cannot represent is refused when it is written', () => {
    expect(() => calls.encode({ ...call, handle_time_seconds: 1.5 })).toThrow(TypeError);
    expect(() => calls.encode({ ...call, handle_time_seconds: 2 ** 31 })).toThrow(/int/);
    expect(() => members.encode({ ...profile, enrollment_date: '2026-02-30' })).toThrow(TypeError);
    expect(() => journeys.encode({ ...journey, timestamp: 2 ** 53 })).toThrow(/long/);
  });
});

describe('JSON', () => {
  const { journeys, calls, members } = contracts;

  test('null is absent, absent is the default, and unknown fields are counted', () => {
    expect(
      journeys.decode(json({ event_id: null, action: 'error', revision: null, note: 1, toString: 2 })),
    ).toMatchObject({
      ok: true,
      event: { event_id: null, member_id: null, action: 'error', revision: 0, deleted: false, emitted_at: null },
      unknownFields: 2,
    });
    expect(journeys.decode(Buffer.from('{"__proto__":{"action":"error"}}'))).toMatchObject({
      ok: true,
      event: { action: null },
      unknownFields: 1,
    });
  });

  test('instants are ISO 8601 with an offset or epoch milliseconds', () => {
    for (const timestamp of ['2026-11-22T07:00:00-05:00', AT]) {
      expect(journeys.decode(json({ timestamp }))).toMatchObject({ ok: true, event: { timestamp: AT } });
    }
  });

  test.each([
    ['a number for a string', { member_id: 7 }, 'type:member_id'],
    ['an instant without offset', { timestamp: '2026-11-22T12:00:00' }, 'type:timestamp'],
    ['half a millisecond', { timestamp: 1.5 }, 'type:timestamp'],
    ['an instant as text of digits', { timestamp: '1700000000000' }, 'type:timestamp'],
    ['a boolean as text', { deleted: 'true' }, 'type:deleted'],
    ['a revision as text', { revision: '1' }, 'type:revision'],
    ['a revision out of range', { revision: 2 ** 31 }, 'type:revision'],
    ['the first of two problems in the order of the fields', { deleted: 1, action: [] }, 'type:action'],
  ])('%s is an error', (_what, value, error) => {
    expect(journeys.decode(json(value))).toMatchObject({ ok: false, error, schemaId: null });
  });

  test('dates are calendar days, tenure an integer', () => {
    expect(members.decode(json({ enrollment_date: '2026-02-30' }))).toMatchObject({ error: 'type:enrollment_date' });
    expect(members.decode(json({ tenure_months: 1.5 }))).toMatchObject({ error: 'type:tenure_months' });
    expect(members.decode(json({ tenure_months: 12.0 }))).toMatchObject({ ok: true, event: { tenure_months: 12 } });
  });

  test('a wrong sentiment or handle time is emptied, and the rest counts', () => {
    const bad = { call_id: 'C', sentiment_score: 'bad', handle_time_seconds: 2.5 };
    expect(calls.decode(json(bad))).toMatchObject({
      ok: true,
      event: { call_id: 'C', sentiment_score: null, handle_time_seconds: null },
      emptied: ['handle_time_seconds', 'sentiment_score'],
    });
  });

  test('the last of two equal keys counts', () => {
    const twice = Buffer.from('{"call_id":7,"call_id":"B"}');
    expect(calls.decode(twice)).toMatchObject({ ok: true, event: { call_id: 'B' }, unknownFields: 0 });
  });
});

describe('schema versions', () => {
  // A later version of the reader: it has a field more, and an older writer has one that it dropped.
  const field = { name: 'queue_seconds', type: ['null', 'int'], default: null };
  const older: AvroRecord = {
    ...callLog,
    fields: [...callLog.fields, { name: 'gone', type: ['null', 'string'], default: null }],
  };
  const newer: AvroRecord = { ...callLog, fields: [...callLog.fields, field] };
  const next = createContract<CallLog & { queue_seconds: number | null }>('calls', [
    { version: 1, id: 2, schema: callLog },
    { version: 2, id: 6, schema: older },
    { version: 3, id: 5, schema: newer },
  ]);
  const foreign = createContract<CallLog & { gone: string }>('calls', [{ version: 1, id: 6, schema: older }]);

  test('records of every known version are read as the newest', () => {
    const current = { ...call, queue_seconds: 9 };
    expect(next.decode(next.encode(current))).toMatchObject({
      ok: true,
      event: current,
      schemaId: 5,
      unknownFields: 0,
    });
    expect(next.decode(contracts.calls.encode(call))).toMatchObject({
      ok: true,
      event: { ...call, queue_seconds: null },
      schemaId: 2,
    });
  });

  test('text that is not UTF-8 is found in records of older versions, and ignored in fields that were dropped', () => {
    const spoiled = (o: object) =>
      Buffer.from(
        foreign
          .encode({ ...call, gone: 'x', ...o })
          .toString('latin1')
          .replace('?', '\xff'),
        'latin1',
      );
    expect(next.decode(spoiled({ agent_id: 'a?' }))).toMatchObject({ ok: false, error: 'utf8:agent_id' });
    expect(next.decode(spoiled({ gone: 'a?' }))).toMatchObject({ ok: true, event: call, unknownFields: 1 });
    expect(next.decode(spoiled({ gone: 'a?', agent_id: '\ufffd' }))).toMatchObject({ ok: true });
  });

  test('fields that the reader does not know are counted', () => {
    expect(next.decode(foreign.encode({ ...call, gone: 'x' }))).toMatchObject({
      ok: true,
      schemaId: 6,
      unknownFields: 1,
    });
  });
});

describe('a reader that learns its schemas', () => {
  const { journeys } = contracts;
  const [v1, v2] = journeys.versions;
  const foreign = (fields: object[]) => ({ ...v2?.schema, fields: [...(v2?.schema.fields ?? []), ...fields] });
  const under = (id: number, version = 2) => journeys.encoder({ version, id }).encode(journey);

  test('knows nothing but JSON, and says which schema a value is missing', () => {
    const reader = journeys.learningReader();
    expect(reader.decode(journeys.encodeJson(journey))).toMatchObject({ ok: true, event: journey });
    expect(reader.decode(under(5))).toMatchObject({ ok: false, error: 'unknown_schema_id:5', schemaId: 5 });
    const values = [
      under(1),
      under(70),
      raw(0, 1),
      Buffer.from([0, 0, 0, 9]),
      Buffer.from('{}'),
      Buffer.alloc(0),
      null,
    ];
    expect(values.map((value) => reader.missing(value))).toEqual([1, 70, null, null, null, null, null]);
    expect(reader.missing(Buffer.from([0, 0xff, 0xff, 0xff, 0xfe, 1]))).toBeNull();
  });

  test('reads a schema under the id that it was told, whatever the table says', () => {
    const reader = journeys.learningReader();
    expect([reader.learn(2, v1?.schema), reader.learn(700, v2?.schema)]).toEqual([null, null]);
    expect(reader.decode(under(700))).toMatchObject({ ok: true, event: journey, schemaId: 700 });
    const old = { ...journey, app_version: null };
    expect(reader.decode(under(2, 1))).toMatchObject({ ok: true, event: old, schemaId: 2 });
    expect(reader.missing(under(700))).toBeNull();
    expect(reader.decode(under(5))).toMatchObject({ ok: false, error: 'unknown_schema_id:5' });
  });

  test('takes what a foreign producer added, and other types that mean the same', () => {
    const reader = journeys.learningReader();
    const added = foreign([{ name: 'note', type: 'string' }]);
    expect(reader.learn(8, added)).toBeNull();
    const type = { type: 'string', logicalType: 'uuid' };
    expect(reader.learn(9, { ...v1?.schema, fields: [{ name: 'event_id', type }] })).toBeNull();
    const value = Buffer.concat([raw(9, 8), Buffer.from('e-17')]);
    expect(reader.decode(value)).toMatchObject({ ok: true, event: { event_id: 'e-17', member_id: null, revision: 0 } });
  });

  test.each<[string, unknown, RegExp]>([
    ['another type', { ...v1?.schema, fields: [{ name: 'action', type: 'int' }] }, /./],
    ['another record', callLog, /./],
    ['no record', 'string', /no Avro record/],
    ['nothing', null, /no Avro record/],
    ['no schema', { type: 'record', name: 'DigitalJourneyEvent', fields: [{ name: 'x', type: 'nonsense' }] }, /./],
    [
      'microseconds',
      { ...v1?.schema, fields: [{ name: 'timestamp', type: { type: 'long', logicalType: 'timestamp-micros' } }] },
      /timestamp is a timestamp-micros, ours is timestamp-millis/,
    ],
  ])('refuses records of %s by name', (_what, schema, why) => {
    const reader = journeys.learningReader();
    expect(reader.learn(33, schema)).toMatch(why);
    expect(reader.missing(under(33))).toBeNull();
    expect(reader.decode(under(33))).toMatchObject({ ok: false, error: 'incompatible_schema:33', event: null });
  });

  test('begins anew when it is told to forget', () => {
    const reader = journeys.learningReader();
    for (const id of [1, 70]) reader.learn(id, v1?.schema);
    expect([reader.known, reader.missing(under(70))]).toEqual([2, null]);
    reader.forget();
    expect([reader.known, reader.missing(under(70))]).toEqual([0, 70]);
  });
});

describe('a value as it was sent', () => {
  const journeys = contracts.journeys;

  test('in JSON has every field with its own name, unchecked', () => {
    const sent = { jtype: 'billing', timestamp: 1_772_463_600.5, member_id: { id: 'M-1' }, extra: [1] };
    expect(journeys.asSent(json(sent))).toEqual(sent);
    expect(journeys.asSent(Buffer.from('{'))).toBeNull();
    expect(journeys.asSent(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toBeNull();
  });

  test('in Avro has what decoding had to empty: other units, U+0000', () => {
    const micros = journeys.encode({ ...journey, timestamp: AT * 1000, error_message: 'a\0b' });
    expect(journeys.decode(micros)).toMatchObject({ ok: false, event: { timestamp: null } });
    expect(journeys.asSent(micros)).toEqual({ ...journey, timestamp: AT * 1000, error_message: 'a\0b' });
    expect(contracts.members.asSent(contracts.members.encode(profile))).toEqual(profile);
  });

  test('has the names of the schema that its writer registered, also of one that is refused', () => {
    const reader = journeys.learningReader();
    const fields = [
      { name: 'jtype', type: ['null', 'string'] },
      { name: 'timestamp', type: { type: 'long', logicalType: 'timestamp-micros' } },
      { name: 'born', type: { type: 'int', logicalType: 'date' } },
    ];
    expect(reader.learn(7, { type: 'record', name: 'DigitalJourneyEvent', fields })).toMatch(/timestamp-micros/);
    const value = raw(7, 2, 4, 0x69, 0x64, 0x80, 0x01, 2);
    expect(reader.decode(value)).toMatchObject({ error: 'incompatible_schema:7' });
    expect(reader.asSent(value)).toEqual({ jtype: 'id', timestamp: 64, born: '1970-01-02' });
  });

  test('is nothing where the bytes are not of their schema, or not UTF-8', () => {
    const value = journeys.encode(journey);
    expect(journeys.asSent(value)).toEqual(journey);
    expect(journeys.asSent(value.subarray(0, 20))).toBeNull();
    expect(journeys.asSent(Buffer.concat([value, Buffer.from([0])]))).toBeNull();
    const [v1] = journeys.versions;
    expect(journeys.asSent(Buffer.concat([raw(v1?.id ?? 0), value.subarray(5)]))).toBeNull();
    expect(journeys.asSent(raw(99))).toBeNull();
    expect(journeys.asSent(Buffer.from([0, 0]))).toBeNull();
    for (const nothing of [null, Buffer.alloc(0), Buffer.from('hello')]) expect(journeys.asSent(nothing)).toBeNull();
    const at = value.indexOf('M-104382');
    const damaged = Buffer.from(value);
    damaged[at] = 0xff;
    expect(journeys.asSent(damaged)).toBeNull();
    expect(journeys.asSent(journeys.encode({ ...journey, member_id: 'M\ufffd' }))).toMatchObject({
      member_id: 'M\ufffd',
    });
  });
});

test('a change carries the fact before and after', () => {
  const fact: LeakageFact = {
    leakage_id: 'CALL-B-17',
    member_id: 'M-1',
    call_id: 'CALL-B-17',
    call_timestamp: AT,
    call_reason: null,
    issue_family: 'billing',
    attribution: 'leakage',
    is_leakage_call: true,
    is_repeat_call: false,
    is_primary: true,
    assisted_completion: false,
    leakage_type: 'billing',
    digital_session_id: 'SES-B-17',
    digital_event_id: 'e',
    digital_timestamp: AT - 60_000,
    time_to_call_minutes: 1,
    time_to_call_ms: 60_000,
    alignment_strength: 2,
    error_code: null,
    error_message: null,
    device_type: 'mobile',
    member_category: 'MAPD New',
    plan_type: 'MAPD',
    segment: 'new',
    language_preference: 'English',
    sentiment_score: -0.5,
    handle_time_seconds: 60,
    local_date: '2026-11-22',
    processing_timestamp: AT,
  };
  const change = { generation: 1, shard: 3, seq: 17, call_id: 'CALL-B-17', before: null, after: fact, cause: 'call' };
  expect(changes.decode(changes.encode(change))).toMatchObject({ ok: true, event: change, schemaId: 4 });
  const gone = { ...change, before: fact, after: null, cause: null };
  expect(changes.decode(changes.encode(gone))).toMatchObject({ ok: true, event: gone });
});
