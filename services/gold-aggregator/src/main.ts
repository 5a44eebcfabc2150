import {
  createPool,
  loadGeneration,
  migrateOps,
  mustNotBeDropped,
  type Pool,
  publishViews,
  schemaProblems,
  startListener,
  waitForRelation,
  withPool,
  workingGeneration,
} from '@leakage/postgres';
import {
  type Logger,
  type PrepareContext,
  runService,
  type ServiceContext,
  settingsSet,
  sleep,
} from '@leakage/runtime';
import { Aggregator } from './aggregator.ts';
import { type GoldSettings, metricsPort, settings } from './config.ts';
import { watchGeneration } from './generation-watch.ts';
import { goldMigrations, makeGold } from './gold-schema.ts';
import { RECOUNT_STATEMENT_MS } from './gold-store.ts';
import { storeParameters } from './parameters.ts';

const WAIT_MS = 15 * 60_000;
const LOOK_MS = 500;

async function start(ctx: ServiceContext<GoldSettings>): Promise<void> {
  const { settings: s, log, metrics, health } = ctx;
  const { databaseUrl: url, foldRowsMax, pollMs, pauseMs } = s;
  const applicationName = 'gold-aggregator';

  await migrateOps({ url, log });
  const pool = ctx.own(createPool({ url, applicationName, max: 3, statementTimeoutMs: RECOUNT_STATEMENT_MS, log }));
  const generation = await workingGeneration(pool, s.generation);
  // Nobody makes what would be waited for.
  await mustNotBeDropped(pool, generation);
  const { silver, gold } = schemasOf(s, generation);
  await silverIsThere(pool, { ctx, generation, changeLog: `${silver}.change_log` });
  await prepareGeneration(ctx, generation);

  const aggregator = ctx.own(
    new Aggregator({ pool, generation, silver, gold, foldRowsMax, pollMs, pauseMs, log, metrics, health }),
  );
  const channel = `leakage_changes_${generation}`;
  ctx.own(await startListener({ url, applicationName, channel, onNotify: () => aggregator.wake(), log }));
  ctx.own(watchGeneration(pool, { generation, follows: s.generation === undefined, onEnd: ctx.stop, log }));
}

function schemasOf(s: GoldSettings, generation: number): { silver: string; gold: string } {
  return { silver: `${s.silverSchema}_${generation}`, gold: `${s.goldSchema}_${generation}` };
}

/** Silver has been prepared before: gold's views read its tables. */
async function prepare(context: PrepareContext<GoldSettings>): Promise<void> {
  const { settings: s, log } = context;
  await migrateOps({ url: s.databaseUrl, log });
  await prepareGeneration(context, await generationOf(s, log));
}

async function prepareGeneration(
  { settings: s, log }: PrepareContext<GoldSettings>,
  generation: number,
): Promise<void> {
  const { databaseUrl: url } = s;
  await withPool({ url, applicationName: 'gold-aggregator', max: 1, log }, async (pool) => {
    // Before anything is made: the tables of a generation that was dropped must not come back.
    await mustNotBeDropped(pool, generation);
    await makeGold({ url, ...schemasOf(s, generation), log });
    await storeParameters(pool, { costPerCall: s.costPerCall, explicit: settingsSet(settings).has('COST_PER_CALL') });
    await publishViews(pool, s.goldSchema, generation);
  });
}

async function generationOf(s: GoldSettings, log: Logger): Promise<number> {
  const database = { url: s.databaseUrl, applicationName: 'gold-aggregator', max: 1, log };
  return await withPool(database, (pool) => workingGeneration(pool, s.generation));
}

async function check({ settings: s, log }: PrepareContext<GoldSettings>): Promise<string[]> {
  const database = { url: s.databaseUrl, applicationName: 'gold-aggregator', max: 1, log };
  return await withPool(database, async (pool) => {
    const { gold: schema } = schemasOf(s, await workingGeneration(pool, s.generation));
    return await schemaProblems(pool, { schema, directory: goldMigrations });
  });
}

/** The silver-joiner makes the generation and its tables; gold only reads them. */
async function silverIsThere(
  pool: Pool,
  o: { readonly ctx: ServiceContext<GoldSettings>; readonly generation: number; readonly changeLog: string },
): Promise<void> {
  const { generation } = o;
  const { log, health, signal } = o.ctx;
  await waitForRelation(pool, o.changeLog, { signal, health, log });
  for (const until = Date.now() + WAIT_MS; Date.now() < until; await sleep(LOOK_MS, signal)) {
    const found = await loadGeneration(pool, generation);
    health.setReady('generation', found !== null, `generation ${generation}`);
    if (found !== null) return;
  }
  throw new Error(`generation ${generation} still does not exist: is the silver-joiner of that generation running?`);
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
