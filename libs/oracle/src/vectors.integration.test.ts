import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { naiveJoin } from './index.ts';
import { createWorld, type Delivered, type World } from './testing/world.ts';

interface Step {
  says: string;
  records: Delivered[];
  any_order?: boolean;
  expect: {
    facts: Record<string, unknown>[];
    journeys: Record<string, unknown>[];
    changed_calls?: string[];
  };
}

interface Vectors {
  vectors: Record<string, { says: string; steps: Step[]; totals?: Record<string, unknown> }>;
}

const { vectors } = JSON.parse(
  readFileSync(new URL('../../../tests/fixtures/leakage-vectors.json', import.meta.url), 'utf8'),
) as Vectors;

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());
beforeEach(() => world.reset());

const instant = (column: string) => `to_char(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as ${column}`;

/** The rows as the fixture writes them: what is null, false or Unknown is left out. */
function bare(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).filter(
      ([column, value]) => value !== null && value !== false && !(column === 'member_category' && value === 'Unknown'),
    ),
  );
}
const bareAll = (rows: Record<string, unknown>[], key: string) =>
  rows.map(bare).sort((a, b) => (String(a[key]) < String(b[key]) ? -1 : 1));

async function facts() {
  const rows = await world.facts<Record<string, unknown>>(`
    select call_id, member_id, ${instant('call_timestamp')}, local_date::text, local_hour, issue_family, attribution,
           leakage_type, digital_session_id, digital_event_id, ${instant('digital_timestamp')},
           round(time_to_call_ms::numeric / 60000, 1)::text as time_to_call_minutes, time_to_call_ms::int, alignment_strength,
           error_code, error_message, device_type, is_repeat_call, is_primary, assisted_completion, member_category,
           plan_type, segment, language_preference
      from oracle_call_fact`);
  return bareAll(rows, 'call_id');
}

async function journeys() {
  const rows = await world.facts<Record<string, unknown>>(`
    select member_id, session_id, journey_type, outcome, ${instant('first_decisive_at')}, ${instant('last_decisive_at')},
           last_decisive_event_id, device_type, error_code, member_category, plan_type, segment, language_preference,
           local_date::text, local_hour, leaked, leakage_calls
      from oracle_outcome`);
  return bareAll(rows, 'last_decisive_event_id');
}

const orders = (n: number): number[][] =>
  n === 1
    ? [[0]]
    : orders(n - 1).flatMap((order) => order.map((_, at) => order.toSpliced(at, 0, n - 1)).concat([[...order, n - 1]]));

describe.each(Object.entries(vectors))('%s: the oracle alone', (_name, vector) => {
  test(`${vector.says}`, async () => {
    let before = new Map<unknown, string>();
    for (const step of vector.steps) {
      await world.deliver(step.records);
      const found = await facts();
      expect(found, step.says).toEqual(bareAll(step.expect.facts, 'call_id'));
      expect(await journeys(), step.says).toEqual(bareAll(step.expect.journeys, 'last_decisive_event_id'));
      const after = new Map(found.map((fact) => [fact.call_id, JSON.stringify(fact)]));
      if (step.expect.changed_calls !== undefined) {
        const changed = [...after].filter(([id, fact]) => before.get(id) !== fact).map(([id]) => id);
        expect(new Set(changed), step.says).toEqual(new Set(step.expect.changed_calls));
      }
      before = after;
    }
  });
});

test('the order in which the records arrived cannot show', async () => {
  for (const { steps } of Object.values(vectors)) {
    const any = steps.findIndex((step) => step.any_order === true);
    const last = steps[any];
    if (last === undefined) continue;
    for (const order of orders(last.records.length)) {
      await world.reset();
      for (const step of steps.slice(0, any)) await world.deliver(step.records);
      await world.deliver(order.map((at) => last.records[at]).filter((record) => record !== undefined));
      expect(await facts(), order.join()).toEqual(bareAll(last.expect.facts, 'call_id'));
    }
  }
});

describe('T-ATT', () => {
  const attribution = vectors['T-ATT'];
  const totals = attribution?.totals ?? {};

  beforeEach(async () => {
    for (const step of attribution?.steps ?? []) await world.deliver(step.records);
  });

  test('has the totals of the rules', async () => {
    const [found] = await world.facts<Record<string, unknown>>(`
      select count(*)::int as calls, count(*) filter (where attribution = 'leakage')::int as leakage_calls,
             (select count(*) from oracle_outcome)::int as decided_journeys,
             (select count(*) from oracle_outcome where outcome <> 'completed' or leaked)::int as failed_journeys,
             (select count(*) from oracle_outcome where leaked)::int as leaked_journeys
        from oracle_call_fact`);
    expect(found).toEqual({
      calls: 17,
      leakage_calls: 10,
      decided_journeys: 18,
      failed_journeys: 16,
      leaked_journeys: 9,
    });
    expect(totals).toMatchObject(found ?? {});
  });

  test('the naive join charges 16 rows on cleaned records and 19 on raw ones, for our 10', async () => {
    await world.adopt();
    const naive = await world.snapshot((query) =>
      naiveJoin(query, { windowMs: 30 * 60_000, schemas: { bronze: 'bronze', silver: 'silver_1' } }),
    );
    expect(naive).toEqual({
      rows: 16,
      rawRows: 19,
      distinctCalls: 13,
      doubleCharged: 3,
      wrong: { cured: 2, unaligned: 1, other: 0 },
      leakageCalls: 10,
      missed: 0,
    });
    expect(totals).toMatchObject({ naive_rows: 16, naive_rows_raw: 19, naive_wrong_or_double: 6 });
  });

  test('silver and gold that hold what the oracle says are equal', async () => {
    await world.adopt();
    const report = await world.verify();
    expect(report.checks.filter((check) => check.differences > 0)).toEqual([]);
    expect(report.ok).toBe(true);
  });
});
