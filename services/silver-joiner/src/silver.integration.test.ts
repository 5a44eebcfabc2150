import type { KafkaRecord } from '@leakage/kafka';
import { call, freshDatabase, journey, profile, type TestDatabase } from '@leakage/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakeTopics, type SentRecord } from './testing/delivery.ts';
import { naiveSilver } from './testing/naive-model.ts';
import { fold, foldedRows, gaps, JOINER, JoinerProcess, SCHEMA, SilverDatabase } from './testing/postgres-silver.ts';
import { expectedState, stateOf, vector, vectors } from './testing/vectors.ts';
import { comparableNaive, comparableSilver, cut, NAIVE_RULES, type World, worlds } from './testing/worlds.ts';

const PATIENCE_MS = 300_000;

let server: TestDatabase;
let db: SilverDatabase;
let one: JoinerProcess;
let other: JoinerProcess;
let topics: FakeTopics;

beforeAll(async () => {
  server = await freshDatabase();
  db = await SilverDatabase.open(server.url);
  one = new JoinerProcess(server.url);
  other = new JoinerProcess(server.url);
});

beforeEach(async () => {
  await restart();
});

afterAll(async () => {
  await one.stop();
  await other.stop();
  await db.pool.stop();
  await server.drop();
});

async function restart(): Promise<void> {
  await db.clear();
  topics = new FakeTopics();
}

function send(records: readonly SentRecord[]): KafkaRecord[] {
  return records.map((record) => topics.send(record));
}

async function take(records: readonly SentRecord[], process = one): Promise<void> {
  expect(await process.take(topics.deliver(send(records)))).toBe('applied');
}

async function state() {
  return stateOf(await db.facts(), await db.outcomes());
}

/** What must hold of any silver, whatever was sent. */
async function expectConsistent(): Promise<void> {
  const [changes, facts, outcomes] = [await db.changes(), await db.facts(), await db.outcomes()];
  expect(gaps(changes)).toEqual([]);
  const { left, negative } = fold(changes);
  expect(negative).toEqual([]);
  expect(left.filter((row) => !row.startsWith('member'))).toEqual(
    [...foldedRows('call', facts), ...foldedRows('journey', outcomes)].sort(),
  );
  const { rows } = await db.pool.query(
    `select s.shard from ops.shard s left join ${SCHEMA}.change_log c on c.shard = s.shard
      group by s.generation, s.shard having s.change_seq <> coalesce(max(c.seq), 0)`,
  );
  expect(rows).toEqual([]);
}

async function expectNaive(records: readonly SentRecord[]): Promise<void> {
  const naive = naiveSilver(records, NAIVE_RULES);
  expect(comparableSilver({ facts: await db.facts(), outcomes: await db.outcomes() })).toEqual(comparableNaive(naive));
  expect(await db.conflicts()).toEqual(naive.conflicts);
}

describe('merge and rule on the shared vectors', () => {
  it.each(vectors.map(({ name, says }) => [name, says]))('%s: %s', async (name) => {
    const seen = new Set<string>();
    for (const step of vector(name).steps) {
      await take(step.records);
      expect(await state()).toEqual(expectedState(step));
      const logged = (await db.changes()).filter(
        ({ kind, shard, seq }) => kind === 'call' && !seen.has(`${shard}/${seq}`),
      );
      for (const { shard, seq } of logged) seen.add(`${shard}/${seq}`);
      const changed = [
        ...new Set(logged.map(({ before, after }) => JSON.stringify((after ?? before)?.call_id))),
      ].sort();
      const expected = step.changedCalls?.map((callId) => JSON.stringify(callId)) ?? changed;
      expect(changed).toEqual(expected.toSorted());
      await expectConsistent();
    }
  });

  it(
    'T-ORD: 200 permutations with duplicates and batch cuts give the same silver',
    async () => {
      const steps = vector('T-ATT').steps;
      const records = steps.flatMap((step) => step.records);
      const arrivals = fc
        .subarray(records)
        .chain((again) => {
          const sent = [...records, ...again];
          return fc.shuffledSubarray(sent, { minLength: sent.length, maxLength: sent.length });
        })
        .chain((sent) => fc.array(fc.integer({ min: 8, max: 60 })).map((sizes) => cut(sent, sizes)));
      await fc.assert(
        fc.asyncProperty(arrivals, async (batches) => {
          await restart();
          for (const batch of batches) await take(batch);
          expect(await state()).toEqual(expectedState(...steps));
          await expectConsistent();
        }),
        { numRuns: 200 },
      );
    },
    PATIENCE_MS,
  );
});

describe('merge and rule against the naive model', () => {
  it(
    'agree on any set of records, permuted, duplicated, cut into batches, with restarts and batches delivered again',
    async () => {
      const runs = fc.tuple(
        worlds,
        fc.array(fc.constantFrom('none', 'restart', 'again'), { minLength: 1, maxLength: 8 }),
      );
      await fc.assert(
        fc.asyncProperty(runs, async ([{ records, batches }, faults]) => {
          await restart();
          for (const [i, batch] of batches.entries()) {
            const chunks = topics.deliver(send(batch));
            expect(await one.take(chunks)).toBe('applied');
            const fault = faults[i % faults.length];
            if (fault === 'again') expect(await one.take(chunks)).toBe('moved');
            if (fault === 'restart') {
              await one.stop();
              one = new JoinerProcess(server.url);
            }
          }
          await expectNaive(records);
          await expectConsistent();
        }),
        { numRuns: 120 },
      );
    },
    PATIENCE_MS,
  );

  it(
    'agree when two processes work at once',
    async () => {
      await fc.assert(
        fc.asyncProperty(worlds, async (world) => {
          await restart();
          await takeTogether(world);
          await expectNaive(world.records);
          await expectConsistent();
        }),
        { numRuns: 60 },
      );
    },
    PATIENCE_MS,
  );
});

/** Each process owns every other partition, as after a rebalance, and takes its own batches without waiting. */
async function takeTogether({ batches }: Pick<World, 'batches'>): Promise<void> {
  const owned = (rest: number) =>
    batches
      .map((batch) => batch.filter((record) => partitionOf(record) % 2 === rest))
      .filter((batch) => batch.length > 0);
  const work = async (process: JoinerProcess, own: readonly (readonly SentRecord[])[]) => {
    for (const batch of own) await take(batch, process);
  };
  await Promise.all([work(one, owned(0)), work(other, owned(1))]);
}

function partitionOf(record: SentRecord): number {
  return new FakeTopics().send(record).partition;
}

describe('T-MOVE: a call moves between shards', () => {
  const [still, moving] = vector('T-MOVE').steps;
  if (still === undefined || moving === undefined) throw new Error('T-MOVE has two steps');
  const first = moving.records.filter((record) => partitionOf(record) === 3);
  const second = moving.records.filter((record) => partitionOf(record) === 8);

  it.each([
    ['in order of revisions', [first, second]],
    ['the last revision first', [second, first]],
  ])('one process after the other, %s', async (_, [a = [], b = []]) => {
    await take(still.records);
    await take(a, one);
    await take(b, other);
    expect(await state()).toEqual(expectedState(moving));
    await expectConsistent();
  });

  it(
    'both at once, many times',
    async () => {
      for (let i = 0; i < 40; i++) {
        await restart();
        await take(still.records);
        // Which of them is first is up to the servers; the one that starts first differs from run to run.
        const jobs =
          i % 2 === 0
            ? ([
                [first, one],
                [second, other],
              ] as const)
            : ([
                [second, other],
                [first, one],
              ] as const);
        await Promise.all(jobs.map(([records, process]) => take(records, process)));
        expect(await state()).toEqual(expectedState(moving));
        await expectConsistent();
      }
    },
    PATIENCE_MS,
  );

  it('runs the batch again with the shard that the call leaves', async () => {
    await take([...still.records, ...first]);
    await take(second, other);
    expect(await other.metrics.text()).toMatch(/leakage_silver_reruns_total [1-9]/);
  });
});

describe('records', () => {
  const T0 = Date.UTC(2026, 2, 2, 15);

  async function outcomes() {
    const { rows } = await db.pool.query(
      `select topic, partition, next_offset, accepted, superseded, duplicates, conflicts, quarantined, holes
         from ops.position where next_offset > 0 order by topic`,
    );
    return rows;
  }

  it('have one outcome each, at their partition', async () => {
    const error = journey({ event_id: 'e', timestamp: T0 });
    const corrected = { ...error, revision: 1, error_code: 'B' };
    const rival = { ...corrected, error_code: 'A' };
    const events = [error, error, corrected, rival, error, { ...error, member_id: null }];
    for (const event of events) await take([{ source: 'journeys', event }]);
    expect((await outcomes()).map(({ topic: _, partition: __, ...counts }) => counts)).toEqual([
      // The one without a member has no key, hence another partition.
      { next_offset: 5, accepted: 2, superseded: 1, duplicates: 1, conflicts: 1, quarantined: 0, holes: 0 },
      { next_offset: 1, accepted: 0, superseded: 0, duplicates: 0, conflicts: 0, quarantined: 1, holes: 0 },
    ]);
  });

  it('in conflict are all kept until a higher revision settles them', async () => {
    const base = call({ call_id: 'c' });
    for (const agent_id of ['b', null, 'a', 'b']) await take([{ source: 'calls', event: { ...base, agent_id } }]);
    expect(await db.conflicts()).toEqual({ c: 3 });
    const { rows } = await db.pool.query(`select agent_id from ${SCHEMA}.call`);
    expect(rows).toEqual([{ agent_id: null }]);
    await take([{ source: 'calls', event: { ...base, revision: 1 } }]);
    expect(await db.conflicts()).toEqual({});
  });

  it.each([
    [['a', 'B'], 'a'],
    [['B', 'a'], 'a'],
    [['\uffee', '😀'], '😀'],
    [['😀', '\uffee'], '😀'],
    [['10', '9'], '9'],
  ])('of one revision, %j: the one with greater bytes stands in every order', async (agents, winner) => {
    for (const agent_id of agents) await take([{ source: 'calls', event: call({ call_id: 'c', agent_id }) }]);
    const { rows } = await db.pool.query(`select agent_id from ${SCHEMA}.call`);
    expect(rows).toEqual([{ agent_id: winner }]);
  });

  it('that are refused are kept with payload, id and reasons', async () => {
    const unidentified = call({ call_id: 'nobody', member_id: null });
    const garbage = topics.sendBytes('members', Buffer.from('garbage'), { partition: 4, timestampMs: T0 });
    const tombstone = topics.sendBytes('journeys', null, { partition: 5, timestampMs: T0 });
    const chunks = topics.deliver([...send([{ source: 'calls', event: unidentified }]), garbage, tombstone]);
    expect(await one.take(chunks)).toBe('applied');
    const { rows } = await db.pool.query(
      `select source, kafka_partition, kafka_offset, received_at, record_id, reasons, status, payload is null as empty
         from ${SCHEMA}.quarantine_record order by source`,
    );
    expect(rows).toMatchObject([
      { source: 'calls', record_id: 'nobody', reasons: ['unidentified'], status: 'open', empty: false },
      { source: 'journeys', kafka_partition: 5, record_id: null, reasons: ['null_value'], empty: true },
      { source: 'members', kafka_partition: 4, kafka_offset: 0, received_at: T0, reasons: ['unknown_format'] },
    ]);
    const payload = await db.pool.query<{ payload: Buffer }>(
      `select payload from ${SCHEMA}.quarantine_record where source = 'members'`,
    );
    expect(payload.rows[0]?.payload.toString()).toBe('garbage');
  });

  it('in the wrong partition end right, and are counted', async () => {
    const error = topics.send({ source: 'journeys', event: journey({ timestamp: T0 }) }, 0);
    const later = topics.send({ source: 'calls', event: call({ call_timestamp: T0 + 60_000 }) }, 1);
    expect(await one.take(topics.deliver([error, later]))).toBe('applied');
    expect((await db.facts()).map((fact) => fact.attribution)).toEqual(['leakage']);
    expect(await one.metrics.text()).toMatch(/leakage_silver_misrouted_total 2/);
  });

  it('raise the watermarks of their shards, superseded ones too, never beyond emitted_at', async () => {
    const early = journey({ event_id: 'e', timestamp: T0, revision: 1 });
    const superseded = { ...early, revision: 0, timestamp: T0 + 5_000, emitted_at: T0 + 4_000 };
    await take([{ source: 'journeys', event: early }]);
    await take([{ source: 'journeys', event: superseded }]);
    await take([{ source: 'calls', event: call({ call_timestamp: T0 + 9_000, emitted_at: T0 + 8_000 }) }]);
    const { rows } = await db.pool.query('select wm_digital, wm_calls from ops.shard where wm_digital is not null');
    expect(rows).toEqual([{ wm_digital: T0 + 4_000, wm_calls: T0 + 8_000 }]);
  });

  it('stay as withdrawn rows, and their facts disappear', async () => {
    const made = call({ call_id: 'c', call_timestamp: T0 });
    await take([{ source: 'calls', event: made }]);
    await take([{ source: 'calls', event: { ...made, revision: 1, deleted: true } }]);
    const { rows } = await db.pool.query(`select revision, deleted from ${SCHEMA}.call`);
    expect(rows).toEqual([{ revision: 1, deleted: true }]);
    expect(await db.facts()).toEqual([]);
    await expectConsistent();
  });

  it('of profiles log the member category of the latest version', async () => {
    const since = (valid_from: number | null, plan_type: string) => profile({ valid_from, plan_type, emitted_at: T0 });
    await take([{ source: 'members', event: since(T0, 'MAPD') }]);
    await take([{ source: 'members', event: since(null, 'Commercial') }]);
    await take([{ source: 'members', event: since(T0 + 1, 'Commercial') }]);
    expect(
      (await db.changes()).map(({ kind, before, after }) => [kind, before?.member_category, after?.member_category]),
    ).toEqual([
      ['member', undefined, 'MAPD Tenured'],
      ['member', 'MAPD Tenured', 'Commercial'],
    ]);
  });
});

describe('a batch', () => {
  it('of holes only moves the position', async () => {
    const [chunk] = topics.deliver(send([{ source: 'calls', event: call() }]));
    if (chunk === undefined) throw new Error('a record was sent');
    expect(await one.take([{ ...chunk, records: [], holes: 1, lastOffset: null, lastFingerprint: null }])).toBe(
      'applied',
    );
    const { rows } = await db.pool.query('select next_offset, holes from ops.position where next_offset > 0');
    expect(rows).toEqual([{ next_offset: 1, holes: 1 }]);
  });

  it(
    'whose connection dies at any moment is applied once or not at all, and the positions say which',
    async () => {
      const { steps } = vector('T-ATT');
      const records = steps.flatMap((step) => step.records);
      for (let run = 0; run < 12; run++) {
        await restart();
        const chunks = topics.deliver(send(records));
        await one.take([]);
        const applying = one.take(chunks);
        await new Promise((resolve) => setTimeout(resolve, run * 4));
        await db.pool.query('select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1', [
          JOINER,
        ]);
        const result = await applying;
        const { rows } = await db.pool.query<{ moved: number }>(
          'select count(*) as moved from ops.position where next_offset > 0',
        );
        const isApplied = rows[0]?.moved !== 0;
        expect(isApplied ? ['applied', 'unknown'] : ['unknown']).toContain(result);
        if (!isApplied) expect(await one.take(chunks)).toBe('applied');
        expect(await state()).toEqual(expectedState(...steps));
        await expectConsistent();
      }
    },
    PATIENCE_MS,
  );
});

describe('the change log', () => {
  const read = async () =>
    (await db.pool.query<{ seq: number }>(`select seq from ${SCHEMA}.change_log order by seq`)).rows.map(
      ({ seq }) => seq,
    );
  const some = (n: number): SentRecord => ({
    source: 'calls',
    event: call({ call_timestamp: Date.UTC(2026, 0, 1) + n }),
  });

  it(
    'is kept while nobody reads it, and trimmed below the slowest reader',
    async () => {
      const patient = new JoinerProcess(server.url);
      const shard = partitionOf(some(0));
      for (let i = 0; i < 50; i++) await take([some(i)], patient);
      expect((await read()).length).toBe(50);
      await db.pool.query(
        'insert into ops.reader (reader, generation, shard, next_seq) values ($1, 1, $2, 31), ($3, 1, $2, 41)',
        ['slow', shard, 'quick'],
      );
      for (let i = 50; i < 100; i++) await take([some(i)], patient);
      const left = await read();
      expect([left[0], left.at(-1)]).toEqual([31, 100]);
      await patient.stop();
    },
    PATIENCE_MS,
  );

  it('wakes readers only when something was appended', async () => {
    const quiet = new JoinerProcess(server.url);
    await take([{ source: 'journeys', event: journey({ action: 'page_view' }) }], quiet);
    expect(quiet.woken).toBe(0);
    await take([some(0)], quiet);
    expect(quiet.woken).toBe(1);
    await quiet.stop();
  });
});
