import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import avsc from 'avsc';

/** Ids begin far from those of the contracts' own table, and not one of them means the same. */
const FIRST_ID = 1_001;
const MEDIA_TYPES = [
  'application/vnd.schemaregistry.v1+json',
  'application/vnd.schemaregistry+json',
  'application/json',
];

export interface RegistryOptions {
  /** What a later version must be able to do; FULL_TRANSITIVE unless told otherwise. */
  readonly compatibility?: 'NONE' | 'FULL_TRANSITIVE';
  /** The login that it demands. */
  readonly login?: { readonly user: string; readonly password: string };
}

/** silent: it takes connections and never answers. broken: it answers with 503. closed: nobody listens. */
export type Outage = 'closed' | 'silent' | 'broken';

export interface TestRegistry {
  readonly url: string;
  /** Every question so far, as `GET /schemas/ids/7`. */
  readonly questions: readonly string[];
  /** Registers without asking for permission, as another producer would; returns the id. */
  add(subject: string, schema: unknown, schemaType?: string): number;
  versionsOf(subject: string): readonly number[];
  /** Until `resume`, on the same port. */
  fail(how: Outage): Promise<void>;
  resume(): Promise<void>;
  stop(): Promise<void>;
}

interface Stored {
  readonly id: number;
  readonly schema: string;
  readonly type: string;
}

class ApiError extends Error {
  readonly status: number;
  readonly code: number;
  constructor(status: number, code: number, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * A schema registry in memory: the part of Confluent's REST interface that this program speaks, after its documentation
 * (paths, status and error codes), and strict about what it is asked. docs/schemas.md says what it was compared with.
 */
export async function startTestRegistry(options: RegistryOptions = {}): Promise<TestRegistry> {
  const registry = new Registry(options);
  const questions: string[] = [];
  let outage: Outage | null = null;
  const server = createServer((request, response) => {
    questions.push(`${request.method} ${request.url}`);
    if (outage === 'silent') return;
    if (outage === 'broken')
      return send(response, 503, { error_code: 50302, message: 'Could not forward to the leader' });
    answer(registry, request, response).catch((error: unknown) => {
      const known = error instanceof ApiError ? error : new ApiError(500, 50001, String(error));
      send(response, known.status, { error_code: known.code, message: known.message });
    });
  });
  const port = await listen(server, 0);
  const login =
    options.login === undefined
      ? ''
      : `${encodeURIComponent(options.login.user)}:${encodeURIComponent(options.login.password)}@`;
  return {
    url: `http://${login}127.0.0.1:${port}`,
    questions,
    add: (subject, schema, type = 'AVRO') =>
      registry.put(subject, { schema: typeof schema === 'string' ? schema : JSON.stringify(schema), type }),
    versionsOf: (subject) => registry.versions(subject).map((_, i) => i + 1),
    async fail(how) {
      outage = how;
      if (how === 'closed') await close(server);
    },
    async resume() {
      if (outage === 'closed') await listen(server, port);
      // Whoever still waits for an answer learns that there is none.
      if (outage === 'silent') server.closeAllConnections();
      outage = null;
    },
    async stop() {
      if (server.listening) await close(server);
    },
  };
}

async function answer(registry: Registry, request: IncomingMessage, response: ServerResponse): Promise<void> {
  registry.checkLogin(request.headers.authorization);
  const path = (request.url ?? '').split('/').slice(1).map(decodeURIComponent);
  const byId = path[0] === 'schemas' && path[1] === 'ids' && path.length === 3;
  const shape = byId ? 'schemas/ids/*' : path.map((part, i) => (i % 2 === 0 ? part : '*')).join('/');
  const [, subject = '', , version = ''] = path;
  switch (`${request.method} ${shape}`) {
    case 'GET schemas/ids/*':
      return send(response, 200, registry.byId(Number(path[2])));
    case 'POST subjects/*':
      return send(response, 200, registry.find(subject, (await bodyOf(request)).schema));
    case 'POST subjects/*/versions': {
      const { schema, schemaType: type = 'AVRO' } = await bodyOf(request);
      return send(response, 200, { id: registry.register(subject, { schema, type }) });
    }
    case 'GET subjects/*/versions':
      return send(
        response,
        200,
        registry.existing(subject).map((_, i) => i + 1),
      );
    case 'GET subjects/*/versions/*':
      return send(response, 200, registry.version(subject, version));
    default:
      throw new ApiError(404, 404, 'HTTP 404 Not Found');
  }
}

class Registry {
  readonly #o: RegistryOptions;
  readonly #byId = new Map<number, Stored>();
  readonly #subjects = new Map<string, Stored[]>();

  constructor(options: RegistryOptions) {
    this.#o = options;
  }

  checkLogin(header: string | undefined): void {
    const { login } = this.#o;
    if (login === undefined) return;
    const expected = `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`;
    if (header !== expected) throw new ApiError(401, 401, 'HTTP 401 Unauthorized');
  }

  /** One schema has one id, under however many subjects. */
  put(subject: string, o: { schema: string; type: string }): number {
    const form = o.type === 'AVRO' ? canonical(o.schema) : o.schema;
    const known = [...this.#byId.values()].find((one) => one.schema === form && one.type === o.type);
    const stored = known ?? { id: FIRST_ID + this.#byId.size, schema: form, type: o.type };
    this.#byId.set(stored.id, stored);
    const versions = this.versions(subject);
    if (!versions.includes(stored)) this.#subjects.set(subject, [...versions, stored]);
    return stored.id;
  }

  register(subject: string, o: { schema: string; type: string }): number {
    const form = valid(o.schema);
    const versions = this.versions(subject);
    const there = versions.find(({ schema }) => schema === form);
    if (there !== undefined) return there.id;
    if (this.#o.compatibility !== 'NONE') {
      for (const version of versions) {
        for (const [reader, writer] of [
          [form, version.schema],
          [version.schema, form],
        ] as const) {
          if (!reads(reader, writer))
            throw new ApiError(
              409,
              409,
              `Schema being registered is incompatible with an earlier schema for subject "${subject}"`,
            );
        }
      }
    }
    return this.put(subject, { schema: form, type: o.type });
  }

  versions(subject: string): readonly Stored[] {
    return this.#subjects.get(subject) ?? [];
  }

  existing(subject: string): readonly Stored[] {
    const versions = this.versions(subject);
    if (versions.length === 0) throw new ApiError(404, 40401, `Subject '${subject}' not found.`);
    return versions;
  }

  version(subject: string, version: string): object {
    const versions = this.existing(subject);
    const at = version === 'latest' ? versions.length : Number(version);
    const found = versions[at - 1];
    if (found === undefined) throw new ApiError(404, 40402, `Version ${version} not found.`);
    return { subject, version: at, ...shown(found) };
  }

  find(subject: string, schema: string): object {
    const versions = this.existing(subject);
    const form = valid(schema);
    const at = versions.findIndex((one) => one.schema === form);
    const found = versions[at];
    if (found === undefined) throw new ApiError(404, 40403, 'Schema not found');
    return { subject, version: at + 1, ...shown(found) };
  }

  byId(id: number): object {
    const found = this.#byId.get(id);
    if (found === undefined) throw new ApiError(404, 40403, `Schema ${id} not found`);
    const { schema, type } = found;
    return { schema, ...(type === 'AVRO' ? {} : { schemaType: type }) };
  }
}

function shown({ id, schema, type }: Stored): object {
  return { id, schema, ...(type === 'AVRO' ? {} : { schemaType: type }) };
}

function canonical(schema: string): string {
  return JSON.stringify(JSON.parse(schema));
}

function typeOf(schema: string): avsc.Type {
  return avsc.Type.forSchema(JSON.parse(schema) as avsc.Schema);
}

function valid(schema: string): string {
  try {
    typeOf(schema);
    return canonical(schema);
  } catch (error) {
    throw new ApiError(422, 42201, `Invalid schema ${schema.slice(0, 80)}: ${String(error)}`);
  }
}

function reads(reader: string, writer: string): boolean {
  try {
    typeOf(reader).createResolver(typeOf(writer));
    return true;
  } catch {
    return false;
  }
}

async function bodyOf(request: IncomingMessage): Promise<{ schema: string; schemaType?: string }> {
  const type = request.headers['content-type']?.split(';', 1)[0] ?? '';
  if (!MEDIA_TYPES.includes(type)) throw new ApiError(415, 415, 'HTTP 415 Unsupported Media Type');
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  const body = JSON.parse(Buffer.concat(parts).toString('utf8')) as { schema?: unknown; schemaType?: string };
  if (typeof body.schema !== 'string') throw new ApiError(422, 42201, 'Empty schema');
  return { ...body, schema: body.schema };
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': MEDIA_TYPES[0] }).end(JSON.stringify(body));
}

async function listen(server: Server, port: number): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  return (server.address() as AddressInfo).port;
}

async function close(server: Server): Promise<void> {
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
