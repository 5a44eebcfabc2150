import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { prepareGeneration } from '../service-once.ts';
import { dropSteps } from '../testing/command-steps.ts';
import { type TwoGenerations, twoGenerations } from '../testing/two-generations.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 });

let it: TwoGenerations;
beforeAll(async () => {
  it = await twoGenerations();
});
afterAll(async () => await it.stop());

let newest = 2;
/** One more generation beside the others, with tables, positions and readers, on which nobody works. */
async function another(): Promise<number> {
  newest += 1;
  await prepareGeneration(newest, it.env);
  await it.owner.query(`update ops.generation set state = 'building' where id = $1`, [newest]);
  await it.hasRead(newest, 100);
  await it.goldBehind(newest, 0);
  return newest;
}

/** What there is of a generation. */
async function left(generation: number) {
  const { rows } = await it.owner.query<Record<string, unknown>>(
    `select (select state from ops.generation where id = $1) as state,
            (select dropped_at is not null from ops.generation where id = $1) as dated,
            array(select nspname::text from pg_namespace where nspname in ('silver_' || $1, 'gold_' || $1) order by 1) as schemas,
            (select count(*) from ops.shard where generation = $1) as shards,
            (select count(*) from ops.reader where generation = $1) as readers,
            (select count(*) from ops.position where pipeline = 'silver_' || $1 or starts_with(pipeline, 'silver_' || $1 || '_')) as positions`,
    [generation],
  );
  return rows[0];
}
const whole = (generation: number, state: string, readers = 12) => ({
  state,
  dated: state === 'dropped',
  schemas: [`gold_${generation}`, `silver_${generation}`],
  shards: 12,
  readers,
  positions: 3,
});
const nothing = { state: 'dropped', dated: true, schemas: [], shards: 0, readers: 0, positions: 0 };

const drop = (generation: number, ...words: string[]) => it.leakage(['drop', String(generation), '--yes', ...words]);
const json = (out: string) => JSON.parse(out) as Record<string, unknown>;
const matching = (words: RegExp) => expect.stringMatching(words) as string;

test('everything of it goes, the record that it was there stays, and its number is never used again', async () => {
  const generation = await another();
  await it.verified(generation);
  expect(await left(generation)).toEqual(whole(generation, 'building'));
  expect(json((await drop(generation, '--json')).out)).toEqual({
    generation,
    schemas: [`gold_${generation}`, `silver_${generation}`],
    rows: 12 + 12 + 3,
    replays: 0,
  });
  expect(await left(generation)).toEqual(nothing);
  expect(await left(1)).toEqual(whole(1, 'active', 24));
  expect(await left(2)).toEqual(whole(2, 'building'));
  const { rows } = await it.owner.query('select ok from ops.verification where generation = $1', [generation]);
  expect(rows).toEqual([{ ok: true }]);

  expect(await drop(generation)).toMatchObject({ code: 0, out: matching(/is dropped: nothing of it was left/) });
  // Under its number nothing can be made any more.
  await expect(it.init([], { GENERATION: String(generation) })).rejects.toThrow(/was dropped/);
  expect(await left(generation)).toEqual(nothing);
  expect(await it.leakage(['promote', String(generation)])).toMatchObject({
    code: 3,
    problems: matching(/was dropped/),
  });
  const replay = await it.leakage([
    'replay',
    '--service',
    'silver-joiner',
    '--from',
    'earliest',
    '--generation',
    String(generation),
  ]);
  expect(replay).toMatchObject({ code: 1, problems: matching(/is dropped: nothing can be replayed into it/) });
  expect((await it.leakage(['generations'])).out).toMatch(new RegExp(`^${generation} +dropped`, 'm'));
});

describe('refused, and nothing is changed', () => {
  test('the active one, by force either', async () => {
    for (const force of [[], ['--force']]) {
      const outcome = await drop(1, ...force);
      expect(outcome).toMatchObject({ code: 3, problems: matching(/active one, which is never dropped/) });
    }
    expect(await left(1)).toEqual(whole(1, 'active', 24));
  });

  test('one that is not there, and what is no number', async () => {
    expect(await drop(77)).toMatchObject({ code: 3, problems: matching(/There is no generation 77/) });
    expect(await it.leakage(['drop', 'two', '--yes'])).toMatchObject({ code: 2 });
  });

  test('where nobody can be asked', async () => {
    expect(await it.leakage(['drop', '2'])).toMatchObject({ code: 2, problems: matching(/add --yes/) });
    expect(await left(2)).toEqual(whole(2, 'building'));
  });

  test('by the login of a service', async () => {
    const outcome = await it.leakage(['drop', '2', '--yes'], { DATABASE_URL: it.urlOf('silver') });
    expect(outcome).toMatchObject({ code: 1, problems: matching(/run by the owner/) });
    expect(await left(2)).toEqual(whole(2, 'building'));
  });

  test('while somebody has made views of it, which would go with it', async () => {
    const generation = await another();
    await it.owner.query(
      `create schema reports; create view reports.calls as select call_id from silver_${generation}.call_fact`,
    );
    expect(await drop(generation, '--force')).toMatchObject({ code: 3, problems: matching(/reports\.calls/) });
    expect(await left(generation)).toEqual(whole(generation, 'building'));
    await it.owner.query('drop schema reports cascade');
    expect(await drop(generation)).toMatchObject({ code: 0 });
  });

  test('the one that rollback would go back to, without force; after the rollback it may go', async () => {
    const generation = await another();
    await it.verified(generation);
    expect(await it.leakage(['promote', String(generation)])).toMatchObject({ code: 0 });
    expect(await drop(1)).toMatchObject({ code: 3, problems: matching(/rollback would go back to.*--force/) });
    expect(await left(1)).toMatchObject({ state: 'retired', schemas: ['gold_1', 'silver_1'] });
    expect(await it.leakage(['rollback'])).toMatchObject({ code: 0 });
    expect(await drop(generation)).toMatchObject({ code: 0 });
    expect(await left(generation)).toEqual(nothing);
  });
});

test('while somebody is in the middle of it, nothing is removed, and who it is is said; afterwards it goes on', async () => {
  const generation = await another();
  await it.as(it.url, (pool) =>
    pool.withConnection(async (batch) => {
      await batch.query(
        `set application_name = 'a batch'; begin; select * from silver_${generation}.call_fact limit 1`,
      );
      const outcome = await drop(generation, '--wait', '1');
      expect(outcome).toMatchObject({
        code: 3,
        problems: matching(/marked as dropped, and nothing is removed yet: process \d+ \(a batch\)/),
      });
      expect(await left(generation)).toEqual(whole(generation, 'dropped'));
      const waiting = drop(generation, '--wait', '60');
      await batch.query('select 1');
      await batch.query('commit');
      expect(await waiting).toMatchObject({ code: 0 });
    }),
  );
  expect(await left(generation)).toEqual(nothing);
});

test('two at once: both say that it is dropped', async () => {
  const generation = await another();
  const outcomes = await Promise.all([drop(generation), drop(generation)]);
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0]);
  expect(await left(generation)).toEqual(nothing);
});

test('a replay that runs in it is cancelled, with what it has counted; others go on', async () => {
  const generation = await another();
  const ids: number[] = [];
  for (const one of [generation, 2]) {
    const { rows } = await it.owner.query<{ id: number; pipeline: string }>(
      `insert into ops.replay (service, generation, begins) values ('silver-joiner', $1, 'earliest') returning id, pipeline`,
      [one],
    );
    ids.push(rows[0]?.id ?? 0);
    await it.owner.query(
      `insert into ops.position (pipeline, topic, partition, first_offset, next_offset, until_offset, cluster_id, duplicates)
       values ($1, 'calls', 0, 0, 40, 100, 'test', 40)`,
      [rows[0]?.pipeline],
    );
  }
  expect(await drop(generation)).toMatchObject({ code: 0, out: matching(/The replay that ran in it is cancelled/) });
  const { rows } = await it.owner.query(
    `select generation, state, ended_at is not null as ended, offsets, duplicates from ops.replay where id = any ($1) order by id`,
    [ids],
  );
  expect(rows).toEqual([
    { generation, state: 'cancelled', ended: true, offsets: 40, duplicates: 40 },
    { generation: 2, state: 'running', ended: false, offsets: 0, duplicates: 0 },
  ]);
  expect(await left(generation)).toEqual(nothing);
  expect(await left(2)).toMatchObject({ positions: 4 });
  await it.owner.query(`select ops.end_replay($1, 'cancelled')`, [ids[1]]);
});

describe('killed at any step, it goes on when it is run again', () => {
  test.each(dropSteps)('$name', async (step) => {
    const generation = await another();
    const { rows } = await it.owner.query<{ id: number }>(
      `insert into ops.replay (service, generation, begins) values ('silver-joiner', $1, 'earliest') returning id`,
      [generation],
    );
    const killed = await it.killedAt(step, ['drop', String(generation), '--yes']);
    expect(killed).toMatchObject({ code: -1, out: '' });
    expect(await left(generation)).toMatchObject({ state: step.applied ? 'dropped' : 'building' });
    expect(await drop(generation)).toMatchObject({ code: 0 });
    expect(await left(generation)).toEqual(nothing);
    const replay = await it.owner.query('select state from ops.replay where id = $1', [rows[0]?.id]);
    expect(replay.rows).toEqual([{ state: 'cancelled' }]);
    expect(await left(1)).toEqual(whole(1, 'active', 24));
  });
});

test('by force the one that rollback would go back to; then there is no way back', async () => {
  const generation = await another();
  await it.verified(generation);
  expect(await it.leakage(['promote', String(generation)])).toMatchObject({ code: 0 });
  expect(await drop(1, '--force')).toMatchObject({ code: 0 });
  expect(await left(1)).toEqual(nothing);
  expect(await it.leakage(['rollback'])).toMatchObject({
    code: 3,
    problems: matching(/was dropped: there is no way back/),
  });
  expect(await it.seen()).toMatchObject({ active: generation, shown: [generation] });
});
