import { readFileSync } from 'node:fs';
import { createPool, type Pool, publishViews } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { freshDatabase, type TestDatabase } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callFact, journeyFact, memberFact, type Row } from './testing/silver-writer.ts';
import { day, days, MONDAY_MORNING, TestGold } from './testing/test-gold.ts';
import { World } from './testing/world.ts';

const log = createLogger({ service: 'test', level: 'error' });
let database: TestDatabase;
let pool: Pool;
let generations = 0;
/** Generation 1: the active one, which the stable schema shows. */
let shown: TestGold;

beforeAll(async () => {
  database = await freshDatabase();
  pool = createPool({ url: database.url, applicationName: 'test', log });
  shown = await newGold();
  await publishViews(pool, 'gold', 1);
});
afterAll(async () => {
  await pool.stop();
  await database.drop();
});

const newGold = () => TestGold.create(pool, { url: database.url, log, generation: ++generations });

describe('T-ATT', () => {
  const vectors: unknown = JSON.parse(
    readFileSync(new URL('../../../tests/fixtures/leakage-vectors.json', import.meta.url), 'utf8'),
  );
  const { facts, journeys } = expectedOf(vectors);

  it('gives the totals of the vector, $80, as the running day', async () => {
    const gold = await newGold();
    const plain = { leakage_type: null, is_primary: false, attribution: 'none' };
    await gold.silver.write([
      ...facts.map((fact) => {
        // The fixture leaves out what is null, and gives a column of the view.
        const { time_to_call_minutes: _, ...columns } = { ...callFact(plain), ...fact };
        return { kind: 'call' as const, shard: 1, before: null, after: columns };
      }),
      ...journeys.map((fact) => ({
        kind: 'journey' as const,
        shard: 1,
        before: null,
        after: { ...journeyFact({ device_type: null }), ...fact },
      })),
    ]);
    await gold.countAnew('2025-03-11T21:00:00Z');
    expect(
      await gold.read(`select leakage_type, summary_date, daily_calls, daily_cost, days, leaked_members, failed_journeys, all_calls, repeat_calls, trend_pct, segment, status
           from gold.daily_leakage_summary order by leakage_type`),
    ).toEqual(
      [
        {
          leakage_type: 'billing',
          daily_calls: '8.0',
          daily_cost: '64.00',
          leaked_members: 7,
          failed_journeys: 11,
          repeat_calls: 1,
        },
        {
          leakage_type: 'id_card',
          daily_calls: '1.0',
          daily_cost: '8.00',
          leaked_members: 1,
          failed_journeys: 2,
          repeat_calls: 0,
        },
        {
          leakage_type: 'pharmacy',
          daily_calls: '1.0',
          daily_cost: '8.00',
          leaked_members: 1,
          failed_journeys: 3,
          repeat_calls: 0,
        },
      ].map((row) => ({
        ...row,
        summary_date: '2025-03-11',
        days: 1,
        all_calls: 17,
        trend_pct: null,
        segment: null,
        status: 'partial',
      })),
    );
    expect(
      await gold.read(`select sum(daily_calls) as calls, sum(daily_cost) as cost, sum(leaked_journeys)::int as leaked, sum(failed_journeys)::int as failed,
                sum(decided_journeys)::int as decided from gold.daily_leakage_summary`),
    ).toEqual([{ calls: '10.0', cost: '80.00', leaked: 9, failed: 16, decided: 18 }]);
    expect(
      await gold.read(`select error_code, device_type, error_message, leakage_count, leakage_pct, status from gold.root_cause_analysis
          where leakage_type = 'billing' and error_code = 'ERR_BILLING_ELIGIBILITY'`),
    ).toMatchObject([
      { device_type: 'mobile', error_message: 'message of ERR_BILLING_ELIGIBILITY', status: 'partial' },
    ]);
    expect(
      await gold.read(
        `select sum(leakage_count)::int as calls, sum(failed_journeys)::int as failed, sum(leakage_pct)::int as pct from gold.root_cause_analysis`,
      ),
    ).toEqual([{ calls: 10, failed: 16, pct: 300 }]);
  });
});

function expectedOf(vectors: unknown): { facts: Row[]; journeys: Row[] } {
  type Vectors = { vectors: Record<string, { steps: { expect: { facts: Row[]; journeys: Row[] } }[] }> };
  const step = (vectors as Vectors).vectors['T-ATT']?.steps.at(-1);
  if (step === undefined) throw new Error('the fixture has no T-ATT');
  return step.expect;
}

describe('the watermark decides which days are over', () => {
  it('a day is final 48 hours after its end on both watermarks, on the local clock', async () => {
    const gold = await newGold();
    // 2025-03-09 has 23 hours in New York: it ends on the 10th at 04:00 UTC.
    await gold.calls(1, ['2025-03-09']);
    const statusAt = async (wmDigital: string, wmCalls: string) => {
      await pool.query(`update ops.shard set wm_digital = null, wm_calls = null`);
      await gold.silver.write([], { wmDigital, wmCalls });
      await gold.countAnew();
      const rows = await gold.read(
        `select status from gold.daily_leakage_history where leakage_type = 'billing' and local_date = '2025-03-09'`,
      );
      return rows[0]?.status;
    };
    const later = '2025-03-20T00:00:00Z';
    expect(await statusAt('2025-03-10T03:59:59.999Z', later)).toBe('partial');
    expect(await statusAt(later, '2025-03-10T04:00:00Z')).toBe('provisional');
    expect(await statusAt('2025-03-12T03:59:59.999Z', later)).toBe('provisional');
    expect(await statusAt(later, '2025-03-12T04:00:00Z')).toBe('final');
  });

  it('before both sources were heard there is no period, and no day is over', async () => {
    const gold = await newGold();
    await gold.silver.many('journey', 5, journeyFact({ local_date: day(0) }));
    await gold.silver.write([], { wmDigital: MONDAY_MORNING });
    await gold.countAnew();
    expect(await gold.read('select * from gold.daily_leakage_summary')).toEqual([]);
    expect(await gold.read('select * from gold.savings_model')).toEqual([]);
    expect(
      await gold.read(
        `select failed_journeys, status, as_of from gold.daily_leakage_history where leakage_type = 'billing'`,
      ),
    ).toEqual([{ failed_journeys: 5, status: 'partial', as_of: null }]);
  });

  it('takes days without a call into the mean, and no days before the first', async () => {
    const gold = await newGold();
    await gold.calls(30, [day(-3)]);
    await gold.countAnew(MONDAY_MORNING);
    expect(
      await gold.read(
        `select leakage_type, daily_calls, daily_cost, days from gold.daily_leakage_summary order by daily_calls desc, leakage_type`,
      ),
    ).toEqual([
      { leakage_type: 'billing', daily_calls: '7.5', daily_cost: '60.00', days: 4 },
      { leakage_type: 'id_card', daily_calls: '0.0', daily_cost: '0.00', days: 4 },
      { leakage_type: 'pharmacy', daily_calls: '0.0', daily_cost: '0.00', days: 4 },
    ]);
    expect(await gold.read(`select count(*)::int as rows from gold.daily_leakage_history`)).toEqual([{ rows: 15 }]);
  });

  it('a gold that stands still does not call days complete that it has not folded', async () => {
    const gold = await newGold();
    await gold.calls(5, [day(-1)]);
    await gold.countAnew(MONDAY_MORNING);
    const asOf = 'select distinct as_of from gold.daily_leakage_summary';
    // Only page views: nothing to fold, so what silver has heard is in gold too.
    await gold.silver.hear('2025-03-17T13:00:00Z');
    expect(await gold.read(asOf)).toEqual([{ as_of: Date.parse('2025-03-17T13:00:00Z') }]);
    const call = callFact({ call_id: 'late', local_date: day(0) });
    await gold.silver.write([{ kind: 'call', shard: 0, before: null, after: call }], {
      wmDigital: '2025-03-25T12:00:00Z',
      wmCalls: '2025-03-25T12:00:00Z',
    });
    expect(await gold.read(asOf)).toEqual([{ as_of: Date.parse(MONDAY_MORNING) }]);
    expect(await gold.fold()).toBe('folded');
    expect(await gold.read(asOf)).toEqual([{ as_of: Date.parse('2025-03-25T12:00:00Z') }]);
  });
});

describe('law 7: every view total equals its parts', () => {
  it('over a world of random facts', async () => {
    const gold = await newGold();
    const world = new World(42);
    for (let i = 0; i < 6; i++) await gold.silver.write(world.batch(100));
    await gold.countAnew('2025-03-12T12:00:00Z');
    const [leakage] = await gold.read(
      `select count(*)::int as calls, count(*) filter (where is_repeat_call)::int as repeats from ${gold.silver.silver}.call_fact where attribution = 'leakage'`,
    );
    const [journeys] =
      await gold.read(`select count(*)::int as decided, count(*) filter (where outcome <> 'completed' or leaked)::int as failed,
              count(*) filter (where leaked)::int as leaked from ${gold.silver.silver}.journey_outcome`);
    expect(
      await gold.read(
        `select sum(daily_calls)::int as calls, sum(repeat_calls)::int as repeats from gold.daily_leakage_history`,
      ),
    ).toEqual([leakage]);
    for (const view of ['segment_drilldown', 'language_drilldown'])
      expect(await gold.read(`select sum(calls)::int as calls from gold.${view}`)).toEqual([{ calls: leakage?.calls }]);
    expect(
      await gold.read(`select sum(decided_journeys)::int as decided, sum(failed_journeys)::int as failed, sum(leaked_journeys)::int as leaked
           from gold.daily_leakage_history`),
    ).toEqual([journeys]);
    expect(
      await gold.read(
        `select sum(leakage_count)::int as calls, sum(failed_journeys)::int as failed from gold.root_cause_analysis`,
      ),
    ).toEqual([{ calls: leakage?.calls, failed: journeys?.failed }]);
    expect(
      await gold.read(`select a.leaked_members = b.members as same from gold.daily_leakage_history a
           join (select local_date, leakage_type, count(distinct member_id) as members
                   from ${gold.silver.silver}.call_fact where attribution = 'leakage' group by 1, 2) b using (local_date, leakage_type)`),
    ).toEqual([{ same: true }, { same: true }]);
  });
});

describe('playback and follow-ups', () => {
  it('journey_timeline shows the stored records of a member in order, withdrawn ones not', async () => {
    const gold = await newGold();
    const at = '2025-03-11T14:00:00Z';
    const event = (event_id: string, action: string, timestamp: string, deleted = false) => `
      insert into ${gold.silver.silver}.journey_event (event_id, event_day, member_id, session_id, "timestamp", journey_type, action,
             error_code, revision, deleted, emitted_at, shard, ingestion_timestamp, source_topic, source_partition, source_offset)
      values ('${event_id}', 0, 'M', 'S', '${timestamp}', 'billing', '${action}', ${action === 'error' ? `'E1'` : 'null'}, 0, ${deleted},
             '${timestamp}', 0, now(), 't', 0, 0)`;
    await pool.query(event('e4', 'abandon', at));
    await pool.query(event('e3', 'error', at));
    await pool.query(event('e1', 'login', '2025-03-11T13:59:00Z'));
    await pool.query(event('e9', 'complete', '2025-03-11T13:59:30Z', true));
    await pool.query(
      `insert into ${gold.silver.silver}.call (call_id, member_id, call_timestamp, ivr_path, call_reason, sentiment_e4, revision, deleted,
              emitted_at, shard, ingestion_timestamp, source_topic, source_partition, source_offset)
       values ('C', 'M', $1, 'main > billing', 'billing_question', -6500, 0, false, $1, 0, now(), 't', 0, 0)`,
      [at],
    );
    await gold.silver.write([
      { kind: 'call', shard: 0, before: null, after: callFact({ call_id: 'C', digital_event_id: 'e4' }) },
    ]);
    await gold.countAnew('2025-03-13T13:59:30Z');
    const rows =
      await gold.read(`select event_sequence, event_type, event_description, call_id, sentiment_score, is_leakage_link, status
         from gold.journey_timeline where member_id = 'M' order by event_sequence`);
    const digital = { event_type: 'digital', call_id: null, sentiment_score: null };
    expect(rows).toEqual([
      { ...digital, event_sequence: 1, event_description: 'billing login', is_leakage_link: false, status: 'final' },
      {
        ...digital,
        event_sequence: 2,
        event_description: 'billing error E1',
        is_leakage_link: false,
        status: 'provisional',
      },
      {
        ...digital,
        event_sequence: 3,
        event_description: 'billing abandon',
        is_leakage_link: true,
        status: 'provisional',
      },
      {
        event_sequence: 4,
        event_type: 'call',
        event_description: 'call billing_question (main > billing)',
        call_id: 'C',
        sentiment_score: '-0.6500',
        is_leakage_link: true,
        status: 'provisional',
      },
    ]);
  });

  it('repeat_followups looks forward, over matured calls only: 168:00:00.000 counts, a millisecond more does not', async () => {
    const gold = await newGold();
    const call = (call_id: string, member_id: string, call_timestamp: string, columns: Row = {}) => ({
      kind: 'call' as const,
      shard: 0,
      before: null,
      after: callFact({ call_id, member_id, call_timestamp, local_date: call_timestamp.slice(0, 10), ...columns }),
    });
    await gold.silver.write([
      call('a1', 'A', '2025-03-01T15:00:00.000Z'),
      call('a2', 'A', '2025-03-08T15:00:00.000Z', { attribution: 'none' }),
      call('b1', 'B', '2025-03-01T15:00:00.000Z'),
      call('b2', 'B', '2025-03-08T15:00:00.001Z'),
      call('c1', 'C', '2025-03-02T15:00:00.000Z'),
      call('c2', 'C', '2025-03-03T15:00:00.000Z', { issue_family: 'claims_status', attribution: 'none' }),
      call('d1', 'D', '2025-03-02T15:00:00.000Z'),
      call('d2', 'D', '2025-03-04T15:00:00.000Z'),
    ]);
    await gold.countAnew('2025-03-12T05:00:00Z');
    // The clocks were put forward on the 9th: 168 hours after the end of the 4th it is one o'clock on the 12th.
    expect(
      await gold.read(
        `select matured_calls, led_to_repeat_calls, led_to_repeat_pct, led_to_other_repeat_calls, from_day, to_day, status from gold.repeat_followups`,
      ),
    ).toEqual([
      {
        matured_calls: 5,
        led_to_repeat_calls: 2,
        led_to_repeat_pct: '40.0000',
        led_to_other_repeat_calls: 1,
        from_day: '2025-03-01',
        to_day: '2025-03-04',
        status: 'final',
      },
    ]);
  });
});

describe('what people rely on', () => {
  const words = (text: string) => text.trim().split(/\s+/);
  const envelope = words('status as_of processing_timestamp');
  const drilldown =
    words(`leakage_type segment daily_calls daily_cost repeat_call_pct avg_sentiment calls days share_pct
    member_share_pct lift avg_handle_time_seconds leak_rate_pct`);
  const summary =
    words(`leakage_type daily_calls daily_cost segment trend_pct days leaked_journeys leaked_members failed_journeys
    decided_journeys all_calls repeat_calls`);
  const columns: Record<string, string[]> = {
    action_recommendations: words(`action_id leakage_type action_title action_description owner estimated_savings_annual
      estimated_savings_annual_low estimated_savings_annual_high effort_estimate priority_rank cx_impact_score confidence evidence`),
    daily_leakage_history: ['local_date', ...summary],
    daily_leakage_summary: summary.toSpliced(1, 0, 'summary_date'),
    journey_timeline:
      words(`member_id event_sequence event_timestamp event_type event_description journey_type session_id action
      device_type error_code call_id call_reason sentiment_score is_leakage_link`),
    language_drilldown: drilldown,
    repeat_followups:
      words(`leakage_type segment matured_calls led_to_repeat_calls led_to_repeat_pct led_to_other_repeat_calls
      from_day to_day`),
    root_cause_analysis: words(`trend_date leakage_type error_code device_type error_message leakage_count leakage_pct
      failed_journeys leak_rate_pct`),
    savings_model: words(`leakage_type avoidable_calls_per_day cost_per_call annualized_cost fix_rate_10_pct_savings
      fix_rate_25_pct_savings fix_rate_50_pct_savings estimated_nps_lift
      avoidable_calls_per_day_low avoidable_calls_per_day_high annualized_cost_low annualized_cost_high
      fix_rate_10_pct_savings_low fix_rate_10_pct_savings_high fix_rate_25_pct_savings_low fix_rate_25_pct_savings_high
      fix_rate_50_pct_savings_low fix_rate_50_pct_savings_high`),
    segment_drilldown: drilldown,
  };

  it('the views have these columns, in the stable schema too, and each column says what it is', async () => {
    const { rows } = await pool.query<{ schema: string; view: string; columns: string[]; silent: string[] }>(
      `select n.nspname as schema, c.relname as view, array_agg(a.attname::text order by a.attnum) as columns,
              coalesce(array_agg(a.attname::text) filter (where col_description(c.oid, a.attnum) is null), '{}') as silent
         from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where n.nspname in ('gold', $1) and c.relkind = 'v' group by 1, 2 order by 1, 2`,
      [shown.silver.gold],
    );
    const of = (schema: string) => rows.filter((row) => row.schema === schema);
    const expected = Object.entries(columns).map(([view, names]) => ({ view, columns: [...names, ...envelope] }));
    for (const schema of ['gold', shown.silver.gold])
      expect(of(schema).map(({ view, columns: names }) => ({ view, columns: names }))).toEqual(expected);
    expect(rows.flatMap(({ schema, view, silent }) => silent.map((name) => `${schema}.${view}.${name}`))).toEqual([]);
  });

  it('money has two decimals and counts are integers, in every view', async () => {
    const { rows } = await pool.query<{ name: string; type: string }>(
      `select c.relname || '.' || a.attname as name, format_type(a.atttypid, a.atttypmod) as type
         from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0
        where c.relnamespace = 'gold_1'::regnamespace and c.relkind = 'v'
          and a.attname ~ '_cost|cost_|savings|_calls$|_journeys$|_members$|_count$'`,
    );
    const means = ['daily_leakage_summary', 'segment_drilldown', 'language_drilldown'].map(
      (view) => `${view}.daily_calls`,
    );
    for (const { name, type } of rows) {
      if (/cost|savings/.test(name.split('.')[1] ?? '')) expect(`${name} ${type}`).toBe(`${name} numeric(14,2)`);
      else if (means.includes(name)) expect(`${name} ${type}`).toBe(`${name} numeric(12,1)`);
      else expect(`${name} ${type}`).toBe(`${name} bigint`);
    }
  });

  it('the four sample queries run as they are', async () => {
    const category = { member_category: 'MAPD New', language_preference: 'English' };
    await shown.calls(5, days(-13, -7), category);
    await shown.calls(6, days(-6, 0), { ...category, sentiment_e4: -6_500, is_repeat_call: true });
    await shown.silver.many('member', 1, memberFact({ ...category, member_id: 'M1' }));
    await shown.silver.many('member', 3, memberFact({ member_category: 'Commercial', member_id: 'M2' }));
    await shown.countAnew(MONDAY_MORNING);
    const named = await pool.query<{ name: string }>(`select current_database() as name`);
    const queries = [
      `SELECT leakage_type as journey, SUM(daily_calls) as daily_calls, SUM(daily_cost) as daily_cost, MAX(segment) as primary_segment, MAX(trend_pct) as trend FROM main.gold.daily_leakage_summary GROUP BY leakage_type ORDER BY daily_calls DESC;`,
      `SELECT segment, daily_calls, daily_cost, repeat_call_pct, avg_sentiment FROM main.gold.segment_drilldown WHERE leakage_type = 'billing' ORDER BY daily_calls DESC;`,
      `SELECT leakage_type, avoidable_calls_per_day, annualized_cost, fix_rate_10_pct_savings as savings_at_10pct, fix_rate_50_pct_savings as savings_at_50pct FROM main.gold.savings_model ORDER BY annualized_cost DESC;`,
      `SELECT priority_rank, action_title, owner, estimated_savings_annual, effort_estimate, cx_impact_score FROM main.gold.action_recommendations ORDER BY priority_rank;`,
    ];
    // A test database cannot be called main.
    const answers = await Promise.all(
      queries.map((query) => pool.query(query.replace('main.', `${named.rows[0]?.name}.`))),
    );
    expect(answers[0]?.rows).toEqual([
      { journey: 'billing', daily_calls: '6.0', daily_cost: '48.00', primary_segment: 'MAPD New', trend: '20.0000' },
      ...['id_card', 'pharmacy'].map((journey) => ({
        journey,
        daily_calls: '0.0',
        daily_cost: '0.00',
        primary_segment: null,
        trend: null,
      })),
    ]);
    expect(answers[1]?.rows).toEqual([
      {
        segment: 'MAPD New',
        daily_calls: '5.5',
        daily_cost: '44.00',
        repeat_call_pct: '54.5455',
        avg_sentiment: '-0.6500',
      },
    ]);
    expect(answers[2]?.rows[0]).toEqual({
      leakage_type: 'billing',
      avoidable_calls_per_day: '5.5',
      annualized_cost: '16060.00',
      savings_at_10pct: '1606.00',
      savings_at_50pct: '8030.00',
    });
    expect(answers[2]?.rows).toHaveLength(3);
    expect(answers[3]?.rows).toEqual([]);
  });
});
