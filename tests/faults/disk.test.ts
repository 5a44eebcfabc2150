import { readFileSync, statSync, truncateSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  eventually,
  type FaultServers,
  type SupervisedProcess,
  startFaultServers,
  superviseService,
  temporaryFolder,
} from '@leakage/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { emptyPipeline, type Pipeline } from '../support/pipeline.ts';
import { FaultPipeline } from './support/fault-pipeline.ts';
import { endured } from './support/feeding.ts';
import { type SmallDisk, smallDisk } from './support/full-disk.ts';
import { report } from './support/report.ts';
import { smallWorld } from './support/small-world.ts';

const noSpace = '(No space left on device|File too large)';

describe('no space left for Postgres while records are being fed', { timeout: 300_000 }, () => {
  const mib = 1024 * 1024;
  /** Above the 16 MiB of a file of Postgres' log, which must go on being written. */
  const fileBytesMax = 17 * mib;
  let servers: FaultServers;
  let pipeline: FaultPipeline;
  let disk: SmallDisk;
  beforeAll(async () => {
    servers = await startFaultServers();
    pipeline = await FaultPipeline.start({ servers, seed: 6 });
    const { rows } = await pipeline.pipeline.pool.query<{ data_directory: string }>('show data_directory');
    const data = rows[0]?.data_directory ?? '';
    const { uid, gid } = statSync(data);
    const folder = join(dirname(data), 'small-disk');
    disk = smallDisk({ folder, bytes: 64 * mib, owner: { uid, gid }, processes: servers.postgres.pids, fileBytesMax });
    if (disk.mounted) await pipeline.pipeline.pool.query(`create tablespace small location '${folder}'`);
  });
  afterAll(async () => {
    disk?.free();
    await pipeline?.stop();
    await servers?.stop();
    disk?.remove();
  });

  it.each([
    ['bronze-sink', 'bronze'],
    ['silver-joiner', 'silver_1'],
  ] as const)('%s tries again, stops with the cause, and goes on when there is space', async (stage, schema) => {
    const mayEnd = new RegExp(
      `a batch could not be applied \\(9 attempts\\): could not extend file .*: ${noSpace}; nothing of it was kept`,
    );
    const full = async () => {
      const ends = pipeline.member(stage).ends.length;
      disk.fill();
      const ended = () =>
        pipeline
          .member(stage)
          .ends.slice(ends)
          .some(({ lastWords }) => mayEnd.test(lastWords));
      await eventually(ended, { withinMs: 120_000, what: `${stage} to stop` });
      disk.free();
    };
    if (disk.mounted) await moveTables(schema, 'small');
    else await makeLong(schema);
    expect(await endured(pipeline, { kind: 'disk', fault: `no space for ${stage}`, hurt: full, mayEnd })).toEqual([]);
    if (disk.mounted) await moveTables(schema, 'pg_default');
  });

  async function tablesOf(schema: string): Promise<string[]> {
    const { rows } = await pipeline.pipeline.pool.query<{ name: string }>(
      `select format('%I.%I', n.nspname, c.relname) as name
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where n.nspname = $1 and c.relkind = 'r' order by 1`,
      [schema],
    );
    return rows.map(({ name }) => name);
  }

  async function moveTables(schema: string, tablespace: string): Promise<void> {
    for (const table of await tablesOf(schema)) {
      await pipeline.pipeline.pool.query(`alter table ${table} set tablespace ${tablespace}`);
    }
  }

  /** Without a disk of their own: tables of which every new page lies beyond the limit. Postgres takes zeros for new pages. */
  async function makeLong(schema: string): Promise<void> {
    for (const table of await tablesOf(schema)) {
      const { rows } = await pipeline.pipeline.pool.query<{ file: string }>(
        `select current_setting('data_directory') || '/' || pg_relation_filepath($1) as file`,
        [table],
      );
      const file = rows[0]?.file ?? '';
      if (statSync(file).size < fileBytesMax) truncateSync(file, fileBytesMax);
    }
  }
});

describe('no space left for the generator', { timeout: 300_000 }, () => {
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = await emptyPipeline();
  });
  afterAll(async () => {
    await pipeline?.stop();
  });

  it('a loud stop that names the file; its state stays readable; with space it goes on and the truth is whole', async () => {
    const undisturbed = temporaryFolder();
    const first = generatorOf({
      ...smallWorld,
      TOPIC_PREFIX: `${pipeline.prefix}.undisturbed`,
      OUTPUT_PATH: undisturbed,
    });
    await atEnd(first);
    const whole = readFileSync(join(undisturbed, 'truth.jsonl'), 'utf8');

    const half = Math.floor(whole.length / 2);
    let generator: SupervisedProcess | undefined;
    const disk = smallDisk({
      folder: join(temporaryFolder(), 'small-disk'),
      bytes: 4 * 1024 * 1024 + whole.length,
      processes: () => (generator === undefined ? [] : [generator.current().pid]),
      fileBytesMax: half,
    });
    try {
      if (disk.mounted) disk.fill(half);
      generator = generatorOf({ ...smallWorld, OUTPUT_PATH: disk.folder });
      if (!disk.mounted) disk.fill();
      const said = /(truth\.jsonl|state\.json) could not be written \((ENOSPC|EFBIG): .*\): make room for it, or let/;
      const stopped = () => generator?.ends.some(({ lastWords }) => said.test(lastWords));
      await eventually(stopped, { withinMs: 120_000, what: 'the generator to say that the disk is full' });
      const state = JSON.parse(readFileSync(join(disk.folder, 'state.json'), 'utf8')) as { truthBytes: number };
      expect(state.truthBytes).toBeGreaterThan(0);
      expect(state.truthBytes).toBeLessThanOrEqual(statSync(join(disk.folder, 'truth.jsonl')).size);
      if (disk.mounted) disk.free();
      await atEnd(generator);
      expect(readFileSync(join(disk.folder, 'truth.jsonl'), 'utf8')).toBe(whole);
      report({ kind: 'disk', fault: 'no space for the generator', times: 1 });
    } finally {
      await generator?.stop();
      disk.remove();
    }
  });

  function generatorOf(env: Record<string, string>): SupervisedProcess {
    return superviseService('generator', { env: { ...pipeline.env, ...env }, pauseMs: 500 });
  }

  async function atEnd(generator: SupervisedProcess): Promise<void> {
    const done = () => {
      const wrong = generator.ends.find(({ code }) => code === 2);
      if (wrong !== undefined) throw new Error(generator.output().slice(-500));
      return generator.ends.some(({ code }) => code === 0);
    };
    await eventually(done, { withinMs: 120_000, everyMs: 20, what: 'the generator to have published everything' });
    await generator.stop();
  }
});
