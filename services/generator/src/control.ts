import { randomBytes, timingSafeEqual } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Part } from '@leakage/runtime';
import { PARTITIONS, SOURCES } from '@leakage/schemas';
import { COPIES_MAX, DISTURBANCE_MINUTES_MAX } from './domain/disturbances.ts';
import { CATEGORIES, JOURNEY_TYPES, LANGUAGES } from './domain/parameters.ts';
import type { Controls, NewChange, NewDisturbance } from './generator.ts';

const BODY_BYTES_MAX = 10_000;
const SPEED_MAX = 3_600;

/**
 * Lets whoever may read the generator's folder steer it: HTTP on loopback, with a token that stands in a file for its owner.
 */
export async function startControl(o: { folder: string; port: number; controls: Controls }): Promise<Part> {
  const token = randomBytes(24).toString('hex');
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
    };
    handle(request, token, o.controls).then(
      (body) => answer(200, body),
      (error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        answer(error instanceof Refused ? error.status : error instanceof RangeError ? 400 : 500, { error: message });
      },
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(o.port, '127.0.0.1', resolve);
  });
  const path = join(o.folder, 'control.json');
  const { port } = server.address() as AddressInfo;
  // A file of an earlier run may be readable to others.
  await rm(path, { force: true });
  await writeFile(path, `${JSON.stringify({ port, token, pid: process.pid })}\n`, { mode: 0o600 });
  return {
    name: 'control',
    stop: async () => {
      await rm(path, { force: true });
      await new Promise((resolve) => {
        server.close(resolve);
        server.closeAllConnections();
      });
    },
  };
}

class Refused extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

async function handle(request: IncomingMessage, token: string, controls: Controls): Promise<unknown> {
  const given = Buffer.from(request.headers.authorization ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) throw new Refused(401, 'the token is wrong');
  const route = `${request.method} ${request.url}`;
  if (route === 'GET /status') return await controls.status();
  const body = new Fields(await bodyOf(request));
  switch (route) {
    case 'POST /changes':
      return await controls.change(changeOf(body));
    case 'POST /disturbances':
      return await controls.disturb(disturbanceOf(body));
    case 'POST /pause':
      return await controls.pause();
    case 'POST /resume':
      return await controls.resume();
    case 'POST /step':
      return await controls.step(body.number('minutes', 1 / 60, 60 * 24 * 31) * 60_000);
    case 'POST /speed':
      return await controls.setSpeed(body.number('speed', 1, SPEED_MAX));
    default:
      throw new Refused(404, `there is no ${route}`);
  }
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new Refused(413, 'the request is too long');
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString();
  try {
    const body: unknown = text === '' ? {} : JSON.parse(text);
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new Refused(400, 'the request is not a JSON object');
}

function changeOf(body: Fields): NewChange {
  const scope = {
    ...body.optional('journeyType', (name) => body.choice(name, JOURNEY_TYPES)),
    ...body.optional('errorCode', (name) => body.text(name)),
    ...body.optional('deviceType', (name) => body.text(name)),
    ...body.optional('category', (name) => body.choice(name, CATEGORIES)),
    ...body.optional('language', (name) => body.choice(name, LANGUAGES)),
  };
  return {
    scope,
    leakage: body.number('leakage', 0.01, 100),
    repeats: body.number('repeats', 0, 100),
    rolloutDays: body.number('rolloutDays', 0, 365),
  };
}

function disturbanceOf(body: Fields): NewDisturbance {
  const minutes = body.number('minutes', 1, DISTURBANCE_MINUTES_MAX);
  const kind = body.choice('kind', ['outage', 'duplicates', 'delay', 'schema']);
  switch (kind) {
    case 'outage':
      return { kind, minutes, source: body.choice('source', SOURCES), lost: body.flag('lost') };
    case 'duplicates': {
      const { source = null } = body.optional('source', (name) => body.choice(name, SOURCES));
      return { kind, minutes, source, copies: Math.round(body.number('copies', 2, COPIES_MAX)) };
    }
    case 'delay':
      return {
        kind,
        minutes,
        source: body.choice('source', SOURCES),
        partition: Math.round(body.number('partition', 0, PARTITIONS - 1)),
        delayMs: body.number('delayMinutes', 1, DISTURBANCE_MINUTES_MAX) * 60_000,
      };
    case 'schema':
      return { kind, minutes, source: body.choice('source', SOURCES), breaking: body.flag('breaking') };
  }
}

/** The fields of a request, one by one; a wrong one is refused by its name. */
class Fields {
  readonly #body: Readonly<Record<string, unknown>>;

  constructor(body: Readonly<Record<string, unknown>>) {
    this.#body = body;
  }

  number(name: string, min: number, max: number): number {
    const value = this.#body[name];
    if (typeof value === 'number' && value >= min && value <= max) return value;
    throw new Refused(400, `${name} must be a number from ${min} to ${max}`);
  }

  choice<const V extends string>(name: string, values: readonly V[]): V {
    const found = values.find((value) => value === this.#body[name]);
    if (found === undefined) throw new Refused(400, `${name} must be one of ${values.join(', ')}`);
    return found;
  }

  text(name: string): string {
    const value = this.#body[name];
    if (typeof value === 'string' && value !== '') return value;
    throw new Refused(400, `${name} must be a text`);
  }

  flag(name: string): boolean {
    const value = this.#body[name] ?? false;
    if (typeof value === 'boolean') return value;
    throw new Refused(400, `${name} must be true or false`);
  }

  optional<N extends string, V>(name: N, read: (name: N) => V): Partial<Record<N, V>> {
    return this.#body[name] === undefined ? {} : ({ [name]: read(name) } as Record<N, V>);
  }
}
