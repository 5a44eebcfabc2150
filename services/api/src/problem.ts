import { STATUS_CODES } from 'node:http';
import { CommitUnknownError, isTransient, PoolBusyError, sqlState } from '@leakage/postgres';
import { DeadlineError } from '@leakage/runtime';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { NoGenerationError } from './snapshot.ts';

export const problemType = 'application/problem+json';

/** RFC 9457. */
export const problemSchema = Type.Object(
  {
    type: Type.String({ description: 'about:blank: the title says it all.' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String({ description: 'What happened and what to do.' })),
    errors: Type.Optional(
      Type.Array(Type.Object({ name: Type.String(), reason: Type.String() }), {
        description: 'Which parameters were wrong.',
      }),
    ),
  },
  { $id: 'Problem', description: 'What went wrong, as in RFC 9457.' },
);

interface Problem {
  readonly status: number;
  readonly detail?: string;
  readonly errors?: readonly { readonly name: string; readonly reason: string }[];
}

/** An answer that is not a success, thrown by a route. */
export class ProblemError extends Error {
  readonly statusCode: number;
  constructor(status: number, detail: string, options?: ErrorOptions) {
    super(detail, options);
    this.name = 'ProblemError';
    this.statusCode = status;
  }
}

/** Every answer that is not a success is a problem document. */
export function answerProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = problemOf(error);
    // The path may name a member: logs get the route's pattern only.
    const { url } = request.routeOptions;
    const { status } = problem;
    if (status === 500) request.log.error({ err: error, route: url }, 'a request failed');
    // Before the first generation this is what everybody hears; later it is worth a line.
    else if (status > 500)
      request.log[error instanceof NoGenerationError ? 'debug' : 'warn']({ route: url, status }, error.message);
    return sendProblem(reply, problem);
  });
  app.setNotFoundHandler((_request: FastifyRequest, reply) =>
    sendProblem(reply, { status: 404, detail: 'there is nothing at this address; /docs shows what there is' }),
  );
}

/** What the router itself refuses: an address that cannot be decoded, for example. */
export function answerFrameworkError(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  sendProblem(reply, { status: error.statusCode ?? 400, detail: 'the address cannot be read' });
}

function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.status === 503 && !reply.hasHeader('retry-after')) reply.header('retry-after', '2');
  const { status, ...rest } = problem;
  return reply
    .code(status)
    .header('cache-control', 'no-store')
    .type(problemType)
    .send(JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, ...rest }));
}

function problemOf(error: FastifyError): Problem {
  if (error.validation !== undefined) {
    const where = error.validationContext ?? 'request';
    const errors = error.validation.map(({ instancePath, params, message = 'is wrong' }) => {
      const property = params.additionalProperty ?? params.missingProperty;
      return { name: typeof property === 'string' ? property : instancePath.slice(1) || where, reason: message };
    });
    return { status: 400, detail: 'a parameter is wrong', errors };
  }
  if (error instanceof ProblemError) return { status: error.statusCode, detail: error.message };
  if (error instanceof NoGenerationError) return { status: 503, detail: error.message };
  if (isOutage(error)) return { status: 503, detail: 'the database does not answer; try again' };
  if (error.statusCode !== undefined && error.statusCode >= 400)
    return { status: error.statusCode, detail: error.message };
  return { status: 500, detail: 'an error that nobody expected; the log of the api says more' };
}

// 08: connection, 53: resources, 57: operator intervention (shutdown, statement timeout), 42P01 and 3F000: not created yet.
function isOutage(error: Error): boolean {
  if (error instanceof DeadlineError || error instanceof CommitUnknownError) return true;
  if (error instanceof PoolBusyError || isTransient(error)) return true;
  const state = sqlState(error);
  if (state !== null) return /^(08|53|57)/.test(state) || state === '42P01' || state === '3F000';
  return 'code' in error && typeof error.code === 'string' && /^E(CONN|TIMEDOUT|PIPE|HOST|NET|AI_)/.test(error.code);
}
