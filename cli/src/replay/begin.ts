import { clusterIdOf, type KafkaClient, offsetsSince, topicOffsets } from '@leakage/kafka';
import { inTransaction, loadGeneration, type Pool, type Queryable, sqlState } from '@leakage/postgres';
import { topicTable } from '@leakage/schemas';
import { CommandError } from '../command-error.ts';
import { type Beginning, type LivePosition, type Start, startsOf } from './beginning.ts';
import {
  holdGeneration,
  insertPositions,
  insertReplay,
  livePositions,
  lostByBoth,
  type ReplayedService,
  runningReplay,
} from './replay-store.ts';
import { capital, nameOf } from './report.ts';

export interface BeginOptions {
  readonly pool: Pool;
  readonly kafka: KafkaClient;
  readonly topicPrefix: string;
  readonly service: ReplayedService;
  /** Of silver; null for bronze. */
  readonly generation: number | null;
  readonly beginning: Beginning;
  /** The beginning in the words of whoever asked. */
  readonly begins: string;
  readonly recordsPerSecond: number | null;
  readonly note: (line: string) => void;
}

const uniqueViolation = '23505';

/**
 * Makes a replay with its positions, and gives its number; null, and nothing made, where there is nothing to be read again. It ends
 * where the live service stands now: one that ran ahead of it would do its work, under other positions.
 */
export async function beginReplay(o: BeginOptions): Promise<number | null> {
  const { pool, service, generation } = o;
  if (generation !== null) await checkGeneration(pool, generation);
  await refuseSecond(o);
  const live = generation === null ? 'bronze' : `silver_${generation}`;
  const starts = await findStarts(o, live);
  if (starts.length === 0) return null;
  if (generation !== null) await refuseUnmended(pool, { live, starts });
  const { begins, recordsPerSecond } = o;
  try {
    return await inTransaction(pool, async (tx) => {
      if (generation !== null) {
        await holdGeneration(tx, generation);
        await checkGeneration(tx, generation);
      }
      const { id, pipeline } = await insertReplay(tx, { service, generation, begins, recordsPerSecond });
      await insertPositions(tx, { pipeline, live, starts });
      return id;
    });
  } catch (error) {
    if (sqlState(error) === uniqueViolation) await refuseSecond(o);
    throw error;
  }
}

async function checkGeneration(db: Queryable, generation: number): Promise<void> {
  const found = await loadGeneration(db, generation);
  if (found === null) throw new CommandError(`There is no generation ${generation} in this database.`, 2);
  if (found.state === 'preparing' || found.state === 'dropped') {
    throw new CommandError(`Generation ${generation} is ${found.state}: nothing can be replayed into it.`);
  }
}

async function refuseSecond({ pool, service, generation }: BeginOptions): Promise<void> {
  const running = await runningReplay(pool, { service, generation });
  if (running === null) return;
  const { id } = running;
  throw new CommandError(
    `${capital(nameOf(running))} is not over: go on with leakage replay --resume ${id}, or end it with leakage replay --cancel ${id}.`,
  );
}

async function findStarts(o: BeginOptions, live: string): Promise<Start[]> {
  const { pool, kafka, service, beginning } = o;
  const topics = topicTable(o.topicPrefix).map(({ name }) => name);
  const positions = await livePositions(pool, live, topics);
  await checkCluster(kafka, positions);
  const lows = await topicOffsets(kafka, topics);
  const since = beginning.kind === 'time' ? await offsetsSince(kafka, topics, beginning.ms) : [];
  const { starts, removed } = startsOf(beginning, { live: positions, lows, since });
  if (removed > 0) {
    o.note(
      `Note: Kafka has removed ${removed} of the offsets that ${service} has read: these cannot be replayed from it.`,
    );
  }
  return starts;
}

/** Offsets of another cluster would mean nothing. */
async function checkCluster(
  kafka: KafkaClient,
  positions: readonly (LivePosition & { readonly clusterId: string })[],
): Promise<void> {
  const answering = await clusterIdOf(kafka);
  const other = positions.find(({ clusterId }) => clusterId !== answering);
  if (other === undefined) return;
  throw new CommandError(
    `${other.topic} was read from Kafka cluster ${other.clusterId}, but ${kafka.brokers.join(', ')} is of cluster ${answering}: point KAFKA_BROKERS at the first one.`,
  );
}

/** Silver that found again what bronze still lacks would differ from it. */
async function refuseUnmended(
  pool: Pool,
  { live, starts }: { readonly live: string; readonly starts: readonly Start[] },
): Promise<void> {
  const lost = (await lostByBoth(pool, live)).find(({ topic, partition, nextOffset }) =>
    starts.some((start) => start.topic === topic && start.partition === partition && start.fromOffset < nextOffset),
  );
  if (lost === undefined) return;
  throw new CommandError(
    `Offsets ${lost.fromOffset} to ${lost.nextOffset - 1} of ${lost.topic}/${lost.partition} were given up for lost, and Kafka has them again: ` +
      'replay bronze-sink first, so that bronze has what silver finds there.',
  );
}
