import { createKafkaClient, ensureTopics, kafkaClientOptions, type Pace, startConsumer } from '@leakage/kafka';
import {
  beginBuilding,
  createPool,
  type Generation,
  givenPositions,
  indexedPlansOnly,
  loadGeneration,
  migrate,
  migrateOps,
  mustNotBeDropped,
  openReplay,
  PolicyInForce,
  type Pool,
  type PositionStore,
  positionStore,
  publishViews,
  readLosses,
  Session,
  schemaProblems,
  startListener,
  withPool,
  workingGeneration,
  writerSchemaStore,
} from '@leakage/postgres';
import { openReaders, type Reading, type ReadingOptions } from '@leakage/registry';
import {
  HealthState,
  type PrepareContext,
  readPseudonymKey,
  runService,
  type ServiceContext,
  SettingsError,
} from '@leakage/runtime';
import { shardOf, sourceOfTopic, topicTable } from '@leakage/schemas';
import { readBronze } from './bronze-reading.ts';
import { metricsPort, type SilverSettings, settings } from './config.ts';
import { openRuleBook } from './domain/rules.ts';
import { carryOut } from './erase.ts';
import { Eraser } from './eraser.ts';
import { explicitRules, generationProblems, openGeneration, rulesOf } from './generation.ts';
import { GenerationWatch } from './generation-watch.ts';
import { Joiner } from './joiner.ts';
import { joinerMetrics } from './joiner-metrics.ts';
import { RecordJudge } from './judge.ts';
import { ChangesNotifier, changesChannel } from './notifier.ts';
import type { PrepareOptions } from './prepare.ts';
import { startRelay } from './relaying.ts';
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
  erase,
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
  const relay = replay === null ? await startRelay(ctx, { db: pool, kafka, generation: id }) : null;
  const notifier = ctx.own(new ChangesNotifier(pool, changesChannel(id), log));
  const session = ctx.own(
    new Session({ url, applicationName, setup: [...indexedPlansOnly, sortInMemory, ...stagingTables], log }),
  );
  let caughtUp = (): boolean => false;
  const watch =
    replay === null
      ? ctx.own(
          new GenerationWatch({
            db: pool,
            generation: id,
            follows: s.generation === undefined,
            caughtUp: () => caughtUp(),
            // Gold begins to count then.
            onCaughtUp: () => notifier.notify(),
            onEnd: ctx.stop,
            log,
          }),
        )
      : null;
  const joiner = new Joiner({
    prepare: {
      ...judging,
      sourceOf: (topic) => sourceOfTopic(topicPrefix, topic),
      losses,
      again: replay !== null,
      building: () => watch?.building ?? false,
    },
    policy: await PolicyInForce.open(pool, id, () => readPseudonymKey(s)),
    session,
    store: new SilverStore({ schema, generation: id, pipeline, book: judging.book }),
    metrics: joinerMetrics(metrics),
    onChanges: () => notifier.notify(),
    log,
  });
  const reader = {
    topics: topics.map((topic) => topic.name),
    positions: replay?.positions ?? positionsOf(generation, { pool, pipeline }),
    stage: joiner,
    maxBatchRecords: replay?.batchRecords(s.batchRecordsMax) ?? s.batchRecordsMax,
    lingerMs: s.lingerMs,
    ...paceOf(replay ?? watch),
    log,
    metrics,
  };
  // Another process may have written what is to be told.
  const woken = { url, applicationName: `${applicationName} relay`, channel: changesChannel(id), log };
  if (relay !== null) ctx.own(await startListener({ ...woken, onNotify: () => relay.wake() }));
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
  return { book: openRuleBook(generation.rules, shardOf), reading, losses: [], again: false };
}

/** One that ends somewhere reads the partitions that it was given, and none that came later. */
function positionsOf({ toTime }: Generation, o: { readonly pool: Pool; readonly pipeline: string }): PositionStore {
  return toTime === null ? positionStore(o.pool, o.pipeline) : givenPositions(o.pool, o.pipeline);
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
    const policy = await PolicyInForce.open(pool, id, () => readPseudonymKey(s));
    const judge = new RecordJudge({
      ...judgingOf(generation, reading),
      policy: { ...policy.now, untoldBefore: null, quarantineKeptFrom: null },
    });
    for await (const question of questions) yield JSON.stringify(await judge.judge(question));
  } finally {
    await pool.stop();
  }
}

/** Of what was erased, everything that the generation has. The command has seen to it that nothing of it comes any more. */
async function* erase({ settings: s, log }: PrepareContext<SilverSettings>, orders: AsyncIterable<string>) {
  const { databaseUrl: url } = s;
  const applicationName = 'silver-joiner erase';
  const generation = await withPool({ url, applicationName, max: 1, log }, async (pool) => {
    const id = await workingGeneration(pool, s.generation);
    // By the rules that the generation has, whatever is set here.
    const problems = await generationProblems(pool, id, {});
    const found = await loadGeneration(pool, id);
    if (found === null || problems.length > 0) throw new SettingsError(problems);
    return found;
  });
  const { id, rules } = generation;
  const session = new Session({
    url,
    applicationName,
    setup: [...indexedPlansOnly, sortInMemory, ...stagingTables],
    log,
  });
  try {
    const eraser = new Eraser({
      session,
      schema: `${s.silverSchema}_${id}`,
      generation: id,
      book: openRuleBook(rules, shardOf),
    });
    for await (const order of orders) yield JSON.stringify(await carryOut(eraser, order));
  } finally {
    await session.stop();
  }
}
