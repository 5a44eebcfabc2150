import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { lagOf, type PartitionEnd } from './domain/lag.ts';
import type { PipelineState, PipelineStore, StoredOutcomes } from './pipeline-store.ts';
import { problemSchema } from './problem.ts';
import { isoInstant } from './resources.ts';
import type { TopicEnds } from './topic-ends.ts';

const nullable = (schema: ReturnType<typeof Type.Integer>) => Type.Union([schema, Type.Null()]);
const instant = Type.Union([Type.String({ format: 'date-time' }), Type.Null()]);
const lagRecords = nullable(
  Type.Integer({
    description: 'Records between the positions and the ends of the topics; null while Kafka does not answer.',
  }),
);

const outcomeNames = ['accepted', 'superseded', 'duplicates', 'conflicts', 'quarantined'] as const;
const outcomesSchema = Type.Object({
  records: Type.Integer({ description: 'Records read so far: the sum of the outcomes.' }),
  ...Object.fromEntries(outcomeNames.map((name) => [name, Type.Integer()])),
});

const day = Type.Union([Type.String({ format: 'date' }), Type.Null()]);
const verificationSchema = Type.Union([
  Type.Object({
    generation: Type.Integer(),
    ok: Type.Boolean({ description: 'Whether everything that was compared is equal.' }),
    scope: Type.Union([Type.Literal('everything'), Type.Object({ from_day: day, to_day: day })], {
      description:
        "What was compared: everything, or local days of the generation's time zone; null: from the beginning, or to the end.",
    }),
    ended_at: instant,
    age_seconds: Type.Integer({ description: 'How long ago it ended.' }),
    records: Type.Integer({ description: 'Records of bronze that it was recomputed from.' }),
    differing: Type.Array(Type.String(), { description: 'Names of the checks that found differences.' }),
    trigger: Type.String({ description: 'Who asked: command, schedule or promote.' }),
  }),
  Type.Null(),
]);

const leftOutSchema = Type.Union(
  [
    Type.Object({
      kind: Type.String({ description: 'skipped: it was not possible; failed: it ended with an error.' }),
      reason: Type.String({ description: 'Why, of the last one.' }),
      times: Type.Integer({ description: 'How many in a row.' }),
      first_at: instant,
      last_at: instant,
    }),
    Type.Null(),
  ],
  { description: 'Scheduled verifications that did not take place; null: the last one did, or there is no schedule.' },
);

const schema = {
  tags: ['pipeline'],
  summary: 'Where the pipeline stands',
  description:
    'Watermarks say up to which event time both sources were heard; caught_up says whether everything sent so far is in gold. A figure is final only when both agree.',
  response: {
    200: Type.Object({
      generation: Type.Integer(),
      as_of: instant,
      watermarks: Type.Object({ digital: instant, calls: instant }),
      caught_up: Type.Union([Type.Boolean(), Type.Null()], { description: 'Null while Kafka does not answer.' }),
      services: Type.Object({
        'bronze-sink': serviceSchema(),
        'silver-joiner': serviceSchema(),
        'gold-aggregator': Type.Object({
          lag_changes: Type.Integer({ description: 'Changes of silver that gold has not folded.' }),
        }),
      }),
      change_stream: Type.Union(
        [
          Type.Object({ untold_changes: Type.Integer({ description: 'Changes of silver that were not told yet.' }) }),
          Type.Null(),
        ],
        { description: 'What outsiders are told in the topic of changes. Null: nothing (RELAY_CHANGES).' },
      ),
      outcomes: Type.Object(
        {},
        { additionalProperties: outcomesSchema, description: 'Of silver, per topic: each record had exactly one.' },
      ),
      verification: Type.Object(
        { newest: verificationSchema, newest_full: verificationSchema, left_out: leftOutSchema },
        {
          description:
            'What leakage verify, which recomputes silver and gold from bronze, has said last of this generation: the newest ' +
            'run, and the newest over everything (since the horizon). Null: there was none. And whether the last scheduled one was left out, and why.',
        },
      ),
      retention: Type.Object(
        {
          horizon: day,
          last_run: Type.Union([Type.Object({ begun_at: instant, ended_at: instant }), Type.Null()]),
        },
        {
          description:
            "What leakage retain has removed: events and calls from before the horizon, a local day of the generation's time zone, " +
            'are taken in no more, and of single ones silver keeps little from before it. Figures of gold stay. Null: nothing was removed. ' +
            'A run without ended_at was stopped, or is at work.',
        },
      ),
    }),
    '4xx': problemSchema,
    '5xx': problemSchema,
  },
};

function serviceSchema() {
  return Type.Object({
    lag_records: lagRecords,
    lag_by_topic: Type.Object({}, { additionalProperties: lagRecords }),
    last_progress_at: instant,
  });
}

export interface PipelineRoutesOptions {
  readonly pipeline: PipelineStore;
  readonly topicEnds: TopicEnds;
  readonly topics: readonly string[];
  /** Called with the generation that an answer comes from, before it is sent. */
  readonly told: (generation: number) => void;
}

export function pipelineRoutes(
  app: FastifyInstance,
  { pipeline, topicEnds, topics, told }: PipelineRoutesOptions,
): void {
  app.get('/v1/pipeline', { schema }, async (_request, reply) => {
    // Ends first: what is caught up with them has seen all that was there when the question was asked.
    const ends = await topicEnds();
    const state = await pipeline.read(topics);
    told(state.generation);
    return reply.header('cache-control', 'no-cache').send(describe(state, ends, topics));
  });
}

export function describe(state: PipelineState, ends: readonly PartitionEnd[] | null, topics: readonly string[]) {
  const silver = `silver_${state.generation}`;
  const bronzeSink = serviceOf('bronze', state.positions, ends);
  const silverJoiner = serviceOf(silver, state.positions, ends);
  const lags = [bronzeSink.lag_records, silverJoiner.lag_records, state.goldLagChanges];
  return {
    generation: state.generation,
    as_of: state.asOf,
    watermarks: state.watermarks,
    caught_up: lags.includes(null) ? null : lags.every((lag) => lag === 0),
    services: {
      'bronze-sink': bronzeSink,
      'silver-joiner': silverJoiner,
      'gold-aggregator': { lag_changes: state.goldLagChanges },
    },
    change_stream: state.untoldChanges === null ? null : { untold_changes: state.untoldChanges },
    outcomes: Object.fromEntries(
      topics.map((topic) => [
        topic,
        outcomesOf(state.positions.filter((one) => one.pipeline === silver && one.topic === topic)),
      ]),
    ),
    verification: state.verification,
    retention: state.retention,
  };
}

function serviceOf(pipeline: string, positions: readonly StoredOutcomes[], ends: readonly PartitionEnd[] | null) {
  const lags = ends === null ? [] : lagOf(pipeline, positions, ends);
  const times = positions.filter((one) => one.pipeline === pipeline).map((one) => one.updatedAt);
  return {
    lag_records: ends === null ? null : lags.reduce((sum, one) => sum + one.lagRecords, 0),
    lag_by_topic: Object.fromEntries(lags.map((one) => [one.topic, one.lagRecords])),
    last_progress_at: times.length === 0 ? null : isoInstant(Math.max(...times)),
  };
}

function outcomesOf(positions: readonly StoredOutcomes[]) {
  const sum = (name: 'records' | (typeof outcomeNames)[number]) =>
    positions.reduce((total, one) => total + one[name], 0);
  return { records: sum('records'), ...Object.fromEntries(outcomeNames.map((name) => [name, sum(name)])) };
}
