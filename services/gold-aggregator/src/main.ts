import {
  createPool,
  loadGeneration,
  migrateOps,
  type Pool,
  publishViews,
  schemaProblems,
  startListener,
  waitForRelation,
  withPool,
} from '@leakage/postgres';
import { type PrepareContext, runService, type ServiceContext, settingsSet, sleep } from '@leakage/runtime';
import { Aggregator } from './aggregator.ts';
import { type GoldSettings, metricsPort, settings } from './config.ts';
import { goldMigrations, makeGold } from './gold-schema.ts';
import { RECOUNT_STATEMENT_MS } from './gold-store.ts';
import { storeParameters } from './parameters.ts';

const WAIT_MS = 15 * 60_000;
const LOOK_MS = 500;

async function start(ctx: ServiceContext<GoldSettings>): Promise<void> {
  const { settings: s, log, metrics, health } = ctx;
  const { databaseUrl: url, generation, foldRowsMax, pollMs, pauseMs } = s;
  const silver = `${s.silverSchema}_${generation}`;
  const gold = `${s.goldSchema}_${generation}`;
  const applicationName = 'gold-aggregator';

  await migrateOps({ url, log });
  const pool = ctx.own(createPool({ url, applicationName, max: 3, statementTimeoutMs: RECOUNT_STATEMENT_MS, log }));
  await silverIsThere(pool, `${silver}.change_log`, ctx);
  await prepare(ctx);

  const aggregator = ctx.own(
    new Aggregator({ pool, generation, silver, gold, foldRowsMax, pollMs, pauseMs, log, metrics, health }),
  );
  const channel = `leakage_changes_${generation}`;
  ctx.own(await startListener({ url, applicationName, channel, onNotify: () => aggregator.wake(), log }));
}

/** Silver has been prepared before: gold's views read its tables. */
async function prepare({ settings: s, log }: PrepareContext<GoldSettings>): Promise<void> {
  const { databaseUrl: url, generation } = s;
  await migrateOps({ url, log });
  await makeGold({ url, silver: `${s.silverSchema}_${generation}`, gold: `${s.goldSchema}_${generation}`, log });
  await withPool({ url, applicationName: 'gold-aggregator', max: 1, log }, async (pool) => {
    await storeParameters(pool, { costPerCall: s.costPerCall, explicit: settingsSet(settings).has('COST_PER_CALL') });
    await publishViews(pool, s.goldSchema, generation);
  });
}

async function check({ settings: s, log }: PrepareContext<GoldSettings>): Promise<string[]> {
  const own = { schema: `${s.goldSchema}_${s.generation}`, directory: goldMigrations };
  const database = { url: s.databaseUrl, applicationName: 'gold-aggregator', max: 1, log };
  return await withPool(database, (pool) => schemaProblems(pool, own));
}

/** The silver-joiner makes the generation and its tables; gold only reads them. */
async function silverIsThere(pool: Pool, changeLog: string, ctx: ServiceContext<GoldSettings>): Promise<void> {
  const { settings: s, log, health, signal } = ctx;
  await waitForRelation(pool, changeLog, { signal, health, log });
  for (const until = Date.now() + WAIT_MS; Date.now() < until; await sleep(LOOK_MS, signal)) {
    const found = await loadGeneration(pool, s.generation);
    health.setReady('generation', found !== null, `generation ${s.generation}`);
    if (found !== null) return;
  }
  throw new Error(`generation ${s.generation} still does not exist: is the silver-joiner of that generation running?`);
}

await runService<GoldSettings>({
  name: 'gold-aggregator',
  help: "Folds silver's change log into gold: cubes of counts and sums, and the tables people read as views over them.",
  metricsPort,
  settings,
  prepare,
  check,
  start,
});
