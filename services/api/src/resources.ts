import { type TSchema, Type } from 'typebox';

/** How a column leaves the database and how it is written in JSON. */
export type ColumnKind = 'text' | 'integer' | 'number' | 'date' | 'instant' | 'boolean' | 'json';

export interface Column {
  readonly name: string;
  readonly kind: ColumnKind;
  readonly help: string;
}

/** A filter of the query string: the column it compares, and how. */
interface Filter {
  readonly column: string;
  readonly operator: '=' | '>=' | '<=';
  readonly help: string;
}

/** One gold table as people read it: its columns, what one may filter by, and the order of its rows. */
export interface Resource {
  readonly table: string;
  readonly title: string;
  readonly help: string;
  readonly columns: readonly Column[];
  readonly filters: Readonly<Record<string, Filter>>;
  readonly order: string;
}

const column = (name: string, kind: ColumnKind, help: string): Column => ({ name, kind, help });

const dimensions = {
  leakageType: column('leakage_type', 'text', 'Type of the failed journey that the call is charged to.'),
  errorCode: column('error_code', 'text', 'Last error code of the journey; null: abandoned without an error.'),
  deviceType: column('device_type', 'text', 'Device of the last failure.'),
};

const envelope: readonly Column[] = [
  column('status', 'text', 'final, provisional, partial, insufficient, suppressed or assumption.'),
  column('as_of', 'instant', 'Event time up to which both sources were heard.'),
  column('processing_timestamp', 'instant', 'When the figures were last folded.'),
];

const counts: readonly Column[] = [
  column('days', 'integer', 'Complete local days that the figures cover.'),
  column('leaked_journeys', 'integer', 'Journeys followed by at least one leakage call.'),
  column('leaked_members', 'integer', 'Distinct members with a leakage call.'),
  column('failed_journeys', 'integer', 'Journeys that ended in an error or were abandoned.'),
  column('decided_journeys', 'integer', 'Journeys that failed or were completed.'),
  column('all_calls', 'integer', 'All calls, leakage or not.'),
  column('repeat_calls', 'integer', 'Leakage calls that repeat an earlier call within seven days.'),
];

const leakageTypeFilter: Filter = { column: 'leakage_type', operator: '=', help: 'Only this leakage type.' };

const daily: readonly Column[] = [
  column('daily_calls', 'number', 'Leakage calls per day.'),
  column('daily_cost', 'number', 'Their cost per day, in dollars.'),
  column('segment', 'text', 'Primary segment: hit beyond its share of members, else Mixed.'),
  column('trend_pct', 'number', 'Last seven days against the seven before, in percent; null below 30 calls.'),
  ...counts,
];

const drilldown: readonly Column[] = [
  dimensions.leakageType,
  column('segment', 'text', 'Member category, or language.'),
  column('daily_calls', 'number', 'Leakage calls per day.'),
  column('daily_cost', 'number', 'Their cost per day, in dollars.'),
  column('repeat_call_pct', 'number', 'Leakage calls that are repeat calls, in percent.'),
  column('avg_sentiment', 'number', 'Mean sentiment of the calls that have one, -1 to 1.'),
  column('calls', 'integer', 'Leakage calls in the period.'),
  column('days', 'integer', 'Complete local days in the period.'),
  column('share_pct', 'number', 'Share of the leakage calls of the type, in percent.'),
  column('member_share_pct', 'number', 'Share of all members, in percent.'),
  column('lift', 'number', 'Leak rate of the segment against the leak rate of all.'),
  column('avg_handle_time_seconds', 'number', 'Mean handle time of the calls that have one.'),
  column('leak_rate_pct', 'number', 'Failed journeys that were followed by a leakage call, in percent.'),
  ...envelope,
];

const drilldownFilters = {
  leakage_type: leakageTypeFilter,
  segment: { column: 'segment', operator: '=', help: 'Only this segment.' },
} as const;

const dateFilters = (name: string) =>
  ({
    from: { column: name, operator: '>=', help: 'First local date.' },
    to: { column: name, operator: '<=', help: 'Last local date.' },
  }) as const;

export const resources: readonly Resource[] = [
  {
    table: 'daily_leakage_summary',
    title: 'What is breaking right now',
    help: 'One row per leakage type: means of the last seven complete local days.',
    columns: [
      dimensions.leakageType,
      column('summary_date', 'date', 'Last complete local day.'),
      ...daily,
      ...envelope,
    ],
    filters: { leakage_type: leakageTypeFilter },
    order: 'daily_calls desc nulls last, leakage_type',
  },
  {
    table: 'daily_leakage_history',
    title: 'How it developed',
    help: 'One row per local date and leakage type, the latest first.',
    columns: [column('local_date', 'date', 'Local date of the calls.'), dimensions.leakageType, ...daily, ...envelope],
    filters: { leakage_type: leakageTypeFilter, ...dateFilters('local_date') },
    order: 'local_date desc, leakage_type',
  },
  {
    table: 'segment_drilldown',
    title: 'Who is hurt',
    help: 'One row per leakage type and member category: the last 28 complete local days.',
    columns: drilldown,
    filters: drilldownFilters,
    order: 'leakage_type, daily_calls desc nulls last, segment',
  },
  {
    table: 'language_drilldown',
    title: 'Who is hurt, by language',
    help: 'One row per leakage type and preferred language: the last 28 complete local days.',
    columns: drilldown,
    filters: drilldownFilters,
    order: 'leakage_type, daily_calls desc nulls last, segment',
  },
  {
    table: 'root_cause_analysis',
    title: 'Why it happens',
    help: 'One row per local date, leakage type, error code and device, the latest first.',
    columns: [
      column('trend_date', 'date', 'Local date.'),
      dimensions.leakageType,
      dimensions.errorCode,
      dimensions.deviceType,
      column('error_message', 'text', 'The text that the error code carried most often.'),
      column('leakage_count', 'integer', 'Leakage calls.'),
      column('leakage_pct', 'number', 'Share of the leakage calls of the type on that day, in percent.'),
      column('failed_journeys', 'integer', 'Journeys that failed this way.'),
      column('leak_rate_pct', 'number', 'Of these, followed by a leakage call, in percent.'),
      ...envelope,
    ],
    filters: {
      leakage_type: leakageTypeFilter,
      error_code: { column: 'error_code', operator: '=', help: 'Only this error code.' },
      device_type: { column: 'device_type', operator: '=', help: 'Only this device.' },
      ...dateFilters('trend_date'),
    },
    order: 'trend_date desc, leakage_type, leakage_count desc, error_code nulls last, device_type nulls last',
  },
  {
    table: 'savings_model',
    title: 'Is it worth fixing',
    help: 'One row per leakage type: what the present level costs in a year, and what fixing a share of it would save.',
    columns: [
      dimensions.leakageType,
      column('avoidable_calls_per_day', 'number', 'Leakage calls per day that could be avoided.'),
      column('cost_per_call', 'number', 'Assumed cost of a call, in dollars.'),
      column('annualized_cost', 'number', 'Cost of a year at the present level, in dollars.'),
      column('fix_rate_10_pct_savings', 'number', 'Saved in a year if 10 % were fixed, in dollars.'),
      column('fix_rate_25_pct_savings', 'number', 'Saved in a year if 25 % were fixed, in dollars.'),
      column('fix_rate_50_pct_savings', 'number', 'Saved in a year if 50 % were fixed, in dollars.'),
      column('estimated_nps_lift', 'number', 'Null: not measured.'),
      ...[
        'avoidable_calls_per_day',
        'annualized_cost',
        'fix_rate_10_pct_savings',
        'fix_rate_25_pct_savings',
        'fix_rate_50_pct_savings',
      ].flatMap((name) => [
        column(`${name}_low`, 'number', 'Lower bound; null until intervals are computed.'),
        column(`${name}_high`, 'number', 'Upper bound; null until intervals are computed.'),
      ]),
      ...envelope,
    ],
    filters: { leakage_type: leakageTypeFilter },
    order: 'annualized_cost desc nulls last, leakage_type',
  },
  {
    table: 'action_recommendations',
    title: 'What teams should do',
    help: 'Ranked actions. Empty until they can be computed from the data.',
    columns: [
      column('action_id', 'text', 'Identity of the action.'),
      dimensions.leakageType,
      column('action_title', 'text', 'What to do.'),
      column('action_description', 'text', 'What it means.'),
      column('owner', 'text', 'Who would do it.'),
      column('estimated_savings_annual', 'number', 'In dollars.'),
      column('estimated_savings_annual_low', 'number', 'Lower bound.'),
      column('estimated_savings_annual_high', 'number', 'Upper bound.'),
      column('effort_estimate', 'text', 'Effort.'),
      column('priority_rank', 'integer', '1 comes first.'),
      column('cx_impact_score', 'number', 'Bad experience avoided, 0 to 10.'),
      column('confidence', 'number', '0.5, 0.8 or 1.'),
      column('evidence', 'json', 'The cells that the action rests on.'),
      ...envelope,
    ],
    filters: { leakage_type: leakageTypeFilter },
    order: 'priority_rank, action_id',
  },
];

/** A member's playback: real records only, no free text. */
export const timelineColumns: readonly Column[] = [
  column('event_sequence', 'integer', 'Place in the member’s history, from 1.'),
  column('event_timestamp', 'instant', 'When it happened.'),
  column('event_type', 'text', 'digital or call.'),
  column('event_description', 'text', 'In words.'),
  column('journey_type', 'text', 'Journey of a digital event.'),
  column('session_id', 'text', 'Session of a digital event.'),
  column('action', 'text', 'login, page_view, error, abandon or complete.'),
  dimensions.deviceType,
  column('error_code', 'text', 'Error code of an error.'),
  column('call_id', 'text', 'Identity of a call.'),
  column('call_reason', 'text', 'Reason of a call.'),
  column('sentiment_score', 'number', 'Sentiment of a call, -1 to 1.'),
  column(
    'is_leakage_link',
    'boolean',
    'Whether this call is leakage, or this event is what a leakage call is charged to.',
  ),
  ...envelope,
];

const jsonTypes: Readonly<Record<ColumnKind, (options: { description: string }) => TSchema>> = {
  text: (options) => Type.String(options),
  integer: (options) => Type.Integer(options),
  number: (options) => Type.Number(options),
  date: (options) => Type.String({ ...options, format: 'date' }),
  instant: (options) => Type.String({ ...options, format: 'date-time' }),
  boolean: (options) => Type.Boolean(options),
  json: (options) => Type.Unknown(options),
};

/** The JSON schema of a row. Any value may be null: what cannot be given is null, never 0. */
export function rowSchema(columns: readonly Column[]): TSchema {
  const properties = columns.map(
    ({ name, kind, help }) => [name, Type.Union([jsonTypes[kind]({ description: help }), Type.Null()])] as const,
  );
  return Type.Object(Object.fromEntries(properties));
}

/** A row of the database as JSON: numeric as a number, instants as ISO 8601. */
export function jsonRow(columns: readonly Column[], row: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(columns.map(({ name, kind }) => [name, jsonValue(kind, row[name])]));
}

function jsonValue(kind: ColumnKind, value: unknown): unknown {
  if (value === null || value === undefined) return null;
  switch (kind) {
    case 'number':
      return Number(value);
    case 'instant':
      return isoInstant(value);
    case 'text':
    case 'integer':
    case 'date':
    case 'boolean':
    case 'json':
      return value;
  }
}

/** Epoch milliseconds as ISO 8601; null for an instant that is not on the calendar (infinity). */
export function isoInstant(value: unknown): string | null {
  return typeof value === 'number' && Number.isFinite(value) ? new Date(value).toISOString() : null;
}
