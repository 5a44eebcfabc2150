import { RefusedError } from '@leakage/runtime';
import { messageOf } from './errors.ts';

/** Whom to ask for a token, by the client credentials flow (RFC 6749, section 4.4). */
export interface TokenRequest {
  readonly url: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope?: string;
}

/** The token endpoint gives no answer that could be used; asked again, it may. */
export class TokenEndpointError extends Error {
  override readonly name = 'TokenEndpointError';
}

interface Token {
  readonly value: string;
  readonly renewAt: number;
}

const answerMs = 10_000;
/** A token that says nothing of its end is taken to be good for this long. */
const defaultLifeSeconds = 300;
/**
 * A session ends with its token, and kafkajs logs in again 10 s before: with a token that is nearly over it would have to do
 * so at once, and a broker closes the connection of whoever logs in twice within a second.
 */
const renewBeforeMs = { atMost: 60_000, atLeast: 20_000 } as const;

/** Gives a token that is good for a while; asks for another one only when that while is nearly over. */
export function tokenSource(request: TokenRequest, now: () => number = Date.now): () => Promise<string> {
  let held: Token | null = null;
  let asking: Promise<Token> | null = null;
  return async () => {
    if (held !== null && now() < held.renewAt) return held.value;
    asking ??= ask(request, now).finally(() => {
      asking = null;
    });
    held = await asking;
    return held.value;
  };
}

async function ask(request: TokenRequest, now: () => number): Promise<Token> {
  const { url, clientId, clientSecret, scope } = request;
  const basic = Buffer.from(`${formEncoded(clientId)}:${formEncoded(clientSecret)}`).toString('base64');
  let status: number;
  let text: string;
  try {
    const answer = await fetch(url, {
      method: 'POST',
      redirect: 'error',
      headers: { authorization: `Basic ${basic}`, accept: 'application/json' },
      body: new URLSearchParams({ grant_type: 'client_credentials', ...(scope === undefined ? {} : { scope }) }),
      signal: AbortSignal.timeout(answerMs),
    });
    status = answer.status;
    text = await answer.text();
  } catch (error) {
    throw new TokenEndpointError(
      `the token endpoint ${url} does not answer (${reasonOf(error)}): check KAFKA_OAUTH_TOKEN_URL`,
    );
  }
  const body = parsed(text);
  if (status >= 500 || status === 408 || status === 429) {
    throw new TokenEndpointError(`the token endpoint ${url} answers with status ${status}: it may be in trouble`);
  }
  if (status !== 200) throw refusal(request, status, body);
  if (typeof body.access_token !== 'string' || !/^[\x21-\x7e]+$/.test(body.access_token)) {
    throw new RefusedError(
      `The token endpoint ${url} answers without an access_token`,
      'set KAFKA_OAUTH_TOKEN_URL to the one of your identity provider (it often ends in /token)',
    );
  }
  const life = Number(body.expires_in);
  const lifeMs = (life > 0 ? life : defaultLifeSeconds) * 1000;
  const early = Math.min(renewBeforeMs.atMost, Math.max(renewBeforeMs.atLeast, lifeMs / 2));
  return { value: body.access_token, renewAt: now() + lifeMs - early };
}

function refusal({ url, clientId }: TokenRequest, status: number, body: Record<string, unknown>): RefusedError {
  const why = [body.error, body.error_description].filter((part) => typeof part === 'string').join(', ');
  const what = `The token endpoint ${url} refuses client ${clientId} (status ${status}${why && `, ${why}`})`;
  if (status === 404 || status === 405) return new RefusedError(what, 'check KAFKA_OAUTH_TOKEN_URL');
  if (body.error === 'invalid_scope') return new RefusedError(what, 'check KAFKA_OAUTH_SCOPE');
  return new RefusedError(what, 'check KAFKA_OAUTH_CLIENT_ID and KAFKA_OAUTH_CLIENT_SECRET');
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** As RFC 6749 wants it in front of Basic: what `:` and non-ASCII characters would otherwise break. */
function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1);
}

/** fetch says only "fetch failed"; its cause says why. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause instanceof Error) return cause.message || ('code' in cause ? String(cause.code) : cause.name);
  return messageOf(error);
}
