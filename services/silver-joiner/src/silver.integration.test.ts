import { inTransaction } from '@leakage/postgres';
import { call, eventually, journey, profile } from '@leakage/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { SentRecord } from './testing/delivery.ts';
import { JOINER, SCHEMA, TEST_READER } from './testing/postgres-silver.ts';
import { partitionOf, SilverFixture } from './testing/silver-fixture.ts';
import { expectedState, vector } from './testing/vectors.ts';

const PATIENCE_MS = 300_000;

let silver: SilverFixture;

beforeAll(async () => {
  silver = await SilverFixture.open();
});

beforeEach(async () => {
  await silver.reset();
});

afterAll(async () => {
  await silver.close();
});

describe('records that silver may have', () => {
  const version = (revision: number, device_type: string): SentRecord => ({
    source: 'journeys',
    event: journey({ event_id: 'met-twice', action: 'page_view', error_code: null, revision, device_type }),
  });
  const stored = async () =>
    (
      await silver.db.pool.query(
        `select event_id, revision, device_type from ${SCHEMA}.journey_event order by event_id`,
      )
    ).rows;

  it('one that somebody else is just adding is waited for, and merged with it', async () => {
    const { pool } = silver.db;
    const added = Promise.withResolvers<void>();
    const mayCommit = Promise.withResolvers<void>();
    const other = inTransaction(pool, async (tx) => {
      await tx.query(
        `insert into ${SCHEMA}.journey_event (event_id, event_day, member_id, session_id, "timestamp", journey_type, action,
           revision, deleted, emitted_at, shard, ingestion_timestamp, source_topic, source_partition, source_offset)
         values ('met-twice', 1, 'member-1', 's', now(), 'billing', 'page_view', 1, false, now(), $1, now(), 't', 0, 0)`,
        [partitionOf(version(1, 'mobile'))],
      );
      added.resolve();
      await mayCommit.promise;
    });
    await added.promise;
    const process = silver.process();
    const taken = silver.take([version(2, 'tablet')], process);
    await eventually(
      async () =>
        (await pool.query(`select from pg_locks where not granted and locktype = 'transactionid'`)).rowCount > 0,
      { what: 'the merge to wait for the other process' },
    );
    mayCommit.resolve();
    await Promise.all([other, taken]);
    expect(await stored()).toEqual([{ event_id: 'met-twice', revision: 2, device_type: 'tablet' }]);
    expect(await process.metrics.text()).toContain('leakage_silver_reruns_total 1\n');
    await process.stop();
  });

  it('a call that a correction moves from before what a new process remembers to after it', async () => {
    // So far that no range around one of them reaches the other.
    const [before, after] = [Date.UTC(2026, 2, 2, 15), Date.UTC(2026, 2, 22, 15)];
    const early = call({ call_id: 'moved-in-time', call_timestamp: before, emitted_at: before });
    await silver.take([{ source: 'calls', event: early }]);
    await silver.restart();
    const late = { ...early, revision: 1, call_timestamp: after, emitted_at: after };
    await silver.take([{ source: 'calls', event: late }]);
    await silver.take([{ source: 'calls', event: { ...late, revision: 2, sentiment_score: 0.5 } }]);
    expect((await silver.db.facts()).map(({ call_timestamp, sentiment_e4 }) => [call_timestamp, sentiment_e4])).toEqual(
      [[after, 5_000]],
    );
    expect(await silver.problems()).toEqual([]);
  });

  it('known ones, new ones, and both in one batch', async () => {
    const fresh = (nr: number): SentRecord => ({
      source: 'journeys',
      event: journey({ event_id: `e-${nr}`, device_type: 'pc' }),
    });
    await silver.take([fresh(2), version(3, 'phone'), fresh(4)]);
    await silver.take([fresh(1), fresh(2), version(2, 'tablet'), fresh(3), fresh(4), fresh(5), version(4, 'pc')]);
    expect(await stored()).toEqual([
      ...[1, 2, 3, 4, 5].map((nr) => ({ event_id: `e-${nr}`, revision: 0, device_type: 'desktop' })),
      { event_id: 'met-twice', revision: 4, device_type: 'desktop' },
    ]);
    expect(await silver.problems()).toEqual([]);
  });
});

describe('T-MOVE: a call moves between shards', () => {
  const [still, moving] = vector('T-MOVE').steps;
  if (still === undefined || moving === undefined) throw new Error('T-MOVE has two steps');
  const first = moving.records.filter((record) => partitionOf(record) === 3);
  const second = moving.records.filter((record) => partitionOf(record) === 8);

  it.each([
    ['in order of revisions', [first, second]],
    ['the last revision first', [second, first]],
  ])('one process after the other, %s', async (_, [a = [], b = []]) => {
    await silver.take(still.records);
    await silver.take(a, silver.one);
    await silver.take(b, silver.other);
    expect(await silver.state()).toEqual(expectedState(moving));
    expect(await silver.problems()).toEqual([]);
  });

  it(
    'both at once, many times',
    async () => {
      for (let i = 0; i < 40; i++) {
        await silver.reset();
        await silver.take(still.records);
        // Which of them is first is up to the servers; the one that starts first differs from run to run.
        const jobs =
          i % 2 === 0
            ? ([
                [first, silver.one],
                [second, silver.other],
              ] as const)
            : ([
                [second, silver.other],
                [first, silver.one],
              ] as const);
        await Promise.all(jobs.map(([records, process]) => silver.take(records, process)));
        expect(await silver.state()).toEqual(expectedState(moving));
        expect(await silver.problems()).toEqual([]);
      }
    },
    PATIENCE_MS,
  );

  it('runs the batch again with the shard that the call leaves', async () => {
    await silver.take([...still.records, ...first]);
    await silver.take(second, silver.other);
    expect(await silver.other.metrics.text()).toMatch(/leakage_silver_reruns_total [1-9]/);
  });
});

describe('records', () => {
  const T0 = Date.UTC(2026, 2, 2, 15);

  async function outcomes() {
    const { rows } = await silver.db.pool.query(
      `select topic, partition, next_offset, accepted, superseded, duplicates, conflicts, quarantined, holes
         from ops.position where next_offset > 0 order by topic, accepted desc, partition`,
    );
    return rows;
  }

  it('have one outcome each, at their partition', async () => {
    const error = journey({ event_id: 'e', timestamp: T0 });
    const corrected = { ...error, revision: 1, error_code: 'B' };
    const rival = { ...corrected, error_code: 'A' };
    const events = [error, error, corrected, rival, error, { ...error, member_id: null }];
    for (const event of events) await silver.take([{ source: 'journeys', event }]);
    expect((await outcomes()).map(({ topic: _, partition: __, ...counts }) => counts)).toEqual([
      // The one without a member has no key, hence another partition.
      { next_offset: 5, accepted: 2, superseded: 1, duplicates: 1, conflicts: 1, quarantined: 0, holes: 0 },
      { next_offset: 1, accepted: 0, superseded: 0, duplicates: 0, conflicts: 0, quarantined: 1, holes: 0 },
    ]);
  });

  it('in conflict are all kept until a higher revision settles them', async () => {
    const base = call({ call_id: 'c' });
    for (const agent_id of ['b', null, 'a', 'b'])
      await silver.take([{ source: 'calls', event: { ...base, agent_id } }]);
    expect(await silver.db.conflicts()).toEqual({ c: 3 });
    const { rows } = await silver.db.pool.query(`select agent_id from ${SCHEMA}.call`);
    expect(rows).toEqual([{ agent_id: null }]);
    await silver.take([{ source: 'calls', event: { ...base, revision: 1 } }]);
    expect(await silver.db.conflicts()).toEqual({});
  });

  it.each([
    [['a', 'B'], 'a'],
    [['B', 'a'], 'a'],
    [['\uffee', '😀'], '😀'],
    [['😀', '\uffee'], '😀'],
    [['10', '9'], '9'],
  ])('of one revision, %j: the one with greater bytes stands in every order', async (agents, winner) => {
    for (const agent_id of agents) await silver.take([{ source: 'calls', event: call({ call_id: 'c', agent_id }) }]);
    const { rows } = await silver.db.pool.query(`select agent_id from ${SCHEMA}.call`);
    expect(rows).toEqual([{ agent_id: winner }]);
  });

  it('that are refused are kept with payload, id and reasons', async () => {
    const unidentified = call({ call_id: 'nobody', member_id: null });
    const garbage = silver.topics.sendBytes('members', Buffer.from('garbage'), { partition: 4, timestampMs: T0 });
    const tombstone = silver.topics.sendBytes('journeys', null, { partition: 5, timestampMs: T0 });
    const chunks = silver.topics.deliver([
      ...silver.send([{ source: 'calls', event: unidentified }]),
      garbage,
      tombstone,
    ]);
    expect(await silver.one.take(chunks)).toBe('applied');
    const { rows } = await silver.db.pool.query(
      `select source, kafka_partition, kafka_offset, received_at, record_id, reasons, status, attempts, resolved_by,
              payload is null as empty
         from ${SCHEMA}.quarantine order by source`,
    );
    expect(rows).toMatchObject([
      { source: 'calls', record_id: 'nobody', reasons: ['unidentified'], status: 'open', empty: false },
      { source: 'journeys', kafka_partition: 5, record_id: null, reasons: ['null_value'], empty: true },
      { source: 'members', kafka_partition: 4, kafka_offset: 0, received_at: T0, reasons: ['unknown_format'] },
    ]);
    const payload = await silver.db.pool.query<{ payload: Buffer }>(
      `select payload from ${SCHEMA}.quarantine_record where source = 'members'`,
    );
    expect(payload.rows[0]?.payload.toString()).toBe('garbage');

    await silver.db.pool.query(
      `insert into ops.repair (kafka_topic, kafka_partition, kafka_offset, status, reason, resolved_by, resolved_at)
       select kafka_topic, kafka_partition, kafka_offset, 'discarded', 'noise', 'ann', now()
         from ${SCHEMA}.quarantine where source = 'members'`,
    );
    const settled = await silver.db.pool.query(
      `select source, status, attempts, resolved_by from ${SCHEMA}.quarantine order by source`,
    );
    expect(settled.rows).toEqual([
      { source: 'calls', status: 'open', attempts: 0, resolved_by: null },
      { source: 'journeys', status: 'open', attempts: 0, resolved_by: null },
      { source: 'members', status: 'discarded', attempts: 0, resolved_by: 'ann' },
    ]);
  });

  it('in the wrong partition end right, and are counted', async () => {
    const error = silver.topics.send({ source: 'journeys', event: journey({ timestamp: T0 }) }, 0);
    const later = silver.topics.send({ source: 'calls', event: call({ call_timestamp: T0 + 60_000 }) }, 1);
    expect(await silver.one.take(silver.topics.deliver([error, later]))).toBe('applied');
    expect((await silver.db.facts()).map((fact) => fact.attribution)).toEqual(['leakage']);
    expect(await silver.one.metrics.text()).toMatch(/leakage_silver_misrouted_total 2/);
  });

  it('raise the watermarks of their shards, superseded ones too, never beyond emitted_at', async () => {
    const early = journey({ event_id: 'e', timestamp: T0, revision: 1 });
    const superseded = { ...early, revision: 0, timestamp: T0 + 5_000, emitted_at: T0 + 4_000 };
    await silver.take([{ source: 'journeys', event: early }]);
    await silver.take([{ source: 'journeys', event: superseded }]);
    await silver.take([{ source: 'calls', event: call({ call_timestamp: T0 + 9_000, emitted_at: T0 + 8_000 }) }]);
    const { rows } = await silver.db.pool.query(
      'select wm_digital, wm_calls from ops.shard where wm_digital is not null',
    );
    expect(rows).toEqual([{ wm_digital: T0 + 4_000, wm_calls: T0 + 8_000 }]);
  });

  it('stay as withdrawn rows, and their facts disappear', async () => {
    const made = call({ call_id: 'c', call_timestamp: T0 });
    await silver.take([{ source: 'calls', event: made }]);
    await silver.take([{ source: 'calls', event: { ...made, revision: 1, deleted: true } }]);
    const { rows } = await silver.db.pool.query(`select revision, deleted from ${SCHEMA}.call`);
    expect(rows).toEqual([{ revision: 1, deleted: true }]);
    expect(await silver.db.facts()).toEqual([]);
    expect(await silver.problems()).toEqual([]);
  });

  it('of profiles log the member category of the latest version', async () => {
    const since = (valid_from: number | null, plan_type: string) => profile({ valid_from, plan_type, emitted_at: T0 });
    await silver.take([{ source: 'members', event: since(T0, 'MAPD') }]);
    await silver.take([{ source: 'members', event: since(null, 'Commercial') }]);
    await silver.take([{ source: 'members', event: since(T0 + 1, 'Commercial') }]);
    expect(
      (await silver.db.changes()).map(({ kind, before, after }) => [
        kind,
        before?.member_category,
        after?.member_category,
      ]),
    ).toEqual([
      ['member', undefined, 'MAPD Tenured'],
      ['member', 'MAPD Tenured', 'Commercial'],
    ]);
  });
});

describe('a batch', () => {
  it('of holes only moves the position', async () => {
    const [chunk] = silver.topics.deliver(silver.send([{ source: 'calls', event: call() }]));
    if (chunk === undefined) throw new Error('a record was sent');
    expect(await silver.one.take([{ ...chunk, records: [], holes: 1, lastOffset: null, lastFingerprint: null }])).toBe(
      'applied',
    );
    const { rows } = await silver.db.pool.query('select next_offset, holes from ops.position where next_offset > 0');
    expect(rows).toEqual([{ next_offset: 1, holes: 1 }]);
  });

  it(
    'whose connection dies at any moment is applied once or not at all, and the positions say which',
    async () => {
      const { steps } = vector('T-ATT');
      const records = steps.flatMap((step) => step.records);
      for (let run = 0; run < 12; run++) {
        await silver.reset();
        const chunks = silver.topics.deliver(silver.send(records));
        await silver.one.take([]);
        const applying = silver.one.take(chunks);
        await new Promise((resolve) => setTimeout(resolve, run * 4));
        await silver.db.pool.query(
          'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = $1',
          [JOINER],
        );
        const result = await applying;
        const { rows } = await silver.db.pool.query<{ moved: number }>(
          'select count(*) as moved from ops.position where next_offset > 0',
        );
        const isApplied = rows[0]?.moved !== 0;
        expect(isApplied ? ['applied', 'unknown'] : ['unknown']).toContain(result);
        if (!isApplied) expect(await silver.one.take(chunks)).toBe('applied');
        expect(await silver.state()).toEqual(expectedState(...steps));
        expect(await silver.problems()).toEqual([]);
      }
    },
    PATIENCE_MS,
  );
});

describe('the change log', () => {
  const read = async () =>
    (await silver.db.pool.query<{ seq: number }>(`select seq from ${SCHEMA}.change_log order by seq`)).rows.map(
      ({ seq }) => seq,
    );
  const some = (n: number): SentRecord => ({
    source: 'calls',
    event: call({ call_timestamp: Date.UTC(2026, 0, 1) + n }),
  });

  it(
    'is kept while a reader has read nothing, and trimmed below the slowest reader',
    async () => {
      const patient = silver.process();
      const shard = partitionOf(some(0));
      for (let i = 0; i < 50; i++) await silver.take([some(i)], patient);
      expect((await read()).length).toBe(50);
      await silver.db.pool.query('delete from ops.reader where reader = $1', [TEST_READER]);
      await silver.db.pool.query(
        'insert into ops.reader (reader, generation, shard, next_seq) values ($1, 1, $2, 31), ($3, 1, $2, 41)',
        ['slow', shard, 'quick'],
      );
      for (let i = 50; i < 100; i++) await silver.take([some(i)], patient);
      const left = await read();
      expect([left[0], left.at(-1)]).toEqual([31, 100]);
      await patient.stop();
    },
    PATIENCE_MS,
  );

  it('is not written while nobody reads it, and has every change from the one on that a new reader begins with', async () => {
    await silver.db.pool.query('delete from ops.reader where reader = $1', [TEST_READER]);
    const unheard = silver.process();
    for (let i = 0; i < 5; i++) await silver.take([some(i)], unheard);
    const seqOf = async () =>
      (await silver.db.pool.query<{ seq: number }>('select max(change_seq) as seq from ops.shard')).rows[0]?.seq;
    expect([await read(), await seqOf()]).toEqual([[], 5]);

    // As gold registers: under the lock of every shard, which the batch after it waits for.
    const registering = silver.process();
    let batch: Promise<void> | undefined;
    await registering.session.transaction(async (tx) => {
      await tx.query('select from ops.shard order by shard for update');
      batch = silver.take([some(5)], unheard);
      await eventually(async () => {
        const { rows } = await silver.db.pool.query(
          `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
        );
        return rows.length > 0;
      });
      await tx.query(
        'insert into ops.reader (reader, generation, shard, next_seq) select $1, generation, shard, change_seq + 1 from ops.shard',
        [TEST_READER],
      );
    });
    await batch;
    await silver.take([some(6)], unheard);
    expect(await read()).toEqual([6, 7]);
    await Promise.all([unheard.stop(), registering.stop()]);
  });

  it('wakes readers only when something was appended', async () => {
    const quiet = silver.process();
    await silver.take([{ source: 'journeys', event: journey({ action: 'page_view' }) }], quiet);
    expect(quiet.woken).toBe(0);
    await silver.take([some(0)], quiet);
    expect(quiet.woken).toBe(1);
    await quiet.stop();
  });
});
