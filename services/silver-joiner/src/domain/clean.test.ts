import { createHash } from 'node:crypto';
import { call, journey, profile } from '@leakage/testing';
import { describe, expect, it } from 'vitest';
import { type CleanContext, cleanCall, cleanJourney, cleanProfile, sentimentE4 } from './clean.ts';
import { compileAligner, DEFAULT_REASON_TABLE } from './reason-table.ts';

const context: CleanContext = {
  aligner: compileAligner(DEFAULT_REASON_TABLE),
  sha256: (text) => createHash('sha256').update(text).digest('hex'),
  horizon: null,
};
const NOW = Date.UTC(2026, 2, 2, 15);
const SECOND = 1000;
const DAY = 86_400 * SECOND;

function journeyReasons(fields: Parameters<typeof journey>[0], kafkaTimestamp = NOW, c = context) {
  const cleaned = cleanJourney(journey({ timestamp: NOW, ...fields }), kafkaTimestamp, c);
  return cleaned.ok ? [] : cleaned.reasons;
}

function journeyRow(fields: Parameters<typeof journey>[0]) {
  const known = { timestamp: NOW, emitted_at: NOW, error_code: 'ERR_BILLING_TIMEOUT' };
  const cleaned = cleanJourney(journey({ ...known, ...fields }), NOW, context);
  if (!cleaned.ok) throw new Error(cleaned.reasons.join());
  return cleaned;
}

function callRow(fields: Parameters<typeof call>[0]) {
  const cleaned = cleanCall(call({ call_timestamp: NOW, ...fields }), NOW, context);
  if (!cleaned.ok) throw new Error(cleaned.reasons.join());
  return cleaned;
}

describe('journey events are quarantined', () => {
  it.each([
    [{ member_id: null }, ['missing:member_id']],
    [{ member_id: '', session_id: null, action: ' ' }, ['missing:member_id', 'missing:session_id', 'missing:action']],
    [{ timestamp: null, emitted_at: NOW }, ['missing:timestamp']],
    [{ journey_type: 'dental' }, ['unknown:journey_type']],
    [{ action: 'swipe' }, ['unknown:action']],
    [{ event_id: 'é'.repeat(101) }, ['too_long:event_id']],
    [{ timestamp: NOW + 300 * SECOND + 1, emitted_at: NOW }, ['future']],
    [{ emitted_at: NOW + 300 * SECOND + 1 }, ['emitted_in_future']],
    [{ timestamp: Date.UTC(2000, 0, 1) - 1, emitted_at: NOW }, ['timestamp_range']],
    [{ timestamp: Date.UTC(2100, 0, 1), emitted_at: NOW }, ['timestamp_range', 'future']],
  ])('%j: %j', (fields, reasons) => {
    expect(journeyReasons(fields)).toEqual(reasons);
  });

  it('not on the edges of the limits', () => {
    expect(journeyReasons({ event_id: 'é'.repeat(100) })).toEqual([]);
    expect(journeyReasons({ timestamp: NOW + 300 * SECOND, emitted_at: NOW })).toEqual([]);
    expect(journeyReasons({ timestamp: Date.UTC(2000, 0, 1), emitted_at: NOW })).toEqual([]);
  });

  it('with the Kafka timestamp as now where emitted_at is absent', () => {
    expect(journeyReasons({ emitted_at: null }, NOW - 300 * SECOND - 1)).toEqual(['future']);
    expect(journeyReasons({ emitted_at: null }, NOW - 300 * SECOND)).toEqual([]);
  });

  it('before a retention horizon', () => {
    expect(journeyReasons({}, NOW, { ...context, horizon: NOW + 1 })).toEqual(['beyond_retention']);
    expect(journeyReasons({}, NOW, { ...context, horizon: NOW })).toEqual([]);
  });
});

describe('journey events are normalised', () => {
  it('to key forms, synonyms of devices and raised codes', () => {
    const { row, warnings } = journeyRow({
      journey_type: ' Billing',
      action: 'ERROR',
      device_type: 'Smartphone',
      error_code: ' err_billing_server ',
    });
    expect(row).toMatchObject({
      journey_type: 'billing',
      action: 'error',
      device_type: 'mobile',
      error_code: 'ERR_BILLING_SERVER',
    });
    expect(warnings).toEqual([]);
  });

  it('with a warning for an unknown device, none for an absent one', () => {
    expect(journeyRow({ device_type: 'fridge' })).toMatchObject({
      row: { device_type: 'other' },
      warnings: ['D2:device_type'],
    });
    expect(journeyRow({ device_type: null })).toMatchObject({ row: { device_type: null }, warnings: [] });
  });

  it('with a warning for a code that its journey is not known to give', () => {
    expect(journeyRow({ error_code: 'ERR_RX_NETWORK' }).warnings).toEqual(['D4:unknown_error_code']);
    expect(journeyRow({ error_code: 'err_rx_network', journey_type: 'pharmacy' }).warnings).toEqual([]);
  });

  it('with warnings for an error without code and for an old event', () => {
    const { warnings } = journeyRow({ error_code: ' ', timestamp: NOW - 30 * DAY - 1 });
    expect(warnings).toEqual(['D4:missing_error_code', 'D3:old', 'S3:late']);
  });

  it('with an id derived from what was normalised, where none was sent', () => {
    const { row } = journeyRow({ event_id: '', action: 'Error ', error_code: 'e1', member_id: 'M', session_id: 'S' });
    const parts = ['M', 'S', String(NOW), 'billing', 'error', 'E1'].join('\u001f');
    const hash = createHash('sha256').update(parts).digest('hex').slice(0, 32);
    expect(row.event_id).toBe(`${NOW.toString(16).padStart(12, '0')}-${hash}`);
  });
});

describe('calls', () => {
  it('without a member are quarantined as unidentified', () => {
    expect(cleanCall(call({ call_timestamp: NOW, member_id: null }), NOW, context)).toEqual({
      ok: false,
      reasons: ['unidentified'],
    });
    expect(cleanCall(call({ call_timestamp: NOW, member_id: '', call_id: null }), NOW, context)).toEqual({
      ok: false,
      reasons: ['missing:call_id', 'unidentified'],
    });
  });

  it.each([
    [1.05, 10_000, ['C3:clamped']],
    [-1.02, -10_000, ['C3:clamped']],
    [1.0500001, null, ['C3:sentiment_score']],
    [Number.NaN, null, ['C3:sentiment_score']],
    [Number.NEGATIVE_INFINITY, null, ['C3:sentiment_score']],
    [-1, -10_000, []],
    [null, null, []],
  ])('with sentiment %d keep %d', (score, stored, warnings) => {
    expect(callRow({ sentiment_score: score })).toMatchObject({ row: { sentiment_e4: stored }, warnings });
  });

  it.each([
    [0, 0, []],
    [14_400, 14_400, []],
    [14_401, null, ['C4:handle_time_seconds']],
    [-1, null, ['C4:handle_time_seconds']],
  ])('with handle time %d keep %d', (seconds, stored, warnings) => {
    expect(callRow({ handle_time_seconds: seconds })).toMatchObject({ row: { handle_time_seconds: stored }, warnings });
  });

  it('keep free text as sent and other statuses in key form', () => {
    const { row, warnings } = callRow({
      ivr_path: '',
      agent_id: ' A ',
      resolution_status: 'Called Back',
      call_reason: ' ',
    });
    expect(row).toMatchObject({ ivr_path: '', agent_id: ' A ', resolution_status: 'called_back', call_reason: null });
    expect(warnings).toEqual(['C5:call_reason']);
  });
});

describe('sentiment in ten-thousandths', () => {
  it('is rounded half away from zero on doubles, and never minus zero', () => {
    expect([0.00005, -0.00005, 0.00004999, 0.5, -0.65].map(sentimentE4)).toEqual([1, -1, 0, 5_000, -6_500]);
    expect(Object.is(sentimentE4(-0.00001), 0)).toBe(true);
    expect(Object.is(sentimentE4(-0), 0)).toBe(true);
  });
});

describe('profiles', () => {
  it.each([
    [{ plan_type: 'PPO' }, ['unknown:plan_type']],
    [{ plan_type: null, segment: '' }, ['missing:plan_type', 'missing:segment']],
    [{ tenure_months: -1 }, ['range:tenure_months']],
    [{ tenure_months: null, enrollment_date: null }, ['missing:tenure_months', 'missing:enrollment_date']],
    [{ enrollment_date: '2026-03-03', emitted_at: NOW }, ['future:enrollment_date']],
    [{ member_id: '' }, ['missing:member_id']],
  ])('are quarantined: %j: %j', (fields, reasons) => {
    expect(cleanProfile(profile(fields), NOW)).toEqual({ ok: false, reasons });
  });

  it('are stored in the spelling of the contract, valid since ever without an instant', () => {
    const cleaned = cleanProfile(profile({ plan_type: 'mapd ', segment: 'NEW', language_preference: 'french' }), NOW);
    expect(cleaned).toMatchObject({
      ok: true,
      row: { plan_type: 'MAPD', segment: 'new', language_preference: 'Other', valid_from: Number.NEGATIVE_INFINITY },
      warnings: ['P2:segment'],
    });
  });

  it('have no language better than Other when none was sent', () => {
    expect(cleanProfile(profile({ language_preference: null }), NOW)).toMatchObject({
      row: { language_preference: 'Other' },
    });
    expect(cleanProfile(profile({ language_preference: ' spanish' }), NOW)).toMatchObject({
      row: { language_preference: 'Spanish' },
    });
  });
});

describe('T-DQ', () => {
  it('1,000 events: 6 quarantined, 20 warned', () => {
    const events = Array.from({ length: 1_000 }, (_, i) => {
      if (i < 3) return journey({ timestamp: NOW, member_id: null });
      if (i < 5) return journey({ timestamp: NOW, journey_type: 'dental' });
      if (i === 5) return journey({ timestamp: NOW + DAY, emitted_at: NOW });
      return journey({ timestamp: NOW, error_code: i < 26 ? null : 'ERR_BILLING_TIMEOUT' });
    });
    const cleaned = events.map((event) => cleanJourney(event, NOW, context));
    expect(cleaned.filter((one) => !one.ok)).toHaveLength(6);
    expect(cleaned.filter((one) => one.ok && one.warnings.length > 0)).toHaveLength(20);
  });
});
