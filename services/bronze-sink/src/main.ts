import { createKafkaClient, ensureTopics, kafkaClientOptions, startConsumer } from '@leakage/kafka';
import {
  createPool,
  indexedPlansOnly,
  migrate,
  migrateOps,
  openReplay,
  PolicyInForce,
  positionStore,
  readLosses,
  Session,
  schemaProblems,
  withPool,
  writerSchemaStore,
} from '@leakage/postgres';
import { openReaders } from '@leakage/registry';
import { type PrepareContext, readPseudonymKey, runService, type ServiceContext } from '@leakage/runtime';
import { topicTable } from '@leakage/schemas';
import { BronzeSink } from './bronze-sink.ts';
import { pipeline } from './bronze-store.ts';
import { type BronzeSettings, metricsPort, settings } from './config.ts';
import { GapFiller } from './gap-filler.ts';
import { startPartitionKeeper } from './partitions.ts';

const migrations = new URL('../migrations/', import.meta.url);

await runService<BronzeSettings>({
  name: 'bronze-sink',
  help: 'Keeps every record of the topics as received, once: the archive from which everything can be rebuilt.',
  metricsPort,
  settings,
  prepare,
  check,
  start,
});

async function prepare({ settings: s, log }: PrepareContext<BronzeSettings>): Promise<void> {
  const { databaseUrl: url, bronzeSchema: schema } = s;
  await migrateOps({ url, log });
  await migrate({ url, schemas: [schema], directory: migrations, log });
}

async function check({ settings: s, log }: PrepareContext<BronzeSettings>): Promise<string[]> {
  const own = { schema: s.bronzeSchema, directory: migrations };
  const database = { url: s.databaseUrl, applicationName: 'bronze-sink', max: 1, log };
  return await withPool(database, (pool) => schemaProblems(pool, own));
}

async function start(ctx: ServiceContext<BronzeSettings>): Promise<void> {
  const { settings: s, log, metrics, health } = ctx;
  const { databaseUrl: url, bronzeSchema: schema, topicPrefix } = s;
  const applicationName = 'bronze-sink';
  health.setReady('consumer', false, 'starting');
  const access = kafkaClientOptions(s); // before anything is done: it may refuse the settings

  await prepare(ctx);
  const pool = ctx.own(createPool({ url, applicationName, max: 2, log }));
  const keeping = { max: 1, lockTimeoutMs: 5_000, statementTimeoutMs: 600_000 };
  const keeperPool = ctx.own(createPool({ url, applicationName: `${applicationName} partitions`, ...keeping, log }));
  ctx.own(await startPartitionKeeper({ pool: keeperPool, schema, log, health }));

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
  const again = { service: applicationName, generation: null } as const;
  const replay = s.replay === undefined ? null : await openReplay(pool, { ...again, id: s.replay }, ctx);
  // A replay looks up what is there, in tables without statistics that are good enough to choose the index by.
  const session = ctx.own(new Session({ url, applicationName, setup: replay === null ? [] : indexedPlansOnly, log }));
  const policy = await PolicyInForce.open(pool, null, () => readPseudonymKey(s));
  const sink = new BronzeSink({ session, policy, topicPrefix, schema, reading, log, metrics });
  const filling = { sink, session, schema, losses: replay === null ? [] : await readLosses(pool, pipeline) };
  const consumer = ctx.own(
    await startConsumer<unknown>({
      kafka,
      groupId: `${topicPrefix}.bronze-sink${s.replay === undefined ? '' : `-replay-${s.replay}`}`,
      topics: topics.map((topic) => topic.name),
      positions: replay?.positions ?? positionStore(pool, pipeline),
      stage: replay === null ? sink : new GapFiller({ ...filling, pipeline: replay.pipeline }),
      ...(replay?.pace ? { pace: replay.pace } : {}),
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
