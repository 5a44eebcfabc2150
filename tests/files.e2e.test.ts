// The same world goes to Kafka, and into files that are imported: the product comes to the same tables.

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startServiceProcess, temporaryFolder } from '@leakage/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { verifyPipeline } from '../cli/src/verify.ts';
import { dump } from './support/dump.ts';
import { type Pipeline, startPipeline } from './support/pipeline.ts';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../cli/bin/leakage.mjs', import.meta.url));

/** Twelve days of a tenth of the preset small. */
const world = {
  ANCHOR_DATE: '2026-03-15',
  HISTORY_DAYS: '12',
  NUM_MEMBERS: '1000',
  NUM_DIGITAL_JOURNEYS: '1285',
  NUM_CALLS: '30',
  // More than usual of what makes streams and files differ.
  DUPLICATE_RATE: '0.05',
  CORRECTION_RATE: '0.2',
  DELETION_RATE: '0.05',
  LATE_DAY_RATE: '0.05',
  MALFORMED_RATE: '0.02',
};

const streamedFolder = temporaryFolder();
let streamed: Pipeline;

async function generated(env: Record<string, string>): Promise<void> {
  const generator = startServiceProcess('generator', { ...world, LIVE: 'false', ...env });
  expect([await generator.exited, generator.output()]).toEqual([0, expect.stringContaining('history published')]);
}

/** Writes the world into files and imports these into a pipeline of their own. */
async function imported(output: 'jsonl' | 'csv'): Promise<{ pipeline: Pipeline; folder: string; said: string }> {
  const folder = temporaryFolder();
  await generated({ GENERATOR_OUTPUT: output, OUTPUT_PATH: folder });
  const pipeline = await startPipeline();
  const env = { PATH: process.env.PATH, LEAKAGE_DATA_DIR: '/nonexistent', ...pipeline.env };
  const { stdout, stderr } = await run(process.execPath, [program, 'import', folder], { env });
  await pipeline.drained();
  return { pipeline, folder, said: `${stdout}${stderr}` };
}

async function rows(pipeline: Pipeline, sql: string): Promise<unknown[]> {
  return (await pipeline.pool.query(sql)).rows;
}

beforeAll(async () => {
  streamed = await startPipeline();
  const { KAFKA_BROKERS = '', TOPIC_PREFIX = '' } = streamed.env;
  await generated({ KAFKA_BROKERS, TOPIC_PREFIX, OUTPUT_PATH: streamedFolder });
  await streamed.drained();
}, 120_000);

afterAll(() => streamed?.stop());

/** What a call is charged to; an id of an event is nothing that the original's columns could tell. */
const charges = `select call_id, attribution, leakage_type, digital_session_id, digital_timestamp, time_to_call_ms, error_code, device_type
                   from silver.digital_call_leakage order by call_id`;

test('JSON lines: all of silver and gold is the same', async () => {
  const { pipeline, folder } = await imported('jsonl');
  try {
    expect(await readFile(join(folder, 'truth.jsonl'), 'utf8')).toBe(
      await readFile(join(streamedFolder, 'truth.jsonl'), 'utf8'),
    );
    const expected = await dump(streamed.pool);
    expect(expected.length).toBeGreaterThan(20_000);
    expect(await dump(pipeline.pool)).toEqual(expected);
    expect((await verifyPipeline({ databaseUrl: pipeline.databaseUrl })).ok).toBe(true);
  } finally {
    await pipeline.stop();
  }
}, 120_000);

test('CSV: the columns of the original, each event once, and the same charges', async () => {
  const { pipeline, folder } = await imported('csv');
  try {
    const header = async (name: string) => (await readFile(join(folder, name), 'utf8')).split('\n')[0];
    expect(await header('digital_journeys.csv')).toBe(
      'member_id,session_id,timestamp,journey_type,action,device_type,error_code,error_message',
    );
    expect(await header('call_logs.csv')).toBe(
      'call_id,member_id,call_timestamp,ivr_path,handle_time_seconds,agent_id,call_reason,sentiment_score,resolution_status',
    );
    expect(await header('member_profiles.csv')).toBe(
      'member_id,plan_type,segment,language_preference,tenure_months,enrollment_date',
    );
    const members = (await readFile(join(folder, 'member_profiles.csv'), 'utf8')).trim().split('\n').slice(1);
    const ids = new Set(members.map((line) => line.split(',')[0]));
    expect([members.length, ids.size > 1_000]).toEqual([ids.size, true]);
    const expected = await rows(streamed, charges);
    expect(expected.length).toBeGreaterThan(800);
    expect(await rows(pipeline, charges)).toEqual(expected);
    const counted = `select count(*) as rows, count(distinct call_id) as calls from bronze.call_logs_raw`;
    const [calls] = (await rows(pipeline, counted)) as { rows: number; calls: number }[];
    expect(calls?.rows).toBe(calls?.calls);
    expect((await verifyPipeline({ databaseUrl: pipeline.databaseUrl })).ok).toBe(true);
  } finally {
    await pipeline.stop();
  }
}, 120_000);

test('files that were stopped on the way end as the same bytes', async () => {
  const [whole, stopped] = [temporaryFolder(), temporaryFolder()];
  for (const output of ['jsonl', 'csv']) {
    const env = { GENERATOR_OUTPUT: output };
    await generated({ ...env, OUTPUT_PATH: join(whole, output) });
    const victim = startServiceProcess('generator', {
      ...world,
      ...env,
      OUTPUT_PATH: join(stopped, output),
      GENERATOR_BATCH_RECORDS: '20',
    });
    await victim.ready;
    await victim.stop('SIGKILL');
    await generated({ ...env, OUTPUT_PATH: join(stopped, output) });
    for (const name of ['digital_journeys', 'call_logs', 'member_profiles', 'truth']) {
      const file = name === 'truth' ? join(output, 'truth.jsonl') : join(output, `${name}.${output}`);
      expect((await readFile(join(stopped, file))).equals(await readFile(join(whole, file))), file).toBe(true);
    }
  }
}, 120_000);

test('files that are there already are not overwritten', async () => {
  const folder = temporaryFolder();
  await writeFile(join(folder, 'call_logs.csv'), 'call_id,member_id,call_timestamp\n');
  const generator = startServiceProcess('generator', { ...world, GENERATOR_OUTPUT: 'csv', OUTPUT_PATH: folder });
  expect([await generator.exited, generator.output()]).toEqual([2, expect.stringContaining('is there already')]);
  expect(await readFile(join(folder, 'call_logs.csv'), 'utf8')).toBe('call_id,member_id,call_timestamp\n');
});
