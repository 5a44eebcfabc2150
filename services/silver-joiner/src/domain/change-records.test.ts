import { changes } from '@leakage/schemas';
import { expect, test } from 'vitest';
import { changeRecords, memberOf } from './change-records.ts';
import type { CallFact } from './types.ts';

const fact: CallFact = {
  call_id: 'C',
  member_id: 'M',
  shard: 4,
  call_timestamp: Date.UTC(2026, 2, 2, 15),
  call_reason: 'billing_question',
  issue_family: 'billing',
  attribution: 'leakage',
  is_repeat_call: false,
  is_primary: true,
  assisted_completion: false,
  leakage_type: 'billing',
  digital_session_id: 'S',
  digital_event_id: 'E',
  digital_timestamp: Date.UTC(2026, 2, 2, 14, 50),
  time_to_call_ms: 603_000,
  alignment_strength: 2,
  error_code: 'E1',
  error_message: null,
  device_type: 'mobile',
  member_category: 'Unknown',
  plan_type: null,
  segment: null,
  language_preference: null,
  sentiment_e4: -2_501,
  handle_time_seconds: 300,
  local_date: '2026-03-02',
  local_hour: 10,
};
const entry = (entries: readonly (readonly [string, unknown, unknown])[]) => {
  return { shard: 4, seq: 10, lastSeq: 9 + entries.length, loggedAt: 1_000, changes: entries };
};

test('of a row of the log the changes of calls, each under its own seq', () => {
  const moved = { ...fact, member_id: 'M-2' };
  const told = changeRecords(
    entry([
      ['journey', null, {}],
      ['call', null, fact],
      ['member', null, {}],
      ['call', moved, null],
    ]),
    3,
  );
  expect(told.map((one) => [one.generation, one.shard, one.seq, one.call_id, memberOf(one)])).toEqual([
    [3, 4, 11, 'C', 'M'],
    [3, 4, 13, 'C', 'M-2'],
  ]);
  expect(told.map(({ before, after }) => [before === null, after === null])).toEqual([
    [true, false],
    [false, true],
  ]);
});

test('a fact is told as the view shows it, and the schema can hold it', () => {
  const [told] = changeRecords(entry([['call', { ...fact, time_to_call_ms: null, sentiment_e4: null }, fact]]), 1);
  expect(told?.after).toMatchObject({
    leakage_id: 'C',
    is_leakage_call: true,
    time_to_call_minutes: 10.1,
    time_to_call_ms: 603_000,
    sentiment_score: -0.2501,
    local_date: '2026-03-02',
    processing_timestamp: 1_000,
  });
  expect(told?.before).toMatchObject({ time_to_call_minutes: null, sentiment_score: null });
  if (told === undefined) throw new Error('nothing was told');
  expect(changes.decode(changes.encode(told))).toMatchObject({ ok: true, event: told });
});

test('a row that does not hold what its numbers say is not told', () => {
  expect(() => changeRecords({ ...entry([['call', null, fact]]), lastSeq: 11 }, 1)).toThrow('shard 4, seq 10');
});
