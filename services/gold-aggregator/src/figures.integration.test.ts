import { createPool, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { freshDatabase, type TestDatabase } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callFact, journeyFact, memberFact } from './testing/silver-writer.ts';
import { day, days, MONDAY_MORNING, TestGold } from './testing/test-gold.ts';

const log = createLogger({ service: 'test', level: 'error' });
let database: TestDatabase;
let pool: Pool;
let generations = 0;

beforeAll(async () => {
  database = await freshDatabase();
  pool = createPool({ url: database.url, applicationName: 'test', log });
});
afterAll(async () => {
  await pool.stop();
  await database.drop();
});

const newGold = () => TestGold.create(pool, { url: database.url, log, generation: ++generations });

describe('trend (T7)', () => {
  it('T-TR-1: 35,000 calls after 30,702 are +14.0 %', async () => {
    const gold = await newGold();
    await gold.countAnew(MONDAY_MORNING);
    await gold.callCells(4_386, days(-13, -7));
    await gold.callCells(5_000, days(-6, 0));
    expect(await gold.read(`select * from gold.daily_leakage_summary where leakage_type = 'billing'`)).toMatchObject([
      {
        summary_date: '2025-03-16',
        daily_calls: '5000.0',
        daily_cost: '40000.00',
        trend_pct: '13.9991',
        days: 7,
        all_calls: 35_000,
        status: 'provisional',
        as_of: Date.parse(MONDAY_MORNING),
      },
    ]);
    expect(await gold.read(`select trend_pct from gold.daily_leakage_history where leakage_type = 'billing'`)).toEqual([
      ...Array.from({ length: 13 }, () => ({ trend_pct: null })),
      { trend_pct: '13.9991' },
      { trend_pct: null },
    ]);
  });

  it('T-TR-2: of 14 calls after 8 no percentage is given, only the counts', async () => {
    const gold = await newGold();
    await gold.calls(8, [day(-13)]);
    await gold.calls(14, [day(0)]);
    await gold.countAnew(MONDAY_MORNING);
    expect(
      await gold.read(`select daily_calls, trend_pct from gold.daily_leakage_summary where leakage_type = 'billing'`),
    ).toEqual([{ daily_calls: '2.0', trend_pct: null }]);
    expect(
      await gold.read(
        `select daily_calls from gold.daily_leakage_history where leakage_type = 'billing' and daily_calls > 0 order by local_date`,
      ),
    ).toEqual([{ daily_calls: 8 }, { daily_calls: 14 }]);
  });

  it.each([
    { before: 30, now: 30, trend: '0.0000' },
    { before: 30, now: 29, trend: null },
    { before: 29, now: 60, trend: null },
    { before: 60, now: 30, trend: '-50.0000' },
  ])('from $before to $now calls: $trend', async ({ before, now, trend }) => {
    const gold = await newGold();
    await gold.calls(before, [day(-13)]);
    await gold.calls(now, [day(-6)]);
    await gold.countAnew(MONDAY_MORNING);
    expect(await gold.read(`select trend_pct from gold.daily_leakage_summary where leakage_type = 'billing'`)).toEqual([
      { trend_pct: trend },
    ]);
  });

  it('needs 14 complete days: one less gives none', async () => {
    const gold = await newGold();
    await gold.calls(40, days(-12, 0));
    await gold.countAnew(MONDAY_MORNING);
    expect(
      await gold.read(`select daily_calls, trend_pct from gold.daily_leakage_summary where leakage_type = 'billing'`),
    ).toEqual([{ daily_calls: '40.0', trend_pct: null }]);
  });

  it('T-TR-5: a step 14 days ago shows as 0 today, and as +100 % a week after it', async () => {
    const gold = await newGold();
    await gold.calls(10, days(-27, -14));
    await gold.calls(20, days(-13, 0));
    await gold.countAnew(MONDAY_MORNING);
    expect(await gold.read(`select trend_pct from gold.daily_leakage_summary where leakage_type = 'billing'`)).toEqual([
      { trend_pct: '0.0000' },
    ]);
    expect(
      await gold.read(
        `select trend_pct from gold.daily_leakage_history where leakage_type = 'billing' and local_date = '${day(-7)}'`,
      ),
    ).toEqual([{ trend_pct: '100.0000' }]);
  });
});

describe('savings', () => {
  it('T-SAV-1 and T-SAV-3: 140,000 calls in 28 days are 5,000 a day, $14.6 M a year, and $1.46, $3.65, $7.30 M at 10, 25, 50 %', async () => {
    const gold = await newGold();
    await gold.countAnew(MONDAY_MORNING);
    await gold.callCells(5_000, days(-27, 0));
    await gold.callCells(9_999, [day(-28), day(1)]);
    const [row] = await gold.read(`select * from gold.savings_model where leakage_type = 'billing'`);
    expect(row).toMatchObject({
      avoidable_calls_per_day: '5000.0',
      cost_per_call: '8.00',
      annualized_cost: '14600000.00',
      fix_rate_10_pct_savings: '1460000.00',
      fix_rate_25_pct_savings: '3650000.00',
      fix_rate_50_pct_savings: '7300000.00',
      estimated_nps_lift: null,
      annualized_cost_low: null,
      status: 'provisional',
    });
  });

  it('takes whole weeks once there is one, so that every weekday counts alike', async () => {
    const gold = await newGold();
    await gold.calls(10, days(-6, 0));
    await gold.calls(99, days(-9, -7));
    await gold.countAnew(MONDAY_MORNING);
    const calls = `select avoidable_calls_per_day from gold.savings_model where leakage_type = 'billing'`;
    expect(await gold.read(calls)).toEqual([{ avoidable_calls_per_day: '10.0' }]);
  });

  it('multiplies with what is stored, and gives no money when nothing is', async () => {
    const gold = await newGold();
    await gold.calls(3, [day(0)]);
    await gold.countAnew(MONDAY_MORNING);
    const query = `select daily_cost, (select annualized_cost from gold.savings_model where leakage_type = 'billing')
                     from gold.daily_leakage_summary where leakage_type = 'billing'`;
    await pool.query(`update ops.parameter set value = 8.01 where name = 'cost_per_call'`);
    expect(await gold.read(query)).toEqual([{ daily_cost: '24.03', annualized_cost: '8770.95' }]);
    await pool.query(`delete from ops.parameter`);
    expect(await gold.read(query)).toEqual([{ daily_cost: null, annualized_cost: null }]);
    const money = await gold.read(`select cost_per_call, fix_rate_10_pct_savings from gold.savings_model limit 1`);
    expect(money).toEqual([{ cost_per_call: null, fix_rate_10_pct_savings: null }]);
  });
});

describe('who is hurt', () => {
  it('T-SEG: the cohort with the greatest excess share, or Mixed', async () => {
    const gold = await newGold();
    const members = [
      ['MAPD New', 'English', 28],
      ['MAPD New', 'Spanish', 7],
      ['MAPD Tenured', 'English', 24],
      ['MAPD Tenured', 'Spanish', 6],
      ['Commercial', 'English', 28],
      ['Commercial', 'Spanish', 7],
    ] as const;
    const calls = { billing: [48, 12, 20, 4, 13, 3], id_card: [9, 26, 8, 22, 8, 27], pharmacy: [30, 7, 25, 6, 26, 6] };
    for (const [i, [member_category, language_preference, count]] of members.entries()) {
      const who = { member_category, language_preference };
      await gold.silver.many('member', count, memberFact({ ...who, member_id: `M${i}` }));
      for (const [leakage_type, counts] of Object.entries(calls))
        await gold.silver.many('call', counts[i] ?? 0, callFact({ ...who, leakage_type, local_date: day(0) }));
    }
    await gold.countAnew(MONDAY_MORNING);
    const expected = [
      { leakage_type: 'billing', segment: 'MAPD New' },
      { leakage_type: 'id_card', segment: 'Spanish' },
      { leakage_type: 'pharmacy', segment: 'Mixed' },
    ];
    const segments = 'select leakage_type, segment from';
    expect(await gold.read(`${segments} gold.daily_leakage_summary order by 1`)).toEqual(expected);
    expect(await gold.read(`${segments} gold.daily_leakage_history where local_date = '${day(0)}' order by 1`)).toEqual(
      expected,
    );
    expect(
      await gold.read(
        `select segment, calls, share_pct, member_share_pct from gold.segment_drilldown where leakage_type = 'billing' order by calls desc`,
      ),
    ).toEqual([
      { segment: 'MAPD New', calls: 60, share_pct: '60.0000', member_share_pct: '35.0000' },
      { segment: 'MAPD Tenured', calls: 24, share_pct: '24.0000', member_share_pct: '30.0000' },
      { segment: 'Commercial', calls: 16, share_pct: '16.0000', member_share_pct: '35.0000' },
    ]);
    expect(
      await gold.read(
        `select segment, share_pct, member_share_pct from gold.language_drilldown where leakage_type = 'id_card' order by calls desc`,
      ),
    ).toEqual([
      { segment: 'Spanish', share_pct: '75.0000', member_share_pct: '20.0000' },
      { segment: 'English', share_pct: '25.0000', member_share_pct: '80.0000' },
    ]);
  });

  it.each([
    { share: 'exactly 30 % with 30 points of excess', spanish: 3, english: 7, members: 0, segment: 'Spanish' },
    { share: 'less than 30 %', spanish: 29, english: 71, members: 0, segment: 'Mixed' },
    { share: 'exactly 15 points of excess', spanish: 45, english: 55, members: 3, segment: 'Spanish' },
    { share: 'less than 15 points of excess', spanish: 44, english: 56, members: 3, segment: 'Mixed' },
  ])('$share: $segment', async ({ spanish, english, members, segment }) => {
    const gold = await newGold();
    const category = { member_category: 'Commercial' };
    for (const [language_preference, calls, count] of [
      ['Spanish', spanish, members],
      ['English', english, 10 - members],
    ] as const) {
      await gold.silver.many(
        'member',
        count,
        memberFact({ ...category, language_preference, member_id: language_preference }),
      );
      await gold.calls(calls, [day(0)], { ...category, language_preference });
    }
    await gold.countAnew(MONDAY_MORNING);
    expect(await gold.read(`select segment from gold.daily_leakage_summary where leakage_type = 'billing'`)).toEqual([
      { segment },
    ]);
  });

  it('divides calls by calls and journeys by journeys, and gives null where there is nothing to divide by', async () => {
    const gold = await newGold();
    const spanish = { member_category: 'MAPD New', language_preference: 'Spanish' };
    const scored = { sentiment_e4: -6_500, handle_time_seconds: 1_000, is_repeat_call: true };
    await gold.calls(2, [day(0)], { ...spanish, ...scored });
    await gold.calls(1, [day(0)], { ...spanish, sentiment_e4: -6_499, handle_time_seconds: 1_001 });
    await gold.calls(1, [day(0)], spanish);
    await gold.calls(1, [day(0)]);
    const leaked = { leaked: true, leakage_calls: 1 };
    await gold.silver.many('journey', 3, journeyFact({ ...spanish, local_date: day(0), ...leaked }));
    await gold.silver.many('journey', 1, journeyFact({ ...spanish, local_date: day(0) }));
    await gold.silver.many('journey', 9, journeyFact({ ...spanish, local_date: day(0), outcome: 'completed' }));
    await gold.silver.many('journey', 4, journeyFact({ member_category: 'Commercial', local_date: day(0) }));
    await gold.silver.many('journey', 1, journeyFact({ member_category: 'Commercial', local_date: day(0), ...leaked }));
    await gold.countAnew(MONDAY_MORNING);
    const rows = await gold.read(
      `select * from gold.segment_drilldown where leakage_type = 'billing' order by segment`,
    );
    expect(rows).toMatchObject([
      {
        segment: 'Commercial',
        calls: 0,
        daily_calls: '0.0',
        repeat_call_pct: null,
        avg_sentiment: null,
        share_pct: '0.0000',
      },
      {
        segment: 'MAPD New',
        calls: 4,
        repeat_call_pct: '50.0000',
        avg_sentiment: '-0.6500',
        avg_handle_time_seconds: '1000.3',
      },
      {
        segment: 'Unknown',
        calls: 1,
        avg_handle_time_seconds: null,
        member_share_pct: null,
        leak_rate_pct: null,
        lift: null,
      },
    ]);
    // Leak rates of failures: 3 / 4 against 4 / 9 of the type.
    expect(rows.map(({ leak_rate_pct, lift }) => ({ leak_rate_pct, lift }))).toEqual([
      { leak_rate_pct: '20.0000', lift: '0.4500' },
      { leak_rate_pct: '75.0000', lift: '1.6875' },
      { leak_rate_pct: null, lift: null },
    ]);
    const [language] = await gold.read(
      `select segment from gold.language_drilldown where leakage_type = 'billing' and calls = 1`,
    );
    expect(language).toEqual({ segment: 'Unknown' });
  });
});
