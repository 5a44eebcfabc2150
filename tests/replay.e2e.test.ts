// Services read again what they have read, while everything goes on: what is lacking comes back, and nothing else changes.

import { setTimeout as sleep } from 'node:timers/promises';
import { createKafkaClient, topicOffsets } from '@leakage/kafka';
import { createLogger } from '@leakage/runtime';
import { contracts, SOURCES, topicName } from '@leakage/schemas';
import { call, eventually, type ServiceProcess, startServiceProcess } from '@leakage/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { verifyPipeline } from '../cli/src/verify.ts';
import { Workload } from './faults/support/workload.ts';
import { dump } from './support/dump.ts';
import { leakage, startLeakage } from './support/leakage.ts';
import { emptyPipeline, type Pipeline } from './support/pipeline.ts';

const log = createLogger({ service: 'tests', level: 'error' });
vi.setConfig({ testTimeout: 240_000, hookTimeout: 240_000 });

let pipeline: Pipeline;
let workload: Workload;
const live: Partial<Record<'bronze-sink' | 'silver-joiner', ServiceProcess>> = {};

beforeAll(async () => {
  pipeline = await emptyPipeline();
  workload = new Workload(pipeline.prefix, 8);
  const [bronze, silver] = await Promise.all([
    pipeline.start('bronze-sink'),
    pipeline.start('silver-joiner'),
    pipeline.start('gold-aggregator'),
  ]);
  live['bronze-sink'] = bronze;
  live['silver-joiner'] = silver;
  await pipeline.feed(workload.tell(250));
});
afterAll(async () => await pipeline.stop());

interface Document {
  readonly id: number;
  readonly state: string;
  readonly records: number;
  readonly changed: number;
  readonly offsets: { readonly total: number; readonly read: number; readonly holes: number };
  readonly outcomes: Readonly<Record<string, number>>;
}

/** Who was killed is missed by the brokers after six seconds instead of thirty. */
const env = () => ({ ...pipeline.env, KAFKA_SESSION_TIMEOUT_MS: '6000' });
const again = (...words: string[]) => leakage(['replay', ...words], env());

/** Runs `leakage replay ... --json` to its end. */
async function replayed(...words: string[]): Promise<Document> {
  const { code, out, problems } = await again(...words, '--json');
  if (code !== 0) throw new Error(`it ended with ${code}: ${problems}`);
  return JSON.parse(out) as Document;
}

const bronzeTables = ['digital_journeys_raw', 'call_logs_raw', 'member_profiles_raw'] as const;

/** Every row of bronze with its bytes, but for when it was stored. */
async function archive(): Promise<string[]> {
  const lines: string[] = [];
  for (const table of bronzeTables) {
    const { rows } = await pipeline.pool.query<{ line: string }>(
      `select (to_jsonb(r) - 'ingestion_timestamp')::text collate "C" as line from bronze.${table} r order by 1`,
    );
    lines.push(...rows.map(({ line }) => `${table} ${line}`));
  }
  return lines;
}

/** Of whom outsiders are told, the relay of live says in its own time. */
const parts: Readonly<Record<string, string>> = {
  positions: `(select * from ops.position where pipeline in ('bronze', 'silver_1'))`,
  'ops.reader': `(select * from ops.reader where reader <> 'changes')`,
};

/** Every row that silver, gold and the protocol hold, with all times of processing: what must not even be written again. */
async function everything(): Promise<string[]> {
  const { rows: tables } = await pipeline.pool.query<{ name: string }>(
    `select schemaname || '.' || tablename as name from pg_tables
      where schemaname in ('silver_1', 'gold_1') and tablename <> 'migrations'
     union all select 'ops.shard' union all select 'ops.reader' union all select 'ops.loss' order by 1`,
  );
  const lines: string[] = [];
  for (const name of [...tables.map((table) => table.name), 'positions']) {
    const from = parts[name] ?? name;
    const { rows } = await pipeline.pool.query<{ line: string }>(
      `select to_jsonb(r)::text collate "C" as line from ${from} r order by 1`,
    );
    lines.push(...rows.map(({ line }) => `${name} ${line}`));
  }
  return lines;
}

async function recordsOf(name: 'bronze' | 'silver_1'): Promise<number> {
  const { rows } = await pipeline.pool.query<{ records: number }>(
    'select sum(next_offset - first_offset - holes)::bigint as records from ops.position where pipeline = $1',
    [name],
  );
  return rows[0]?.records ?? 0;
}

async function one<T>(statement: string, ...values: unknown[]): Promise<T | undefined> {
  return (await pipeline.pool.query<{ value: T }>(statement, values)).rows[0]?.value;
}

async function differing(): Promise<string[]> {
  const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
  return report.checks.filter((check) => check.differences > 0).map(({ name }) => name);
}

async function expectVerified(): Promise<void> {
  expect(await differing()).toEqual([]);
}

/** Where each partition ends in Kafka, by topic/partition. */
async function logEnds(): Promise<Map<string, number>> {
  const kafka = createKafkaClient({ brokers: [...pipeline.brokers], clientId: 'tests', log });
  const topics = SOURCES.map((source) => topicName(pipeline.prefix, source));
  const ends = await topicOffsets(kafka, topics);
  return new Map(ends.map(({ topic, partition, high }) => [`${topic}/${partition}`, high]));
}

/** Nothing of a replay that is over is left but its row. */
async function expectNothingLeft(): Promise<void> {
  expect(await one(`select count(*) as value from ops.position where pipeline like '%replay%'`)).toBe(0);
  expect(await one(`select count(*) as value from ops.replay where state = 'running'`)).toBe(0);
}

describe('silver', () => {
  test('from the beginning, on a quiet moment: not one row is written anywhere, and it says so', async () => {
    const [before, records] = [await everything(), await recordsOf('silver_1')];
    expect(records).toBeGreaterThan(1_000);
    // Some lie in another partition than their member's.
    expect(await one('select count(*) as value from silver_1.call where shard <> source_partition')).toBeGreaterThan(0);
    const { code, out } = await again('--service', 'silver-joiner', '--from', 'earliest');
    expect(out).toContain(`Nothing changed: ${records.toLocaleString('en-US')} records, all known.`);
    expect(code).toBe(0);
    expect(await everything()).toEqual(before);
    await expectNothingLeft();
  });

  test('every record has an outcome, and none is accepted: corrections are superseded by what they led to', async () => {
    const { outcomes, records, changed, state } = await replayed('--service', 'silver-joiner', '--from', 'earliest');
    expect([state, changed, outcomes.accepted]).toEqual(['done', 0, 0]);
    expect(Object.values(outcomes).reduce((sum, count) => sum + count, 0)).toBe(records);
    for (const outcome of ['duplicates', 'superseded', 'quarantined']) expect(outcomes[outcome]).toBeGreaterThan(0);
  });

  test('while records keep flowing: everything is as if there had been no replay', async () => {
    const seq = () => one<number>('select sum(change_seq)::bigint as value from ops.shard');
    let over = false;
    const flowing = (async () => {
      while (!over) {
        await pipeline.publisher.publish(workload.tell(4));
        await sleep(50);
      }
    })();
    const before = await recordsOf('silver_1');
    const { records, changed } = await replayed('--service', 'silver-joiner', '--from', 'earliest');
    over = true;
    await flowing;
    expect(records).toBeGreaterThanOrEqual(before);
    expect(changed).toBe(0);
    await pipeline.drained();
    expect(await recordsOf('silver_1')).toBeGreaterThan(records);
    expect(await workload.differences(pipeline.pool)).toEqual([]);
    await expectVerified();
    const [dumped, logged] = [await dump(pipeline.pool), await seq()];
    await replayed('--service', 'silver-joiner', '--from', 'earliest');
    expect([await dump(pipeline.pool), await seq()]).toEqual([dumped, logged]);
  });

  test('it ends where live stands, however much more there is', async () => {
    await live['silver-joiner']?.stop();
    const [before, records] = [await everything(), await recordsOf('silver_1')];
    await pipeline.publisher.publish(workload.tell(20));
    const result = await replayed('--service', 'silver-joiner', '--from', 'earliest');
    expect([result.records, result.changed]).toEqual([records, 0]);
    const ofSilver = (lines: readonly string[]) => lines.filter((line) => line.startsWith('silver_1'));
    expect(ofSilver(await everything())).toEqual(ofSilver(before));
    live['silver-joiner'] = await pipeline.start('silver-joiner');
    await pipeline.drained();
    await expectVerified();
  });

  test('what somebody has removed from silver comes back, and gold follows', async () => {
    const before = await dump(pipeline.pool);
    await pipeline.pool.query(
      'delete from silver_1.call where call_id in (select call_id from silver_1.call limit 25)',
    );
    const { changed } = await replayed('--service', 'silver-joiner', '--from', 'earliest');
    expect(changed).toBeGreaterThanOrEqual(25);
    await pipeline.drained();
    expect(await dump(pipeline.pool)).toEqual(before);
    await expectVerified();
  });
});

describe('bronze', () => {
  test('rows that somebody has deleted are added, with their bytes; a second time nothing is', async () => {
    const before = await archive();
    const records = await recordsOf('bronze');
    let deleted = 0;
    for (const table of bronzeTables) {
      const { rowCount } = await pipeline.pool.query(
        `delete from bronze.${table} where kafka_partition in (3, 7) and (kafka_offset % 3 = 1 or kafka_offset < 5)`,
      );
      deleted += rowCount;
    }
    expect(deleted).toBeGreaterThan(20);
    expect(await differing()).toContain('bronze: every offset below the position is there, once');
    const { code, out } = await again('--service', 'bronze-sink', '--from', 'earliest');
    expect(out).toContain(`${deleted} rows were added that bronze lacked.`);
    expect(code).toBe(0);
    expect(await archive()).toEqual(before);
    await expectVerified();

    const second = await replayed('--service', 'bronze-sink', '--from', 'earliest');
    expect(second).toMatchObject({ changed: 0, records, outcomes: { accepted: 0, duplicates: records } });
    expect(await archive()).toEqual(before);
    await expectNothingLeft();
  });

  test('a row that is there stays as it is, even where somebody has changed it', async () => {
    const where = `where (kafka_partition, kafka_offset) in (select kafka_partition, kafka_offset from bronze.call_logs_raw limit 1)`;
    const restore = await pipeline.pool.query<{ payload: Buffer; p: number; o: number }>(
      `select payload, kafka_partition as p, kafka_offset as o from bronze.call_logs_raw ${where}`,
    );
    const [row] = restore.rows;
    const place = [row?.p, row?.o];
    await pipeline.pool.query(
      `update bronze.call_logs_raw set payload = 'x' where kafka_partition = $1 and kafka_offset = $2`,
      place,
    );
    const changed = await archive();
    expect((await replayed('--service', 'bronze-sink', '--from', 'earliest')).changed).toBe(0);
    expect(await archive()).toEqual(changed);
    await pipeline.pool.query(
      'update bronze.call_logs_raw set payload = $3 where kafka_partition = $1 and kafka_offset = $2',
      [...place, row?.payload],
    );
  });
});

describe('where it begins', () => {
  const topic = () => topicName(pipeline.prefix, 'calls');
  const end = (partition: number) =>
    one<number>(
      `select next_offset as value from ops.position where pipeline = 'silver_1' and topic = $1 and partition = $2`,
      topic(),
      partition,
    );

  test('at offsets: those partitions from there on, and no other', async () => {
    const [three = 0, four = 0] = [await end(3), await end(4)];
    const from = `${topic()}/3@${three - 2},${topic()}/4@${four - 1}`;
    expect((await replayed('--service', 'silver-joiner', '--from', from)).records).toBe(3);
  });

  test('at a time: what Kafka got from then on', async () => {
    await sleep(20);
    const at = new Date().toISOString();
    await sleep(20);
    const value = contracts.calls.encode(call({ call_id: 'since then' }));
    await pipeline.feed([{ topic: topic(), key: 'member-1', value }]);
    expect((await replayed('--service', 'silver-joiner', '--from', at)).records).toBe(1);
    const later = await again('--service', 'silver-joiner', '--from', '2100-01-01');
    expect([later.code, later.out]).toEqual([
      0,
      'Nothing to replay: Kafka has no record from there on that the service has read.\n',
    ]);
  });

  test.each([
    ['a partition that the service has never read', () => `${topic()}/77@0`, /never read .*\/77/],
    ['an offset that it has not reached', () => `${topic()}/3@9999999`, /has been read up to offset \d+/],
    ['a file that is not there', () => 'nowhere.json', /nowhere.json is neither earliest, nor a time/],
    ['a day that does not exist', () => '2026-02-30', /2026-02-30 is no time/],
  ])('%s is wrong usage', async (_, from, said) => {
    const { code, problems } = await again('--service', 'silver-joiner', '--from', from());
    expect(problems).toMatch(said);
    expect(code).toBe(2);
  });
});

describe('a replay that is disturbed', () => {
  const rate = 300;
  const offsetsRead = () =>
    one<number>(
      `select coalesce(sum(next_offset - first_offset), 0)::bigint as value from ops.position where pipeline like 'silver_1_replay_%'`,
    );
  const begun = () => eventually(async () => ((await offsetsRead()) ?? 0) > 0, { withinMs: 60_000, what: 'progress' });
  const slowly = ['--service', 'silver-joiner', '--from', 'earliest', '--rate', String(rate)] as const;
  const newest = async () => (await one<number>('select max(id) as value from ops.replay')) ?? 0;
  let before: string[];
  beforeEach(async () => {
    await pipeline.drained();
    before = await everything();
  });

  test('keeps to its rate', async () => {
    const { records, id } = await replayed(...slowly);
    const took = await one<number>(
      'select extract(epoch from ended_at - created_at)::float8 as value from ops.replay where id = $1',
      id,
    );
    // The first batch is not waited for.
    expect(took).toBeGreaterThan(records / rate - 1);
    expect(await everything()).toEqual(before);
  });

  test('killed in the middle, it goes on where it was, and nothing is different', async () => {
    const running = startLeakage(['replay', ...slowly], env());
    await begun();
    for (const pid of running.children()) process.kill(pid, 'SIGKILL');
    const killed = await running.ended;
    const id = await newest();
    expect(killed.code).toBe(1);
    expect(killed.problems).toMatch(
      new RegExp(`ended with a signal after [\\d,]+ of [\\d,]+ records[^]*--resume ${id} goes on`),
    );
    const read = (await offsetsRead()) ?? 0;
    expect(read).toBeGreaterThan(0);
    const second = await again('--service', 'silver-joiner', '--from', 'earliest');
    expect(second.problems).toContain(
      `Replay ${id} of silver-joiner, generation 1 is not over: go on with leakage replay --resume ${id}`,
    );
    const { records, offsets, changed } = await replayed('--resume', String(id), '--rate', '100000');
    expect(offsets.read).toBeGreaterThan(read);
    expect([records, changed]).toEqual([await recordsOf('silver_1'), 0]);
    expect(await everything()).toEqual(before);
    await expectNothingLeft();
  });

  test('the service may do the work without the command, which then finds everything read', async () => {
    const running = startLeakage(['replay', ...slowly], env());
    await begun();
    running.interrupt();
    await running.ended;
    const id = String(await newest());
    await pipeline.pool.query('update ops.replay set records_per_second = null');
    const alone = startServiceProcess('silver-joiner', { ...env(), REPLAY: id });
    expect([
      await alone.exited,
      await pipeline.pool.query('select from ops.replay where state = $1', ['running']),
    ]).toEqual([0, expect.objectContaining({ rowCount: 1 })]);
    expect(await replayed('--resume', id)).toMatchObject({ state: 'done', changed: 0 });
    expect(await everything()).toEqual(before);
    await expectNothingLeft();
  });

  test('Ctrl-C stops it in order; paused by somebody else it stops too, and cancelled it is over', async () => {
    const interrupted = startLeakage(['replay', ...slowly], env());
    await begun();
    interrupted.interrupt();
    const stopped = await interrupted.ended;
    const id = String(await newest());
    expect([stopped.code, stopped.out]).toEqual([1, '']);
    expect(stopped.problems).toMatch(
      new RegExp(`was stopped after [\\d,]+ of [\\d,]+ records: npx leakage replay --resume ${id} goes on`),
    );

    const paused = startLeakage(['replay', '--resume', id], env());
    const read = (await offsetsRead()) ?? 0;
    await eventually(async () => ((await offsetsRead()) ?? 0) > read, { withinMs: 60_000 });
    expect((await again('--pause', id)).out).toBe(`Paused: npx leakage replay --resume ${id} goes on with it.\n`);
    expect((await paused.ended).code).toBe(1);
    const [listed] = JSON.parse((await again('--list', '--json')).out) as { state: string; paused: boolean }[];
    expect(listed).toMatchObject({ state: 'running', paused: true });

    const cancelled = startLeakage(['replay', '--resume', id], env());
    await sleep(3_000);
    expect((await again('--cancel', id)).out).toMatch(/: cancelled, [\d,]+ records in/);
    const last = await cancelled.ended;
    expect([last.code, last.out]).toEqual([1, expect.stringContaining('cancelled')]);
    expect((await again('--resume', id)).problems).toContain('is cancelled already');
    expect((await again('--list')).out).toContain('cancelled');
    await expectNothingLeft();
    expect(await everything()).toEqual(before);
  });
});

describe('what was given up for lost', () => {
  const stands = async (name: string) =>
    (
      await pipeline.pool.query<{ topic: string; partition: number; at: number }>(
        'select topic, partition, next_offset as at from ops.position where pipeline = $1 order by 1, 2',
        [name],
      )
    ).rows;

  test('and is there again, comes into bronze and then into silver, and nothing says any more that it was lost', async () => {
    await live['bronze-sink']?.stop();
    await live['silver-joiner']?.stop();
    const from = await stands('silver_1');
    await pipeline.publisher.publish(workload.tell(60));
    // As if Kafka had removed them: both go on behind them.
    const high = await logEnds();
    for (const name of ['bronze', 'silver_1']) {
      for (const { topic, partition, at } of from) {
        const to = high.get(`${topic}/${partition}`) ?? at;
        if (to > at) {
          await pipeline.pool.query('select ops.accept_loss($1, $2, $3, $4, $5)', [name, topic, partition, at, to]);
        }
      }
    }
    live['bronze-sink'] = await pipeline.start('bronze-sink');
    live['silver-joiner'] = await pipeline.start('silver-joiner');
    await pipeline.feed(workload.tell(20));
    await expectVerified();
    const lost = (await one<number>('select sum(next_offset - from_offset)::bigint as value from ops.loss')) ?? 0;
    expect(lost).toBeGreaterThan(200);

    const tooEarly = await again('--service', 'silver-joiner', '--from', 'earliest');
    expect(tooEarly.problems).toMatch(/were given up for lost, and Kafka has them again: replay bronze-sink first/);
    expect(tooEarly.code).toBe(1);
    const bronze = await replayed('--service', 'bronze-sink', '--from', 'earliest');
    expect(bronze.changed).toBe(lost / 2);
    const silver = await replayed('--service', 'silver-joiner', '--from', 'earliest');
    expect(silver.changed).toBeGreaterThan(0);
    await pipeline.drained();
    expect(await one('select count(*) as value from ops.loss')).toBe(0);
    expect(await one(`select sum(holes)::bigint as value from ops.position`)).toBe(0);
    const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl });
    expect(report.checks.filter((check) => check.differences > 0)).toEqual([]);
    expect(report.warnings.filter(({ rule }) => rule === 'ops.loss')).toEqual([]);
    expect(await workload.differences(pipeline.pool)).toEqual([]);

    const before = await everything();
    expect((await replayed('--service', 'silver-joiner', '--from', 'earliest')).changed).toBe(0);
    expect(await everything()).toEqual(before);
  });
});
