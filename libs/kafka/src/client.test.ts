import { createLogger, RefusedError } from '@leakage/runtime';
import kafkajs from 'kafkajs';
import { expect, test } from 'vitest';
import { answered, connected, createKafkaClient } from './client.ts';
import { TokenEndpointError } from './oauth-token.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const client = createKafkaClient({ brokers: ['127.0.0.1:9', '127.0.0.1:10'], clientId: 'test', log });
const lost = (message: string, cause?: Error) =>
  Object.assign(new kafkajs.KafkaJSConnectionError(message, { broker: '127.0.0.1:9', code: 'ECONNREFUSED' }), {
    cause,
  });
/** As kafkajs wraps the last of many attempts. */
const inVain = (cause: Error) => Object.assign(new Error('tried again in vain'), { cause });

test('a broker that does not answer is said to be one', async () => {
  const sentence =
    'Kafka does not answer at 127.0.0.1:9, 127.0.0.1:10 (tried again in vain): start it, or set KAFKA_BROKERS to where it runs';
  await expect(connected(Promise.reject(inVain(lost('Connection error'))), client)).rejects.toThrow(sentence);
  await expect(answered(Promise.reject(inVain(lost('Connection error'))), client)).rejects.toThrow(sentence);
});

test('an identity provider that is away is named, and not Kafka', async () => {
  const away = inVain(lost('x', new TokenEndpointError('the token endpoint https://id/token does not answer')));
  await expect(connected(Promise.reject(away), client)).rejects.toThrow(
    /^Kafka wants a token, and the token endpoint https:\/\/id\/token does not answer$/,
  );
});

test('a refusal comes out as it is, however deep it lies; another error too', async () => {
  const refusal = new RefusedError('Kafka at k:1 speaks TLS on this port', 'set KAFKA_TLS to true');
  await expect(answered(Promise.reject(inVain(inVain(refusal))), client)).rejects.toBe(refusal);
  const other = new Error('something else');
  await expect(answered(Promise.reject(other), client)).rejects.toBe(other);
});
