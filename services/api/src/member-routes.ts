import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { AuditStore } from './audit-store.ts';
import { refusal } from './domain/loopback.ts';
import { limitSchema, rowsSchema } from './gold-routes.ts';
import type { GoldStore } from './gold-store.ts';
import { ProblemError, problemSchema } from './problem.ts';
import type { Pseudonyms } from './pseudonym.ts';
import { rowSchema, timelineColumns } from './resources.ts';

export interface MemberRoutesOptions {
  readonly gold: GoldStore;
  readonly audit: AuditStore;
  readonly pseudonyms: Pseudonyms;
  /** Called with the generation that an answer comes from, before it is sent. */
  readonly told: (generation: number) => void;
}

const fields = timelineColumns.map((column) => column.name);

const schema = {
  tags: ['members'],
  summary: 'What this feels like: the journey of one member',
  description:
    'Every digital event and call of the member, in order. Only for programs on this machine, under a loopback name. Each read is first recorded in app.audit (who, when, whom as a keyed hash, why, which fields); a read that cannot be recorded does not happen.',
  params: Type.Object({ member_id: Type.String({ minLength: 1, maxLength: 200 }) }),
  querystring: Type.Object(
    {
      purpose: Type.String({
        description: 'Why you look; recorded.',
        default: 'not stated',
        minLength: 1,
        maxLength: 200,
      }),
      limit: limitSchema(1_000, 10_000),
    },
    { additionalProperties: false },
  ),
  headers: Type.Object({
    'x-actor': Type.Optional(Type.String({ description: 'Who looks; recorded.', maxLength: 100 })),
  }),
  response: {
    200: rowsSchema('journey_timeline', rowSchema(timelineColumns)),
    '4xx': problemSchema,
    '5xx': problemSchema,
  },
};

export function memberRoutes(app: FastifyInstance, { gold, audit, pseudonyms, told }: MemberRoutesOptions): void {
  app.withTypeProvider<TypeBoxTypeProvider>().get(
    '/v1/members/:member_id/timeline',
    // A person looks at members one by one; a program that lists them all is stopped.
    {
      schema,
      config: { rateLimit: { max: 120, timeWindow: '1 minute' } },
      onRequest: async (request) => refuseStrangers(request),
    },
    async (request, reply) => {
      const { member_id: memberId } = request.params;
      await record(audit, {
        action: 'read_timeline',
        actor: actorOf(request),
        remoteAddress: request.socket.remoteAddress ?? 'unknown',
        memberPid: pseudonyms.pid(memberId),
        keyId: pseudonyms.keyId,
        purpose: request.query.purpose,
        fields,
        requestId: request.id,
      });
      const found = await gold.timeline(memberId, request.query.limit);
      told(found.generation);
      if (found.rows.length === 0) throw new ProblemError(404, 'silver holds nothing of this member');
      return reply.header('cache-control', 'no-store').send({ table: 'journey_timeline', ...found });
    },
  );
}

async function record(audit: AuditStore, entry: Parameters<AuditStore['write']>[0]): Promise<void> {
  try {
    await audit.write(entry);
  } catch (error) {
    throw new ProblemError(503, 'the read could not be recorded, so it was not made', { cause: error });
  }
}

function refuseStrangers(request: FastifyRequest): void {
  const reason = refusalOf(request);
  if (reason !== null) throw new ProblemError(403, reason);
}

/** Why whoever asks may not see a single member, or null. */
export function refusalOf({ socket, headers }: FastifyRequest): string | null {
  const site = headers['sec-fetch-site'];
  return refusal({
    remoteAddress: socket.remoteAddress,
    host: headers.host,
    forwarded: ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via'].some((name) => name in headers),
    fetchSite: typeof site === 'string' ? site : undefined,
  });
}

// Nobody signs in yet: a name is what the caller says it is, and is marked so.
function actorOf({ headers }: FastifyRequest): string {
  const claimed = headers['x-actor'];
  return typeof claimed === 'string' && claimed.trim() !== '' ? `claimed:${claimed.trim()}` : 'local';
}
