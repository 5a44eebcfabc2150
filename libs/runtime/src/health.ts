import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Metrics } from './metrics.ts';

/** Whoever asks is near and quick; one that is not must not hold anything for long. */
const requestMs = 10_000;
const headersMs = 5_000;
const connectionsMax = 64;

export interface HealthCheck {
  readonly ok: boolean;
  readonly detail?: string;
}

/** What a service says about itself: ready when every check declared so far is fulfilled. */
export interface Health {
  setReady(check: string, ok: boolean, detail?: string): void;
}

export class HealthState implements Health {
  readonly #checks = new Map<string, HealthCheck>();
  #failure: string | null = null;

  setReady(check: string, ok: boolean, detail?: string): void {
    this.#checks.set(check, detail === undefined ? { ok } : { ok, detail });
  }

  /** The process cannot recover: /livez says no from now on. */
  fail(reason: string): void {
    this.#failure ??= reason;
  }

  get failure(): string | null {
    return this.#failure;
  }

  get ready(): boolean {
    return this.#failure === null && [...this.#checks.values()].every((check) => check.ok);
  }

  checks(): Record<string, HealthCheck> {
    return Object.fromEntries(this.#checks);
  }
}

export interface HealthServer {
  readonly name: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** Serves /livez, /readyz and /metrics; port 0 takes any free port. */
export async function startHealthServer(options: {
  readonly host: string;
  readonly port: number;
  readonly health: HealthState;
  readonly metrics: Metrics;
}): Promise<HealthServer> {
  const { host, port, health, metrics } = options;
  const server = createServer({ requestTimeout: requestMs, headersTimeout: headersMs }, (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? '';
    answer(path, response, { health, metrics }).catch((error: unknown) => {
      send(response, 500, 'text/plain', error instanceof Error ? error.message : String(error));
    });
  });
  server.maxConnections = connectionsMax;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(explained(error, host, port)));
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    name: 'health server',
    port: address.port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  path: string,
  response: ServerResponse,
  { health, metrics }: { health: HealthState; metrics: Metrics },
): Promise<void> {
  switch (path) {
    case '/livez':
      return sendJson(response, health.failure === null ? 200 : 503, {
        alive: health.failure === null,
        failure: health.failure,
      });
    case '/readyz':
      return sendJson(response, health.ready ? 200 : 503, { ready: health.ready, checks: health.checks() });
    case '/metrics':
      return send(response, 200, metrics.contentType, await metrics.text());
    default:
      return sendJson(response, 404, { paths: ['/livez', '/readyz', '/metrics'] });
  }
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  send(response, status, 'application/json', `${JSON.stringify(body)}\n`);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  // A connection for each question: on one that is kept, a question can meet its end, and a healthy process seems to be gone.
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store', connection: 'close' }).end(body);
}

function explained(error: NodeJS.ErrnoException, host: string, port: number): Error {
  const why =
    error.code === 'EADDRINUSE'
      ? 'another program uses that port; set METRICS_PORT to a free one, or to 0'
      : error.message;
  return new Error(`cannot serve health and metrics on ${host}:${port}: ${why}`, { cause: error });
}
