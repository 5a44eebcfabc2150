import { createPool, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { eventually, freshDatabase, startServiceProcess, type TestDatabase } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { storeParameters } from './parameters.ts';
import { countFacts, dumpCubes, sorted } from './testing/cubes.ts';
import { callFact, SilverWriter } from './testing/silver-writer.ts';
import { World } from './testing/world.ts';

const log = createLogger({ service: 'test', level: 'error' });
let database: TestDatabase;
let pool: Pool;
let generations = 0;

beforeAll(async () => {
  database = await freshDatabase();
  pool = createPool({ url: database.url, applicationName: 'test', max: 6, log });
});
afterAll(async () => {
  await pool.stop();
  await database.drop();
});

const newSilver = () => SilverWriter.create(pool, { url: database.url, log, generation: ++generations });

function startGold(silver: SilverWriter, env: Record<string, string> = {}) {
  return startServiceProcess('gold-aggregator', {
    DATABASE_URL: database.url,
    GENERATION: String(silver.generation),
    GOLD_POLL_MS: '100',
    GOLD_PAUSE_MS: '0',
    ...env,
  });
}

async function isFolded(silver: SilverWriter): Promise<boolean> {
  const { rows } = await pool.query<{ folded: boolean }>(
    `select bool_and(r.next_seq is not distinct from s.change_seq + 1) as folded
       from ops.shard s left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
      where s.generation = $1`,
    [silver.generation],
  );
  return rows[0]?.folded === true;
}

const allFolded = (silver: SilverWriter) => eventually(() => isFolded(silver), { what: 'folding everything' });

const held = async (silver: SilverWriter) => sorted(await dumpCubes(pool, silver.gold));
const counted = async (silver: SilverWriter) => sorted(await countFacts(pool, silver.silver));

describe('gold follows silver', () => {
  it('one process: folds what silver writes, in many folds, and equals a count of the facts', async () => {
    const silver = await newSilver();
    const gold = startGold(silver, { GOLD_FOLD_ROWS: '100' });
    await gold.ready;
    const world = new World(1);
    for (let i = 0; i < 40; i++) await silver.write(world.batch(1 + ((i * 37) % 90)));
    await allFolded(silver);
    expect(await held(silver)).toEqual(await counted(silver));

    const metrics = await (await fetch(`http://127.0.0.1:${gold.port}/metrics`)).text();
    expect(metrics).toMatch(/^leakage_gold_lag_rows 0$/m);
    expect(metrics).toMatch(/^leakage_gold_folds_total\{outcome="folded"\} [1-9]/m);
    expect(await gold.stop()).toBe(0);
  });

  it('is woken by silver, long before it would look by itself', async () => {
    const silver = await newSilver();
    const gold = startGold(silver, { GOLD_POLL_MS: '60000' });
    await gold.ready;
    await silver.write(new World(2).batch(10));
    expect(await eventually(() => isFolded(silver), { withinMs: 5_000, what: 'the fold after a notification' })).toBe(
      true,
    );
    await gold.stop();
  });

  it('two processes, one of them killed again and again: still every change exactly once', async () => {
    const silver = await newSilver();
    const steady = startGold(silver, { GOLD_FOLD_ROWS: '100' });
    await steady.ready;
    const world = new World(3);
    for (let round = 0; round < 2; round++) {
      const other = startGold(silver, { GOLD_FOLD_ROWS: '100' });
      await other.ready;
      for (let i = 0; i < 12; i++) await silver.write(world.batch(80));
      await other.stop('SIGKILL');
    }
    await allFolded(silver);
    expect(await held(silver)).toEqual(await counted(silver));
    await steady.stop();
  });

  it('ends and says why when no fold can be committed any more', async () => {
    const silver = await newSilver();
    const gold = startGold(silver, { GOLD_POLL_MS: '10' });
    await gold.ready;
    await pool.query(`
      create function public.stays() returns trigger language plpgsql as 'begin return null; end';
      create trigger stays before update on ops.reader
        for each row when (old.generation = ${silver.generation}) execute function public.stays()`);
    await silver.write(new World(5).batch(10));
    expect(await gold.exited).toBe(1);
    expect(gold.output()).toContain('21 folds in a row were rolled back or not answered');
  });

  it('killed in the middle of a fold, cells and reader written but not committed: as if that fold had never begun', async () => {
    const silver = await newSilver();
    const first = startGold(silver);
    await first.ready;
    const world = new World(4);
    await silver.write(world.batch(100));
    await allFolded(silver);
    const before = await dumpCubes(pool, silver.gold);

    // The last statement of a fold wants this row: everything else is done by then.
    await silver.transaction(async (blocker) => {
      await blocker.query(`select from ${silver.gold}.this_generation for update`);
      await silver.write(world.batch(100));
      await eventually(() => someoneWaits(), { what: 'the fold to arrive at its last statement' });
      await first.stop('SIGKILL');
    });
    expect(await dumpCubes(pool, silver.gold)).toEqual(before);
    expect(await isFolded(silver)).toBe(false);

    const second = startGold(silver);
    await second.ready;
    await allFolded(silver);
    expect(await held(silver)).toEqual(await counted(silver));
    await second.stop();
  });

  it('while one process folds, another waits without harm', async () => {
    const silver = await newSilver();
    const [a, b] = [startGold(silver), startGold(silver)];
    await Promise.all([a.ready, b.ready]);
    await silver.transaction(async (blocker) => {
      await blocker.query(`select from ${silver.gold}.this_generation for update`);
      await silver.write(new World(5).batch(100));
      await eventually(async () => (await folds(a.port, 'busy')) + (await folds(b.port, 'busy')) > 0, {
        what: 'one to be busy',
      });
    });
    await allFolded(silver);
    expect(await held(silver)).toEqual(await counted(silver));
    expect([await a.stop(), await b.stop()]).toEqual([0, 0]);
  });
});

async function someoneWaits(): Promise<boolean> {
  const { rows } = await pool.query(
    `select from pg_stat_activity
      where application_name = 'gold-aggregator' and wait_event_type = 'Lock' and datname = current_database()`,
  );
  return rows.length > 0;
}

async function folds(port: number, outcome: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return Number(new RegExp(`leakage_gold_folds_total\\{outcome="${outcome}"\\} (\\d+)`).exec(text)?.[1] ?? 0);
}

describe('gold starts anew from a snapshot', () => {
  it('when it is new and silver is not', async () => {
    const silver = await newSilver();
    const world = new World(6);
    await silver.write(world.batch(300));
    const gold = startGold(silver);
    await gold.ready;
    expect(await held(silver)).toEqual(await counted(silver));
    await silver.write(world.batch(100));
    await allFolded(silver);
    expect(await held(silver)).toEqual(await counted(silver));
    await gold.stop();
  });

  it('once silver has caught up, and not before, of a generation that is being built', async () => {
    const silver = await newSilver();
    const catchUp = async (at: string) =>
      await pool.query(`update ops.generation set state = 'building', caught_up_at = ${at} where id = $1`, [
        silver.generation,
      ]);
    await catchUp('null');
    const gold = startGold(silver);
    await gold.ready;
    const world = new World(10);
    for (let i = 0; i < 3; i++) await silver.write(world.batch(100));
    await eventually(async () => (await folds(gold.port, 'waiting')) > 3, { what: 'gold to have looked' });
    expect(Object.values(await held(silver)).flat()).toEqual([]);

    await catchUp('now()');
    await allFolded(silver);
    expect(await held(silver)).toEqual(await counted(silver));
    expect([await folds(gold.port, 'recounted'), await folds(gold.port, 'folded')]).toEqual([1, 0]);
    await silver.write(world.batch(100));
    await allFolded(silver);
    expect(await held(silver)).toEqual(await counted(silver));
    await gold.stop();
  });

  it('when the log was trimmed before it had read it, and holds the same as a gold that read everything', async () => {
    const silver = await newSilver();
    const world = new World(7);
    const first = startGold(silver);
    await first.ready;
    await silver.write(world.batch(200));
    await allFolded(silver);
    await first.stop();

    for (let i = 0; i < 5; i++) await silver.write(world.batch(100));
    await pool.query(
      `delete from ${silver.silver}.change_log l using ops.shard s
        where s.generation = $1 and s.shard = l.shard and l.seq < s.change_seq`,
      [silver.generation],
    );
    const second = startGold(silver);
    await second.ready;
    await allFolded(silver);
    expect(second.output()).toContain('counted everything anew from silver');
    expect(await held(silver)).toEqual(await counted(silver));
    await second.stop();
  });

  it('and a gold that was counted anew is, cell by cell, the one that was folded', async () => {
    const silver = await newSilver();
    const world = new World(8);
    const first = startGold(silver, { GOLD_FOLD_ROWS: '100' });
    await first.ready;
    for (let i = 0; i < 10; i++) await silver.write(world.batch(100));
    await allFolded(silver);
    await first.stop();
    const folded = await dumpCubes(pool, silver.gold);

    await pool.query(`delete from ops.reader where generation = $1`, [silver.generation]);
    const second = startGold(silver);
    await second.ready;
    await allFolded(silver);
    expect(await dumpCubes(pool, silver.gold)).toEqual(folded);
    await second.stop();
  });
});

describe('gold stops loudly', () => {
  it('on a change that takes away what was never counted, and writes nothing', async () => {
    const silver = await newSilver();
    const gold = startGold(silver);
    await gold.ready;
    const world = new World(9);
    await silver.write(world.batch(50));
    await allFolded(silver);
    const before = await dumpCubes(pool, silver.gold);

    const ghost = callFact({ call_id: 'ghost', local_date: '1999-01-01' });
    await silver.write([...world.batch(10), { kind: 'call', shard: 3, before: ghost, after: null }]);
    expect(await gold.exited).toBe(1);
    expect(gold.output()).toContain('would put an impossible count into');
    expect(await dumpCubes(pool, silver.gold)).toEqual(before);
    expect(await isFolded(silver)).toBe(false);
  });

  it('on settings it cannot use, all of them at once', async () => {
    const gold = startServiceProcess('gold-aggregator', {
      GENERATION: '0',
      COST_PER_CALL: '8.005',
      DATABASE_URL: 'nowhere',
    });
    expect(await gold.exited).toBe(2);
    for (const name of ['GENERATION', 'COST_PER_CALL', 'DATABASE_URL']) expect(gold.output()).toContain(name);
  });
});

describe('the start', () => {
  it('waits for silver, and says so', async () => {
    const empty = await freshDatabase();
    const gold = startServiceProcess('gold-aggregator', { DATABASE_URL: empty.url });
    await eventually(() => gold.output().includes('waiting for a table that another service creates'));
    const own = createPool({ url: empty.url, applicationName: 'test', log });
    const silver = await SilverWriter.create(own, { url: empty.url, log, generation: 1 });
    await gold.ready;
    const { rows } = await own.query<{ schema: string }>(
      `select distinct table_schema as schema from information_schema.views where table_name = 'daily_leakage_summary' order by 1`,
    );
    expect(rows.map((row) => row.schema)).toEqual(['gold', silver.gold]);
    await gold.stop();
    await own.stop();
    await empty.drop();
  });

  it('stores the cost of a call once, and changes it only when somebody sets it', async () => {
    const silver = await newSilver();
    const stored = async () => {
      const { rows } = await pool.query<{ value: string; source: string; set_by: string; set_at: number }>(
        `select value, source, set_by, set_at from ops.parameter where name = 'cost_per_call'`,
      );
      return rows[0];
    };
    await pool.query(`delete from ops.parameter`);
    await storeParameters(pool, { costPerCall: 8, explicit: false });
    expect(await stored()).toMatchObject({ value: '8.00', set_by: 'gold-aggregator' });

    const gold = startGold(silver, { COST_PER_CALL: '9.5' });
    await gold.ready;
    await gold.stop();
    const set = await stored();
    expect(set).toMatchObject({ value: '9.50', source: 'setting COST_PER_CALL' });
    await storeParameters(pool, { costPerCall: 8, explicit: false });
    await storeParameters(pool, { costPerCall: 9.5, explicit: true });
    expect(await stored()).toEqual(set);
  });
});
