import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  eventually,
  failPointsOf,
  freePort,
  type SupervisedProcess,
  startServiceProcess,
  superviseService,
  temporaryFolder,
} from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyPipeline } from '../../cli/src/verify.ts';
import { dump } from '../support/dump.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import { randomOf } from '../support/random.ts';
import { long, report } from './support/report.ts';
import { smallWorld } from './support/small-world.ts';

const world = { ...smallWorld, GENERATOR_BATCH_RECORDS: long ? '50' : '200' };
const kills = long ? 20 : 4;

describe('the generator and the api, killed with -9', { timeout: 300_000 }, () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await startPipeline();
  });
  afterAll(async () => await pipeline.stop());

  it(`generator, ${kills} times, at its steps and at random: truth file, silver and gold are those of an undisturbed run`, async () => {
    const quiet = await undisturbed();
    const folder = temporaryFolder();
    const generator = superviseService('generator', { env: { ...pipeline.env, ...world, OUTPUT_PATH: folder } });
    const done = () => generator.ends.some(({ code }) => code === 0);
    try {
      const random = randomOf(3);
      for (let n = 0; n < kills; n++) {
        await killGenerator(generator, n, random);
        if (done()) throw new Error(`it was done after ${n + 1} kills: make the world larger`);
      }
      await eventually(done, { withinMs: 60_000, what: 'the end of the history' });
    } finally {
      await generator.stop();
    }
    expect(generator.ends.filter(({ code }) => code !== null && code !== 0)).toEqual([]);
    await pipeline.drained();
    expect(truthIn(folder) === quiet.truth).toBe(true);
    expect(await dump(pipeline.pool)).toEqual(quiet.rows);
    expect(await verifyPipeline({ databaseUrl: pipeline.databaseUrl })).toMatchObject({ ok: true });
    report({ kind: 'sources-and-readers', fault: 'kill -9 of generator', times: kills });
  });

  it(`api, ${kills} times while it is asked: every answer that comes is the whole answer`, async () => {
    const port = await freePort();
    const api = superviseService('api', { env: { ...pipeline.env, API_PORT: String(port) } });
    const ask = async (): Promise<string> => {
      const answer = await fetch(`http://127.0.0.1:${port}/v1/daily-leakage-history`);
      if (answer.status !== 200) throw new Error(`status ${answer.status}`);
      return await answer.text();
    };
    try {
      const whole = await eventually(ask);
      const random = randomOf(4);
      for (let n = 0; n < kills; n++) {
        const asked = Promise.allSettled(Array.from({ length: 8 }, ask));
        await sleep(random() * 20);
        api.kill();
        const answers = (await asked).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
        for (const answer of answers) expect(answer).toBe(whole);
        expect(await eventually(ask)).toBe(whole);
      }
    } finally {
      await api.stop();
    }
    report({ kind: 'sources-and-readers', fault: 'kill -9 of api', times: kills });
  });
});

async function undisturbed(): Promise<{ truth: string; rows: string[] }> {
  const pipeline = await startPipeline();
  try {
    const folder = temporaryFolder();
    const generator = startServiceProcess('generator', { ...pipeline.env, ...world, OUTPUT_PATH: folder });
    expect(await generator.exited).toBe(0);
    await pipeline.drained();
    return { truth: truthIn(folder), rows: await dump(pipeline.pool) };
  } finally {
    await pipeline.stop();
  }
}

async function killGenerator(generator: SupervisedProcess, n: number, random: () => number): Promise<void> {
  const points = failPointsOf('generator');
  const point = points[n % (points.length + 1)];
  const lives = generator.lives();
  if (point === undefined) {
    await generator.ready();
    await sleep(random() * 300);
    generator.kill();
    await eventually(() => generator.lives() > lives);
    return;
  }
  generator.reborn({ name: point.name, pass: 1 + Math.floor(random() * 3), signal: 'SIGKILL' });
  await eventually(() => generator.lives() >= lives + 2, { what: `a kill when: ${point.name}` });
}

function truthIn(folder: string): string {
  return readFileSync(join(folder, 'truth.jsonl'), 'utf8');
}
