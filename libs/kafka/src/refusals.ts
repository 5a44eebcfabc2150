import { createRequire } from 'node:module';
import { RefusedError, tlsRefusal } from '@leakage/runtime';
import kafkajs from 'kafkajs';
import type { KafkaTls } from './client-options.ts';
import { messageOf } from './errors.ts';
import { type Address, type Listener, probeListener } from './listener-probe.ts';
import { TokenRefusedError } from './oauth-bearer.ts';

/** What kafkajs knows of a broker that it connects to: our options, as `createKafkaClient` gave them. */
export interface Attempt extends Address {
  readonly ssl?: KafkaTls | null;
  readonly sasl?: { readonly mechanism: string; readonly username?: string; readonly clientId?: string } | null;
}

interface Broker {
  readonly connectionPool: Attempt;
  connect: (this: Broker) => Promise<void>;
}

/** The network says these; what the broker speaks has nothing to do with them. */
const unreachable = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT']);
let explaining = false;

/**
 * kafkajs tries half a minute with a certificate that has expired, and says "Closed connection" where a port speaks TLS.
 * Every connection begins in one function of it, which from now on throws a RefusedError where no further attempt can help.
 */
export function explainRefusals(): void {
  if (explaining) return;
  explaining = true;
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/broker') as { prototype: Broker };
  const { connect } = prototype;
  prototype.connect = async function (this: Broker): Promise<void> {
    try {
      await connect.call(this);
    } catch (error) {
      throw (await refusalOf(error, this.connectionPool)) ?? triedAgain(error, this.connectionPool);
    }
  };
}

/** Why this broker will not do, in a sentence; null when the next attempt may succeed. */
export async function refusalOf(error: unknown, attempt: Attempt): Promise<RefusedError | null> {
  if (error instanceof RefusedError) return error;
  const known = tlsRefusal(error, {
    server: nameOf(attempt),
    ownCertificate: attempt.ssl?.cert !== undefined,
    settings: {
      ca: 'KAFKA_TLS_CA_FILE',
      cert: 'KAFKA_TLS_CERT_FILE and KAFKA_TLS_KEY_FILE',
      host: 'KAFKA_TLS_SERVER_NAME (or the host in KAFKA_BROKERS)',
    },
  });
  if (known !== null) return known;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (typeof code === 'string' && unreachable.has(code)) return null;
  if (isLoginRefused(error)) return loginRefusal(error, attempt);
  if (!isClosed(error) && !isMechanismRefused(error)) return null;
  const listener = await probeListener(attempt, attempt.ssl ?? null);
  return listener === null ? null : mismatch(attempt, listener);
}

/** How we are set to speak against how the listener speaks. */
export function mismatch(attempt: Attempt, { tls, mechanisms }: Listener): RefusedError | null {
  const server = nameOf(attempt);
  const mechanism = attempt.sasl?.mechanism.toUpperCase();
  if (tls && !attempt.ssl) return new RefusedError(`${server} speaks TLS on this port`, 'set KAFKA_TLS to true');
  if (!tls && attempt.ssl) {
    return new RefusedError(
      `${server} does not speak TLS on this port`,
      'set KAFKA_TLS to false, or KAFKA_BROKERS to the port of its listener SSL or SASL_SSL',
    );
  }
  if (mechanisms === undefined) return null;
  if (mechanisms === null) {
    if (mechanism === undefined) return null;
    return new RefusedError(
      `${server} lets nobody log in on this port`,
      'unset KAFKA_SASL_MECHANISM and what belongs to it, or set KAFKA_BROKERS to the port of its listener SASL_SSL',
    );
  }
  if (mechanism !== undefined && mechanisms.includes(mechanism)) return null;
  const offers = mechanisms.length === 0 ? 'it offers none' : `it offers ${mechanisms.join(', ')}`;
  return mechanism === undefined
    ? new RefusedError(`${server} wants us to log in (${offers})`, 'set KAFKA_SASL_MECHANISM and what belongs to it')
    : new RefusedError(
        `${server} does not know the login ${mechanism} (${offers})`,
        'set KAFKA_SASL_MECHANISM to one that it offers',
      );
}

function loginRefusal(error: Error, attempt: Attempt): RefusedError {
  const { mechanism = '', username, clientId } = attempt.sasl ?? {};
  const reason = error.message.replace(/^SASL .* failed: /, '');
  if (mechanism === 'oauthbearer') {
    return new RefusedError(
      `${nameOf(attempt)} refuses the token of client ${clientId} (${reason})`,
      'check KAFKA_OAUTH_SCOPE and KAFKA_OAUTH_EXTENSIONS, and which issuer and audience the cluster expects',
    );
  }
  return new RefusedError(
    `${nameOf(attempt)} refuses user ${username} with ${mechanism.toUpperCase()} (${reason})`,
    'check KAFKA_USERNAME, KAFKA_PASSWORD and KAFKA_SASL_MECHANISM',
  );
}

/** What the cluster's rules (ACLs) do not allow whoever we are; kafkajs keeps the reasons of several topics in a list. */
export function isForbidden(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  if (error instanceof kafkajs.KafkaJSAggregateError) return error.errors.some(isForbidden);
  return String(typeOf(error)).endsWith('_AUTHORIZATION_FAILED');
}

export function forbidden(error: Error, { ssl, sasl }: Omit<Attempt, keyof Address>, where: string): RefusedError {
  const certified = ssl?.cert === undefined ? 'somebody who has not logged in' : 'the owner of our certificate';
  const who = sasl?.username ?? sasl?.clientId;
  const [first] = error instanceof kafkajs.KafkaJSAggregateError ? error.errors : [error];
  const topic = first instanceof Error && 'topic' in first ? `, topic ${String(first.topic)}` : '';
  return new RefusedError(
    `Kafka at ${where} does not allow ${who === undefined ? certified : `user ${who}`} what we need (${messageOf(first)}${topic})`,
    'allow what docs/own-clusters.md lists',
  );
}

/** kafkajs calls every failure on the way a refusal: a broker that goes away while somebody logs in is none. */
function isLoginRefused(error: unknown): error is Error {
  if (error instanceof TokenRefusedError || typeOf(error) === 'SASL_AUTHENTICATION_FAILED') return true;
  return error instanceof kafkajs.KafkaJSSASLAuthenticationError && !isLossOnTheWay(error);
}

function isLossOnTheWay(error: Error): boolean {
  return /(?:Closed connection|Connection closed by the server|Connection error:.*|Connection timeout|timed out|Not connected)$/.test(
    error.message,
  );
}

/** Somebody is there and does not want to talk; a broker that says nothing (paused, cut off) would not tell a probe either. */
function isClosed(error: unknown): boolean {
  return isLoss(error) && !/timeout|timed out/i.test(error.message);
}

function isMechanismRefused(error: unknown): boolean {
  const type = typeOf(error);
  return type === 'UNSUPPORTED_SASL_MECHANISM' || type === 'ILLEGAL_SASL_STATE';
}

function typeOf(error: unknown): unknown {
  return error instanceof Error && 'type' in error ? error.type : undefined;
}

export function isLoss(error: unknown): error is Error {
  return (
    error instanceof kafkajs.KafkaJSConnectionError ||
    error instanceof kafkajs.KafkaJSRequestTimeoutError ||
    // What kafkajs says when the connection closes between two questions of its own.
    (error instanceof TypeError && error.message.includes("'topicMetadata'")) ||
    (error instanceof kafkajs.KafkaJSSASLAuthenticationError && isLossOnTheWay(error))
  );
}

/** As kafkajs tries it again. */
export function triedAgain(error: unknown, { host, port }: Attempt): unknown {
  if (!(error instanceof kafkajs.KafkaJSSASLAuthenticationError) || !isLossOnTheWay(error)) return error;
  return new kafkajs.KafkaJSConnectionError(messageOf(error), { broker: `${host}:${port}` });
}

function nameOf({ host, port }: Address): string {
  return `Kafka at ${host}:${port}`;
}
