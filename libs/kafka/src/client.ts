import type { Logger } from '@leakage/runtime';
import kafkajs, { type Admin, Kafka, logLevel, type RetryOptions } from 'kafkajs';
import { registerCodecs } from './codecs.ts';
import { messageOf } from './errors.ts';
import { kafkaLogCreator } from './kafkajs-log.ts';
import { repairDecoding, repairHeartbeats } from './kafkajs-repairs.ts';

/** A cluster to talk to. kafkajs stays behind it, so that it can be replaced. */
export interface KafkaClient {
  readonly clientId: string;
  readonly brokers: readonly string[];
}

export interface KafkaClientOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly log: Logger;
}

/** About 30 s in all: longer than a broker's restart. Then the process ends and the supervisor starts it anew. */
export const clientRetry = {
  retries: 11,
  initialRetryTime: 200,
  factor: 0.2,
  multiplier: 2,
  maxRetryTime: 5_000,
} as const satisfies RetryOptions;

/** An admin question is asked by somebody who waits, or who asks again. */
export const adminRetry = { ...clientRetry, retries: 3 } as const satisfies RetryOptions;

const connectionTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;

const kafkas = new WeakMap<KafkaClient, Kafka>();

export function createKafkaClient({ brokers, clientId, log }: KafkaClientOptions): KafkaClient {
  registerCodecs();
  repairDecoding();
  repairHeartbeats();
  silenceTimeoutWarning();
  const client: KafkaClient = { clientId, brokers: [...brokers] };
  kafkas.set(
    client,
    new Kafka({
      clientId,
      brokers: [...brokers],
      connectionTimeout: connectionTimeoutMs,
      requestTimeout: requestTimeoutMs,
      retry: { ...clientRetry },
      logLevel: log.isLevelEnabled('trace') ? logLevel.DEBUG : logLevel.INFO,
      logCreator: kafkaLogCreator(log),
    }),
  );
  return client;
}

/** For the files of this lib only. */
export function kafkaOf(client: KafkaClient): Kafka {
  const kafka = kafkas.get(client);
  if (kafka === undefined) throw new Error('this Kafka client was not made by createKafkaClient');
  return kafka;
}

/** Connects an admin client for the time of `work`. */
export async function withAdmin<T>(client: KafkaClient, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkaOf(client).admin({ retry: adminRetry });
  await connected(admin.connect(), client);
  try {
    return await answered(work(admin), client);
  } finally {
    await admin.disconnect();
  }
}

/** A refused connection, in words that say where and what to do. */
export async function connected(connecting: Promise<void>, client: KafkaClient): Promise<void> {
  try {
    await connecting;
  } catch (error) {
    throw noAnswer(error, client);
  }
}

/** A connection that was lost before the answer came, in the same words; any other error stays as it is. */
export async function answered<T>(asking: Promise<T>, client: KafkaClient): Promise<T> {
  try {
    return await asking;
  } catch (error) {
    throw isConnectionLoss(error) ? noAnswer(error, client) : error;
  }
}

function noAnswer(error: unknown, { brokers }: KafkaClient): Error {
  return new Error(
    `Kafka does not answer at ${brokers.join(', ')} (${messageOf(error)}): start it, or set KAFKA_BROKERS to where it runs`,
    { cause: error },
  );
}

/** kafkajs wraps what it has tried again in vain. */
function isConnectionLoss(error: unknown): boolean {
  return (
    error instanceof kafkajs.KafkaJSConnectionError ||
    error instanceof kafkajs.KafkaJSRequestTimeoutError ||
    // What kafkajs says when the connection closes between two questions of its own.
    (error instanceof TypeError && error.message.includes("'topicMetadata'")) ||
    (error instanceof kafkajs.KafkaJSNumberOfRetriesExceeded && isConnectionLoss(error.cause))
  );
}

let silenced = false;

// kafkajs computes waits that can be below zero, which Node 24 warns about; harmless. Only this warning, by its name.
function silenceTimeoutWarning(): void {
  if (silenced) return;
  silenced = true;
  const emit = process.emitWarning.bind(process);
  process.emitWarning = ((warning: string | Error, ...rest: unknown[]) => {
    if (rest[0] === 'TimeoutNegativeWarning') return;
    Reflect.apply(emit, process, [warning, ...rest]);
  }) as typeof process.emitWarning;
}
