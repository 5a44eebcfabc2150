import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freshPrefix, startServiceProcess, temporaryFolder, testStack } from '@leakage/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';

const program = fileURLToPath(new URL('../../bin/leakage.mjs', import.meta.url));
const folder = temporaryFolder();
let generator: ReturnType<typeof startServiceProcess>;

beforeAll(async () => {
  const { brokers } = await testStack();
  generator = startServiceProcess('generator', {
    KAFKA_BROKERS: brokers.join(','),
    TOPIC_PREFIX: freshPrefix(),
    OUTPUT_PATH: folder,
    ANCHOR_DATE: '2026-03-10',
    HISTORY_DAYS: '1',
    NUM_MEMBERS: '1000',
    NUM_DIGITAL_JOURNEYS: '1285',
    NUM_CALLS: '30',
    SPEED: '3600',
  });
  await generator.ready;
});

afterAll(() => generator.stop());

function simulate(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { PATH: process.env.PATH, LEAKAGE_DATA_DIR: '/nonexistent', OUTPUT_PATH: folder };
  return new Promise((done) => {
    execFile(process.execPath, [program, 'simulate', ...args], { env }, (error, stdout, stderr) => {
      done({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

test('the example fix, another one, an incident, and every kind of disturbance, in words', async () => {
  const lines = async (...args: string[]): Promise<string> => (await simulate(...args)).stdout;
  expect(await lines('fix')).toMatch(
    /^Change 1: leakage of ERR_BILLING_ELIGIBILITY x 0\.808, calls induced by a leakage call x 0\.2, from 20\S+:00:00Z on, at once\.\n$/,
  );
  expect(
    await lines('fix', '--journey', 'id_card', '--language', 'Spanish', '--rollout-days', '3', '--repeats', '1'),
  ).toMatch(/^Change 2: leakage of id_card, Spanish x 0\.808, from \S+ on, in full after 3 days\.\n$/);
  expect(await lines('incident', '--error-code', 'ERR_RX_NETWORK', '--multiply', '4')).toMatch(
    /^Change 3: leakage of ERR_RX_NETWORK x 4, from/,
  );
  expect(await lines('outage', '--source', 'calls')).toMatch(
    /^Disturbance 1: nothing of calls is sent; what is held back comes afterwards, from \S+ to \S+\.\n$/,
  );
  expect(await lines('duplicates')).toMatch(/^Disturbance 2: every record is sent 3 times, from/);
  expect(await lines('delay', '--partition', '3')).toMatch(
    /^Disturbance 3: partition 3 of journeys comes 90 minutes late, from/,
  );
  expect(await lines('schema-change', '--breaking', '--source', 'calls')).toMatch(
    /^Disturbance 4: calls come with the member id as an object, from/,
  );
  const status = await lines('status');
  expect(status.split('\n').filter((line) => /^(?:Change|Disturbance) \d/.test(line))).toHaveLength(7);
});

test('time is paused, stepped, sped up and resumed', async () => {
  expect((await simulate('pause')).stdout).toContain('It is paused');
  const { code, stdout } = await simulate('step', '60', '--json');
  expect([code, JSON.parse(stdout)]).toMatchObject([0, { paused: true }]);
  expect((await simulate('speed', '60')).stdout).toContain('60 times as fast as the clock');
  expect((await simulate('resume')).stdout).not.toContain('paused');
});

test('what it does not understand is wrong usage with the reason', async () => {
  expect(await simulate('fix', '--journey', 'dental')).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('journeyType must be one of billing, id_card, pharmacy') as string,
  });
  expect(await simulate('outage', '--source', 'mails')).toMatchObject({ code: 2 });
  expect(await simulate('outage', '--minutes', 'many')).toMatchObject({ code: 2 });
});

test('without a generator it says how to start one', async () => {
  const { code, stderr } = await simulate('status', '--output-path', '/nonexistent/folder');
  expect([code, stderr]).toEqual([1, expect.stringContaining('Start one with `leakage up` or `leakage generate`')]);
  const dead = temporaryFolder();
  await writeFile(join(dead, 'control.json'), '{"port":1,"token":"x"}');
  expect((await simulate('status', '--output-path', dead)).stderr).toContain('The generator does not answer');
});
