import { RefusedError } from '@leakage/runtime';
import { RegistrySilentError } from './errors.ts';

/** One question to the registry, with its answer. */
const REQUEST_MS = 5_000;
/** What an answer may weigh; a schema stands in it as an escaped text. */
const ANSWER_BYTES_MAX = 2 * 1024 * 1024;
/** Of a message of the registry, what is shown. */
const MESSAGE_CHARACTERS_MAX = 500;

const MEDIA_TYPE = 'application/vnd.schemaregistry.v1+json';

/** Codes of Confluent's API. A 404 without one of these comes from a proxy or a wrong path, and tells nothing. */
const SUBJECT_NOT_FOUND = 40401;
const SCHEMA_NOT_FOUND = 40403;

/** What stands under an id. */
export type FoundSchema =
  | { readonly kind: 'avro'; readonly schema: string }
  /** It exists, and is nothing that this program reads; `why` says so. */
  | { readonly kind: 'other'; readonly why: string };

interface Answer {
  readonly status: number;
  /** Without a field where it is no JSON object. */
  readonly body: Readonly<Record<string, unknown>>;
  /** It is beyond the limit, and was not read. */
  readonly heavy: boolean;
}

/**
 * Confluent's Schema Registry by its REST interface, which others speak too. Throws RegistrySilentError where another attempt
 * may help, RefusedError where it cannot. A user and a password in the URL are sent as basic authentication.
 */
export class RegistryClient {
  /** The URL without user and password: for messages, and to tell the ids of one registry from those of another. */
  readonly name: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(url: string) {
    const parsed = new URL(url);
    const { username, password } = parsed;
    parsed.username = '';
    parsed.password = '';
    this.name = parsed.href.replace(/\/+$/, '');
    const login = `${plain(username)}:${plain(password)}`;
    this.#headers = {
      accept: `${MEDIA_TYPE}, application/json`,
      ...(login === ':' ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` }),
    };
  }

  /** Null: the registry says that it has no such id. */
  async schemaById(id: number, signal?: AbortSignal): Promise<FoundSchema | null> {
    const path = `/schemas/ids/${id}`;
    const answer = await this.#ask('GET', path, { signal });
    if (codeOf(answer) === SCHEMA_NOT_FOUND) return null;
    this.#mustBeDone(answer, `GET ${path}`);
    if (answer.heavy) return { kind: 'other', why: `it is longer than ${ANSWER_BYTES_MAX} bytes` };
    return this.#schemaOf(answer.body, path);
  }

  /** The id of exactly this schema under a subject; null where it is not registered there. */
  async idOf(subject: string, schema: string, signal?: AbortSignal): Promise<number | null> {
    const path = `/subjects/${encodeURIComponent(subject)}`;
    const answer = await this.#ask('POST', path, { body: { schema }, signal });
    if (codeOf(answer) === SUBJECT_NOT_FOUND || codeOf(answer) === SCHEMA_NOT_FOUND) return null;
    this.#mustBeDone(answer, `POST ${path}`);
    return this.#idIn(answer.body, path);
  }

  /** Registers a schema, or finds it registered; returns its id. */
  async register(subject: string, schema: string, signal?: AbortSignal): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const answer = await this.#ask('POST', path, { body: { schema }, signal });
    if (answer.status === 409) {
      throw new RefusedError(
        `the schema registry at ${this.name} does not take our schema under ${subject}, because it is not compatible with a version that is there (${messageIn(answer)})`,
        'look at the versions of that subject and at its compatibility level',
      );
    }
    this.#mustBeDone(answer, `POST ${path}`);
    return this.#idIn(answer.body, path);
  }

  async #ask(method: string, path: string, o: Question): Promise<Answer> {
    const limit = AbortSignal.timeout(REQUEST_MS);
    const signal = o.signal === undefined ? limit : AbortSignal.any([o.signal, limit]);
    try {
      const response = await fetch(`${this.name}${path}`, {
        method,
        signal,
        redirect: 'error',
        headers: o.body === undefined ? this.#headers : { ...this.#headers, 'content-type': MEDIA_TYPE },
        ...(o.body === undefined ? {} : { body: JSON.stringify(o.body) }),
      });
      const text = await textOf(response);
      const { status } = response;
      if (status >= 500 || status === 408 || status === 429) throw new Error(`status ${status}`);
      return { status, body: objectOf(text ?? ''), heavy: text === null };
    } catch (error) {
      if (o.signal?.aborted === true) throw error;
      throw new RegistrySilentError(this.name, reasonOf(error), { cause: error });
    }
  }

  #mustBeDone(answer: Answer, question: string): void {
    const { status } = answer;
    if (status === 200) return;
    if (status === 401 || status === 403) {
      throw new RefusedError(
        `the schema registry at ${this.name} refuses our login (status ${status})`,
        'check the user and the password in SCHEMA_REGISTRY_URL',
      );
    }
    throw new RefusedError(
      `the schema registry at ${this.name} answered ${question} with status ${status} (${messageIn(answer)})`,
      "check that SCHEMA_REGISTRY_URL leads to a registry that speaks Confluent's API",
    );
  }

  #schemaOf(body: Answer['body'], path: string): FoundSchema {
    const { schema, schemaType = 'AVRO', references = [] } = body;
    if (typeof schema !== 'string') throw new RegistrySilentError(this.name, `the answer to ${path} holds no schema`);
    if (schemaType !== 'AVRO') return { kind: 'other', why: `it is of type ${String(schemaType)}` };
    if (Array.isArray(references) && references.length > 0)
      return { kind: 'other', why: 'it refers to schemas of other subjects' };
    return { kind: 'avro', schema };
  }

  #idIn({ id }: Answer['body'], path: string): number {
    if (typeof id === 'number' && Number.isInteger(id) && id > 0 && id < 2 ** 31) return id;
    throw new RegistrySilentError(this.name, `the answer to ${path} holds no id`);
  }
}

interface Question {
  readonly body?: object;
  readonly signal: AbortSignal | undefined;
}

/** Percent-encoded as a URL wants it; what is not encoded right was meant as it stands. */
function plain(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Null beyond the limit: the rest is not read. */
async function textOf(response: Response): Promise<string | null> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  if (response.body === null) return '';
  for await (const part of response.body as unknown as AsyncIterable<Uint8Array>) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) return null;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** Whatever is not a JSON object has no fields. */
function objectOf(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function codeOf({ status, body }: Answer): number | null {
  return status === 404 && typeof body.error_code === 'number' ? body.error_code : null;
}

function messageIn({ body }: Answer): string {
  const code = typeof body.error_code === 'number' ? `code ${body.error_code}: ` : '';
  const message = typeof body.message === 'string' ? body.message : 'no message';
  return `${code}${message.slice(0, MESSAGE_CHARACTERS_MAX)}`;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `nothing within ${REQUEST_MS} ms`;
  // fetch says only that it failed; why, says the cause, and of a host with several addresses only its code.
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return cause.message === '' && 'code' in cause ? String(cause.code) : cause.message;
}
