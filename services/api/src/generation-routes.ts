import { DiffError, type DiffRefusal, type DiffReport, metrics } from '@leakage/diff';
import { sqlState } from '@leakage/postgres';
import type { FastifyInstance } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { snakeCased } from './domain/snake-case.ts';
import type { DiffAsked, GenerationStore } from './generation-store.ts';
import { refusalOf } from './member-routes.ts';
import { ProblemError, problemSchema } from './problem.ts';

const nullable = (schema: TSchema) => Type.Union([schema, Type.Null()]);
const instant = nullable(Type.String({ format: 'date-time' }));
const date = Type.String({ format: 'date' });
const cents = nullable(Type.Integer({ description: 'Integer cents; null for journeys, and without a cost_per_call.' }));
const problems = { '4xx': problemSchema, '5xx': problemSchema };

const rulesSchema = Type.Object({
  window_minutes: Type.Number(),
  time_zone: Type.String(),
  repeat_scope: Type.String(),
  rules_version: Type.Integer(),
  journey_types: Type.Array(Type.String()),
});
const watermarksSchema = Type.Object({ digital: instant, calls: instant });
const partOfSchema = nullable(Type.Object({ from: instant, to: instant }));
const describedGeneration = {
  id: Type.Integer(),
  state: Type.String({ description: 'preparing, building, active, retired or dropped.' }),
  purpose: Type.String({ description: 'candidate or what_if; a what-if is never promoted.' }),
  note: nullable(Type.String()),
  rules: rulesSchema,
};

const listSchema = {
  tags: ['generations'],
  summary: 'All generations, and who was active when',
  description:
    'A generation is one complete computation of silver and gold under one set of rules. The newest first; of a dropped one only its description is left.',
  response: {
    200: Type.Object({
      active: nullable(Type.Integer({ description: 'The generation that everything else is answered from.' })),
      generations: Type.Array(
        Type.Object({
          ...describedGeneration,
          part_of: partOfSchema,
          created_at: instant,
          caught_up_at: instant,
          dropped_at: instant,
          records: nullable(Type.Integer({ description: 'Records below its positions.' })),
          records_behind_active: nullable(
            Type.Integer({
              description:
                'Records that the active generation has read and this one has not; of one that was made of a part, up to its end.',
            }),
          ),
          as_of: instant,
          watermarks: watermarksSchema,
          verification: nullable(
            Type.Object(
              {
                ok: Type.Boolean(),
                at: instant,
                scope: Type.Object({ from_day: nullable(date), to_day: nullable(date) }),
                trigger: Type.String(),
              },
              { description: 'The last one; a null day: from the beginning, to the end.' },
            ),
          ),
        }),
      ),
      promotions: Type.Array(
        Type.Object({
          kind: Type.String({ description: 'promote or rollback.' }),
          from_generation: Type.Integer(),
          to_generation: Type.Integer(),
          forced: Type.Boolean(),
          reason: nullable(Type.String()),
          promoted_by: Type.String(),
          promoted_at: instant,
        }),
      ),
    }),
    ...problems,
  },
};

const figures = {
  a: Type.Integer(),
  b: Type.Integer(),
  difference: Type.Integer({ description: 'b minus a.' }),
  cents,
};
const snakeMetrics = Object.keys(snakeCased(Object.fromEntries(metrics.map((metric) => [metric, 0]))) as object);
const figuresOf = Type.Object(Object.fromEntries(snakeMetrics.map((metric) => [metric, Type.Object(figures)])));
const parts = (what: string) =>
  Type.Array(Type.Object({ of: nullable(Type.String()), figures: figuresOf }), { description: what });
const comparedGeneration = Type.Object({
  ...describedGeneration,
  as_of: instant,
  watermarks: watermarksSchema,
  records: Type.Integer(),
  records_behind: Type.Integer({ description: 'Records that the other one has read and this one has not.' }),
  unfolded_changes: Type.Integer({ description: 'Changes of silver that gold has not folded.' }),
  part_of: partOfSchema,
});
const callView = nullable(
  Type.Object({
    attribution: Type.String(),
    issue_family: nullable(Type.String()),
    leakage_type: nullable(Type.String()),
    failed_at: instant,
    minutes_to_call: nullable(Type.Number()),
    error_code: nullable(Type.String()),
    is_repeat_call: Type.Boolean(),
    member_category: Type.String(),
    local_date: date,
  }),
);

const diffSchema = {
  tags: ['generations'],
  summary: 'What differs between two generations, priced, and why',
  description:
    'Generation b compared with generation a, in one snapshot: what `leakage diff` says. Where they have not read equally far, only complete local days that both have are compared (days.because says why). Single calls are shown only to programs on this machine, under a loopback name. One diff runs at a time.',
  params: Type.Object({
    a: Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'The generation that is compared with.' }),
    b: Type.Integer({ minimum: 1, maximum: 2_147_483_647, description: 'The generation that is asked about.' }),
  }),
  querystring: Type.Object(
    {
      from: Type.Optional(Type.String({ format: 'date', description: 'First local date.' })),
      to: Type.Optional(Type.String({ format: 'date', description: 'Last local date.' })),
      cost_per_call: Type.Optional(
        Type.Number({
          description:
            'What a call is to cost, in dollars (rounded to cents), instead of the cost_per_call that is stored.',
          minimum: 0,
          maximum: 99_999.99,
        }),
      ),
      examples: Type.Integer({
        description: 'Calls shown of each cause and journey type.',
        default: 3,
        minimum: 0,
        maximum: 20,
      }),
    },
    { additionalProperties: false },
  ),
  response: {
    200: Type.Object({
      equal: Type.Boolean(),
      headline: Type.String({ description: 'The whole report in one sentence.' }),
      a: comparedGeneration,
      b: comparedGeneration,
      rules: Type.Array(Type.Object({ rule: Type.String(), a: Type.String(), b: Type.String() }), {
        description: 'Rules that the two do not share.',
      }),
      days: nullable(
        Type.Object({
          from: date,
          to: date,
          because: Type.Array(Type.String(), { description: 'Why not more days, where there are more.' }),
        }),
      ),
      cost_per_call_cents: nullable(Type.Integer()),
      totals: figuresOf,
      journeys: parts('By journey type; null: calls that are no leakage.'),
      segments: parts('By member category.'),
      by_day: parts('By local date.'),
      differences: Type.Array(
        Type.Object({
          metric: Type.String(),
          day: date,
          journey: nullable(Type.String()),
          segment: Type.String(),
          ...figures,
        }),
        {
          description: 'Figures that differ, the greatest difference first; the list is cut, differing_figures is not.',
        },
      ),
      differing_figures: Type.Integer(),
      differing_cells: Type.Integer({ description: 'Cells of gold that differ, in whatever dimension.' }),
      causes: Type.Array(
        Type.Object({
          cause: Type.String(),
          meaning: Type.String(),
          calls: Type.Integer({ description: 'Calls that differ for this cause, in whatever it be.' }),
          only_a: Type.Integer({ description: 'Charged in a only.' }),
          only_b: Type.Integer({ description: 'Charged in b only.' }),
          difference: Type.Integer({ description: 'Leakage calls, b minus a.' }),
          cents,
          repeat_difference: Type.Integer({ description: 'Repeat calls, leakage or not, b minus a.' }),
        }),
      ),
      examples: nullable(
        Type.Array(
          Type.Object({
            call_id: Type.String(),
            called_at: Type.String({ format: 'date-time' }),
            call_reason: nullable(Type.String()),
            cause: Type.String(),
            why: Type.String(),
            a: callView,
            b: callView,
          }),
        ),
      ),
      examples_withheld: nullable(Type.String({ description: 'Why there are no examples for whoever asks.' })),
      notes: Type.Array(Type.String(), { description: 'What one must know to trust the figures.' }),
    }),
    ...problems,
  },
};

type DiffQuerystring = Omit<DiffAsked, 'a' | 'b' | 'costPerCallCents'> & { readonly cost_per_call?: number };

export interface GenerationRoutesOptions {
  readonly generations: GenerationStore;
  /** Called with the generation that is said to be the active one, before the answer is sent. */
  readonly told: (generation: number | null) => void;
}

export function generationRoutes(app: FastifyInstance, { generations, told }: GenerationRoutesOptions): void {
  app.get('/v1/generations', { schema: listSchema }, async (_request, reply) => {
    const list = await generations.list();
    told(list.active);
    return reply.header('cache-control', 'no-cache').send(snakeCased(list));
  });

  // Each reads whole tables: what others ask meanwhile is to be answered too.
  let running = false;
  app.get<{ Params: Pick<DiffAsked, 'a' | 'b'>; Querystring: DiffQuerystring }>(
    '/v1/generations/:a/diff/:b',
    { schema: diffSchema },
    async (request, reply) => {
      const { cost_per_call: cost, examples, ...days } = request.query;
      const { from, to } = days;
      if (from !== undefined && to !== undefined && from > to) throw new ProblemError(400, 'from is later than to');
      // The id of a call leads to its member.
      const withheld = refusalOf(request);
      if (running) throw new ProblemError(503, 'another diff is being made, and one runs at a time; try again');
      running = true;
      try {
        const shown = withheld === null ? examples : 0;
        const report = await generations.diff({
          ...request.params,
          ...days,
          costPerCallCents: cost === undefined ? undefined : Math.round(cost * 100),
          examples: shown,
        });
        const active = [report.a, report.b].find(({ state }) => state === 'active');
        if (active !== undefined) told(active.id);
        return await reply.header('cache-control', 'no-store').send(answerOf(report, withheld));
      } catch (error) {
        throw problemOfDiff(error) ?? error;
      } finally {
        running = false;
      }
    },
  );
}

function answerOf(report: DiffReport, withheld: string | null): unknown {
  const examples = withheld === null ? report.examples : null;
  return snakeCased({ ...report, examples, examplesWithheld: withheld });
}

const statusOf: Readonly<Record<DiffRefusal, number>> = {
  unknown: 404,
  dropped: 409,
  no_tables: 409,
  no_common_day: 409,
  too_many_figures: 400,
};

function problemOfDiff(error: unknown): ProblemError | null {
  if (error instanceof DiffError) return new ProblemError(statusOf[error.refusal], error.message);
  switch (sqlState(error) ?? '') {
    case '57014':
      return new ProblemError(
        503,
        'the diff takes longer than the api may read: ask for fewer days (from, to), or use leakage diff',
        { cause: error },
      );
    case '42501':
      return new ProblemError(
        503,
        'the login of the api may not read one of these generations: run leakage init with the DATABASE_URL of the owner',
        { cause: error },
      );
    // A snapshot does not cover the tables themselves.
    case '42P01':
    case '3F000':
      return new ProblemError(409, 'a generation was dropped while it was read', { cause: error });
    default:
      return null;
  }
}
