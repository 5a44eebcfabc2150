import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Answers } from './answers.ts';
import type { GoldStore } from './gold-store.ts';
import { ProblemError, problemSchema } from './problem.ts';
import { type Resource, resources, rowSchema } from './resources.ts';

const defaultLimit = 1_000;
const maxLimit = 10_000;
const json = 'application/json; charset=utf-8';

/** `daily_leakage_summary` is served as `/v1/daily-leakage-summary`, and so on. */
export function pathOf(resource: Resource): string {
  return `/v1/${resource.table.replaceAll('_', '-')}`;
}

export function goldRoutes(app: FastifyInstance, gold: GoldStore, answers: Answers): void {
  for (const resource of resources) {
    app.get<{ Querystring: Record<string, string> & { limit: number } }>(
      pathOf(resource),
      { schema: schemaOf(resource) },
      async (request, reply) => {
        const { limit, ...filters } = request.query;
        if (filters.from !== undefined && filters.to !== undefined && filters.from > filters.to) {
          throw new ProblemError(400, 'from is later than to');
        }
        const { etag, body } = await answers.get(request.url, async () => {
          const { version, ...found } = await gold.read(resource, filters, limit);
          return { generation: found.generation, version, content: { table: resource.table, ...found } };
        });
        // Figures change with every fold: a cache may keep them, but asks each time (the ETag makes that cheap).
        return reply.headers({ 'cache-control': 'no-cache', etag, 'content-type': json }).send(body);
      },
    );
  }
}

function schemaOf(resource: Resource) {
  const filters = Object.entries(resource.filters).map(([name, { help, operator }]) => {
    const format = operator === '=' ? {} : { format: 'date' };
    return [name, Type.Optional(Type.String({ description: help, minLength: 1, maxLength: 200, ...format }))] as const;
  });
  return {
    tags: ['gold'],
    summary: resource.title,
    description: resource.help,
    querystring: Type.Object(
      { ...Object.fromEntries(filters), limit: limitSchema(defaultLimit, maxLimit) },
      { additionalProperties: false },
    ),
    response: {
      200: rowsSchema(resource.table, rowSchema(resource.columns)),
      '4xx': problemSchema,
      '5xx': problemSchema,
    },
  };
}

export function limitSchema(standard: number, max: number) {
  return Type.Integer({ description: 'Rows at most.', default: standard, minimum: 1, maximum: max });
}

export function rowsSchema(table: string, row: ReturnType<typeof rowSchema>) {
  return Type.Object(
    {
      table: Type.Literal(table),
      generation: Type.Integer({ description: 'The generation that the rows were read from.' }),
      as_of: Type.Union([Type.String({ format: 'date-time' }), Type.Null()], {
        description: 'Event time up to which both sources were heard; null where there is no row.',
      }),
      truncated: Type.Boolean({ description: 'There were more rows than the limit.' }),
      rows: Type.Array(row),
    },
    { description: 'All rows come from one snapshot.' },
  );
}
