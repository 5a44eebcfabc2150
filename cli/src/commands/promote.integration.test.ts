import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { promotionSteps } from '../testing/command-steps.ts';
import { type TwoGenerations, twoGenerations } from '../testing/two-generations.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 });

let it: TwoGenerations;
beforeAll(async () => {
  it = await twoGenerations();
});
afterAll(async () => await it.stop());
beforeEach(async () => await it.asBefore());

const one = { active: 1, shown: [1], speaks: 1 };
const two = { active: 2, shown: [2], speaks: 2 };
const json = (out: string) => JSON.parse(out) as Record<string, unknown>;
const set = (columns: string) => it.owner.query(`update ops.generation set ${columns} where id = 2`);

describe('promote refuses, and says what to do', () => {
  const refusals: readonly (readonly [what: string, words: RegExp, prepare: () => Promise<unknown>])[] = [
    ['what was never verified', /not been verified.*leakage verify --generation 2.*--force/, async () => undefined],
    ['what differed', /found differences.*leakage verify --generation 2/, () => it.verified(2, { ok: false })],
    ['a verification of yesterday', /30 hours old.*leakage verify/, () => it.verified(2, { hoursAgo: 30 })],
    [
      'a verification of the time before it had caught up',
      /before it had caught up/,
      async () => {
        await it.verified(2, { hoursAgo: 1 });
        await set('caught_up_at = clock_timestamp()');
      },
    ],
    [
      'a verification of a part',
      /not been verified as a whole/,
      async () => {
        await it.verified(2);
        await it.owner.query(`update ops.verification set from_day = '2026-01-01'`);
      },
    ],
    [
      'what was made after a retention run without the days that it has left',
      /none of the days before the horizon.*leakage rebuild in the same time zone.*--force/,
      async () => {
        await it.verified(2);
        await it.owner.query(
          `insert into ops.horizon (generation, refused_before, kept_from) values (1, now(), now())`,
        );
      },
    ],
    [
      'what was made in another time zone after one',
      /none of the days before the horizon/,
      async () => {
        await it.verified(2);
        await it.owner.query(
          `insert into ops.horizon (generation, refused_before, kept_from, begins_at, closed_before)
           values (1, now(), now(), null, null), (2, now(), now(), now(), current_date)`,
        );
      },
    ],
    [
      'who is behind for as long as is waited',
      /behind the active one \(75 records and 4 changes\).*--force/,
      async () => {
        await it.verified(2);
        await it.hasRead(2, 75);
        await it.goldBehind(2, 4);
      },
    ],
    [
      'who rests and is behind',
      /rests and is behind \(3 records\)/,
      async () => {
        await it.verified(2);
        await it.hasRead(2, 99);
        await set('paused = true');
      },
    ],
  ];
  test.each(refusals)('%s', async (_what, words, prepare) => {
    await prepare();
    const { code, out, problems } = await it.leakage(['promote', '2', '--wait', '1']);
    expect({ code, out }).toEqual({ code: 3, out: '' });
    expect(problems).toMatch(words);
    expect(await it.seen()).toEqual(one);
    // But it may be forced, and the reason stays on record.
    const forced = await it.leakage(['promote', '2', '--wait', '0', '--force', '--reason', 'it has to be', '--json']);
    expect(forced).toMatchObject({ code: 0 });
    expect(json(forced.out)).toMatchObject({ done: true, from: 1, to: 2, forced: true, reason: 'it has to be' });
    expect(await it.seen()).toEqual(two);
  });

  test.each([
    ['a what-if', /what-if.*rebuild it without --what-if/, () => set(`purpose = 'what_if'`)],
    ['what is being prepared', /being prepared/, () => set(`state = 'preparing'`)],
    ['what was dropped', /was dropped/, () => set(`state = 'dropped'`)],
    [
      'what gold has not begun',
      /Gold of generation 2 has not begun: start its gold-aggregator/,
      () => it.owner.query(`delete from ops.reader where generation = 2`),
    ],
  ])('%s, by force either', async (_what, words, prepare) => {
    await it.verified(2);
    await prepare();
    for (const force of [[], ['--force', '--reason', 'it has to be']]) {
      const { code, problems } = await it.leakage(['promote', '2', '--wait', '1', ...force]);
      expect({ code, problems }).toMatchObject({ code: 3, problems: expect.stringMatching(words) as string });
    }
    expect(await it.seen()).toEqual(one);
  });

  test('what does not exist, and force without a reason', async () => {
    expect(await it.leakage(['promote', '7'])).toMatchObject({ code: 3 });
    expect(await it.leakage(['promote', '2', '--force'])).toMatchObject({ code: 2 });
    expect(await it.leakage(['promote', 'two'])).toMatchObject({ code: 2 });
    expect(await it.seen()).toEqual(one);
  });

  test('a service login', async () => {
    const outcome = await it.leakage(['promote', '2'], { DATABASE_URL: it.urlOf('silver') });
    expect(outcome).toMatchObject({ code: 1, problems: expect.stringMatching(/run by the owner/) as string });
  });
});

describe('there and back', () => {
  test('promote, rollback and promote again; the list says so', async () => {
    await it.verified(2);
    const done = json((await it.leakage(['promote', '2', '--json'])).out);
    expect(done).toMatchObject({ kind: 'promote', from: 1, to: 2, forced: false, behind: { records: 0, changes: 0 } });
    expect(await it.seen()).toEqual(two);
    expect(await it.leakage(['promote', '2'])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/already/) as string,
    });

    expect(await it.leakage(['rollback', '--reason', 'too many complaints'])).toMatchObject({ code: 0 });
    expect(await it.seen()).toEqual(one);
    const again = await it.leakage(['rollback']);
    expect(again).toMatchObject({ code: 3, problems: expect.stringMatching(/nothing to go back to/) as string });

    expect(await it.leakage(['promote', '2'])).toMatchObject({ code: 0 });
    expect(await it.seen()).toEqual(two);
    const listed = json((await it.leakage(['generations', '--json'])).out);
    expect(listed).toMatchObject({
      generations: [
        { id: 1, state: 'retired', rules: { windowMinutes: 30 }, records: { read: 300 } },
        { id: 2, state: 'active', rules: { windowMinutes: 45 }, verified: { ok: true } },
      ],
      promotions: [
        { kind: 'promote', from: 1, to: 2 },
        { kind: 'rollback', from: 2, to: 1, reason: 'too many complaints' },
        { kind: 'promote', from: 1, to: 2 },
      ],
    });
    const { out } = await it.leakage(['generations']);
    expect(out).toMatch(/^2 +active +45 min, same_issue, America\/New_York +300/m);
    expect(out).toMatch(/rolled back from 2 to 1, by .*: too many complaints/);
  });

  test('rollback is refused to one that is behind, unless forced', async () => {
    await it.verified(2);
    await it.leakage(['promote', '2']);
    await it.hasRead(2, 120);
    const refused = await it.leakage(['rollback', '--wait', '0']);
    expect(refused).toMatchObject({ code: 3, problems: expect.stringMatching(/60 records/) as string });
    expect(await it.seen()).toEqual(two);
    const forced = await it.leakage(['rollback', '--wait', '0', '--force', '--reason', 'now']);
    expect(forced).toMatchObject({
      code: 0,
      out: expect.stringMatching(/behind generation 2 \(60 records\)/) as string,
    });
    expect(await it.seen()).toEqual(one);
  });

  describe('the change stream', () => {
    /** In the order in which they are told. */
    const turns = async () => {
      const { rows } = await it.owner.query(
        `select generation, next_seq, until_seq from ops.reader where reader = 'changes' and shard = 3 order by turn`,
      );
      return rows;
    };
    /** How far each generation's shard 3 has come; gold has folded that. */
    const come = async (first: number, second: number) => {
      await it.owner.query(
        'update ops.shard set change_seq = case generation when 1 then $1::bigint else $2::bigint end where shard = 3',
        [first, second],
      );
      for (const generation of [1, 2]) await it.goldBehind(generation, 0);
    };
    const told = async (generation: number, nextSeq: number) => {
      await it.owner.query(
        `update ops.reader set next_seq = $2 where reader = 'changes' and generation = $1 and shard = 3`,
        [generation, nextSeq],
      );
    };
    const toldToItsEnd = (generation: number) =>
      it.owner.query(`delete from ops.reader where reader = 'changes' and generation = $1`, [generation]);
    beforeEach(() => it.verified(2));
    afterEach(() => it.owner.query('update ops.shard set change_seq = 0'));

    test('ends where the other one begins, and back', async () => {
      await come(70, 500);
      await told(1, 61);
      await it.leakage(['promote', '2']);
      expect(await turns()).toEqual([
        { generation: 1, next_seq: 61, until_seq: 70 },
        { generation: 2, next_seq: 501, until_seq: null },
      ]);
      // 1 is told to its end and forgotten; what it says to itself from here on is told by nobody.
      await toldToItsEnd(1);
      await come(90, 510);
      await it.leakage(['rollback']);
      expect(await turns()).toEqual([
        { generation: 2, next_seq: 501, until_seq: 510 },
        { generation: 1, next_seq: 91, until_seq: null },
      ]);
    });

    test('goes on where it had not been told to the end, and nobody was heard meanwhile', async () => {
      await come(70, 500);
      await told(1, 61);
      await it.leakage(['promote', '2']);
      await come(90, 510);
      await it.leakage(['rollback']);
      expect(await turns()).toEqual([{ generation: 1, next_seq: 61, until_seq: null }]);
      await come(95, 520);
      await it.leakage(['promote', '2']);
      expect(await turns()).toEqual([
        { generation: 1, next_seq: 61, until_seq: 95 },
        { generation: 2, next_seq: 521, until_seq: null },
      ]);
    });

    test('a generation that was told to its end but for the record of it begins anew', async () => {
      await come(70, 500);
      await told(1, 71);
      await it.leakage(['promote', '2']);
      await come(90, 510);
      await it.leakage(['rollback']);
      expect(await turns()).toEqual([
        { generation: 2, next_seq: 501, until_seq: 510 },
        { generation: 1, next_seq: 91, until_seq: null },
      ]);
    });
  });

  test('nobody relays: nobody begins to', async () => {
    await it.owner.query(`delete from ops.reader where reader = 'changes'`);
    await it.verified(2);
    await it.leakage(['promote', '2']);
    expect(await it.seen()).toEqual({ ...two, speaks: null });
  });

  test('readers keep their rights, also on views that had to be made anew, and see no member', async () => {
    await it.verified(2);
    await it.owner.query(`drop view gold_2.savings_model; create view gold_2.savings_model as select 'x'::text as brand_new;
      create view gold_2.later as select 2 as generation; revoke all on gold_2.daily_leakage_summary from public`);
    expect(await it.leakage(['promote', '2'])).toMatchObject({ code: 0 });
    await it.as(it.urlOf('reader'), async (pool) => {
      expect((await pool.query('select brand_new from gold.savings_model')).rows).toEqual([{ brand_new: 'x' }]);
      expect((await pool.query('select generation from gold.later')).rows).toEqual([{ generation: 2 }]);
      await pool.query('select * from gold.daily_leakage_summary');
      await expect(pool.query('select * from gold.journey_timeline')).rejects.toThrow(/permission denied/);
    });
    await it.as(it.urlOf('api'), (pool) => pool.query('select * from gold_2.daily_leakage_summary'));
    expect((await it.init()).out).toMatch(/rights +were as they should be/);
    await it.owner.query('drop view gold_2.later cascade');
  });
});

describe('who is in the way', () => {
  test('a long reader of a view is named, and the promotion goes on when it has ended', async () => {
    await it.verified(2);
    await it.as(it.url, (pool) =>
      pool.withConnection(async (reader) => {
        await reader.query(`set application_name = 'a long report'; begin; select * from gold.daily_leakage_summary`);
        const { code, problems } = await it.leakage(['promote', '2', '--wait', '3']);
        expect({ code, problems }).toMatchObject({
          code: 1,
          problems: expect.stringMatching(/a long report/) as string,
        });
        expect(await it.seen()).toEqual(one);
        const promoting = it.leakage(['promote', '2', '--wait', '30', '--json']);
        await new Promise((resolve) => setTimeout(resolve, 4_000));
        await reader.query('commit');
        expect(json((await promoting).out)).toMatchObject({ done: true });
      }),
    );
    expect(await it.seen()).toEqual(two);
  });

  test('a reader that wants one view while it holds another is never ended as a deadlock, and sees one generation', async () => {
    await it.owner.query(`create view gold_1.a_first as select 1 as generation; create view gold_1.z_last as select 1 as generation;
      create view gold_2.a_first as select 2 as generation; create view gold_2.z_last as select 2 as generation`);
    await it.owner.query(`select ops.publish('gold', 1)`);
    await it.verified(2);
    let stop = false;
    const answers = new Set<string>();
    const read = async () => {
      await it.as(it.url, (pool) =>
        pool.withConnection(async (reader) => {
          while (!stop) {
            await reader.query('begin');
            const last = (await reader.query<{ generation: number }>('select * from gold.z_last')).rows[0]?.generation;
            await new Promise((resolve) => setTimeout(resolve, 100));
            const first = (await reader.query<{ generation: number }>('select * from gold.a_first')).rows[0]
              ?.generation;
            await reader.query('commit');
            answers.add(`${last} ${first}`);
            // Readers who never leave a moment free between them are waited for, and then named: that is another test.
            await new Promise((resolve) => setTimeout(resolve, 300));
          }
        }),
      );
    };
    const readers = [read(), read()];
    try {
      for (let round = 0; round < 2; round++) {
        expect(await it.leakage(['promote', '2', '--wait', '30'])).toMatchObject({ code: 0 });
        expect(await it.leakage(['rollback', '--wait', '30'])).toMatchObject({ code: 0 });
      }
    } finally {
      // Whatever happens: readers that went on would be in the way of every later promotion.
      stop = true;
      await Promise.all(readers);
    }
    expect([...answers].sort()).toEqual(['1 1', '2 2']);
    await it.owner.query('drop view gold_1.a_first, gold_1.z_last, gold_2.a_first, gold_2.z_last cascade');
  });

  test('a batch of silver that does not end is named', async () => {
    await it.verified(2);
    await it.as(it.url, (pool) =>
      pool.withConnection(async (batch) => {
        await batch.query(
          `set application_name = 'a batch'; begin; select * from ops.shard where generation = 1 and shard = 5 for update`,
        );
        const { code, problems } = await it.leakage(['promote', '2', '--wait', '2']);
        expect({ code, problems }).toMatchObject({ code: 1, problems: expect.stringMatching(/a batch/) as string });
        await batch.query('rollback');
      }),
    );
    expect(await it.seen()).toEqual(one);
    expect(await it.leakage(['promote', '2'])).toMatchObject({ code: 0 });
  });
});

describe('killed at any step, it leaves the old or the new one, and the next one works', () => {
  test.each(promotionSteps)('$name', async (step) => {
    const { applied } = step;
    await it.verified(2);
    const killed = await it.killedAt(step, ['promote', '2']);
    expect(killed).toMatchObject({ code: -1, out: '' });
    expect(await it.seen()).toEqual(applied ? two : one);
    expect(await it.leakage(['promote', '2'])).toMatchObject({ code: 0 });
    expect(await it.seen()).toEqual(two);

    const back = await it.killedAt(step, ['rollback']);
    expect(back).toMatchObject({ code: -1, out: '' });
    expect(await it.seen()).toEqual(applied ? one : two);
    if (!applied) expect(await it.leakage(['rollback'])).toMatchObject({ code: 0 });
    expect(await it.seen()).toEqual(one);
    const { rows } = await it.owner.query('select kind from ops.promotion order by id');
    expect(rows).toEqual([{ kind: 'promote' }, { kind: 'rollback' }]);
  });
});
