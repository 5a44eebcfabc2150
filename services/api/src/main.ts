import { type KafkaAccess, kafkaClientOptions } from '@leakage/kafka';
import {
  createPool,
  migrate,
  migrateOps,
  type Pool,
  schemaProblems,
  waitForRelation,
  withPool,
} from '@leakage/postgres';
import { ensurePseudonymKey, type PrepareContext, runService, type ServiceContext } from '@leakage/runtime';
import { topicTable } from '@leakage/schemas';
import { createApp } from './app.ts';
import { auditStore } from './audit-store.ts';
import { metricsPort, type Settings, settings } from './config.ts';
import { generationStore } from './generation-store.ts';
import { goldStore } from './gold-store.ts';
import { pipelineStore } from './pipeline-store.ts';
import { pseudonyms } from './pseudonym.ts';
import { resources } from './resources.ts';
import { topicEnds } from './topic-ends.ts';

const migrations = new URL('../migrations/', import.meta.url);

await runService<Settings>({
  name: 'api',
  help: 'Serves gold, the timeline of a member and the state of the pipeline as JSON.',
  metricsPort,
  settings,
  prepare,
  check,
  start: async (context) => {
    const { settings: its, log } = context;
    const access = kafkaClientOptions(its); // before anything is done: it may refuse the settings
    const views = 'views of gold';
    context.health.setReady(views, false, 'starting');
    await prepare(context);
    const pool = context.own(
      createPool({ url: its.databaseUrl, applicationName: 'leakage-api', max: 8, statementTimeoutMs: 12_000, log }),
    );
    await listen(context, { pool, access });
    // It listens already, so that a person who is early is told what it waits for.
    for (const { table } of [...resources, { table: 'journey_timeline' }]) {
      await waitForRelation(pool, `${its.goldSchema}.${table}`, context);
    }
    context.health.setReady(views, true);
  },
});

async function prepare({ settings: { databaseUrl: url }, log }: PrepareContext<Settings>): Promise<void> {
  await migrateOps({ url, log });
  await migrate({ url, schemas: ['app'], directory: migrations, log });
}

async function check({ settings: { databaseUrl: url }, log }: PrepareContext<Settings>): Promise<string[]> {
  const own = { schema: 'app', directory: migrations };
  return await withPool({ url, applicationName: 'leakage-api', max: 1, log }, (pool) => schemaProblems(pool, own));
}

async function listen(
  { settings: its, log, metrics, health, own }: ServiceContext<Settings>,
  { pool, access }: { readonly pool: Pool; readonly access: KafkaAccess },
): Promise<void> {
  const topics = topicTable(its.topicPrefix).map((topic) => topic.name);
  const app = await createApp({
    log,
    metrics,
    health,
    gold: goldStore(pool, its.goldSchema),
    audit: auditStore(pool),
    pseudonyms: pseudonyms(ensurePseudonymKey(its)),
    pipeline: pipelineStore(pool),
    generations: generationStore(pool, { silver: its.silverSchema, gold: its.goldSchema }),
    topicEnds: topicEnds({ access, topics, log }),
    topics,
  });
  const address = await app.listen({ host: its.apiHost, port: its.apiPort, listenTextResolver: () => 'listening' });
  own({ name: 'http server', stop: async () => app.close() });
  log.info({ address, docs: `${address}/docs` }, 'the api listens');
}
