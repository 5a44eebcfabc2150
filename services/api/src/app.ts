import { randomUUID } from 'node:crypto';
import etag from '@fastify/etag';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import underPressure from '@fastify/under-pressure';
import type { HealthState, Logger, Metrics } from '@leakage/runtime';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { Answers } from './answers.ts';
import type { AuditStore } from './audit-store.ts';
import { generationRoutes } from './generation-routes.ts';
import type { GenerationStore } from './generation-store.ts';
import { goldRoutes } from './gold-routes.ts';
import type { GoldStore } from './gold-store.ts';
import { memberRoutes } from './member-routes.ts';
import { pipelineRoutes } from './pipeline-routes.ts';
import type { PipelineStore } from './pipeline-store.ts';
import { answerFrameworkError, answerProblems, ProblemError } from './problem.ts';
import type { Pseudonyms } from './pseudonym.ts';
import { serviceRoutes } from './service-routes.ts';
import type { TopicEnds } from './topic-ends.ts';

export interface AppDependencies {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: HealthState;
  readonly gold: GoldStore;
  readonly audit: AuditStore;
  readonly pseudonyms: Pseudonyms;
  readonly pipeline: PipelineStore;
  readonly generations: GenerationStore;
  readonly topicEnds: TopicEnds;
  readonly topics: readonly string[];
}

/** How long a request may take to arrive, and its answer to be made (more than reading the database may: 15 s). */
const requestMs = 30_000;
const handlerMs = 20_000;
const bodyBytesMax = 64 * 1024;
const connectionsMax = 1_000;
/** Requests for data that are answered at once; more are turned away, not kept waiting. */
const requestsMax = 200;
const eventLoopDelayMs = 2_000;
/** Ready answers that are kept, and their bytes. */
const answersMax = 500;
const answerBytesMax = 64 * 1024 * 1024;
/** How long after it was read a version of gold counts as the present one. */
const versionMs = 20;

/** The whole api, not listening: tests inject requests, main.ts listens. */
export async function createApp(dependencies: AppDependencies): Promise<FastifyInstance> {
  const logger: FastifyBaseLogger = dependencies.log;
  const app = Fastify({
    loggerInstance: logger,
    // The default request log would write paths, and paths name members.
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => randomUUID(),
    requestTimeout: requestMs,
    handlerTimeout: handlerMs,
    bodyLimit: bodyBytesMax,
    // An id of 200 bytes, percent-encoded.
    routerOptions: { maxParamLength: 600 },
    // A misspelt filter is an error, never an answer to another question.
    ajv: { customOptions: { removeAdditional: false } },
    frameworkErrors: answerFrameworkError,
  });
  app.server.maxConnections = connectionsMax;
  // Measured elsewhere: for many small rows plain JSON.stringify is faster than a serialiser made from the schema.
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  answerProblems(app);
  guardData(app);
  await app.register(rateLimit, { global: false });
  await app.register(etag);
  await describe(app);
  serviceRoutes(app, dependencies);
  await app.register(pages);
  await app.register(async (v1) => {
    // A process that cannot keep up says so at once. It still answers /livez: being busy is no reason to be restarted.
    await v1.register(underPressure, { maxEventLoopDelay: eventLoopDelayMs, pressureHandler: refuseIfBusy });
    boundRequests(v1);
    const answers = answersOf(dependencies.gold);
    goldRoutes(v1, dependencies.gold, answers);
    // These read a snapshot of their own, which may be of another generation than the figures that are kept.
    const told = (generation: number | null) => answers.told(generation);
    memberRoutes(v1, { ...dependencies, told });
    pipelineRoutes(v1, { ...dependencies, told });
    generationRoutes(v1, { ...dependencies, told });
  });
  return app;
}

function answersOf(gold: GoldStore): Answers {
  return new Answers({ version: () => gold.version(), freshMs: versionMs, answersMax, bytesMax: answerBytesMax });
}

// An interval without a single measurement is reported as an infinite delay. It happens when the machine, not this process,
// is busy, and would turn away everybody for a second.
async function refuseIfBusy(
  _request: unknown,
  _reply: unknown,
  _type: string,
  delayMs: number | undefined,
): Promise<void> {
  if (Number.isFinite(delayMs)) throw new ProblemError(503, 'the api is too busy; try again');
}

/** A database that answers slowly must not fill the memory with those who wait for it (law 10). */
function boundRequests(app: FastifyInstance): void {
  let running = 0;
  app.addHook('onRequest', (_request, reply, done) => {
    if (running >= requestsMax)
      return done(new ProblemError(503, 'the api has too many requests to answer; try again'));
    running += 1;
    // Also when whoever asked has gone away.
    reply.raw.once('close', () => {
      running -= 1;
    });
    done();
  });
}

/** What a browser must know of an answer that is no page: not to guess its type, and to show it nowhere. */
const dataHeaders = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
};

// Constant, where helmet would put its dozen headers together anew for each answer: that was a third of its cost (measured).
function guardData(app: FastifyInstance): void {
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(dataHeaders);
    done();
  });
}

async function describe(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Leakage Command Center',
        version: '1',
        description: 'Calls that follow a failed digital journey: how many, whom they hurt, why, and what they cost.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      tags: [
        { name: 'gold', description: 'The gold tables.' },
        { name: 'members', description: 'Single members: this machine only, audited.' },
        { name: 'pipeline', description: 'Where the pipeline stands.' },
        { name: 'generations', description: 'Computations under other rules, and what they would change.' },
      ],
    },
  });
}

/** What people open in a browser. */
async function pages(app: FastifyInstance): Promise<void> {
  await app.register(helmet, {
    // Plain HTTP on a local address: nothing to upgrade to.
    strictTransportSecurity: false,
    contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } },
  });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // No badge of a foreign validator, which would be told where this runs; and plain HTTP stays plain.
    uiConfig: { docExpansion: 'list', validatorUrl: null },
    staticCSP: true,
    transformStaticCSP: (header) =>
      header.replace(' validator.swagger.io', '').replace(' upgrade-insecure-requests;', ''),
  });
}
