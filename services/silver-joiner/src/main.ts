import { createKafkaClient, ensureTopics, kafkaClientOptions, pacedStage, startConsumer } from '@leakage/kafka';
import {
  createPool,
  type Generation,
  indexedPlansOnly,
  migrate,
  migrateOps,
  openReplay,
  positionStore,
  publishViews,
  readLosses,
  Session,
  schemaProblems,
  withPool,
  writerSchemaStore,
} from '@leakage/postgres';
import { openReaders } from '@leakage/registry';
import { type PrepareContext, runService, type ServiceContext } from '@leakage/runtime';
import { shardOf, sourceOfTopic, topicTable } from '@leakage/schemas';
import { metricsPort, type SilverSettings, settings } from './config.ts';
import { openRuleBook } from './domain/rules.ts';
import { explicitRules, generationProblems, openGeneration, rulesOf } from './generation.ts';
import { Joiner } from './joiner.ts';
import { joinerMetrics } from './joiner-metrics.ts';
import { ChangesNotifier, changesChannel } from './notifier.ts';
import { SilverStore } from './silver-store.ts';
import { sortInMemory, stagingTables } from './staging.ts';

const migrations = new URL('../migrations/', import.meta.url);

await runService<SilverSettings>({
  name: 'silver-joiner',
  help: 'Cleans, dedupes and corrects journeys, calls and profiles, decides which calls are leakage, and logs every change.',
  metricsPort,
  settings,
  prepare,
  check,
  start,
});

async function start(ctx: ServiceContext<SilverSettings>): Promise<void> {
  const { settings: s, log, metrics, health } = ctx;
  const { databaseUrl: url, topicPrefix, generation: id } = s;
  const applicationName = 'silver-joiner';
  const schema = `${s.silverSchema}_${id}`;
  const live = `silver_${id}`;
  health.setReady('consumer', false, 'starting');
  const access = kafkaClientOptions(s); // before anything is done: it may refuse the settings

  const generation = await prepare(ctx);
  const pool = ctx.own(createPool({ url, applicationName, max: 3, log }));
  const again = { service: applicationName, generation: id } as const;
  const replay = s.replay === undefined ? null : await openReplay(pool, { ...again, id: s.replay }, ctx);
  const pipeline = replay?.pipeline ?? live;
  const losses = replay === null ? [] : await readLosses(pool, live);

  const kafka = createKafkaClient({ ...access, clientId: applicationName, log });
  const topics = topicTable(topicPrefix);
  const { created, differences } = await ensureTopics(kafka, topics);
  if (created.length > 0) log.info({ created }, 'topics created');
  for (const difference of differences) log.warn(difference);

  const reading = openReaders({
    url: s.schemaRegistryUrl,
    waitMs: s.schemaRegistryWaitSeconds * 1_000,
    store: writerSchemaStore(pool),
    log,
    health,
    signal: ctx.signal,
  });
  const book = openRuleBook(generation.rules, shardOf);
  const notifier = ctx.own(new ChangesNotifier(pool, changesChannel(id), log));
  const session = ctx.own(
    new Session({ url, applicationName, setup: [...indexedPlansOnly, sortInMemory, ...stagingTables], log }),
  );
  const joiner = new Joiner({
    prepare: { book, horizon: null, sourceOf: (topic) => sourceOfTopic(topicPrefix, topic), reading, losses },
    session,
    store: new SilverStore({ schema, generation: id, pipeline, book }),
    metrics: joinerMetrics(metrics),
    onChanges: () => notifier.notify(),
    log,
  });
  const consumer = ctx.own(
    await startConsumer({
      kafka,
      groupId: `${topicPrefix}.silver-joiner${groupSuffix(s)}`,
      topics: topics.map((topic) => topic.name),
      positions: replay?.positions ?? positionStore(pool, pipeline),
      stage: pacedStage(joiner, replay?.pace ?? null),
      maxBatchRecords: replay?.batchRecords(s.batchRecordsMax) ?? s.batchRecordsMax,
      lingerMs: s.lingerMs,
      sessionTimeoutMs: s.sessionTimeoutMs,
      heartbeatMs: Math.min(3_000, s.sessionTimeoutMs / 4),
      log,
      metrics,
      signal: ctx.signal,
    }),
  );
  if (replay !== null) void consumer.done.then(() => ctx.stop('everything that was to be read is read'));
  health.setReady('consumer', false, 'waiting for partitions');
  await consumer.ready;
  health.setReady('consumer', true);
}

/** Processes of one group share the partitions: those of one generation, or of one replay. */
function groupSuffix({ generation, replay }: SilverSettings): string {
  if (replay !== undefined) return `-replay-${replay}`;
  return generation === 1 ? '' : `-${generation}`;
}

/** The schema of the generation, the generation with the rules of these settings, and its views if it is the active one. */
async function prepare({ settings: s, log }: PrepareContext<SilverSettings>): Promise<Generation> {
  const { databaseUrl: url, generation: id } = s;
  const rules = rulesOf(s);
  await migrateOps({ url, log });
  await migrate({ url, schemas: [`${s.silverSchema}_${id}`], directory: migrations, log });
  return await withPool({ url, applicationName: 'silver-joiner', max: 1, log }, async (pool) => {
    const generation = await openGeneration(pool, id, { rules, explicit: explicitRules(rules) });
    await publishViews(pool, s.silverSchema, id);
    return generation;
  });
}

async function check({ settings: s, log }: PrepareContext<SilverSettings>): Promise<string[]> {
  const { databaseUrl: url, generation: id } = s;
  return await withPool({ url, applicationName: 'silver-joiner', max: 1, log }, async (pool) => {
    const problems = await schemaProblems(pool, { schema: `${s.silverSchema}_${id}`, directory: migrations });
    return problems.length > 0 ? problems : await generationProblems(pool, id, explicitRules(rulesOf(s)));
  });
}
