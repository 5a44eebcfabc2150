import { totalsOfAtt, type VectorStep, vector, vectors } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyPipeline } from '../cli/src/verify.ts';
import { dump } from './support/dump.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';
import { shuffled } from './support/random.ts';
import { actual, expected, outgoing } from './support/vectors.ts';

async function expectOracleAgrees(pipeline: Pipeline): Promise<void> {
  const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
  expect(report.checks.filter((check) => check.differences > 0)).toEqual([]);
  expect(report.ok).toBe(true);
}

async function changeLogLength(pipeline: Pipeline): Promise<number> {
  const { rows } = await pipeline.pool.query<{ n: number }>('select sum(change_seq)::bigint as n from ops.shard');
  return rows[0]?.n ?? 0;
}

describe('T-ATT through Kafka and Postgres', () => {
  let pipeline: Pipeline;
  const step = vector('T-ATT').steps[0] as VectorStep;
  beforeAll(async () => {
    pipeline = await startPipeline();
    await pipeline.feed(step.records.map((record, nr) => outgoing(pipeline.prefix, record, nr)));
  });
  afterAll(async () => await pipeline.stop());

  it('gives every call and every journey as the rules say', async () => {
    expect(await actual(pipeline.pool, step)).toEqual(expected(step));
  });

  it('gives the totals in gold, and $8 a call', async () => {
    const { rows } = await pipeline.pool.query(
      `select leakage_type, daily_calls::float8, daily_cost::float8, failed_journeys, leaked_journeys, decided_journeys, status
         from gold.daily_leakage_summary where daily_calls > 0 order by daily_calls desc, leakage_type`,
    );
    const byType = totalsOfAtt.leakage_calls_by_type;
    expect(rows.map((row) => [row.leakage_type, row.daily_calls, row.daily_cost])).toEqual([
      ['billing', byType.billing, byType.billing * 8],
      ['id_card', byType.id_card, byType.id_card * 8],
      ['pharmacy', byType.pharmacy, byType.pharmacy * 8],
    ]);
    const sum = (column: string) => rows.reduce((total, row) => total + Number(row[column]), 0);
    expect([sum('daily_cost'), sum('failed_journeys'), sum('leaked_journeys'), sum('decided_journeys')]).toEqual([
      Number(totalsOfAtt.cost),
      totalsOfAtt.failed_journeys,
      totalsOfAtt.leaked_journeys,
      totalsOfAtt.decided_journeys,
    ]);
    // No local day is complete here, so every figure is of the running day.
    expect(new Set(rows.map((row) => row.status))).toEqual(new Set(['partial']));
  });

  it('is what the oracle says too', async () => {
    await expectOracleAgrees(pipeline);
  });

  it('does not change by a single row when everything is delivered again', async () => {
    const before = { dump: await dump(pipeline.pool), changes: await changeLogLength(pipeline) };
    await pipeline.feed(step.records.map((record, nr) => outgoing(pipeline.prefix, record, nr + 1)));
    expect({ dump: await dump(pipeline.pool), changes: await changeLogLength(pipeline) }).toEqual(before);
    await expectOracleAgrees(pipeline);
  });
});

describe('corrections, late records and profiles through Kafka and Postgres', () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await startPipeline();
  });
  afterAll(async () => await pipeline.stop());

  const names = vectors.map((one) => one.name).filter((name) => name !== 'T-ATT' && name !== 'T-MOVE');
  it.each(names)('%s', async (name) => {
    for (const step of vector(name).steps) {
      const before = await factVersions(pipeline);
      await pipeline.feed(step.records.map((record, nr) => outgoing(pipeline.prefix, record, nr)));
      expect(await actual(pipeline.pool, step), step.says).toEqual(expected(step));
      if (step.changedCalls !== null) {
        expect(changedBetween(before, await factVersions(pipeline)), step.says).toEqual([...step.changedCalls].sort());
      }
    }
    await expectOracleAgrees(pipeline);
  });
});

describe('T-MOVE: a call moves to a member of another shard while two joiners are at work', () => {
  const move = vector('T-MOVE');
  it.each(['in the order sent', 'reversed'])('%s', async (order) => {
    const pipeline = await startPipeline();
    try {
      await pipeline.start('silver-joiner');
      const [first, second] = move.steps as [VectorStep, VectorStep];
      await pipeline.feed(first.records.map((record, nr) => outgoing(pipeline.prefix, record, nr)));
      const records = order === 'reversed' ? [...second.records].reverse() : second.records;
      await pipeline.feed(records.map((record, nr) => outgoing(pipeline.prefix, record, nr)));
      expect(await actual(pipeline.pool, second)).toEqual(expected(second));
      await expectOracleAgrees(pipeline);
    } finally {
      await pipeline.stop();
    }
  });
});

describe('T-ORD: order, duplication and batches cannot show', () => {
  it('five shuffled deliveries with duplicates give byte-identical silver and gold', { timeout: 180_000 }, async () => {
    const all = vectors.flatMap((one) => one.steps.flatMap((step) => step.records));
    const dumps: string[][] = [];
    for (const seed of [1, 2, 3, 4, 5]) {
      const pipeline = await startPipeline();
      try {
        const doubled = [...all, ...all.filter((_, nr) => nr % 3 === seed % 3)];
        const records = shuffled(doubled, seed).map((record, nr) => outgoing(pipeline.prefix, record, nr));
        const cut = (seed * records.length) / 7;
        await pipeline.feed(records.slice(0, cut));
        await pipeline.feed(records.slice(cut));
        dumps.push(await dump(pipeline.pool));
        await expectOracleAgrees(pipeline);
      } finally {
        await pipeline.stop();
      }
    }
    expect(dumps[0]?.length).toBeGreaterThan(100);
    for (const other of dumps.slice(1)) expect(other).toEqual(dumps[0]);
  });
});

/** For every call the last change of its fact, so that a step can be asked what it touched. */
async function factVersions(pipeline: Pipeline): Promise<Map<string, string>> {
  const { rows } = await pipeline.pool.query<{ call_id: string; version: string }>(
    `select coalesce(e.change -> 2 ->> 'call_id', e.change -> 1 ->> 'call_id') as call_id,
            max(lpad(l.shard::text, 2, '0') || lpad((l.seq + e.nr)::text, 12, '0')) as version
       from silver_1.change_log l
      cross join lateral json_array_elements(l.changes::json) with ordinality as e (change, nr)
      where e.change ->> 0 = 'call'
      group by 1`,
  );
  return new Map(rows.map((row) => [row.call_id, row.version]));
}

function changedBetween(before: Map<string, string>, after: Map<string, string>): string[] {
  return [...after]
    .filter(([call, version]) => before.get(call) !== version)
    .map(([call]) => call)
    .sort();
}
