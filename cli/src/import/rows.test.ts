import { contracts, type Source } from '@leakage/schemas';
import { describe, expect, test } from 'vitest';
import { LocalTime } from './local-time.ts';
import { RowEncoder } from './rows.ts';

const newYork = new LocalTime('America/New_York');
const encoder = (source: Source): RowEncoder => new RowEncoder(source, { localTime: newYork, encoders: contracts });
const columnsOf = (source: Source): string[] => contracts[source].fields.map(({ name }) => name);

/** Columns and cells of a row given by name. */
function csv(source: Source, row: Record<string, string>) {
  const result = encoder(source).fromCells(Object.keys(row), Object.values(row));
  return { ...result, decoded: contracts[source].decode(result.value) };
}

describe('a row of the original', () => {
  const row = {
    member_id: 'M-104382',
    session_id: 'SES-B-17',
    timestamp: '2026-01-15 09:30:00',
    journey_type: 'billing',
    action: 'error',
    device_type: 'mobile',
    error_code: 'ERR_BILLING_GENERAL',
    error_message: '',
  };

  test('needs no id, revision or emitted_at: local time, and the event time as the time of sending', () => {
    const { key, asJson, decoded } = csv('journeys', row);
    const at = Date.parse('2026-01-15T14:30:00Z');
    expect([key, asJson, decoded.schemaId]).toEqual(['M-104382', false, 5]);
    expect(decoded).toMatchObject({
      ok: true,
      event: {
        event_id: null,
        timestamp: at,
        emitted_at: at,
        error_message: null,
        revision: 0,
        deleted: false,
        app_version: null,
      },
    });
  });

  test('may have the column that came with version 2', () => {
    const { asJson, decoded } = csv('journeys', { ...row, app_version: '7.14.2' });
    expect([asJson, decoded]).toEqual([
      false,
      expect.objectContaining({ ok: true, event: expect.objectContaining({ app_version: '7.14.2' }) }),
    ]);
  });

  test('identical rows are identical records', () => {
    expect(csv('journeys', row).value).toEqual(csv('journeys', row).value);
  });
});

test('numbers, booleans, dates and instants as tables write them', () => {
  const call = {
    call_id: 'C',
    call_timestamp: '1768487400000',
    handle_time_seconds: '1080.0',
    sentiment_score: ' -.65',
    revision: '1',
    deleted: 'True',
    emitted_at: '2026-01-15T09:45:00-05:00',
  };
  expect(csv('calls', call).decoded).toMatchObject({
    ok: true,
    event: {
      call_timestamp: 1_768_487_400_000,
      handle_time_seconds: 1080,
      sentiment_score: -0.65,
      revision: 1,
      deleted: true,
      emitted_at: Date.parse('2026-01-15T14:45:00Z'),
    },
  });
  const profile = { member_id: 'M', tenure_months: '12', enrollment_date: '2025-01-15 00:00:00' };
  expect(csv('members', profile).decoded).toMatchObject({
    ok: true,
    event: { tenure_months: 12, enrollment_date: '2025-01-15', valid_from: null, emitted_at: null },
  });
});

test.each<[Source, Record<string, string>, string]>([
  ['journeys', { member_id: 'M', timestamp: 'yesterday' }, 'type:timestamp'],
  ['journeys', { member_id: 'M', timestamp: '2026-02-30 10:00:00' }, 'type:timestamp'],
  ['journeys', { member_id: 'M', revision: 'first' }, 'type:revision'],
  ['members', { member_id: 'M', tenure_months: '12.5' }, 'type:tenure_months'],
  ['members', { member_id: 'M', enrollment_date: '15/01/2025' }, 'type:enrollment_date'],
  ['journeys', { member_id: 'M', session_id: 'a\0b' }, 'nul:session_id'],
])('what Avro cannot hold goes as it is, and silver says why: %s %j', (source, row, error) => {
  const { asJson, value, decoded } = csv(source, row);
  expect([asJson, decoded]).toEqual([true, expect.objectContaining({ ok: false, error })]);
  for (const text of Object.values(row)) expect(Object.values(JSON.parse(value.toString()) as object)).toContain(text);
});

test('a wrong sentiment or handle time is sent as it is: silver empties it and keeps the call', () => {
  const { asJson, decoded } = csv('calls', { call_id: 'C', sentiment_score: 'angry', handle_time_seconds: '-' });
  expect([asJson, decoded]).toEqual([
    true,
    expect.objectContaining({ ok: true, emptied: ['handle_time_seconds', 'sentiment_score'] }),
  ]);
});

test('JSON rows: types count, instants may be local, unknown fields do not matter', () => {
  const rows = encoder('calls');
  const good = rows.fromObject({ call_id: 'C', member_id: 'M', call_timestamp: '2026-01-15 09:30', note: { a: 1 } });
  expect(good.asJson).toBe(false);
  expect(contracts.calls.decode(good.value)).toMatchObject({
    ok: true,
    event: { call_timestamp: Date.parse('2026-01-15T14:30:00Z'), emitted_at: Date.parse('2026-01-15T14:30:00Z') },
  });
  const bad = rows.fromObject({ call_id: 7, member_id: 8 });
  expect([bad.key, bad.asJson]).toEqual([null, true]);
  expect(contracts.calls.decode(bad.value)).toMatchObject({ ok: false, error: 'type:call_id' });
});

test('every column of the contracts is known', () => {
  expect(columnsOf('members').every((column) => encoder('members').knows(column))).toBe(true);
  expect(encoder('members').knows('deleted')).toBe(false);
});
