import type { AuthenticationProviderArgs, Authenticator } from 'kafkajs';
import kafkajs from 'kafkajs';
import { TokenEndpointError } from './oauth-token.ts';

/** The broker has read the token and does not let its owner in. */
export class TokenRefusedError extends Error {
  override readonly name = 'TokenRefusedError';
  readonly retriable = false;
}

const separator = '\u0001';

/**
 * SASL OAUTHBEARER (RFC 7628). kafkajs' own takes a refusal for a success: a broker tells what it has against a token in
 * an answer without an error code, waits for one more message, and fails only then.
 */
export function oauthBearer(
  token: () => Promise<string>,
  extensions: Readonly<Record<string, string>>,
): (args: AuthenticationProviderArgs) => Authenticator {
  return ({ host, port, saslAuthenticate }) => ({
    authenticate: async () => {
      const first = `n,,${separator}auth=Bearer ${await tokenFor(`${host}:${port}`, token)}${separator}${pairs(extensions)}${separator}`;
      const answer = await saslAuthenticate({ request: message(first), response: textResponse });
      if (typeof answer !== 'string' || answer === '') return;
      await saslAuthenticate({ request: message(separator), response: textResponse }).catch(() => undefined);
      throw new TokenRefusedError(answer);
    },
  });
}

/** What kafkajs tries again is what it takes for a lost connection. */
async function tokenFor(broker: string, token: () => Promise<string>): Promise<string> {
  try {
    return await token();
  } catch (error) {
    if (!(error instanceof TokenEndpointError)) throw error;
    const loss = new kafkajs.KafkaJSConnectionError(error.message, { broker });
    throw Object.assign(loss, { cause: error });
  }
}

function pairs(extensions: Readonly<Record<string, string>>): string {
  return Object.entries(extensions)
    .map(([name, value]) => `${name}=${value}${separator}`)
    .join('');
}

/** Both with their length in front, as kafkajs has every SASL message. */
function message(text: string) {
  return {
    encode: () => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeInt32BE(bytes.length);
      return Buffer.concat([length, bytes]);
    },
  };
}

const textResponse = {
  decode: (bytes: Buffer) => bytes.subarray(4),
  parse: (bytes: Buffer) => bytes.toString('utf8'),
};
