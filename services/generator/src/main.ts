import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import {
  createKafkaClient,
  ensureTopics,
  type KafkaAccess,
  type KafkaClient,
  kafkaClientOptions,
  startPublisher,
  topicOffsets,
} from '@leakage/kafka';
import { openEncoders } from '@leakage/registry';
import { dataDirectory, runService, type ServiceContext, SettingsError, systemClock } from '@leakage/runtime';
import { topicTable } from '@leakage/schemas';
import { writeAgents } from './agents-file.ts';
import { type GeneratorSettings, metricsPort, settings } from './config.ts';
import { startControl } from './control.ts';
import { dateText, Zone } from './domain/calendar.ts';
import { World } from './domain/world.ts';
import { Encoder } from './encoding.ts';
import { startGenerator } from './generator.ts';
import { differences, planShape, readParameters } from './plan.ts';
import { Progress } from './progress.ts';
import { FileSink, kafkaSink, type Sink } from './sinks.ts';
import { type GeneratorState, readState, startAnew, stateFile } from './state-file.ts';
import { TruthFile } from './truth-file.ts';

await runService<GeneratorSettings>({
  name: 'generator',
  help: 'Invents members, digital journeys and calls from a seed, spoils them on purpose, and publishes them: history first, then live.',
  metricsPort,
  settings,
  start,
});

async function start(ctx: ServiceContext<GeneratorSettings>): Promise<void> {
  const { settings: s, log, metrics, health } = ctx;
  health.setReady('output', false, 'starting');
  const folder = resolve(s.outputPath ?? join(dataDirectory(), 'generator'));
  // Before anything is done: it may refuse the settings.
  const access = s.output === 'kafka' ? kafkaAccess(s) : null;
  await mkdir(folder, { recursive: true });
  const clock = systemClock;
  const state = await readState(folder);
  const world = await createWorld(s, { state, nowMs: clock.now(), folder });
  const live = s.live && access !== null;
  const anchorEnd = world.zone.startOfDay(world.shape.anchorDay + 1);
  const followClock = s.anchorDate === undefined && access !== null;
  const historyEnd = followClock && live ? clock.now() : anchorEnd;

  const sink =
    access === null
      ? await FileSink.open(folder, s.output === 'csv' ? 'csv' : 'jsonl', state?.fileBytes ?? null)
      : await openKafkaSink(ctx, { access, state, folder });
  ctx.own(sink);
  const truth = await TruthFile.open(folder, state?.truthBytes ?? 0);
  ctx.own({ name: 'truth file', stop: () => truth.close() });
  if (state === null) {
    await truth.begin(world.shape);
    await writeAgents(folder, { seed: s.seed, agents: world.agents });
  }
  const from = Math.max(world.zone.startOfDay(world.shape.firstDay), state?.position.at ?? 0);
  const { shape } = world;
  log.info(
    { folder, output: s.output, firstDay: dateText(shape.firstDay), members: shape.members, resumed: state !== null },
    'world begins',
  );
  const generator = ctx.own(
    startGenerator({
      world,
      output: s.output,
      topicPrefix: s.topicPrefix,
      folder,
      state,
      historyEnd,
      followClock,
      speed: s.speed,
      live,
      batchRecords: s.batchRecords,
      sink,
      truth,
      progress: new Progress({ from, historyEnd, wallMs: clock.now(), log, metrics }),
      clock,
      onEnd: () => ctx.stop('the history is published'),
    }),
  );
  ctx.own(await startControl({ folder, port: s.controlPort, controls: generator.controls }));
  health.setReady('output', true);
}

function kafkaAccess(s: GeneratorSettings): KafkaAccess {
  const { kafkaBrokers } = s;
  if (kafkaBrokers === undefined) throw new SettingsError(['KAFKA_BROKERS is not set']);
  return kafkaClientOptions({ ...s, kafkaBrokers });
}

async function openKafkaSink(
  { settings: s, log, signal }: ServiceContext<GeneratorSettings>,
  o: { access: KafkaAccess; state: GeneratorState | null; folder: string },
): Promise<Sink> {
  const kafka = createKafkaClient({ ...o.access, clientId: 'generator', log });
  const { created, differences: unlike } = await ensureTopics(kafka, topicTable(s.topicPrefix));
  if (created.length > 0) log.info({ created }, 'topics created');
  for (const difference of unlike) log.warn(difference);
  const partitions = await partitionCounts(kafka, { topicPrefix: s.topicPrefix, state: o.state, folder: o.folder });
  const encoders = await openEncoders({
    url: s.schemaRegistryUrl,
    register: s.schemaRegistryRegister,
    topicPrefix: s.topicPrefix,
    versions: { journeys: s.journeySchemaVersion },
    log,
    signal,
  });
  const encoder = new Encoder({ topicPrefix: s.topicPrefix, partitions, encoders });
  return kafkaSink(await startPublisher(kafka, { log }), encoder);
}

/** The world of the settings, or the one that was begun, if it is the same. */
async function createWorld(
  s: GeneratorSettings,
  o: { state: GeneratorState | null; nowMs: number; folder: string },
): Promise<World> {
  const { state } = o;
  if (state !== null && state.output !== s.output) {
    throw new SettingsError([
      `${stateFile(o.folder)} tells of a world that goes to ${state.output}, not to ${s.output}. ${startAnew}`,
    ]);
  }
  try {
    const wanted = planShape(s, o.nowMs, await readParameters(s.parameterFile));
    const changed = state === null ? [] : differences(state.shape, wanted);
    if (changed.length > 0) {
      throw new SettingsError([`this folder holds a world with other settings (${changed.join(', ')}). ${startAnew}`]);
    }
    const shape = state?.shape ?? wanted;
    const finalAt = s.output === 'csv' ? new Zone(shape.timeZone).startOfDay(shape.anchorDay + 1) : null;
    return new World(shape, { changes: state?.changes, finalAt });
  } catch (error) {
    if (error instanceof RangeError) throw new SettingsError([error.message]);
    throw error;
  }
}

/** How many partitions each topic has; refuses topics that are not the ones that the state tells of. */
async function partitionCounts(
  kafka: KafkaClient,
  o: { topicPrefix: string; state: GeneratorState | null; folder: string },
): Promise<Map<string, number>> {
  const names = topicTable(o.topicPrefix).map(({ name }) => name);
  const ends = await topicOffsets(kafka, names);
  if (o.state !== null) {
    const empty = o.state.records > 0 && ends.every(({ high }) => high === 0);
    const other = o.state.topicPrefix !== o.topicPrefix;
    if (empty || other) {
      const why = other
        ? `was made with TOPIC_PREFIX ${o.state.topicPrefix}`
        : 'tells of records, but the topics are empty';
      throw new Error(`${stateFile(o.folder)} ${why}: it belongs to another Kafka. ${startAnew}`);
    }
  }
  return new Map(names.map((name) => [name, ends.filter(({ topic }) => topic === name).length]));
}
