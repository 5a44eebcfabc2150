import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServiceProcess } from '@leakage/testing/service-process';
import { type BuildSample, build, builders, fillBronze } from './rebuild.ts';
import { onFullTopics } from './replay.ts';
import type { BenchStack } from './support/bench-stack.ts';
import type { BenchOptions } from './support/options.ts';
import { type Sample, untilDone } from './support/progress.ts';
import type { Result, Table } from './support/report.ts';
import { mustBeRight } from './support/right.ts';

const million = 1_000_000;
const limitMs = 60 * 60_000;
const statementsShown = 24;
const functionsShown = 24;
const settings = { shared_preload_libraries: 'pg_stat_statements', 'pg_stat_statements.track': 'all' };
const services = ['bronze-sink', 'silver-joiner', 'gold-aggregator'] as const;

/** A replay with every profiler switched on: it is slower than without, what it tells is where the time goes. */
export async function profile({ events, say }: BenchOptions): Promise<Result> {
  return await onFullTopics({ events, say }, (stack, records) => profiled(stack, { records, say }), settings);
}

/** The same of a generation that is built from bronze. */
export async function profileRebuild({ events, say }: BenchOptions): Promise<Result> {
  return await onFullTopics({ events, say }, (stack, records) => profiledBuild(stack, { records, say }), settings);
}

async function profiledBuild(
  stack: BenchStack,
  { records, say }: { records: number; say: (line: string) => void },
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'leakage-profile-'));
  try {
    await fillBronze(stack, { records, say });
    await stack.pool.query('create extension pg_stat_statements');
    const tables: Table[] = [];
    const { generation, samples } = await build(stack, {
      source: 'bronze',
      joiners: 1,
      records,
      say,
      env: profilers(folder),
      onBuilt: async (processes) => {
        tables.push(await statements(stack, records), await steps(processes[0], records));
        for (const [i, process] of processes.entries()) {
          await process.stop();
          tables.push(functions(builders[i] ?? '', { folder, records }));
        }
      },
    });
    say('verifying');
    await mustBeRight(stack, generation);
    return { name: 'profile-rebuild', tables: [cpu(samples, records), ...tables], verdicts: [] };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const profilers = (folder: string) => ({ NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${folder}` });

async function profiled(
  stack: BenchStack,
  { records, say }: { records: number; say: (line: string) => void },
): Promise<Result> {
  await stack.pool.query('create extension pg_stat_statements');
  const folder = mkdtempSync(join(tmpdir(), 'leakage-profile-'));
  try {
    say('replaying');
    const env = profilers(folder);
    const starting = services.map(async (name) => {
      const [process] = await stack.start(name, { env });
      return { name, process };
    });
    const samples = await untilDone(stack, { records, limitMs, say });
    const tables = [
      cpu(samples, records),
      await statements(stack, records),
      await steps((await starting[1])?.process, records),
    ];
    for (const started of starting) {
      const { name, process } = await started;
      await process?.stop();
      tables.push(functions(name, { folder, records }));
    }
    say('verifying');
    await mustBeRight(stack);
    return { name: 'profile', tables, verdicts: [] };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function cpu(samples: readonly (Sample | BuildSample)[], records: number): Table {
  const [first, last] = [samples[0], samples.at(-1)];
  const rows = [...(last?.usage ?? [])].map(([name, { cpuSeconds }]) => [
    name,
    ((cpuSeconds - (first?.usage.get(name)?.cpuSeconds ?? 0)) * million) / records,
  ]);
  const seconds = ((last?.atMs ?? 0) - (first?.atMs ?? 0)) / 1000;
  return { title: `${Math.round(records / seconds)} events a second`, columns: ['', 'CPU us an event'], rows };
}

async function statements({ pool }: BenchStack, records: number): Promise<Table> {
  const { rows } = await pool.query<{ ms: number; calls: number; rows: number; wal: number; text: string }>(
    `select total_exec_time as ms, calls, rows, wal_bytes::bigint as wal, left(regexp_replace(query, '\\s+', ' ', 'g'), 90) as text
       from pg_stat_statements
      order by total_exec_time desc
      limit $1`,
    [statementsShown],
  );
  return {
    title: 'Statements: elapsed time, waiting for data included',
    columns: ['us an event', 'us a row', 'rows a call', 'WAL bytes a row', ''],
    rows: rows.map(({ ms, calls, rows: n, wal, text }) => [
      (ms * 1000) / records,
      n === 0 ? null : (ms * 1000) / n,
      n / calls,
      n === 0 ? null : wal / n,
      text.replaceAll('|', '/'),
    ]),
  };
}

/** What the joiner says of itself: the steps of its transactions. */
async function steps(joiner: ServiceProcess | undefined, records: number): Promise<Table> {
  const answer = await fetch(`http://127.0.0.1:${joiner?.port}/metrics`);
  const found = (await answer.text()).matchAll(
    /^((?:leakage_silver_step|nodejs_gc_duration)_seconds_sum)\{(.*)\} ([\d.e+-]+)$/gm,
  );
  const rows = [...found].map(([, name = '', labels = '', seconds = '']) => [
    (Number(seconds) * million) / records,
    `${name.replace(/_sum$/, '')} ${labels.replaceAll('"', '')}`,
  ]);
  return { title: 'Steps of the joiner', columns: ['us an event', ''], rows };
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** The functions of a service that take the most, by themselves and with all that they call. */
function functions(service: string, { folder, records }: { folder: string; records: number }): Table {
  const [file, ...others] = readdirSync(folder).map((name) => join(folder, name));
  if (file === undefined || others.length > 0)
    throw new Error(`${service} has left ${others.length} profiles too many`);
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile;
  rmSync(file);
  const nameOf = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      `${functionName || '(anonymous)'} ${url.split('/').slice(-2).join('/')}:${lineNumber + 1}`,
    ]),
  );
  const parentOf = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const own = new Map<string, number>();
  const all = new Map<string, number>();
  const add = (to: Map<string, number>, name: string, us: number) => to.set(name, (to.get(name) ?? 0) + us);
  samples.forEach((sample, i) => {
    const us = timeDeltas[i] ?? 0;
    add(own, nameOf.get(sample) ?? '', us);
    const callers = new Set<string>();
    for (let id: number | undefined = sample; id !== undefined; id = parentOf.get(id))
      callers.add(nameOf.get(id) ?? '');
    for (const name of callers) add(all, name, us);
  });
  const rows = [...own]
    .filter(([name]) => !name.startsWith('(idle)'))
    .sort(([, a], [, b]) => b - a)
    .slice(0, functionsShown);
  return {
    title: `Functions of ${service}`,
    columns: ['us an event', 'with what it calls', ''],
    rows: rows.map(([name, us]) => [us / records, (all.get(name) ?? 0) / records, name]),
  };
}
