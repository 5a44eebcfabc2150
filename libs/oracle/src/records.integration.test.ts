import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createWorld, type Delivered, type World } from './testing/world.ts';

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

const at = '2026-03-02T15:00:00Z';
const event = {
  event_id: 'e',
  member_id: 'M',
  session_id: 'S',
  timestamp: at,
  journey_type: 'billing',
  action: 'error',
  emitted_at: at,
};
const call = { call_id: 'c', member_id: 'M', call_timestamp: at, emitted_at: at };
const profile = {
  member_id: 'M',
  plan_type: 'MAPD',
  segment: 'new',
  tenure_months: 3,
  enrollment_date: '2026-01-01',
  emitted_at: at,
};
const defaults = { journeys: event, calls: call, members: profile };

type Case = [says: string, source: keyof typeof defaults, fields: Record<string, unknown>, reasons: string[] | null];
const cases: Case[] = [
  ['a complete event', 'journeys', {}, null],
  ['an empty id is missing', 'journeys', { member_id: '' }, ['invalid']],
  ['no session', 'journeys', { session_id: null }, ['invalid']],
  ['no timestamp', 'journeys', { timestamp: null }, ['invalid']],
  ['an action that nobody knows', 'journeys', { action: 'smile' }, ['invalid']],
  ['a journey type that is not configured', 'journeys', { journey_type: 'dental' }, ['invalid']],
  ['a type that is only white space', 'journeys', { journey_type: ' \t\n' }, ['invalid']],
  ['an id of 200 bytes', 'journeys', { session_id: 'é'.repeat(100) }, null],
  ['an id of 201 bytes', 'journeys', { session_id: `${'é'.repeat(100)}x` }, ['invalid']],
  ['without event id', 'journeys', { event_id: null }, null],
  ['the first millisecond of 2000', 'journeys', { timestamp: '2000-01-01T00:00:00Z' }, null],
  ['before 2000', 'journeys', { timestamp: '1999-12-31T23:59:59.999Z' }, ['timestamp_range']],
  ['5 minutes after it was sent', 'journeys', { timestamp: '2026-03-02T15:05:00Z' }, null],
  ['a millisecond more', 'journeys', { timestamp: '2026-03-02T15:05:00.001Z' }, ['future']],
  ['2100', 'journeys', { timestamp: '2100-01-01T00:00:00Z' }, ['timestamp_range', 'future']],
  ['sent 5 minutes after it was received', 'journeys', { timestamp: at, emitted_at: '2026-03-02T15:05:00Z' }, null],
  [
    'sent later than that',
    'journeys',
    { timestamp: at, emitted_at: '2026-03-02T15:05:00.001Z' },
    ['emitted_in_future'],
  ],
  [
    'no emitted_at: the Kafka timestamp is now',
    'journeys',
    { emitted_at: null, timestamp: '2026-03-02T15:05:00.001Z' },
    ['future'],
  ],
  ['a call without member', 'calls', { member_id: null }, ['unidentified']],
  ['a call without member and id', 'calls', { member_id: '', call_id: '' }, ['unidentified', 'invalid']],
  ['a call in the future', 'calls', { call_timestamp: '2026-03-02T16:00:00Z' }, ['future']],
  ['a call without anything optional', 'calls', {}, null],
  ['a profile', 'members', {}, null],
  ['a profile in another spelling', 'members', { plan_type: ' mapd ', segment: 'NEW' }, null],
  ['an unknown plan', 'members', { plan_type: 'PPO' }, ['invalid']],
  ['an unknown segment', 'members', { segment: 'old' }, ['invalid']],
  ['negative tenure', 'members', { tenure_months: -1 }, ['invalid']],
  ['enrolled on the day it was sent', 'members', { enrollment_date: '2026-03-02' }, null],
  ['enrolled tomorrow', 'members', { enrollment_date: '2026-03-03' }, ['invalid']],
  ['valid from some day in the future', 'members', { valid_from: '2030-01-01T00:00:00Z' }, null],
];

describe('which records can be used', () => {
  let found: Map<string, string[]>;
  beforeAll(async () => {
    await world.reset();
    await world.deliver(
      cases.map(([, source, fields], partition) => ({
        source,
        partition,
        event: { ...defaults[source], ...fields },
        kafkaTimestamp: at,
      })),
    );
    const rows = await world.facts<{ partition: number; reasons: string[] }>(
      'select kafka_partition as partition, reasons from oracle_quarantine',
    );
    found = new Map(rows.map((row) => [String(row.partition), row.reasons]));
  });

  test.each(cases.map((one, partition) => [...one, partition] as const))(
    '%s: %s %j',
    (_says, _source, _fields, reasons, i) => {
      expect(found.get(String(i)) ?? null).toEqual(reasons);
    },
  );
});

describe('what is stored', () => {
  beforeEach(() => world.reset());

  test('what does not decode is quarantined with the reason of the decoder', async () => {
    await world.deliver([{ source: 'calls', event: call, decodeError: 'trailing_bytes' }]);
    expect(await world.facts('select reasons, unidentified_call from oracle_quarantine')).toEqual([
      { reasons: ['trailing_bytes'], unidentified_call: null },
    ]);
  });

  test('a journey event is stored in key form, with its device, its code and its texts as sent', async () => {
    const sent = { journey_type: ' Billing\v', action: 'ERROR', error_code: ' err_1\f', error_message: ' As Sent ' };
    const devices = ['Phone', ' iPad ', 'PC', 'smart watch', '', null];
    await world.deliver(
      devices.map((device_type, i) => ({
        source: 'journeys',
        event: { ...event, ...sent, event_id: `${i}`, device_type },
      })),
    );
    const rows = await world.facts(
      'select journey_type, action, error_code, error_message, device_type from oracle_journey order by identity',
    );
    const stored = { journey_type: 'billing', action: 'error', error_code: 'ERR_1', error_message: ' As Sent ' };
    expect(rows).toEqual(
      ['mobile', 'tablet', 'desktop', 'other', null, null].map((device_type) => ({ ...stored, device_type })),
    );
  });

  test('key form lowers and trims ASCII only', async () => {
    const reasons = ['Claims Status', 'ÉTÉ', '\u00a0x', 'a\tb', 'x  y', ''];
    await world.deliver(
      reasons.map((call_reason, i) => ({ source: 'calls', event: { ...call, call_id: `${i}`, call_reason } })),
    );
    const rows = await world.facts<{ call_reason: string }>('select call_reason from oracle_call order by identity');
    expect(rows.map((row) => row.call_reason)).toEqual(['claims_status', 'ÉtÉ', '\u00a0x', 'a\tb', 'x__y', null]);
  });

  test('sentiment is an integer of ten-thousandths, clamped a little outside, emptied further outside', async () => {
    const scores = [0.00005, -0.00005, 0.00004, 1, -1, 1.05, -1.05, 1.0500001, 0.1 + 0.2, null];
    await world.deliver(
      scores.map((sentiment_score, i) => ({ source: 'calls', event: { ...call, call_id: `${i}`, sentiment_score } })),
    );
    const rows = await world.facts<{ e4: number }>('select sentiment_e4 as e4 from oracle_call order by identity');
    expect(rows.map((row) => row.e4)).toEqual([1, -1, 0, 10000, -10000, 10000, -10000, null, 3000, null]);
  });

  test('handle time outside 0 to 14,400 seconds is emptied', async () => {
    const times = [0, 14_400, 14_401, -1];
    await world.deliver(
      times.map((handle_time_seconds, i) => ({
        source: 'calls',
        event: { ...call, call_id: `${i}`, handle_time_seconds },
      })),
    );
    const rows = await world.facts<{ t: number }>('select handle_time_seconds as t from oracle_call order by identity');
    expect(rows.map((row) => row.t)).toEqual([0, 14_400, null, null]);
  });

  test('an event without id is identified by time and content, the same every time it is sent', async () => {
    const unnamed = { ...event, event_id: null, error_code: null };
    await world.deliver([
      { source: 'journeys', event: unnamed },
      {
        source: 'journeys',
        event: { ...unnamed, event_id: '', action: ' Error ', emitted_at: '2026-03-02T18:00:00Z' },
      },
    ]);
    // Computed by hand: sha256 of M, S, 1772463600000, billing, error and '' joined by U+001F.
    expect(await world.facts('select identity from oracle_journey')).toEqual([
      { identity: '019caf103180-9f7a0b2ee4a9ea4f753eeccfcd334d2a' },
    ]);
  });
});

describe('which record is the truth', () => {
  beforeEach(() => world.reset());

  const sent = (fields: Record<string, unknown>): Delivered => ({ source: 'calls', event: { ...call, ...fields } });
  const stored = () => world.facts('select revision, agent_id, deleted from oracle_call');
  const conflicts = () =>
    world.facts<{ agent: string }>('select content[6] as agent from oracle_call_conflict order by content');

  test('the highest revision, whenever it came', async () => {
    await world.deliver([
      sent({ revision: 2, agent_id: 'a' }),
      sent({ revision: 0, agent_id: 'z' }),
      sent({ revision: 1 }),
    ]);
    expect(await stored()).toEqual([{ revision: 2, agent_id: 'a', deleted: false }]);
    expect(await conflicts()).toEqual([]);
  });

  test('at equal revisions the greatest content by bytes, null greatest; both are a conflict', async () => {
    // U+1F600 is greater than U+FFFD as UTF-8 bytes, and less as UTF-16.
    await world.deliver([sent({ agent_id: 'a' }), sent({ agent_id: '\u{1F600}' }), sent({ agent_id: '\uFFFD' })]);
    expect(await stored()).toEqual([{ revision: 0, agent_id: '\u{1F600}', deleted: false }]);
    await world.deliver([sent({ agent_id: null })]);
    expect(await stored()).toEqual([{ revision: 0, agent_id: null, deleted: false }]);
    expect((await conflicts()).map((row) => row.agent)).toEqual(['a', '\uFFFD', '\u{1F600}', null]);
  });

  test('a copy that was sent again later is a duplicate', async () => {
    await world.deliver([sent({}), sent({ emitted_at: '2026-03-02T18:00:00Z' }), sent({ sentiment_score: 1.7 })]);
    expect(await conflicts()).toEqual([]);
  });

  test('a conflict below a higher revision is none', async () => {
    await world.deliver([sent({ agent_id: 'a' }), sent({ agent_id: 'b' }), sent({ revision: 1, agent_id: 'c' })]);
    expect(await conflicts()).toEqual([]);
  });

  test('a correction without a member is quarantined, and the stored version stands', async () => {
    await world.deliver([sent({ agent_id: 'a' }), sent({ revision: 1, member_id: null, agent_id: 'b' })]);
    expect(await stored()).toEqual([{ revision: 0, agent_id: 'a', deleted: false }]);
  });

  test('a withdrawn call is no fact any more', async () => {
    await world.deliver([sent({}), sent({ revision: 1, deleted: true })]);
    expect(await stored()).toEqual([{ revision: 1, agent_id: null, deleted: true }]);
    expect(await world.facts('select * from oracle_call_fact')).toEqual([]);
  });
});

test('shards are those of the Kafka clients', async () => {
  await world.reset();
  // murmur2 of these strings, from the tests of Apache Kafka's own Utils.
  const known: Record<string, number> = {
    '21': -973932308,
    foobar: -790332482,
    'a-little-bit-long-string': -985981536,
    'a-little-bit-longer-string': -1486304829,
    lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8: -58897971,
    abc: 479470107,
  };
  await world.deliver(
    Object.keys(known).map((member_id) => ({ source: 'calls', event: { ...call, call_id: member_id, member_id } })),
  );
  const rows = await world.facts<{ member_id: string; shard: number }>('select member_id, shard from oracle_member');
  expect(Object.fromEntries(rows.map((row) => [row.member_id, row.shard]))).toEqual(
    Object.fromEntries(Object.entries(known).map(([member, hash]) => [member, (hash & 0x7fffffff) % 12])),
  );
});

test('only what silver has read is looked at', async () => {
  await world.reset();
  await world.deliver([
    { source: 'calls', event: call },
    { source: 'calls', event: { ...call, call_id: 'later' } },
  ]);
  await world.run(`update ops.position set next_offset = 1, accepted = 1 where pipeline = 'silver_1'`);
  expect(await world.facts('select call_id from oracle_call')).toEqual([{ call_id: 'c' }]);
});
