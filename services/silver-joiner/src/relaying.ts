import { ensureTopics, type KafkaClient, startPublisher } from '@leakage/kafka';
import { activeGeneration, indexedPlansOnly, inTransaction, type Pool, Session } from '@leakage/postgres';
import { openChangesEncoder } from '@leakage/registry';
import type { ServiceContext } from '@leakage/runtime';
import { changesTopic } from '@leakage/schemas';
import type { SilverSettings } from './config.ts';
import { type Outlet, Relay, SHARDS } from './relay.ts';
import { relayMetrics } from './relay-metrics.ts';
import { giveUpPositions, register, relayState } from './relay-store.ts';

/** A process that is stopped in the middle keeps the others from relaying for no longer; one that works asks something every second. */
const IDLE_MS = 120_000;
const setup = [...indexedPlansOnly, `set idle_session_timeout = ${IDLE_MS}`];

export interface RelayingOptions {
  readonly db: Pool;
  readonly kafka: KafkaClient;
  readonly generation: number;
}

/** Begins to tell the world what changes, or, where that is switched off, lets go of the log. Neither keeps the joiner from joining. */
export async function startRelay(ctx: ServiceContext<SilverSettings>, o: RelayingOptions): Promise<Relay | null> {
  const { settings: s, log, metrics, health } = ctx;
  if (!s.relayChanges) {
    await letGo(o.db, ctx, o.generation);
    return null;
  }
  await begin(o.db, ctx, o.generation);
  const topic = changesTopic(s.topicPrefix);
  const applicationName = 'silver-joiner relay';
  return ctx.own(
    new Relay({
      session: new Session({ url: s.databaseUrl, applicationName, setup, log }),
      generation: o.generation,
      schemaOf: (generation) => `"${s.silverSchema}_${generation}"`,
      topic: topic.name,
      open: (signal) => openOutlet(ctx, { kafka: o.kafka, signal }),
      metrics: relayMetrics(metrics),
      health,
      log,
    }),
  );
}

/** Before anything is joined: a generation that begins is told from its first change on. */
async function begin(db: Pool, { log }: ServiceContext<SilverSettings>, generation: number): Promise<void> {
  try {
    const { active, told } = await relayState(db);
    // The shards are locked for nothing else than this.
    const placed = told.filter((row) => row.generation === generation).length === SHARDS.length;
    if (active === generation && !placed) await inTransaction(db, (tx) => register(tx, generation, SHARDS));
  } catch (error) {
    log.warn({ err: error }, 'the change stream has no place in the change log yet: the relay tries again');
  }
}

async function letGo(db: Pool, { log }: ServiceContext<SilverSettings>, generation: number): Promise<void> {
  try {
    if ((await activeGeneration(db)) !== generation) return;
    if (await giveUpPositions(db)) log.warn('changes are told no longer (RELAY_CHANGES): their position is given up');
  } catch (error) {
    log.warn({ err: error }, 'the position of the change stream could not be given up: the change log grows');
  }
}

async function openOutlet(
  { settings: s, log }: ServiceContext<SilverSettings>,
  { kafka, signal }: { readonly kafka: KafkaClient; readonly signal: AbortSignal },
): Promise<Outlet> {
  const { created, differences } = await ensureTopics(kafka, [changesTopic(s.topicPrefix)]);
  if (created.length > 0) log.info({ created }, 'topics created');
  for (const difference of differences) log.warn(difference);
  const encoder = await openChangesEncoder({
    url: s.schemaRegistryUrl,
    register: s.schemaRegistryRegister,
    topicPrefix: s.topicPrefix,
    log,
    signal,
  });
  const publisher = await startPublisher(kafka, { log });
  return {
    encode: (change) => encoder.encode(change),
    publish: (records) => publisher.publish(records),
    stop: () => publisher.stop(),
  };
}
