import { archiveFailPoints, eventually, failPointsOf, type SupervisedProcess, temporaryFolder } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CommandStep, killedAt, promotionSteps, rebuildSteps } from '../../cli/src/testing/command-steps.ts';
import { verifyPipeline } from '../../cli/src/verify.ts';
import { dump } from '../support/dump.ts';
import { leakage, type Said, startLeakage } from '../support/leakage.ts';
import { forget, offsetsRead, untilBuilt } from '../support/rebuilding.ts';
import { FaultPipeline } from './support/fault-pipeline.ts';
import { LiveReader } from './support/live-reader.ts';
import { report } from './support/report.ts';

/** Steps that only a process comes by that reads Kafka. */
const ofKafka = new Set([
  'offsets to be told to Kafka',
  'offsets told to Kafka',
  'positions read',
  'partitions to be resumed',
]);
/** Only the active generation tells outsiders what changes. */
const ofRelay = '/relay.ts';
const kind = 'generations';

describe('kill -9 at every step of rebuild, promote and rollback', () => {
  const data = temporaryFolder();
  let pipeline: FaultPipeline;
  let reader: LiveReader;
  let joiner: SupervisedProcess;
  let gold: SupervisedProcess;
  /** The one that is built from bronze, and the one with another window. */
  let rebuilt: number;
  let other: number;

  beforeAll(async () => {
    pipeline = await FaultPipeline.start({ seed: 27, env: { GENERATION: '1' } });
    await pipeline.feed(80);
    await pipeline.pipeline.drained();
    reader = await LiveReader.start(pipeline.pipeline.env, new Map([[1, null]]));
    reader.mayShow(new Map([[1, await figures(1)]]));
  });
  afterAll(async () => {
    await reader.stop();
    await pipeline.stop();
  });

  const env = () => ({ ...pipeline.pipeline.env, LEAKAGE_DATA_DIR: data });
  const run = (...words: string[]): Promise<Said> => leakage(words, env());

  async function figures(generation: number): Promise<string> {
    return await eventually(
      async () => {
        const answer = await reader.read();
        return answer.generation === generation ? answer.figures : null;
      },
      { what: `generation ${generation} to answer` },
    );
  }

  async function states(): Promise<string[]> {
    const { rows } = await pipeline.pipeline.pool.query<{ state: string }>(
      'select state from ops.generation order by id',
    );
    return rows.map(({ state }) => state);
  }

  async function active(): Promise<number | undefined> {
    const { rows } = await pipeline.pipeline.pool.query<{ id: number }>(
      `select id from ops.generation where state = 'active'`,
    );
    return rows[0]?.id;
  }

  async function killed(step: CommandStep, ...words: string[]): Promise<void> {
    expect(await killedAt(step, words, env()), step.name).toMatchObject({ code: -1, out: '' });
  }

  /** Each of them, one after another; the next life of the process goes on where the one before was killed. */
  async function reborn(
    member: SupervisedProcess,
    names: readonly string[],
    meanwhile = async () => undefined as unknown,
  ) {
    for (const name of names) {
      const lives = member.lives();
      member.reborn({ name, pass: 1, signal: 'SIGKILL' });
      await meanwhile();
      await eventually(() => member.lives() >= lives + 2, { what: `${member.service} to be killed when ${name}` });
      expect(await reader.wrong(), name).toEqual([]);
    }
  }

  async function equal(generation: number): Promise<void> {
    const { databaseUrl } = pipeline.pipeline;
    const { checks } = await eventually(() => verifyPipeline({ databaseUrl, generation }), { what: 'verify' });
    expect(checks.filter(({ differences }) => differences > 0)).toEqual([]);
  }

  it('rebuild: what was not released is never worked on, and the next one takes another number', async () => {
    for (const step of rebuildSteps) {
      const before = await states();
      await killed(step, 'rebuild', '--source', 'bronze', '--share', '100', '--detach');
      const made = (await states()).slice(before.length);
      expect(made, step.name).toEqual(step.name === 'number taken' ? [] : [step.applied ? 'building' : 'preparing']);
      expect(await reader.wrong(), step.name).toEqual([]);
    }
    // The last one was released before its command was killed: that is the one to be built.
    rebuilt = (await states()).length;
    report({ kind, fault: 'kill -9 of leakage rebuild at each of its steps', times: rebuildSteps.length });
  });

  it('the joiner of the new generation while it reads bronze, and where Kafka goes on', async () => {
    const own = { env: { GENERATION: String(rebuilt), SILVER_BATCH_RECORDS: '40' } };
    joiner = pipeline.join('silver-joiner', own);
    const ofTransaction = failPointsOf('silver-joiner').filter(
      ({ name, edit }) => !ofKafka.has(name) && !edit.file.endsWith(ofRelay),
    );
    const names = [...ofTransaction, ...archiveFailPoints].map(({ name }) => name);
    await reborn(joiner, names);
    await joiner.ready();
    const untold = [...ofKafka];
    reader.mayShow(new Map([[1, null]]));
    await reborn(joiner, untold, () => pipeline.feed(6));
    expect(await offsetsRead(pipeline.pipeline, rebuilt)).toBeGreaterThan(0);
    report({ kind, fault: 'kill -9 of the joiner of a new generation', times: names.length + untold.length });
  });

  it('the aggregator of the new generation while it folds; then it is as live, which has noticed nothing', async () => {
    gold = pipeline.join('gold-aggregator', { env: { GENERATION: String(rebuilt) } });
    const names = failPointsOf('gold-aggregator').map(({ name }) => name);
    // What it counts when it begins is no fold.
    await untilBuilt(pipeline.pipeline, rebuilt);
    await reborn(gold, names, () => pipeline.feed(6));
    await untilBuilt(pipeline.pipeline, rebuilt);
    expect(await pipeline.differences()).toEqual([]);
    await equal(rebuilt);
    expect(await dump(pipeline.pipeline.pool, rebuilt)).toEqual(await dump(pipeline.pipeline.pool));
    report({ kind, fault: 'kill -9 of the aggregator of a new generation', times: names.length });
    await pipeline.leave(joiner);
    await pipeline.leave(gold);
  });

  it('whoever runs its processes: they end with it, and the next one goes on', async () => {
    reader.mayShow(new Map([[1, await figures(1)]]));
    await forget(pipeline.pipeline);
    const begun = await run('rebuild', '--set', 'window=45m', '--rate', '150', '--detach', '--json');
    expect(begun, begun.problems).toMatchObject({ code: 0 });
    other = (JSON.parse(begun.out) as { generation: number }).generation;
    const kills = 2;
    for (let n = 0; n < kills; n++) {
      const before = await offsetsRead(pipeline.pipeline, other);
      const runner = startLeakage(['rebuild', '--resume', String(other)], env());
      await eventually(async () => (await offsetsRead(pipeline.pipeline, other)) > before, { what: 'some records' });
      const children = runner.children();
      expect(children.length).toBeGreaterThanOrEqual(2);
      runner.kill();
      expect((await runner.ended).code).toBeNull();
      await eventually(() => children.every((pid) => !isThere(pid)), { what: 'its processes to end' });
      expect(await reader.wrong()).toEqual([]);
    }
    const done = await run('rebuild', '--resume', String(other), '--rate', '100000');
    expect(done, done.problems).toMatchObject({ code: 0 });
    expect(await reader.wrong()).toEqual([]);
    report({ kind, fault: 'kill -9 of the program that runs the processes of a new generation', times: kills });
  });

  it('promote and rollback: every answer is wholly the old one or wholly the new one', async () => {
    for (const stage of ['silver-joiner', 'gold-aggregator'] as const)
      pipeline.join(stage, { env: { GENERATION: String(other) } });
    await pipeline.ready();
    await untilBuilt(pipeline.pipeline, other);
    expect(await run('verify', '--generation', String(other))).toMatchObject({ code: 0 });
    const old = await figures(1);
    reader.mayShow(
      new Map([
        [1, old],
        [other, null],
      ]),
    );
    expect(await run('promote', String(other))).toMatchObject({ code: 0 });
    const fresh = await figures(other);
    expect(fresh).not.toBe(old);
    expect(await run('rollback')).toMatchObject({ code: 0 });
    reader.mayShow(
      new Map([
        [1, old],
        [other, fresh],
      ]),
    );

    for (const [words, from, to] of [
      [['promote', String(other)], 1, other],
      [['rollback'], other, 1],
    ] as const) {
      for (const step of promotionSteps) {
        await killed(step, ...words);
        const then = step.applied ? to : from;
        expect(await active(), `${words[0]}: ${step.name}`).toBe(then);
        expect(await figures(then)).toBe(then === 1 ? old : fresh);
        expect(await reader.wrong(), `${words[0]}: ${step.name}`).toEqual([]);
      }
      report({ kind, fault: `kill -9 of leakage ${words[0]} at each of its steps`, times: promotionSteps.length });
    }
    await pipeline.feed(6);
    await pipeline.pipeline.drained(undefined, [1, other]);
    expect(await pipeline.differences()).toEqual([]);
    await equal(other);
  });
});

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
