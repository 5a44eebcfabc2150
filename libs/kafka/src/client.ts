import { type Logger, RefusedError } from '@leakage/runtime';
import { type Admin, Kafka, type KafkaConfig, logLevel, type RetryOptions } from 'kafkajs';
import type { KafkaAccess, KafkaLogin, KafkaTls } from './client-options.ts';
import { registerCodecs } from './codecs.ts';
import { repairConnections } from './connection-repairs.ts';
import { messageOf } from './errors.ts';
import { kafkaLogCreator } from './kafkajs-log.ts';
import { repairDecoding, repairHeartbeats } from './kafkajs-repairs.ts';
import { oauthBearer } from './oauth-bearer.ts';
import { TokenEndpointError, tokenSource } from './oauth-token.ts';
import { type Attempt, explainRefusals, forbidden, isForbidden, isLoss, refusalOf } from './refusals.ts';

/** A cluster to talk to. kafkajs stays behind it, so that it can be replaced. */
export interface KafkaClient {
  readonly clientId: string;
  readonly brokers: readonly string[];
}

export interface KafkaClientOptions extends KafkaAccess {
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

/** What belongs to a client and is nobody's business: it holds secrets. */
const inner = new WeakMap<KafkaClient, { readonly kafka: Kafka; readonly access: Access }>();

type Sasl = NonNullable<KafkaConfig['sasl']> & NonNullable<Attempt['sasl']>;
interface Access {
  readonly ssl?: KafkaTls;
  readonly sasl?: Sasl;
}

/** From settings: `createKafkaClient({ ...kafkaClientOptions(settings), clientId, log })`. */
export function createKafkaClient({ brokers, clientId, log, tls, login }: KafkaClientOptions): KafkaClient {
  registerCodecs();
  repairDecoding();
  repairHeartbeats();
  repairConnections();
  explainRefusals();
  silenceTimeoutWarning();
  const client: KafkaClient = { clientId, brokers: [...brokers] };
  const access: Access = {
    ...(tls === undefined ? {} : { ssl: { ...tls } }),
    ...(login === undefined ? {} : { sasl: saslOf(login) }),
  };
  const kafka = new Kafka({
    clientId,
    brokers: [...brokers],
    ...access,
    connectionTimeout: connectionTimeoutMs,
    requestTimeout: requestTimeoutMs,
    retry: { ...clientRetry },
    logLevel: log.isLevelEnabled('trace') ? logLevel.DEBUG : logLevel.INFO,
    logCreator: kafkaLogCreator(log),
  });
  inner.set(client, { kafka, access });
  return client;
}

/** kafkajs logs in again by itself before a session ends, where the broker limits sessions. */
function saslOf(login: KafkaLogin): Sasl {
  if (login.mechanism !== 'oauthbearer') return { ...login } as Sasl; // its type wants each mechanism apart
  const { mechanism, token, extensions } = login;
  const { clientId } = token;
  const sasl = { mechanism, clientId, authenticationProvider: oauthBearer(tokenSource(token), extensions) };
  return sasl;
}

/** For the files of this lib only. */
export function kafkaOf(client: KafkaClient): Kafka {
  return innerOf(client).kafka;
}

function innerOf(client: KafkaClient) {
  const found = inner.get(client);
  if (found === undefined) throw new Error('this Kafka client was not made by createKafkaClient');
  return found;
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

/** A connection that could not be made, in words that say where, why and what to do. */
export async function connected(connecting: Promise<void>, client: KafkaClient): Promise<void> {
  try {
    await connecting;
  } catch (error) {
    throw refusalIn(error) ?? (await noAnswer(error, client));
  }
}

/** A connection that was lost before the answer came, or refused, in the same words; any other error stays as it is. */
export async function answered<T>(asking: Promise<T>, client: KafkaClient): Promise<T> {
  try {
    return await asking;
  } catch (error) {
    throw (
      refusalIn(error) ?? forbiddenIn(error, client) ?? (lossIn(error) === null ? error : await noAnswer(error, client))
    );
  }
}

async function noAnswer(error: unknown, client: KafkaClient): Promise<Error> {
  const endpoint = causeOf(error, (cause) => cause instanceof TokenEndpointError);
  if (endpoint !== null) return new Error(`Kafka wants a token, and ${messageOf(endpoint)}`, { cause: error });
  return (await refusedAfterwards(error, client)) ?? silence(error, client);
}

function silence(error: unknown, { brokers }: KafkaClient): Error {
  return new Error(
    `Kafka does not answer at ${brokers.join(', ')} (${messageOf(error)}): start it, or set KAFKA_BROKERS to where it runs`,
    { cause: error },
  );
}

/** A listener that wants a login takes the connection of somebody who has none, and closes it at the first question. */
async function refusedAfterwards(error: unknown, client: KafkaClient): Promise<RefusedError | null> {
  const loss = lossIn(error);
  const address = addressOf(loss !== null && 'broker' in loss ? String(loss.broker) : client.brokers[0]);
  return loss === null || address === null ? null : refusalOf(loss, { ...innerOf(client).access, ...address });
}

function addressOf(broker: string | undefined): { host: string; port: number } | null {
  const match = /^\[?(.+?)\]?:(\d+)$/.exec(broker ?? '');
  return match === null ? null : { host: match[1] ?? '', port: Number(match[2]) };
}

function refusalIn(error: unknown): RefusedError | null {
  return causeOf(error, (cause) => cause instanceof RefusedError);
}

function forbiddenIn(error: unknown, client: KafkaClient): RefusedError | null {
  const cause = causeOf(error, isForbidden);
  return cause === null ? null : forbidden(cause, innerOf(client).access, client.brokers.join(', '));
}

function lossIn(error: unknown): Error | null {
  return causeOf(error, isLoss);
}

/** kafkajs wraps what it has tried again in vain. */
function causeOf<T extends Error>(error: unknown, is: (cause: unknown) => cause is T): T | null {
  for (let cause = error, depth = 0; cause instanceof Error && depth < 10; cause = cause.cause, depth += 1) {
    if (is(cause)) return cause;
  }
  return null;
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
