import { readFileSync } from 'node:fs';
import type { OutgoingRecord } from '@leakage/kafka';
import { type CallLog, contracts, type DigitalJourneyEvent, topicName } from '@leakage/schemas';
import { call, eventually, journey, profile, type ServiceProcess } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyPipeline } from '../cli/src/verify.ts';
import { emptyPipeline, type Pipeline } from './support/pipeline.ts';

const NOW = Date.parse('2026-03-02T15:00:00Z');
const DAY = 86_400_000;
const MEMBERS = 40;
const member = (nr: number) => `M-${nr % MEMBERS}`;

/** 990 events and 10 of them again: 3 without member, 2 of an unknown journey, 1 in the future, 20 errors without code. */
function events(): DigitalJourneyEvent[] {
  const actions = ['login', 'page_view', 'error', 'abandon', 'complete'];
  const distinct = Array.from({ length: 990 }, (_, nr): DigitalJourneyEvent => {
    const timestamp = NOW + nr * 1_000;
    const action = actions[nr % actions.length] ?? '';
    const event = journey({
      event_id: `event-${nr}`,
      member_id: member(nr),
      session_id: `S-${member(nr)}`,
      timestamp,
      emitted_at: timestamp + 2_000,
      action,
      error_code: action === 'error' ? 'ERR_BILLING_TIMEOUT' : null,
    });
    if (nr < 3) return { ...event, member_id: null };
    if (nr < 5) return { ...event, journey_type: 'dental' };
    if (nr === 5) return { ...event, timestamp: timestamp + DAY };
    return nr < 26 ? { ...event, action: 'error', error_code: null } : event;
  });
  return [...distinct, ...distinct.slice(100, 110)];
}

describe('data quality through Kafka and Postgres', () => {
  let pipeline: Pipeline;
  let joiner: ServiceProcess;
  beforeAll(async () => {
    pipeline = await emptyPipeline();
    const [, silver] = await Promise.all([
      pipeline.start('bronze-sink'),
      pipeline.start('silver-joiner'),
      pipeline.start('gold-aggregator'),
    ]);
    joiner = silver;
  });
  afterAll(async () => await pipeline.stop());

  const journeys = (sent: readonly DigitalJourneyEvent[]): OutgoingRecord[] =>
    sent.map((event) => ({
      topic: topicName(pipeline.prefix, 'journeys'),
      key: event.member_id,
      value: contracts.journeys.encode(event),
    }));
  const calls = (sent: readonly CallLog[]): OutgoingRecord[] =>
    sent.map((event) => ({
      topic: topicName(pipeline.prefix, 'calls'),
      key: event.member_id,
      value: contracts.calls.encode(event),
    }));
  const profiles = (ids: readonly string[], fields: Parameters<typeof profile>[0] = {}): OutgoingRecord[] =>
    ids.map((id) => ({
      topic: topicName(pipeline.prefix, 'members'),
      key: id,
      value: contracts.members.encode(profile({ member_id: id, ...fields })),
    }));

  /** The metrics of silver-joiner by name and labels, once it has counted every record that it has applied. */
  async function metrics(): Promise<ReadonlyMap<string, number>> {
    const { rows } = await pipeline.pool.query<{ records: number }>(
      `select sum(next_offset - first_offset - holes)::float8 as records from ops.position where pipeline = 'silver_1'`,
    );
    return await eventually(
      async () => {
        const answer = await fetch(`http://127.0.0.1:${joiner.port}/metrics`);
        const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
        const found = new Map(
          lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]),
        );
        const records = [...found].filter(([name]) => name.startsWith('leakage_silver_records_total'));
        return records.reduce((sum, [, count]) => sum + count, 0) === rows[0]?.records ? found : null;
      },
      { what: 'counting every record' },
    );
  }

  /** Rule -> [checked, violations] of one source. */
  async function counts(source: string): Promise<Record<string, [number, number]>> {
    const found = await metrics();
    const of = (what: string, rule: string) =>
      found.get(`leakage_quality_${what}_total{source="${source}",rule="${rule}"}`);
    const rules = [...found.keys()].flatMap((name) => {
      const rule = /^leakage_quality_checked_total\{source="(\w+)",rule="(\w+)"\}$/.exec(name);
      return rule?.[1] === source && rule[2] !== undefined ? [rule[2]] : [];
    });
    return Object.fromEntries(rules.map((rule) => [rule, [of('checked', rule) ?? -1, of('violations', rule) ?? -1]]));
  }

  it('T-DQ: of 1,000 events 984 are valid, 6 quarantined, 10 duplicates, and 20 have a warning', async () => {
    await pipeline.feed(profiles(Array.from({ length: MEMBERS }, (_, nr) => member(nr))));
    await pipeline.feed(journeys(events()));

    const { rows: positions } = await pipeline.pool.query(
      `select sum(accepted)::int as accepted, sum(quarantined)::int as quarantined, sum(duplicates)::int as duplicates,
              sum(superseded + conflicts + holes)::int as others, sum(next_offset - first_offset)::int as records
         from ops.position where pipeline = 'silver_1' and topic = $1`,
      [topicName(pipeline.prefix, 'journeys')],
    );
    expect(positions).toEqual([{ accepted: 984, quarantined: 6, duplicates: 10, others: 0, records: 1_000 }]);
    const stored = await pipeline.pool.query(
      `select (select count(*) from bronze.digital_journeys_raw)::int as bronze,
              (select count(*) from silver.digital_journeys_cleaned)::int as silver,
              (select count(*) from silver.digital_journeys_cleaned where action = 'error' and error_code is null)::int as warned`,
    );
    expect(stored.rows).toEqual([{ bronze: 1_000, silver: 984, warned: 20 }]);
    const { rows: reasons } = await pipeline.pool.query(
      `select reasons, count(*)::int as records from silver.quarantine group by reasons order by reasons`,
    );
    expect(reasons).toEqual([
      { reasons: ['future'], records: 1 },
      { reasons: ['missing:member_id'], records: 3 },
      { reasons: ['unknown:journey_type'], records: 2 },
    ]);

    const query = /```sql\n(.*?)```/s.exec(readFileSync(new URL('../docs/quality.md', import.meta.url), 'utf8'))?.[1];
    const { rows: documented } = await pipeline.pool.query<{ source: string; reason: string; count: number }>(
      query ?? '',
    );
    expect(documented.map((row) => `${row.source} ${row.reason} ${row.count}`)).toEqual([
      'journeys missing:member_id 3',
      'journeys unknown:journey_type 2',
      'journeys future 1',
    ]);

    const errors = events()
      .slice(0, 990)
      .filter((event, nr) => nr > 5 && event.action === 'error');
    const decisive = events()
      .slice(0, 990)
      .filter(({ action }, nr) => nr > 5 && !['login', 'page_view'].includes(action ?? ''));
    // The duplicates are looked at, too: all of them are of the valid records.
    const errorsAgain = events()
      .slice(990)
      .filter((event) => event.action === 'error');
    expect(await counts('journeys')).toEqual({
      D1: [1_000, 3],
      D2: [1_000, 2],
      D3: [1_000, 1],
      D4: [errors.length + errorsAgain.length, 20],
      D5: [994, 10],
      C8: [decisive.length, 0],
      S3: [994, 0],
      S4: [1_000, 0],
      E1: [1_000, 0],
    });
    const found = await metrics();
    expect(found.get('leakage_silver_warnings_total{source="journeys",warning="D4:missing_error_code"}')).toBe(20);
    expect(found.get('leakage_silver_quarantined_total{source="journeys",reason="missing:member_id"}')).toBe(3);
    expect(found.get('leakage_quality_delay_seconds_bucket{le="1",source="journeys"}')).toBe(0);
    expect(found.get('leakage_quality_delay_seconds_bucket{le="5",source="journeys"}')).toBe(994);
    expect(found.get('leakage_quality_newest_emitted_timestamp_seconds{source="journeys"}')).toBe(NOW / 1000 + 991);
    expect(found.get('leakage_quality_watermark_timestamp_seconds{source="journeys"}')).toBe(NOW / 1000 + 989);
  });

  it('R1: the records add up, and the oracle says the same of what they became', async () => {
    const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
    expect(report.checks.filter((check) => check.differences > 0)).toEqual([]);
    expect(report.warnings).toContainEqual({
      rule: 'D4',
      name: 'errors without a code',
      count: 20,
      of: expect.any(Number),
    });
  });

  it('C6, P3: two contents of one revision count once, whichever of them came first', async () => {
    const version = (id: string, seconds: number) =>
      call({ call_id: id, member_id: member(1), call_timestamp: NOW, emitted_at: NOW, handle_time_seconds: seconds });
    await pipeline.feed(calls([version('lower first', 100), version('greater first', 200)]));
    await pipeline.feed(calls([version('lower first', 200), version('greater first', 100)]));
    expect(await counts('calls')).toMatchObject({ C6: [4, 2], C1: [4, 0], C7: [3, 0] });
    const found = await metrics();
    // The newcomer that won is the stored version now: its outcome is accepted.
    expect(found.get('leakage_silver_records_total{source="calls",outcome="conflicts"}')).toBe(1);
    await pipeline.feed(profiles([member(1), member(2)], { language_preference: 'Spanish' }));
    await pipeline.feed(profiles([member(2)], { language_preference: 'Other' }));
    expect((await counts('members')).P3).toEqual([MEMBERS + 3, 3]);
  });

  it('C7, C8: a member without a profile counts when accepted, and not again when the profile arrives', async () => {
    const before = { calls: await counts('calls'), journeys: await counts('journeys') };
    const plus = (pair: [number, number] | undefined, checked: number, unknown: number) => [
      (pair?.[0] ?? 0) + checked,
      (pair?.[1] ?? 0) + unknown,
    ];
    const stranger = { member_id: 'M-stranger', emitted_at: NOW + DAY };
    const event = (action: string, minute: number) =>
      journey({ ...stranger, action, timestamp: NOW + DAY - minute * 60_000, error_code: null });
    await pipeline.feed(journeys([event('page_view', 9), event('abandon', 8)]));
    await pipeline.feed(calls([call({ ...stranger, call_id: 'stranger', call_timestamp: NOW + DAY - 60_000 })]));
    const category = async () =>
      (await pipeline.pool.query(`select member_category from silver.digital_call_leakage where call_id = 'stranger'`))
        .rows;
    expect(await category()).toEqual([{ member_category: 'Unknown' }]);
    const unknown = { C7: plus(before.calls.C7, 1, 1), C8: plus(before.journeys.C8, 1, 1) };
    expect((await counts('calls')).C7).toEqual(unknown.C7);
    expect((await counts('journeys')).C8).toEqual(unknown.C8);

    await pipeline.feed(profiles(['M-stranger']));
    expect(await category()).toEqual([{ member_category: 'MAPD Tenured' }]);
    expect((await counts('calls')).C7).toEqual(unknown.C7);
    expect((await counts('journeys')).C8).toEqual(unknown.C8);
  });

  it('D6: a session of two members is told by verify, which does not fail for it', async () => {
    const shared = (id: string) =>
      journey({
        member_id: id,
        session_id: 'shared',
        action: 'page_view',
        error_code: null,
        emitted_at: NOW,
        timestamp: NOW,
      });
    await pipeline.feed(journeys([shared('M-1'), shared('M-2')]));
    const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
    expect(report.ok).toBe(true);
    const sessions = MEMBERS + 2;
    expect(report.warnings).toContainEqual({
      rule: 'D6',
      name: 'sessions used by more than one member',
      count: 1,
      of: sessions,
    });
  });
});
