// A member is erased while records keep coming, theirs among them: nothing of them is left or comes back, and nothing else changes.

import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { OutgoingRecord } from '@leakage/kafka';
import { contracts, type Source, topicName } from '@leakage/schemas';
import {
  type CodeEdit,
  call,
  eventually,
  journey,
  profile,
  type ServiceProcess,
  startServiceProcess,
} from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { RebuildOrder } from '../cli/src/rebuild/begin.ts';
import { verifyPipeline } from '../cli/src/verify.ts';
import { editedCode } from '../libs/testing/src/code-edits.ts';
import { Workload } from './faults/support/workload.ts';
import { dump } from './support/dump.ts';
import type { Said } from './support/leakage.ts';
import { emptyPipeline, type Pipeline } from './support/pipeline.ts';
import { beginOn } from './support/rebuilding.ts';
import { tablesWith } from './support/search.ts';

vi.setConfig({ testTimeout: 300_000, hookTimeout: 240_000 });

const program = fileURLToPath(new URL('../cli/bin/leakage.mjs', import.meta.url));
const minute = 60_000;
const monday = Date.parse('2026-03-02T15:00:00Z');
const key = { PSEUDONYM_KEY: 'the key of this test, long enough for one' };

const noKey = { PSEUDONYM_KEY_FILE: '/nowhere/pseudonym.key' };
const otherKey = { PSEUDONYM_KEY: 'another key, which is long enough to be one' };

/** Between two neighbours in every order of texts. */
const gone = 'MEMBER-to-be-forgotten';
const second = 'MEMBER-to-follow-suit';
const before = 'AAA-neighbour';
const after = 'ZZZ-neighbour';

let pipeline: Pipeline;
let workload: Workload;
const services: ServiceProcess[] = [];

async function start(
  name: 'bronze-sink' | 'silver-joiner' | 'gold-aggregator',
  generation?: number,
): Promise<ServiceProcess> {
  const env = { ...key, ...(generation === undefined ? {} : { GENERATION: String(generation) }) };
  const started = await pipeline.start(name, { env });
  services.push(started);
  return started;
}

beforeAll(async () => {
  pipeline = await emptyPipeline();
  workload = new Workload(pipeline.prefix, 20_261_130);
  await Promise.all([start('bronze-sink'), start('silver-joiner'), start('gold-aggregator')]);
  await pipeline.feed([...workload.tell(120), ...story(gone, 'g'), ...story(second, 's'), ...neighbourly()]);
});
afterAll(async () => await pipeline.stop());

const record = (source: Source, member: string | null, value: Buffer | null): OutgoingRecord => ({
  topic: topicName(pipeline.prefix, source),
  key: member,
  value,
});
const sent = {
  journey: (o: Parameters<typeof journey>[0], member = o?.member_id ?? null) =>
    record('journeys', member, contracts.journeys.encode(journey(o))),
  call: (o: Parameters<typeof call>[0], member = o?.member_id ?? null) =>
    record('calls', member, contracts.calls.encode(call(o))),
  profile: (o: Parameters<typeof profile>[0]) =>
    record('members', o?.member_id ?? null, contracts.members.encode(profile(o))),
};

/** Failures, calls about them, a repeat, a correction, copies, and everything that can be wrong with a record. Ids begin with `id`. */
function story(member_id: string, id: string): OutgoingRecord[] {
  const failures = Array.from({ length: 20 }, (_, nr) => {
    const at = monday + nr * 60 * minute;
    const session = { member_id, session_id: `${id}-session-${nr}` };
    const failed = { ...session, event_id: `${id}-event-${nr}`, timestamp: at };
    const called = { member_id, call_id: `${id}-call-${nr}`, call_timestamp: at + 10 * minute };
    return [
      sent.journey(failed),
      sent.call(called),
      sent.call(called),
      sent.call({ ...called, revision: 1, handle_time_seconds: 7 }),
      sent.journey({ ...session, event_id: null, timestamp: at + minute, action: 'page_view' }),
    ];
  }).flat();
  const text = (fields: object) => Buffer.from(JSON.stringify(fields));
  return [
    sent.profile({ member_id }),
    sent.profile({ member_id, valid_from: monday + 300 * minute, plan_type: 'Commercial' }),
    ...failures,
    // Refused: by what they hold, or because it cannot be read; whose they are, some of them say by their key only.
    sent.journey({ member_id, event_id: `${id}-refused`, action: 'dance' }),
    sent.call({ member_id: null, call_id: `${id}-unidentified` }, member_id),
    record('calls', member_id, text({ member_id, call_id: 7 })),
    record('journeys', member_id, Buffer.from(`{"member_id": "${member_id}", `)),
    record('members', member_id, null),
    { ...sent.journey({ member_id, event_id: `${id}-header` }), headers: { trace: member_id } },
  ];
}

/** What the member shared with others. */
function neighbourly(): OutgoingRecord[] {
  const at = monday + 30 * minute;
  const moving = { event_id: 'moved to the member', session_id: 'moving', timestamp: at };
  const leaving = { call_id: 'moved away', call_timestamp: at };
  return [
    sent.profile({ member_id: before }),
    sent.journey({ ...moving, member_id: before }),
    sent.journey({ ...moving, member_id: gone, revision: 1 }),
    sent.call({ ...leaving, member_id: gone }),
    sent.call({ ...leaving, member_id: after, revision: 1 }),
    // The greatest content is the one that holds: that of the member here, that of the other one there.
    ...[before, gone].map((member_id) => sent.call({ call_id: 'contended and had', member_id, call_timestamp: at })),
    ...[after, gone].map((member_id) => sent.call({ call_id: 'contended and lost', member_id, call_timestamp: at })),
    // Another's record under the member's key.
    sent.journey({ member_id: after, event_id: 'under a wrong key', session_id: 'wrong key', timestamp: at }, gone),
  ];
}

interface Running {
  readonly ended: Promise<Said & { readonly signal: NodeJS.Signals | null }>;
}

function leakage(
  words: readonly string[],
  o: {
    readonly env?: Readonly<Record<string, string>>;
    readonly edits?: readonly CodeEdit[];
    readonly input?: string;
  } = {},
): Running {
  const { PATH = '', HOME = '' } = process.env;
  const edited = editedCode(o.edits ?? []);
  const child = spawn(process.execPath, [...edited.execArgv, program, ...words], {
    env: { PATH, HOME, LEAKAGE_DATA_DIR: '/nowhere', ...pipeline.env, ...key, ...edited.env, ...o.env },
    stdio: 'pipe',
  });
  child.stdin.end(o.input ?? '');
  let [out, problems] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (problems += text.toString()));
  const ended = new Promise<Said & { signal: NodeJS.Signals | null }>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, out, problems }));
  });
  return { ended };
}

const erase = (member: string, o: Parameters<typeof leakage>[1] & { readonly words?: readonly string[] } = {}) =>
  leakage(['erase', '--member', '-', '--reason', 'request 4711', '--yes', ...(o.words ?? [])], {
    input: `${member}\n`,
    ...o,
  }).ended;

async function one<T>(statement: string, ...values: unknown[]): Promise<T | undefined> {
  return (await pipeline.pool.query<{ value: T }>(statement, values)).rows[0]?.value;
}

async function expectVerified(generation = 1): Promise<void> {
  const report = await verifyPipeline({ databaseUrl: pipeline.databaseUrl, generation });
  expect(report.checks.filter(({ differences }) => differences > 0)).toEqual([]);
}

/** Lines of silver that are not about a member or what was theirs. */
const ofOthers = (lines: readonly string[], member: string) =>
  lines.filter((line) => line.startsWith('silver') && !line.includes(member) && !line.includes('contended'));

test('a dry run says what there is, and changes nothing', async () => {
  const { code, out } = await leakage(['erase', '--member', gone, '--dry-run', '--json']).ended;
  expect(code).toBe(0);
  const { found } = JSON.parse(out) as { found: Record<string, number> };
  expect(found['silver_1.call']).toBe(21);
  expect(found['bronze.call_logs_raw']).toBeGreaterThan(60);
  expect(await one('select count(*) as value from ops.erasure')).toBe(0);
  await expectVerified();
});

test('without a reason, with the id in it, or where nobody can answer it is wrong usage', async () => {
  for (const words of [[], ['--reason', `because of ${gone}`, '--yes'], ['--reason', 'request 4711']]) {
    expect((await leakage(['erase', '--member', gone, ...words]).ended).code).toBe(2);
  }
});

describe('a member who is erased while records come, theirs too', () => {
  let others: string[];

  test('the command succeeds, and says nothing of the member', async () => {
    others = ofOthers(await dump(pipeline.pool), gone);
    expect(others.length).toBeGreaterThan(300);
    let over = false;
    const flowing = (async () => {
      for (let nr = 0; !over; nr++) {
        await pipeline.publisher.publish([...workload.tell(2), ...story(gone, `g${nr}`).slice(0, 30)]);
        await sleep(50);
      }
    })();
    const { code, out, problems } = await erase(gone);
    over = true;
    await flowing;
    expect({ code, problems: problems.includes(gone) ? problems : '' }).toEqual({ code: 0, problems: '' });
    expect(out).not.toContain(gone);
    expect(out).toContain(`${pipeline.prefix}.members: for ever`);
    // And once more, when all is over: the same, something new, and what a correction would take back.
    await pipeline.feed([...workload.tell(10), ...story(gone, 'g'), ...story(gone, 'new'), ...neighbourly()]);
  });

  test('no row of any table holds the id, nor does a line that a service has said', async () => {
    expect(await tablesWith(pipeline.pool, gone)).toEqual([]);
    for (const service of services) expect(service.output()).not.toContain(gone);
    // The search finds what is there.
    expect((await tablesWith(pipeline.pool, second)).length).toBeGreaterThan(8);
  });

  test('everybody else is as they were, and everything is what the independent program says', async () => {
    const now = new Set(await dump(pipeline.pool));
    expect(others.filter((line) => !now.has(line))).toEqual([]);
    expect(await workload.differences(pipeline.pool)).toEqual([]);
    await expectVerified();
    expect(await one(`select count(*) as value from silver_1.call_fact where call_id = 'moved away'`)).toBe(1);
    expect(await one(`select count(*) as value from silver_1.call_fact where call_id = 'contended and lost'`)).toBe(1);
    expect(await one(`select count(*) as value from silver_1.call where call_id = 'contended and had'`)).toBe(0);
    expect(
      await one(`select count(*) as value from silver_1.journey_event where event_id = 'moved to the member'`),
    ).toBe(0);
    expect(await one(`select count(*) as value from silver_1.journey_event where event_id = 'under a wrong key'`)).toBe(
      1,
    );
    expect(await one(`select count(*) as value from silver_1.conflict_record where identity like 'contended%'`)).toBe(
      0,
    );
  });

  test('the entry says who asked for it and why, and how much it was', async () => {
    const { rows } = await pipeline.pool.query<{ reason: string; counts: Record<string, number>; ended: boolean }>(
      'select reason, counts, ended_at is not null as ended from ops.erasure',
    );
    expect(rows).toEqual([
      {
        reason: 'request 4711',
        ended: true,
        counts: expect.objectContaining({ 'silver_1.member_profile': 2 }) as unknown,
      },
    ]);
    expect(rows[0]?.counts['silver_1.call']).toBeGreaterThanOrEqual(21);
    expect(rows[0]?.counts['silver_1.quarantine_record']).toBeGreaterThanOrEqual(4);
  });

  test('quarantine keeps why, and nothing else; what came later is there as erased', async () => {
    const reasons = await one<string[]>(
      `select array_agg(distinct r.reason order by r.reason) as value
         from silver_1.quarantine_record q cross join unnest(q.reasons) as r (reason)
         join (select kafka_topic, kafka_partition, kafka_offset, decode_error from bronze.digital_journeys_raw
               union all select kafka_topic, kafka_partition, kafka_offset, decode_error from bronze.call_logs_raw
               union all select kafka_topic, kafka_partition, kafka_offset, decode_error from bronze.member_profiles_raw) b
              using (kafka_topic, kafka_partition, kafka_offset)
        where b.decode_error = 'erased' and q.payload is null and q.record_id is null`,
    );
    expect(reasons).toEqual(expect.arrayContaining(['erased', 'unidentified', 'unknown:action', 'null_value']));
  });

  test('a replay of silver and one of bronze change nothing, and fill a gap with a tombstone', async () => {
    const replayed = async (service: string) => {
      const { code, out, problems } = await leakage(['replay', '--service', service, '--from', 'earliest', '--json'])
        .ended;
      if (code !== 0) throw new Error(problems);
      return JSON.parse(out) as { readonly changed: number };
    };
    const was = await dump(pipeline.pool);
    expect((await replayed('silver-joiner')).changed).toBe(0);
    expect((await replayed('bronze-sink')).changed).toBe(0);
    expect(await dump(pipeline.pool)).toEqual(was);
    const lost = await pipeline.pool.query(
      `delete from bronze.call_logs_raw where ctid = any (array(select ctid from bronze.call_logs_raw where decode_error = 'erased' limit 5))`,
    );
    expect(lost.rowCount).toBe(5);
    expect((await replayed('bronze-sink')).changed).toBe(5);
    expect(await tablesWith(pipeline.pool, gone)).toEqual([]);
    await expectVerified();
  });

  test('afterwards a dry run finds nothing', async () => {
    const { ended } = leakage(['erase', '--member', '-', '--dry-run', '--json'], { input: gone });
    const { found } = JSON.parse((await ended).out) as { found: Record<string, number> };
    expect(Object.values(found).filter((rows) => rows > 0)).toEqual([]);
  });

  test('a second time there is nothing left to do', async () => {
    const { code, out } = await erase(gone, { words: ['--json'] });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ again: true, generations: [1] });
    expect(await one('select count(*) as value from ops.erasure')).toBe(1);
    await expectVerified();
  });
});

async function begin(source: RebuildOrder['source']): Promise<number> {
  return (await beginOn(pipeline, { source })).generation;
}

describe('generations', () => {
  const built: number[] = [];

  test('one from the topics and one from bronze do not bring the member back, and verify', async () => {
    for (const source of ['topics', 'bronze'] as const) {
      const generation = await begin(source);
      built.push(generation);
      await Promise.all([start('silver-joiner', generation), start('gold-aggregator', generation)]);
      await pipeline.drained(120_000, [1, generation]);
      expect(await dump(pipeline.pool, generation), source).toEqual(await dump(pipeline.pool));
      await expectVerified(generation);
    }
    expect(await tablesWith(pipeline.pool, gone)).toEqual([]);
    await pipeline.feed(workload.tell(5), [1, ...built]);
  });

  test('killed at every step and run again, a second erasure removes its member from all of them', async () => {
    const steps = ['begun', 'emptied', 'archived', 'removing', 'removed', 'trimmed', 'ended'];
    const right = ['this.#goOn(`step $', '{step} is done`);'].join('');
    const wrong = `if (step === process.env.KILLED_AT) process.kill(process.pid, 'SIGKILL');\n${right}`;
    const edits = [{ file: 'cli/src/erase/erase-member.ts', right, wrong }];
    const others = ofOthers(await dump(pipeline.pool), second);
    const ended: (string | null)[] = [];
    for (const KILLED_AT of steps) ended.push((await erase(second, { edits, env: { KILLED_AT } })).signal);
    expect(ended).toEqual(steps.map(() => 'SIGKILL'));
    const { code, problems } = await erase(second);
    expect([code, code === 0 ? '' : problems]).toEqual([0, '']);
    await pipeline.feed([...story(second, 's'), ...workload.tell(5)], [1, ...built]);
    expect(await tablesWith(pipeline.pool, second)).toEqual([]);
    expect(await tablesWith(pipeline.pool, gone)).toEqual([]);
    for (const generation of [1, ...built]) {
      await expectVerified(generation);
      expect(await dump(pipeline.pool, generation)).toEqual(await dump(pipeline.pool));
    }
    const now = new Set(await dump(pipeline.pool));
    expect(others.filter((line) => !now.has(line))).toEqual([]);
  });
});

describe('the key', () => {
  test.each(['bronze-sink', 'silver-joiner'] as const)(
    '%s does not start without it, nor with another one',
    async (name) => {
      for (const env of [noKey, otherKey]) {
        const started = startServiceProcess(name, { ...pipeline.env, ...env });
        expect(await started.exited).toBe(2);
        expect(started.output()).toMatch(/members were erased by the key [0-9a-f]{8}, and/);
      }
    },
  );

  test('nobody is erased with another one', async () => {
    const { code, problems } = await erase(after, {
      env: otherKey,
    });
    expect([code, problems]).toEqual([2, expect.stringContaining('members were erased by the key')]);
    expect(await one('select count(*) as value from ops.erasure')).toBe(2);
  });

  test('services that were started without it, before anybody was erased, end instead of taking in what they cannot judge', async () => {
    const lone = await emptyPipeline();
    const bronze = await lone.start('bronze-sink', { env: noKey });
    await lone.feed([]);
    await lone.pool.query(`insert into ops.erased (kind, hash, key_id) values ('member', sha256('x'), '00000000')`);
    await lone.pool.query('update ops.policy set version = version + 1');
    await lone.publisher.publish([{ topic: topicName(lone.prefix, 'calls'), key: 'x', value: null }]);
    expect(await bronze.exited).not.toBe(0);
    expect(
      await eventually(async () => bronze.output().includes('this process has none'), { what: 'its last words' }),
    ).toBe(true);
    expect((await lone.pool.query('select from bronze.call_logs_raw')).rowCount).toBe(0);
    await lone.stop();
  });
});
