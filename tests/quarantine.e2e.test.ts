// One percent of a stream is spoiled by bugs of its producers, repaired and sent again: silver and gold are those of the clean stream.

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { OutgoingRecord } from '@leakage/kafka';
import { contracts, type Source, topicName } from '@leakage/schemas';
import { type CodeEdit, startServiceProcess, temporaryFolder } from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { verifyPipeline } from '../cli/src/verify.ts';
import { editedCode } from '../libs/testing/src/code-edits.ts';
import { smallWorld } from './faults/support/small-world.ts';
import { dump } from './support/dump.ts';
import { emptyPipeline, type Pipeline, startPipeline } from './support/pipeline.ts';
import { randomOf } from './support/random.ts';

const program = fileURLToPath(new URL('../cli/bin/leakage.mjs', import.meta.url));
const folder = temporaryFolder();

interface Ended {
  readonly code: number | string | null;
  readonly out: string;
  readonly problems: string;
}

/** Runs `leakage quarantine <words>` as a person does, with lines of its code changed where a test says so. */
function quarantine(pipeline: Pipeline, words: readonly string[], edits: readonly CodeEdit[] = []): Promise<Ended> {
  const edited = editedCode(edits);
  const { PATH = '', HOME = '' } = process.env;
  const env = { PATH, HOME, LEAKAGE_DATA_DIR: '/nonexistent', ...pipeline.env, ...edited.env };
  return new Promise((resolve) => {
    const args = [...edited.execArgv, program, 'quarantine', ...words];
    execFile(process.execPath, args, { env, timeout: 120_000 }, (error, out, problems) => {
      resolve({ code: error === null ? 0 : (error.signal ?? error.code ?? null), out, problems });
    });
  });
}

const sources = ['journeys', 'calls', 'members'] as const;
const tables: Readonly<Record<Source, string>> = {
  journeys: 'digital_journeys_raw',
  calls: 'call_logs_raw',
  members: 'member_profiles_raw',
};

/** The stream of one pipeline, to be sent to another: every record of bronze, in the order of its partition. */
async function streamOf({ pool }: Pipeline, to: Pipeline): Promise<{ source: Source; record: OutgoingRecord }[]> {
  const stream: { source: Source; record: OutgoingRecord }[] = [];
  for (const source of sources) {
    const { rows } = await pool.query<{ key: Buffer | null; value: Buffer | null; partition: number }>(
      `select kafka_key as key, payload as value, kafka_partition as partition from bronze.${tables[source]}
        order by kafka_partition, kafka_offset`,
    );
    const topic = topicName(to.prefix, source);
    stream.push(...rows.map((row) => ({ source, record: { topic, ...row } })));
  }
  return stream;
}

type Bug = 'renamed' | 'schemaId' | 'object';

/**
 * What a producer's bugs make of a record; null: this record is spared. A journey is sent as JSON with a field that has another
 * name and seconds for milliseconds, or as Avro under the id of the version before; a call names its member by an object.
 */
function spoiled(source: Source, value: Buffer | null, random: number): { bug: Bug; value: Buffer } | null {
  if (value === null || random > 0.01) return null;
  if (source === 'journeys') {
    const { ok, event } = contracts.journeys.decode(value);
    if (!ok || event.timestamp === null) return null;
    if (random > 0.005) {
      const { journey_type: jtype, timestamp, ...rest } = event;
      return { bug: 'renamed', value: json({ ...rest, jtype, timestamp: timestamp / 1000 }) };
    }
    if (value[0] !== 0) return null;
    return { bug: 'schemaId', value: Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), value.subarray(5)]) };
  }
  if (source !== 'calls') return null;
  const { ok, event } = contracts.calls.decode(value);
  if (!ok || event.member_id === null) return null;
  return { bug: 'object', value: json({ ...event, member_id: { id: event.member_id, system: 'crm' } }) };
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const fixes: Readonly<Record<Bug, object>> = {
  renamed: {
    source: 'journeys',
    steps: [{ rename: { jtype: 'journey_type' } }, { scale: { field: 'timestamp', factor: 1000 } }],
  },
  schemaId: { source: 'journeys', decodeAs: { schemaId: 5 } },
  object: { source: 'calls', steps: [{ rename: { 'member_id.id': 'member_id' } }] },
};
const reasons: Readonly<Record<Bug, string>> = {
  renamed: 'type:timestamp',
  schemaId: 'trailing_bytes',
  object: 'type:member_id',
};
const fixFile = (bug: Bug): string => {
  const file = join(folder, `${bug}.json`);
  writeFileSync(file, JSON.stringify(fixes[bug]));
  return file;
};
const reinject = (bug: Bug): string[] =>
  `reinject --fix ${fixFile(bug)} --reason ${reasons[bug]} --name ${bug}-run --json`.split(' ');

let clean: Pipeline;
let poisoned: Pipeline;
let expected: string[];
const count: Record<Bug, number> = { renamed: 0, schemaId: 0, object: 0 };

beforeAll(async () => {
  clean = await startPipeline();
  const generator = startServiceProcess('generator', { ...smallWorld, OUTPUT_PATH: folder, ...clean.env });
  if ((await generator.exited) !== 0) throw new Error(generator.output());
  await clean.drained();
  expected = await dump(clean.pool);
  poisoned = await emptyPipeline();
  const random = randomOf(7);
  const stream = (await streamOf(clean, poisoned)).map(({ source, record }) => {
    const poison = spoiled(source, record.value, random());
    if (poison === null) return record;
    count[poison.bug] += 1;
    return { ...record, value: poison.value };
  });
  for (const name of ['bronze-sink', 'silver-joiner', 'gold-aggregator'] as const) await poisoned.start(name);
  await poisoned.feed(stream);
}, 240_000);

afterAll(async () => {
  await clean?.stop();
  await poisoned?.stop();
});

interface Row {
  readonly [column: string]: unknown;
}
const rows = async (sql: string): Promise<Row[]> => (await poisoned.pool.query<Row>(sql)).rows;

const verified = async ({ databaseUrl }: Pipeline) => {
  const report = await verifyPipeline({ databaseUrl });
  return report.checks.filter((check) => check.differences > 0).map((check) => check.name);
};

/** Ends the command on the spot, at the second time that it comes to a line. */
const dieBefore = (line: string): CodeEdit => ({
  file: 'cli/src/quarantine/reinject.ts',
  right: line,
  wrong: `if ((globalThis.passes = (globalThis.passes ?? 0) + 1) === 2) process.kill(process.pid, 'SIGKILL');\n  ${line}`,
});

describe('a stream of which one percent is spoiled', () => {
  test('is in quarantine for it, and the figures are wrong', async () => {
    expect(count.renamed).toBeGreaterThan(50);
    expect(count.schemaId).toBeGreaterThan(50);
    expect(count.object).toBeGreaterThan(3);
    expect(await dump(poisoned.pool)).not.toEqual(expected);
    expect(await verified(poisoned)).toEqual([]);
    const { code, out } = await quarantine(poisoned, ['list', '--json']);
    expect(code).toBe(0);
    const report = JSON.parse(out) as { groups: { source: string; reason: string; records: number }[] };
    for (const bug of ['renamed', 'schemaId', 'object'] as const) {
      const group = report.groups.find(({ reason }) => reason === reasons[bug]);
      expect(group?.records, bug).toBe(count[bug]);
    }
  });

  test('a fix that is not right is refused by the rules, and nothing of it is sent', async () => {
    const file = join(folder, 'half.json');
    writeFileSync(file, JSON.stringify({ source: 'journeys', steps: [{ rename: { jtype: 'journey_type' } }] }));
    const words = ['--fix', file, '--reason', 'type:timestamp', '--json'];
    const before = await rows('select sum(next_offset) as read from ops.position');
    const tried = await quarantine(poisoned, ['try', ...words, '--sample', '3']);
    expect([tried.code, JSON.parse(tried.out)]).toMatchObject([
      3,
      { selected: count.renamed, tried: 3, accepted: 0, refused: [{ reason: 'type:timestamp', records: 3 }] },
    ]);
    const sent = await quarantine(poisoned, ['reinject', ...words, '--name', 'half']);
    expect([sent.code, JSON.parse(sent.out)]).toMatchObject([
      3,
      { examined: count.renamed, sent: 0, open: count.renamed, refused: [{ records: count.renamed }] },
    ]);
    expect(await rows('select sum(next_offset) as read from ops.position')).toEqual(before);
    expect(await rows('select * from ops.repair')).toEqual([]);
  });

  test('a right fix shows what it would do, without the people', async () => {
    const { code, out } = await quarantine(poisoned, ['try', '--fix', fixFile('object'), '--reason', 'type:member_id']);
    expect(out).toMatch(/member_id +\(an object\) -> "\*\*\*.{3}"/);
    expect([code, out]).toEqual([0, expect.stringMatching(/tried: \d+ would be accepted\n$/)]);
    const { rows: members } = await clean.pool.query<{ id: string }>('select member_id as id from silver_1.call');
    expect(members.filter(({ id }) => out.includes(id))).toEqual([]);
  });

  test.each([
    ['before the records are sent', 'renamed', 'const ranges = await publisher.publish('],
    ['before Kafka has acknowledged them here', 'schemaId', 'await repairs.acknowledge('],
  ] as const)('a run that is killed %s goes on when it is given again', async (_when, bug, line) => {
    const words = [...reinject(bug), '--rate', '20'];
    const killed = await quarantine(poisoned, words, [dieBefore(line)]);
    expect(killed.code).toBe('SIGKILL');
    expect(
      await rows(`select status, count(*) as n from ops.repair where run = '${bug}-run' group by 1 order by 1`),
    ).toEqual([
      { status: 'open', n: 20 },
      { status: 'replayed', n: 20 },
    ]);
    const again = await quarantine(poisoned, reinject(bug));
    const found = bug === 'schemaId' ? 20 : 0;
    expect([again.code, JSON.parse(again.out)]).toMatchObject([
      0,
      { run: `${bug}-run`, sent: count[bug] - 20 - found, found, refused: [], open: 0 },
    ]);
    const once = await quarantine(poisoned, reinject(bug));
    expect(JSON.parse(once.out)).toMatchObject({ examined: 0, sent: 0, found: 0, open: 0 });
  });

  test('a name stands for one fix', async () => {
    const [, , , ...words] = reinject('object');
    const { code, problems } = await quarantine(poisoned, [
      'reinject',
      '--fix',
      fixFile('object'),
      ...words.slice(0, -2),
      'renamed-run',
    ]);
    expect([code, problems]).toEqual([2, expect.stringContaining('Run renamed-run was made with another fix')]);
  });

  test('is as the clean one when it is repaired', async () => {
    const { code, out } = await quarantine(poisoned, reinject('object'));
    expect([code, JSON.parse(out)]).toMatchObject([0, { sent: count.object, refused: [], open: 0 }]);
    await poisoned.drained();
    expect(await dump(poisoned.pool)).toEqual(expected);
    expect(await verified(poisoned)).toEqual([]);
    expect(await verified(clean)).toEqual([]);
  });

  test('every repaired record says what it repairs, and none was sent twice', async () => {
    const repaired = count.renamed + count.schemaId + count.object;
    expect(
      await rows(
        `select status, count(*) as n, sum(attempts)::int as attempts from silver.quarantine where status <> 'open' group by 1`,
      ),
    ).toEqual([{ status: 'replayed', n: repaired, attempts: repaired + 20 }]);
    for (const source of sources) {
      const copies = await rows(
        `select headers ->> 'repair' as run, count(*) as n, count(distinct headers ->> 'repair_of') as records,
                count(*) filter (where kafka_key is distinct from (
                  select o.kafka_key from bronze.${tables[source]} o
                   where concat_ws('/', o.kafka_topic, o.kafka_partition, o.kafka_offset) = c.headers ->> 'repair_of')) as other_keys,
                count(*) filter (where not exists (
                  select from ops.repair r
                   where concat_ws('/', r.kafka_topic, r.kafka_partition, r.kafka_offset) = c.headers ->> 'repair_of'
                     and (r.repaired_topic, r.repaired_partition, r.repaired_offset)
                       = (c.kafka_topic, c.kafka_partition, c.kafka_offset))) as misplaced
           from bronze.${tables[source]} c where headers ? 'repair' group by 1 order by 1`,
      );
      const runs = { journeys: ['renamed', 'schemaId'], calls: ['object'], members: [] }[source] as Bug[];
      expect(copies).toEqual(
        runs.map((bug) => ({ run: `${bug}-run`, n: count[bug], records: count[bug], other_keys: 0, misplaced: 0 })),
      );
    }
  });
});
