// Promotions and rollbacks are not to be seen but for the figures: whoever reads, from the API or with SQL, is told of one
// generation at a time, whole, without an error and never of a former one again.

import type { OutgoingRecord } from '@leakage/kafka';
import { createPool, inTransaction, type Pool } from '@leakage/postgres';
import { createLogger } from '@leakage/runtime';
import { contracts, type Source, topicName } from '@leakage/schemas';
import { call, editedCode, eventually, freePort, journey, type ServiceProcess } from '@leakage/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { pathOf } from '../services/api/src/gold-routes.ts';
import { isoInstant, jsonRow, type Resource, resources } from '../services/api/src/resources.ts';
import { leakage, startLeakage } from './support/leakage.ts';
import { emptyPipeline, type Pipeline } from './support/pipeline.ts';
import { contradictions, Pollers, type Switched } from './support/pollers.ts';

vi.setConfig({ testTimeout: 240_000, hookTimeout: 180_000 });

const minute = 60_000;
const day = 24 * 60 * minute;
/** 10:00 in New York: far from any midnight. */
const monday = Date.parse('2026-03-02T15:00:00Z');

let pipeline: Pipeline;
let url: string;
const working = new Map<number, readonly ServiceProcess[]>();

const record = (source: Source, key: string, value: Buffer): OutgoingRecord => ({
  topic: topicName(pipeline.prefix, source),
  key,
  value,
});

let told = 0;
/**
 * Failures with a call about each: of billing within both windows, of id cards within 45 minutes only. So generation 1 never
 * charges a call to an id card, and generation 2 always does.
 */
function tell(stories: number, at: number): OutgoingRecord[] {
  return Array.from({ length: stories }, () => {
    told += 1;
    const [member_id, session_id] = [`member ${told}`, `session ${told}`];
    const [journey_type, call_reason, waitMs] =
      told % 2 === 0
        ? (['billing', 'billing_question', 10 * minute] as const)
        : (['id_card', 'id_card_request', 38 * minute] as const);
    const timestamp = at + told * 10;
    return [
      record(
        'journeys',
        member_id,
        contracts.journeys.encode(journey({ member_id, session_id, event_id: session_id, timestamp, journey_type })),
      ),
      record(
        'calls',
        member_id,
        contracts.calls.encode(
          call({ member_id, call_id: `call ${told}`, call_timestamp: timestamp + waitMs, call_reason }),
        ),
      ),
    ];
  }).flat();
}

beforeAll(async () => {
  pipeline = await emptyPipeline();
  await pipeline.start('bronze-sink');
  for (const [generation, minutes] of [
    [1, '30'],
    [2, '45'],
  ] as const) {
    const env = { GENERATION: String(generation), LEAKAGE_WINDOW_MINUTES: minutes };
    working.set(
      generation,
      await Promise.all((['silver-joiner', 'gold-aggregator'] as const).map((name) => pipeline.start(name, { env }))),
    );
  }
  for (const nr of [0, 1, 2, 3]) await pipeline.publisher.publish(tell(80, monday + nr * day));
  await pipeline.drained(undefined, [1, 2]);
  const port = await freePort();
  await pipeline.start('api', { env: { API_PORT: String(port), PSEUDONYM_KEY: 'k'.repeat(32) } });
  url = `http://127.0.0.1:${port}`;
});
afterAll(async () => await pipeline.stop());

const run = (words: readonly string[]) => leakage(words, pipeline.env);

// ---- what is asked, and what an answer says ----

const tables = resources.map(pathOf);
/** The call of member 1 came 38 minutes after the failure. */
const member = `/v1/members/${encodeURIComponent('member 1')}/timeline`;
const difference = '/v1/generations/1/diff/2?examples=0';
const others = ['/v1/pipeline', '/v1/generations'];

/** Members are looked at by two of them only, as often as one may; one diff runs at a time. */
const asked = Array.from({ length: 10 }, (_, nr) => {
  const paths = [...tables, ...others, ...(nr < 2 ? [member] : []), ...(nr === 2 ? [difference] : [])];
  return [...paths.slice(nr % paths.length), ...paths.slice(0, nr % paths.length)];
});

type Json = Record<string, unknown>;
type States = { readonly id: number; readonly state: string };

function generationOf(path: string, text: string): number {
  const body = JSON.parse(text) as Json;
  if (path === '/v1/generations') return body.active as number;
  if (path === difference) return ([body.a, body.b] as States[]).find(({ state }) => state === 'active')?.id ?? 0;
  return body.generation as number;
}

/** What is wrong with an answer in itself; null: it tells of one generation. `expected`: where nothing arrives. */
function problemOf(path: string, text: string, expected?: ReadonlyMap<string, unknown>): string | null {
  const generation = generationOf(path, text);
  const body = JSON.parse(text) as Json;
  const wrong = (what: string) => `${path}, generation ${generation}: ${what}`;
  if (generation !== 1 && generation !== 2) return wrong('no generation is active');
  if (path === '/v1/generations') {
    const active = (body.generations as States[]).filter(({ state }) => state === 'active').map(({ id }) => id);
    const last = (body.promotions as { to_generation: number }[])[0]?.to_generation ?? 1;
    return active.join() === String(generation) && last === generation
      ? null
      : wrong(`active are ${active.join(', ')}, promoted last was ${last}`);
  }
  if (path === difference) {
    const states = ([body.a, body.b] as States[])
      .map(({ state }) => state)
      .sort()
      .join();
    return ['active,building', 'active,retired'].includes(states) ? null : wrong(states);
  }
  if (path === '/v1/pipeline') {
    const lag = (body.services as Json)['silver-joiner'] as { lag_by_topic: Json };
    return Object.keys(lag.lag_by_topic).length > 0 ? null : wrong('no silver');
  }
  if (path === member) {
    const linked = (body.rows as Json[]).some(({ is_leakage_link }) => is_leakage_link === true);
    return linked === (generation === 2) ? null : wrong(`the call is ${linked ? '' : 'not '}leakage`);
  }
  if (expected !== undefined) {
    const right = JSON.stringify(expected.get(`${generation} ${path}`));
    return text === right ? null : wrong(`${text}\ninstead of\n${right}`);
  }
  const charged = idCards(body.rows as Json[]);
  if (charged === null) return null;
  return charged > 0 === (generation === 2) ? null : wrong(`${charged} calls about id cards`);
}

/** Leakage calls about id cards in the rows of a table; null: it has none of any kind. */
function idCards(rows: readonly Json[]): number | null {
  const column = ['daily_calls', 'leakage_count', 'avoidable_calls_per_day'].find((name) => name in (rows[0] ?? {}));
  if (column === undefined) return null;
  return rows
    .filter(({ leakage_type }) => leakage_type === 'id_card')
    .reduce((sum, row) => sum + Number(row[column]), 0);
}

/** What a table of a generation holds, as an answer would say it; read by its number, whoever is active. */
async function answerFrom(generation: number, resource: Resource): Promise<unknown> {
  const names = resource.columns.map(({ name }) => name).join(', ');
  const { rows } = await pipeline.pool.query<Json>(
    `select ${names} from gold_${generation}.${resource.table} order by ${resource.order}`,
  );
  return {
    table: resource.table,
    generation,
    as_of: isoInstant(rows[0]?.as_of),
    truncated: false,
    rows: rows.map((row) => jsonRow(resource.columns, row)),
  };
}

// ---- who reads with SQL ----

/** Reads figures and facts through the stable views, in one transaction each time, until it is stopped. */
class SqlReader {
  readonly problems: string[] = [];
  /** Which generations it saw, changes only. */
  readonly runs: number[] = [];
  /** Transactions that have ended. */
  reads = 0;
  readonly #pool: Pool;
  readonly #done: Promise<void>;
  #stopping = false;

  constructor() {
    const log = createLogger({ service: 'tests', level: 'silent' });
    this.#pool = createPool({ url: pipeline.databaseUrl, applicationName: 'a reader', max: 1, log });
    this.#done = this.#run();
  }

  /** A transaction has ended that began after this was called. */
  async round(): Promise<void> {
    const enough = this.reads + 2;
    await eventually(() => this.reads >= enough, { withinMs: 60_000, what: 'a round of a reader' });
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
    await this.#pool.stop();
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      try {
        const seen = await this.#read();
        if (new Set(seen).size > 1) this.problems.push(`generations ${seen.join(', ')} in one transaction`);
        if (this.runs.at(-1) !== seen[0]) this.runs.push(seen[0] ?? 0);
      } catch (error) {
        this.problems.push(String(error));
      }
      this.reads += 1;
      // Who never leaves a moment free is waited for: see promote.integration.test.ts.
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
  }

  /** The generation that each of the views shows. */
  async #read(): Promise<number[]> {
    const views = [
      `gold.daily_leakage_history where leakage_type = 'id_card' and daily_calls > 0`,
      `silver.digital_call_leakage where leakage_type = 'id_card'`,
      `gold.segment_drilldown where leakage_type = 'id_card' and calls > 0`,
      `gold.root_cause_analysis where leakage_type = 'id_card' and leakage_count > 0`,
    ];
    return await inTransaction(
      this.#pool,
      async (tx) => {
        const seen: number[] = [];
        for (const view of views) {
          const { rows } = await tx.query<{ some: boolean }>(`select exists (select from ${view}) as some`);
          seen.push(rows[0]?.some === true ? 2 : 1);
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        return seen;
      },
      { retries: 0 },
    );
  }
}

// ---- switching ----

async function switched(words: readonly string[], to: number): Promise<Switched> {
  const orderedAt = performance.now();
  const outcome = await run([...words, '--wait', '60', '--json']);
  expect(outcome).toMatchObject({ code: 0 });
  expect(JSON.parse(outcome.out)).toMatchObject({ done: true, to, forced: false, behind: { records: 0, changes: 0 } });
  return { to, orderedAt, doneAt: performance.now() };
}

/** `promote 2` that kills itself at a place of its transaction. */
async function killedPromotion(before: string): Promise<{ readonly orderedAt: number; readonly doneAt: number }> {
  const name = 'here';
  const { execArgv, env } = editedCode(
    [{ file: 'libs/postgres/src/promotion.ts', right: before, wrong: `leakageFailPoint('${name}'); ${before}` }],
    { LEAKAGE_FAIL_POINT: JSON.stringify({ name, pass: 1, signal: 'SIGKILL' }) },
  );
  const orderedAt = performance.now();
  expect(await leakage(['promote', '2'], { ...pipeline.env, ...env }, { execArgv })).toMatchObject({
    code: null,
    out: '',
  });
  return { orderedAt, doneAt: performance.now() };
}

interface Watching {
  readonly judge: (path: string, text: string) => string | null;
  readonly paths?: readonly (readonly string[])[];
  /** The active generation when it begins. */
  readonly first?: number;
}

/** Everybody reads while `work` is done, who may wait until all have read again; what all of them were told is judged. */
async function watched(
  work: (round: () => Promise<void>) => Promise<readonly Switched[]>,
  { judge, paths = asked, first = 1 }: Watching,
): Promise<Pollers> {
  const pollers = new Pollers({ url, paths, answersPerSecond: 50, generationOf });
  const readers = [new SqlReader(), new SqlReader()];
  let switches: readonly Switched[];
  try {
    const everybody = [pollers, ...readers];
    const round = async () => void (await Promise.all(everybody.map((one) => one.round())));
    await round();
    switches = await work(round);
  } finally {
    await Promise.all([pollers.stop(), ...readers.map((reader) => reader.stop())]);
  }
  const refused = pollers.all.filter(({ status }) => status !== 200 && status !== 304);
  expect(refused.map(({ path, status, text }) => `${status} ${path} ${text}`)).toEqual([]);
  expect(
    pollers.all
      .map(({ path, text }) => judge(path, text))
      .filter((problem) => problem !== null)
      .slice(0, 3),
  ).toEqual([]);
  expect(contradictions(pollers, { switches, first, generationOf })).toEqual([]);
  for (const reader of readers) {
    expect(reader.problems).toEqual([]);
    expect(reader.runs).toEqual([first, ...switches.map(({ to }) => to)]);
  }
  return pollers;
}

test('nothing arrives: every body is exactly that of one generation, and an ETag of the other one is never right', async () => {
  expect(await run(['verify', '--generation', '2'])).toMatchObject({ code: 0 });
  const expected = new Map<string, unknown>();
  for (const generation of [1, 2]) {
    for (const resource of resources) {
      expected.set(`${generation} ${pathOf(resource)}`, await answerFrom(generation, resource));
    }
  }
  const bodyOf = (generation: number, resource: Resource) =>
    ({
      ...(expected.get(`${generation} ${pathOf(resource)}`) as Json),
      generation: 0,
      processing_timestamp: 0,
    }) as Json;
  // All but the empty one tell the two apart by their figures, not only by the number.
  const alike = resources.filter((one) => JSON.stringify(bodyOf(1, one).rows) === JSON.stringify(bodyOf(2, one).rows));
  expect(alike.map(({ table }) => table)).toEqual(['action_recommendations']);

  const pollers = await watched(
    async (round) => {
      const switches: Switched[] = [];
      for (let time = 0; time < 3; time += 1) {
        switches.push(await switched(['promote', '2'], 2));
        await round();
        switches.push(await switched(['rollback'], 1));
        await round();
      }
      return switches;
    },
    { judge: (path, text) => problemOf(path, text, expected) },
  );
  expect(pollers.all.some(({ status }) => status === 304)).toBe(true);
});

let minutes = 0;
/** Records come all the time while `work` is done. */
async function whileFed<T>(work: () => Promise<T>): Promise<T> {
  let feeding = true;
  const feed = async () => {
    for (; feeding; minutes += 1) {
      await pipeline.publisher.publish(tell(20, monday + 3 * day + minutes * minute));
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  };
  const fed = feed();
  try {
    return await work();
  } finally {
    feeding = false;
    await fed;
  }
}

test('records arrive, promotions are killed: no answer mixes, and none goes back in time', async () => {
  const there = async (round: () => Promise<void>): Promise<Switched[]> => {
    const switches: Switched[] = [await switched(['promote', '2'], 2)];
    await round();
    switches.push(await switched(['rollback'], 1));
    await round();
    await killedPromotion('await handOverChanges(tx, this.#o);');
    await round();
    await killedPromotion('await this.#o.published?.(tx);');
    await round();
    switches.push({ ...(await killedPromotion("await this.#pool.query('select pg_notify")), to: 2 });
    await round();
    switches.push(await switched(['rollback'], 1));
    await round();
    return switches;
  };
  const pollers = await watched((round) => whileFed(() => there(round)), { judge: problemOf });
  const history = pathOf(resources.find(({ table }) => table === 'daily_leakage_history') as Resource);
  for (const heard of pollers.heard) {
    const bodies = heard
      .filter(({ path }) => path === history)
      .map(({ text }) => JSON.parse(text) as { as_of: string; rows: { daily_calls: number; leakage_type: string }[] });
    const asOf = bodies.map(({ as_of }) => as_of);
    expect(asOf).toEqual(asOf.toSorted());
    const billing = bodies.map(({ rows }) =>
      rows.filter(({ leakage_type }) => leakage_type === 'billing').reduce((sum, row) => sum + row.daily_calls, 0),
    );
    expect(billing).toEqual(billing.toSorted((a, b) => a - b));
    expect(billing.at(-1)).toBeGreaterThan(billing[0] ?? 0);
  }
  await pipeline.drained(undefined, [1, 2]);
  for (const generation of ['1', '2']) {
    expect(await run(['verify', '--generation', generation])).toMatchObject({ code: 0 });
  }
});

test('the former generation is dropped while its processes and a replay of it work: they end, it does not come back, nobody notices', async () => {
  await switched(['promote', '2'], 2);
  const words = ['replay', '--service', 'silver-joiner', '--from', 'earliest', '--generation', '1', '--rate', '10'];
  const replaying = startLeakage(words, pipeline.env);
  const replay = async () => {
    const { rows } = await pipeline.pool.query<{ state: string; records: number }>(
      `select r.state, r.offsets + coalesce(sum(p.next_offset - p.first_offset), 0)::bigint as records
         from ops.replay r left join ops.position p on p.pipeline = r.pipeline where r.generation = 1 group by r.id`,
    );
    return rows[0];
  };
  await eventually(async () => Number((await replay())?.records) > 0, {
    withinMs: 60_000,
    what: 'the replay to begin',
  });

  const dropped = async (round: () => Promise<void>): Promise<Switched[]> => {
    const outcome = await run(['drop', '1', '--force', '--yes', '--json']);
    expect(outcome).toMatchObject({ code: 0 });
    expect(JSON.parse(outcome.out)).toMatchObject({ schemas: ['gold_1', 'silver_1'], replays: 1 });
    await round();
    return [];
  };
  const paths = asked.map((one) => one.filter((path) => path !== difference));
  await watched((round) => whileFed(() => dropped(round)), { judge: problemOf, paths, first: 2 });
  expect(await replay()).toMatchObject({ state: 'cancelled' });
  expect(await replaying.ended).toMatchObject({ code: 1 });
  for (const one of working.get(1) ?? []) {
    expect(await one.exited).toBe(0);
    expect(one.output()).toContain('generation 1 was dropped');
  }

  // Started by somebody all the same, they make nothing.
  for (const name of ['silver-joiner', 'gold-aggregator'] as const) {
    await expect(pipeline.start(name, { env: { GENERATION: '1' } })).rejects.toThrow(/generation 1 was dropped/);
  }
  const { rows } = await pipeline.pool.query(`select from pg_namespace where nspname in ('silver_1', 'gold_1')`);
  expect(rows).toEqual([]);
  await pipeline.drained(undefined, [2]);
  expect(await run(['verify'])).toMatchObject({ code: 0 });
});
