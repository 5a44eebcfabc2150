import { contracts, type Source } from '@leakage/schemas';
import { call, journey, profile } from '@leakage/testing';

type Header = Buffer | string | (Buffer | string)[];

/** A record that is bad or looks so, and what must become of it. */
export interface Poison {
  readonly name: string;
  readonly source: Source;
  /** Default: a key that is nobody's. */
  readonly key?: Buffer | string | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, Header>>;
  /** `headers` in bronze; default null. */
  readonly described?: unknown;
  /** `decode_error` in bronze. */
  readonly undecoded: string | null;
  /** The reasons in silver's quarantine; null: accepted. */
  readonly reasons: readonly string[] | null;
}

const AT = Date.parse('2026-03-02T15:00:00Z');

// Avro by hand: nothing of the code under test writes what it must refuse.
function long(value: number | bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, (BigInt(value) << 1n) ^ (BigInt(value) >> 63n));
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...bytes, Number(rest)]);
}
const text = (value: string | Buffer): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([long(1), long(bytes.length), bytes]);
};
const absent = long(0);
const absents = (count: number): Buffer[] => Array.from({ length: count }, () => absent);
const wire = (schemaId: number, ...body: Buffer[]): Buffer => {
  const head = Buffer.alloc(5);
  head.writeInt32BE(schemaId, 1);
  return Buffer.concat([head, ...body]);
};
/** Everything but the event id, the member and the rest up to `revision`. */
const tail = Buffer.concat([long(0), Buffer.from([0]), absent]);

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const latin1 = (value: string): Buffer => Buffer.from(value, 'latin1');
const journeyJson = (fields: object): Buffer => json({ ...journey(), ...fields });
const callJson = (fields: object): Buffer => json({ ...call(), ...fields });
const profileJson = (fields: object): Buffer => json({ ...profile({ member_id: 'M-json' }), ...fields });
/** JSON with one more member, written as it stands. */
const withMember = (value: Buffer, member: string): Buffer => latin1(`{${member},${value.toString('latin1').slice(1)}`);

const good = contracts.journeys.encode(journey());
const goodCall = contracts.calls.encode(call());
const megabyte = 'm'.repeat(1_000_000);
const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
const many = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`h${i}`, 'v']));

/** Wrong in its form: bronze keeps the bytes and says what is wrong, silver quarantines it for the same reason. */
const undecodable = (source: Source, rows: readonly (readonly [string, Buffer | null, string])[]): Poison[] =>
  rows.map(([name, value, error]) => ({ name, source, value, undecoded: error, reasons: [error] }));

/** Well formed, and against a rule. */
const unusable = (source: Source, rows: readonly (readonly [string, Buffer, ...string[]])[]): Poison[] =>
  rows.map(([name, value, ...reasons]) => ({ name, source, value, undecoded: null, reasons }));

/** Odd, and right. */
const accepted = (source: Source, rows: readonly (readonly [string, Buffer])[]): Poison[] =>
  rows.map(([name, value]) => ({ name, source, value, undecoded: null, reasons: null }));

export const poison: readonly Poison[] = [
  ...undecodable('journeys', [
    ['no value: a tombstone', null, 'null_value'],
    ['an empty value', Buffer.alloc(0), 'empty'],
    ['plain text', Buffer.from('hello'), 'unknown_format'],
    ['one byte', Buffer.from([0]), 'truncated'],
    ['half a header', good.subarray(0, 4), 'truncated'],
    ['a header alone', good.subarray(0, 5), 'truncated'],
    ['a body that ends within a string', good.subarray(0, 20), 'truncated'],
    ['a body without its last byte', good.subarray(0, -1), 'truncated'],
    ['a byte too many', Buffer.concat([good, Buffer.from([0])]), 'trailing_bytes'],
    ['two records in one', Buffer.concat([good, good]), 'trailing_bytes'],
    ['a schema that nobody knows', wire(99, absent), 'unknown_schema_id:99'],
    ['a negative schema id', wire(-1, absent), 'unknown_schema_id:-1'],
    ['the schema of another topic', goodCall, 'unknown_schema_id:2'],
    ['a string longer than memory', wire(1, long(1), long(2 ** 40)), 'truncated'],
    ['a string of length int64 max', wire(1, long(1), long(2n ** 63n - 1n)), 'truncated'],
    ['a string of negative length', wire(1, long(1), long(-5), ...absents(9), tail), 'truncated'],
    ['a branch of a union that is not there', wire(1, long(2)), 'avro:union_index'],
    ['a negative branch of a union', wire(1, long(-1)), 'avro:union_index'],
    ['a number that never ends', wire(1, Buffer.alloc(50, 0xff)), 'avro:union_index'],
    ['an instant at int64 max', wire(1, ...absents(3), long(1), long(2n ** 63n - 1n)), 'avro:long_range'],
    ['an instant at int64 min', wire(1, ...absents(3), long(1), long(-(2n ** 63n))), 'avro:long_range'],
    [
      'an instant in the year 10000 (Avro)',
      contracts.journeys.encode(journey({ timestamp: 253_402_300_800_000 })),
      'timestamp_range:timestamp',
    ],
    [
      'an instant before the year 1 (Avro)',
      contracts.journeys.encode(journey({ emitted_at: -62_135_596_800_001 })),
      'timestamp_range:emitted_at',
    ],
    ['a revision beyond 32 bits (Avro)', wire(1, ...absents(9), long(2 ** 31), tail.subarray(1)), 'avro:int_range'],
    ['bytes that are not UTF-8 (Avro)', wire(1, absent, text(latin1('M\xff')), ...absents(7), tail), 'utf8:member_id'],
    [
      'half a character (Avro)',
      wire(1, ...absents(2), text(latin1('S\xe2\x82')), ...absents(6), tail),
      'utf8:session_id',
    ],
    ['U+0000 in a string (Avro)', contracts.journeys.encode(journey({ action: 'err\0or' })), 'nul:action'],
    ['U+0000 in a string (JSON)', journeyJson({ error_message: 'a\0' }), 'nul:error_message'],
    ['bytes that are not UTF-8 (JSON)', latin1('{"member_id":"M\xff"}'), 'utf8:member_id'],
    ['a surrogate as bytes (JSON)', latin1('{"session_id":"\xed\xa0\x80"}'), 'utf8:session_id'],
    ['a surrogate that stands alone (JSON)', journeyJson({ event_id: '\ud800' }), 'utf8:event_id'],
    ['broken JSON', Buffer.from('{"event_id":'), 'json'],
    ['JSON with something behind it', Buffer.from('{} {}'), 'json'],
    ['JSON with a byte order mark', Buffer.from('\ufeff{}'), 'unknown_format'],
    ['a JSON array', Buffer.from('[{"event_id":"e"}]'), 'unknown_format'],
    ['a JSON string', Buffer.from('"event"'), 'unknown_format'],
    ['a JSON null', Buffer.from('null'), 'unknown_format'],
    ['JSON in UTF-16', Buffer.from('{"event_id":"e"}', 'utf16le'), 'json'],
    ['100,000 opened brackets', Buffer.from(`{"x":${'['.repeat(100_000)}`), 'json'],
    ['100,000 levels in a known field', withMember(Buffer.from('{"action":1}'), `"event_id":${deep}`), 'type:event_id'],
    ['a number for a string (JSON)', journeyJson({ member_id: 7 }), 'type:member_id'],
    ['an object for a string (JSON)', journeyJson({ session_id: { id: 'S' } }), 'type:session_id'],
    ['an instant without an offset', journeyJson({ timestamp: '2026-03-02T15:00:00' }), 'type:timestamp'],
    ['an instant that the calendar has not', journeyJson({ timestamp: '2026-02-30T15:00:00Z' }), 'type:timestamp'],
    [
      'an instant beyond 2^53',
      withMember(Buffer.from('{"action":"error"}'), '"timestamp":1e300'),
      'timestamp_range:timestamp',
    ],
    ['a boolean as text', journeyJson({ deleted: 'false' }), 'type:deleted'],
    ['a revision with a fraction', journeyJson({ revision: 0.5 }), 'type:revision'],
    ['a revision beyond 32 bits (JSON)', journeyJson({ revision: 2 ** 31 }), 'type:revision'],
    [
      'a revision beyond 2^53',
      withMember(Buffer.from('{"action":"error"}'), '"revision":9007199254740993'),
      'type:revision',
    ],
  ]),
  ...undecodable('members', [
    ['a date as a number', profileJson({ enrollment_date: 20_000 }), 'type:enrollment_date'],
    ['a date that the calendar has not', profileJson({ enrollment_date: '2026-02-30' }), 'type:enrollment_date'],
    [
      'a date in ten million days (Avro)',
      wire(3, ...absents(5), long(1), long(10_000_000), absent, long(0), absent),
      'timestamp_range:enrollment_date',
    ],
    ['tenure as text', profileJson({ tenure_months: '36' }), 'type:tenure_months'],
  ]),
  ...unusable('journeys', [
    [
      'nothing but null (Avro)',
      wire(1, ...absents(9), tail),
      ...['member_id', 'session_id', 'timestamp', 'journey_type', 'action'].map((field) => `missing:${field}`),
    ],
    ['the year 1', journeyJson({ timestamp: '0001-01-01T00:00:00Z' }), 'timestamp_range'],
    ['the year 9999', journeyJson({ timestamp: '9999-12-31T23:59:59.999Z' }), 'timestamp_range', 'future'],
    ['sent in the year 9999', journeyJson({ emitted_at: '9999-12-31T23:59:59.999Z' }), 'emitted_in_future'],
    ['sent in the year 1', journeyJson({ emitted_at: '0001-01-01T00:00:00Z' }), 'future'],
    ['an event id of 201 bytes', journeyJson({ event_id: `${'é'.repeat(100)}x` }), 'too_long:event_id'],
    ['an event id of 1 MB', contracts.journeys.encode(journey({ event_id: megabyte })), 'too_long:event_id'],
    ['a member of 1 MB', contracts.journeys.encode(journey({ member_id: megabyte })), 'too_long:member_id'],
    [
      '__proto__ instead of fields',
      Buffer.from('{"__proto__":{"member_id":"M"},"constructor":{"x":1}}'),
      'missing:member_id',
      'missing:session_id',
      'missing:timestamp',
      'missing:journey_type',
      'missing:action',
    ],
    ['a journey type of 1 MB', contracts.journeys.encode(journey({ journey_type: megabyte })), 'unknown:journey_type'],
    [
      'an action called constructor',
      journeyJson({ action: 'constructor', journey_type: '__proto__' }),
      'unknown:journey_type',
      'unknown:action',
    ],
  ]),
  ...unusable('calls', [
    ['a call of nobody', callJson({ member_id: null }), 'unidentified'],
    ['a call without id', callJson({ call_id: '' }), 'missing:call_id'],
  ]),
  ...unusable('members', [
    ['enrolled in the year 9999', profileJson({ enrollment_date: '9999-12-31' }), 'future:enrollment_date'],
    ['a tenure at int32 min', profileJson({ tenure_months: -(2 ** 31) }), 'range:tenure_months'],
    [
      'a plan called __proto__',
      profileJson({ plan_type: '__proto__', segment: 'constructor' }),
      'unknown:plan_type',
      'unknown:segment',
    ],
  ]),
  ...accepted('journeys', [
    ['U+FFFD, as sent', contracts.journeys.encode(journey({ error_message: 'a\ufffdb' }))],
    [
      'every plane of Unicode',
      contracts.journeys.encode(journey({ session_id: '\u0001\u007f\u0080\u07ff\ud7ff\ue000\uffff\u{10ffff}' })),
    ],
    ['a byte order mark in an id', journeyJson({ event_id: '\ufeffE-bom' })],
    ['an event id of 200 bytes', journeyJson({ event_id: 'é'.repeat(100) })],
    [
      'line breaks, quotes and backslashes',
      journeyJson({ event_id: 'E\n\t"\\N{}', error_message: '\\N\n\\.\n{"a":[1]}' }),
    ],
    [
      'a message of 1 MB',
      contracts.journeys.encode(
        journey({ member_id: 'M-big', session_id: 'S-big', error_message: megabyte, error_code: 'big' }),
      ),
    ],
    [
      'a code of 1 MB',
      contracts.journeys.encode(journey({ member_id: 'M-code', session_id: 'S-code', error_code: megabyte })),
    ],
    ['100,000 levels in an unknown field', withMember(journeyJson({}), `"x":${deep}`)],
    ['bytes that are not UTF-8 in an unknown field and in a key', withMember(journeyJson({}), '"x":"\xff","\xfe":1')],
    ['a surrogate alone in an unknown field', withMember(journeyJson({}), '"x":"\\ud800"')],
    [
      'the same key twice: the last counts',
      latin1(`${journeyJson({}).toString('latin1').slice(0, -1)},"action":"nothing","action":"abandon"}`),
    ],
    ['a revision at int32 max', journeyJson({ revision: 2 ** 31 - 1 })],
    ['a revision at int32 min', contracts.journeys.encode(journey({ revision: -(2 ** 31) }))],
    ['the first instant of 2000', journeyJson({ timestamp: '2000-01-01T00:00:00Z' })],
    [
      'an id called __proto__',
      journeyJson({ event_id: '__proto__', member_id: 'constructor', session_id: 'toString' }),
    ],
  ]),
  ...accepted('calls', [
    ['a sentiment that is no number (Avro)', contracts.calls.encode(call({ sentiment_score: Number.NaN }))],
    ['an infinite sentiment (Avro)', contracts.calls.encode(call({ sentiment_score: Number.POSITIVE_INFINITY }))],
    [
      'a sentiment of minus infinity (Avro)',
      contracts.calls.encode(call({ sentiment_score: Number.NEGATIVE_INFINITY })),
    ],
    ['a sentiment of minus zero (Avro)', contracts.calls.encode(call({ sentiment_score: -0 }))],
    [
      'a sentiment beyond doubles (JSON)',
      withMember(json({ ...call(), sentiment_score: undefined }), '"sentiment_score":1e999'),
    ],
    ['a sentiment as text', callJson({ sentiment_score: 'bad' })],
    ['a handle time beyond 2^53', callJson({ handle_time_seconds: 2 ** 60 })],
    ['a handle time at int32 min (Avro)', contracts.calls.encode(call({ handle_time_seconds: -(2 ** 31) }))],
    ['a path of 1 MB', contracts.calls.encode(call({ ivr_path: megabyte }))],
    ['a reason of 1 MB', contracts.calls.encode(call({ call_reason: megabyte }))],
    [
      'an agent and a status of 400 KB',
      contracts.calls.encode(
        call({ agent_id: megabyte.slice(0, 400_000), resolution_status: megabyte.slice(0, 400_000) }),
      ),
    ],
    ['a call about a message of 1 MB', contracts.calls.encode(call({ call_id: 'C-big', member_id: 'M-big' }))],
    ['a call about a code of 1 MB', contracts.calls.encode(call({ call_id: 'C-code', member_id: 'M-code' }))],
  ]),
  ...accepted('members', [
    ['a profile since the year 1', profileJson({ member_id: 'M-first', valid_from: '0001-01-01T00:00:00Z' })],
    ['a profile from the year 9999', profileJson({ member_id: 'M-last', valid_from: '9999-12-31T23:59:59.999Z' })],
    ['a profile sent in the year 9999', profileJson({ member_id: 'M-late', emitted_at: '9999-12-31T23:59:59.999Z' })],
    ['enrolled in the year 1', profileJson({ member_id: 'M-old', enrollment_date: '0001-01-01' })],
    ['a tenure at int32 max', profileJson({ member_id: 'M-tenure', tenure_months: 2 ** 31 - 1 })],
    ['a language of 1 MB', contracts.members.encode(profile({ member_id: 'M-speaks', language_preference: megabyte }))],
  ]),
  ...(
    [
      ['no key', null],
      ["another member's key", 'somebody else'],
      ['a key that is not UTF-8', Buffer.from([0xff, 0x00, 0xc3])],
      ['an empty key', Buffer.alloc(0)],
      ['the key of an abort marker', Buffer.alloc(4)],
      ['a key of 100 KB', Buffer.alloc(100_000, 'k')],
    ] as const
  ).map(([name, key]) => ({
    name,
    key,
    source: 'journeys' as const,
    value: contracts.journeys.encode(journey()),
    undecoded: null,
    reasons: null,
  })),
  ...(
    [
      ['headers that repeat', { a: ['1', '2', Buffer.from([0xff])] }, { a: ['1', '2', { base64: '/w==' }] }],
      [
        'headers that are not UTF-8',
        { a: Buffer.from([0xc3]), b: 'x\0' },
        { a: { base64: 'ww==' }, b: { base64: 'eAA=' } },
      ],
      [
        'headers with names of what objects inherit',
        JSON.parse('{"__proto__":"1","constructor":"2","toString":["3","4"]}'),
        JSON.parse('{"__proto__":"1","constructor":"2","toString":["3","4"]}'),
      ],
      ['a header without a name', { '': 'x' }, { '': 'x' }],
      [
        'a long header',
        { a: 'x'.repeat(100_000) },
        { a: { base64: Buffer.alloc(4096, 'x').toString('base64'), bytes: 100_000 } },
      ],
      ['1,000 headers', many, { ...Object.fromEntries(Object.entries(many).slice(0, 64)), '(left out)': 936 }],
      ['a source file that is not text', { source_file: Buffer.from([0xff]) }, { source_file: { base64: '/w==' } }],
    ] as [string, Record<string, Header>, unknown][]
  ).map(([name, headers, described]) => ({
    name,
    headers,
    described,
    source: 'calls' as const,
    value: contracts.calls.encode(call()),
    undecoded: null,
    reasons: null,
  })),
];

/** A failed step and the call about it ten minutes later: what must be joined whatever came before. */
export function goodPair(nr: number): {
  readonly journey: Buffer;
  readonly call: Buffer;
  readonly callId: string;
  readonly member: string;
} {
  const member = `M-good-${nr}`;
  const callId = `C-good-${String(nr).padStart(4, '0')}`;
  return {
    member,
    callId,
    journey: contracts.journeys.encode(journey({ member_id: member, session_id: `S-good-${nr}`, timestamp: AT })),
    call: contracts.calls.encode(call({ member_id: member, call_id: callId, call_timestamp: AT + 600_000 })),
  };
}
