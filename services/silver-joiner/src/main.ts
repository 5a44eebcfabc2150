import { createKafkaClient, ensureTopics, kafkaClientOptions, type Pace, startConsumer } from '@leakage/kafka';
import {
  beginBuilding,
  createPool,
  type Generation,
  indexedPlansOnly,
  loadGeneration,
  migrate,
  migrateOps,
  openReplay,
  PolicyInForce,
  type Pool,
  positionStore,
  publishViews,
  readLosses,
  Session,
  schemaProblems,
  withPool,
  workingGeneration,
  writerSchemaStore,
} from '@leakage/postgres';
import { openReaders, type Reading, type ReadingOptions } from '@leakage/registry';
import { HealthState, type PrepareContext, runService, type ServiceContext, SettingsError } from '@leakage/runtime';
import { shardOf, sourceOfTopic, topicTable } from '@leakage/schemas';
import { readBronze } from './bronze-reading.ts';
import { metricsPort, type SilverSettings, settings } from './config.ts';
import { openRuleBook } from './domain/rules.ts';
import { explicitRules, generationProblems, mustNotBeDropped, openGeneration, rulesOf } from './generation.ts';
import { GenerationWatch } from './generation-watch.ts';
import { Joiner } from './joiner.ts';
import { joinerMetrics } from './joiner-metrics.ts';
import { RecordJudge } from './judge.ts';
import { ChangesNotifier, changesChannel } from './notifier.ts';
import type { PrepareOptions } from './prepare.ts';
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
  judge,
  start,
});

async function start(ctx: ServiceContext<SilverSettings>): Promise<void> {
  const { settings: s, log, metrics, health } = ctx;
  const { databaseUrl: url, topicPrefix } = s;
  const applicationName = 'silver-joiner';
  health.setReady('consumer', false, 'starting');
  const access = kafkaClientOptions(s); // before anything is done: it may refuse the settings

  const generation = await prepare(ctx);
  const { id } = generation;
  const schema = `${s.silverSchema}_${id}`;
  const pool = ctx.own(createPool({ url, applicationName, max: 3, log }));
  if (generation.state === 'preparing') await beginBuilding(pool, id);
  const again = { service: applicationName, generation: id } as const;
  const replay = s.replay === undefined ? null : await openReplay(pool, { ...again, id: s.replay }, ctx);
  const live = `silver_${id}`;
  const pipeline = replay?.pipeline ?? live;
  const losses = replay === null ? [] : await readLosses(pool, live);

  const kafka = createKafkaClient({ ...access, clientId: applicationName, log });
  const topics = topicTable(topicPrefix);
  const { created, differences } = await ensureTopics(kafka, topics);
  if (created.length > 0) log.info({ created }, 'topics created');
  for (const difference of differences) log.warn(difference);

  const reading = readingOf(s, { pool, log, health, signal: ctx.signal });
  const judging = judgingOf(generation, reading);
  const notifier = ctx.own(new ChangesNotifier(pool, changesChannel(id), log));
  const session = ctx.own(
    new Session({ url, applicationName, setup: [...indexedPlansOnly, sortInMemory, ...stagingTables], log }),
  );
  const joiner = new Joiner({
    prepare: { ...judging, sourceOf: (topic) => sourceOfTopic(topicPrefix, topic), losses, again: replay !== null },
    policy: await PolicyInForce.open(pool, id),
    session,
    store: new SilverStore({ schema, generation: id, pipeline, book: judging.book }),
    metrics: joinerMetrics(metrics),
    onChanges: () => notifier.notify(),
    log,
  });
  let caughtUp = (): boolean => false;
  const orders = { db: pool, generation: id, follows: s.generation === undefined, log };
  const watch =
    replay === null ? ctx.own(new GenerationWatch({ ...orders, caughtUp: () => caughtUp(), onEnd: ctx.stop })) : null;
  const reader = {
    topics: topics.map((topic) => topic.name),
    positions: replay?.positions ?? positionStore(pool, pipeline),
    stage: joiner,
    maxBatchRecords: replay?.batchRecords(s.batchRecordsMax) ?? s.batchRecordsMax,
    lingerMs: s.lingerMs,
    ...paceOf(replay ?? watch),
    log,
    metrics,
  };
  if (replay === null && generation.source === 'bronze') await readBronze(ctx, { db: pool, generation: id, reader });
  if (ctx.signal.aborted) return;
  const consumer = ctx.own(
    await startConsumer({
      ...reader,
      kafka,
      groupId: `${topicPrefix}.silver-joiner${groupSuffix(id, s.replay)}`,
      sessionTimeoutMs: s.sessionTimeoutMs,
      heartbeatMs: Math.min(3_000, s.sessionTimeoutMs / 4),
      signal: ctx.signal,
    }),
  );
  if (replay !== null) void consumer.done.then(() => ctx.stop('everything that was to be read is read'));
  health.setReady('consumer', false, 'waiting for partitions');
  await consumer.ready;
  caughtUp = () => consumer.caughtUp();
  health.setReady('consumer', true);
}

function readingOf(
  s: SilverSettings,
  { pool, ...o }: Pick<ReadingOptions, 'log' | 'health' | 'signal'> & { readonly pool: Pool },
): Reading {
  const store = writerSchemaStore(pool);
  return openReaders({ ...o, url: s.schemaRegistryUrl, waitMs: s.schemaRegistryWaitSeconds * 1_000, store });
}

/** By what records are judged, whether they are stored or only asked about. */
function judgingOf(generation: Generation, reading: Reading): Omit<PrepareOptions, 'sourceOf' | 'policy'> {
  return { book: openRuleBook(generation.rules, shardOf), reading, losses: [] };
}

function paceOf(by: { readonly pace: Pace | null } | null): { readonly pace?: Pace } {
  return by === null || by.pace === null ? {} : { pace: by.pace };
}

/** Processes of one group share the partitions: those of one generation, or of one replay. */
function groupSuffix(generation: number, replay: number | undefined): string {
  if (replay !== undefined) return `-replay-${replay}`;
  return generation === 1 ? '' : `-${generation}`;
}

/** The schema of the generation, the generation with the rules of these settings, and its views if it is the active one. */
async function prepare({ settings: s, log }: PrepareContext<SilverSettings>): Promise<Generation> {
  const { databaseUrl: url } = s;
  const rules = rulesOf(s);
  await migrateOps({ url, log });
  return await withPool({ url, applicationName: 'silver-joiner', max: 1, log }, async (pool) => {
    const id = await workingGeneration(pool, s.generation);
    // Before anything is made: the tables of a generation that was dropped must not come back.
    await mustNotBeDropped(pool, id);
    await migrate({ url, schemas: [`${s.silverSchema}_${id}`], directory: migrations, log });
    const generation = await openGeneration(pool, id, { rules, explicit: explicitRules(rules) });
    await publishViews(pool, s.silverSchema, id);
    return generation;
  });
}

async function check({ settings: s, log }: PrepareContext<SilverSettings>): Promise<string[]> {
  return await withPool({ url: s.databaseUrl, applicationName: 'silver-joiner', max: 1, log }, async (pool) => {
    const id = await workingGeneration(pool, s.generation);
    const problems = await schemaProblems(pool, { schema: `${s.silverSchema}_${id}`, directory: migrations });
    return problems.length > 0 ? problems : await generationProblems(pool, id, explicitRules(rulesOf(s)));
  });
}

/** Of records that nobody has sent yet: what the rules of the generation would say. */
async function* judge({ settings: s, log }: PrepareContext<SilverSettings>, questions: AsyncIterable<string>) {
  const pool = createPool({ url: s.databaseUrl, applicationName: 'silver-joiner', max: 1, log });
  try {
    const id = await workingGeneration(pool, s.generation);
    const generation = await loadGeneration(pool, id);
    const problems = await generationProblems(pool, id, explicitRules(rulesOf(s)));
    if (generation === null || problems.length > 0) throw new SettingsError(problems);
    const reading = readingOf(s, { pool, log, health: new HealthState(), signal: new AbortController().signal });
    const policy = await PolicyInForce.open(pool, id);
    const judge = new RecordJudge({
      ...judgingOf(generation, reading),
      policy: { ...policy.now, untoldBefore: null, quarantineKeptFrom: null },
    });
    for await (const question of questions) yield JSON.stringify(await judge.judge(question));
  } finally {
    await pool.stop();
  }
}
