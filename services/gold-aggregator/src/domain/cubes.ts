/** A row of silver, by column name; columns that no cube names do not matter. */
export type Fact = Readonly<Record<string, unknown>>;

export type FactKind = 'call' | 'journey' | 'member';

/** What one fact adds to a cube: one cell, and an integer per measure. */
export interface Contribution {
  readonly key: readonly (string | number)[];
  readonly amounts: readonly number[];
}

export interface Column {
  readonly name: string;
  /** SQL type, for array parameters. */
  readonly type: 'date' | 'smallint' | 'text';
}

export interface Cube {
  readonly table: string;
  readonly kind: FactKind;
  readonly key: readonly Column[];
  readonly measures: readonly string[];
  /** null: the fact is not counted here. */
  readonly contribution: (fact: Fact) => Contribution | null;
}

/** A fact of the change log that cannot be counted: silver and gold do not speak of the same thing any more. */
export class UnusableFactError extends Error {
  constructor(field: string, wanted: string) {
    super(`a fact of the change log has no usable ${field} (${wanted})`);
    this.name = 'UnusableFactError';
  }
}

/** Code points; a key must fit a page of an index whatever a producer sends. */
const KEY_CHARACTERS_MAX = 200;

function text(fact: Fact, field: string): string {
  const value = fact[field];
  if (typeof value !== 'string') throw new UnusableFactError(field, 'text');
  return value;
}

/** '' for null: a key cannot be null. */
function dimension(fact: Fact, field: string): string {
  const value = fact[field];
  if (value === null) return '';
  if (typeof value !== 'string') throw new UnusableFactError(field, 'text or null');
  return value;
}

function shortened(fact: Fact, field: string): string {
  const value = dimension(fact, field);
  return value.length <= KEY_CHARACTERS_MAX ? value : Array.from(value).slice(0, KEY_CHARACTERS_MAX).join('');
}

function integer(fact: Fact, field: string): number {
  const value = fact[field];
  if (!Number.isSafeInteger(value)) throw new UnusableFactError(field, 'integer');
  return value as number;
}

function optional(fact: Fact, field: string): number | null {
  return fact[field] === null ? null : integer(fact, field);
}

function flag(fact: Fact, field: string): 0 | 1 {
  const value = fact[field];
  if (typeof value !== 'boolean') throw new UnusableFactError(field, 'boolean');
  return value ? 1 : 0;
}

const day: readonly Column[] = [
  { name: 'local_date', type: 'date' },
  { name: 'local_hour', type: 'smallint' },
];

const texts = (...names: readonly string[]): Column[] => names.map((name) => ({ name, type: 'text' }));

const who = ['member_category', 'language_preference', 'device_type', 'error_code'] as const;

const whoOf = (fact: Fact): string[] => [
  text(fact, 'member_category'),
  dimension(fact, 'language_preference'),
  dimension(fact, 'device_type'),
  shortened(fact, 'error_code'),
];

const callCube: Cube = {
  table: 'call_cube',
  kind: 'call',
  key: [...day, ...texts('attribution', 'leakage_type', ...who)],
  measures: [
    'calls',
    'repeat_calls',
    'primary_calls',
    'assisted_calls',
    'sentiment_sum_e4',
    'sentiment_calls',
    'handle_time_sum',
    'handle_time_calls',
    'time_to_call_sum_ms',
  ],
  contribution: (fact) => {
    const sentiment = optional(fact, 'sentiment_e4');
    const handleTime = optional(fact, 'handle_time_seconds');
    return {
      key: [
        text(fact, 'local_date'),
        integer(fact, 'local_hour'),
        text(fact, 'attribution'),
        dimension(fact, 'leakage_type'),
        ...whoOf(fact),
      ],
      amounts: [
        1,
        flag(fact, 'is_repeat_call'),
        flag(fact, 'is_primary'),
        flag(fact, 'assisted_completion'),
        sentiment ?? 0,
        sentiment === null ? 0 : 1,
        handleTime ?? 0,
        handleTime === null ? 0 : 1,
        optional(fact, 'time_to_call_ms') ?? 0,
      ],
    };
  },
};

const journeyCube: Cube = {
  table: 'journey_cube',
  kind: 'journey',
  key: [...day, ...texts('journey_type', 'outcome', ...who)],
  measures: ['journeys', 'failed_journeys', 'leaked_journeys', 'leakage_calls'],
  contribution: (fact) => {
    const outcome = text(fact, 'outcome');
    const leaked = flag(fact, 'leaked');
    return {
      key: [text(fact, 'local_date'), integer(fact, 'local_hour'), text(fact, 'journey_type'), outcome, ...whoOf(fact)],
      // A completed journey that a call was charged to failed before it was completed.
      amounts: [1, outcome !== 'completed' || leaked === 1 ? 1 : 0, leaked, integer(fact, 'leakage_calls')],
    };
  },
};

const memberCube: Cube = {
  table: 'member_cube',
  kind: 'member',
  key: texts('member_category', 'language_preference'),
  measures: ['members'],
  contribution: (fact) => ({
    key: [text(fact, 'member_category'), text(fact, 'language_preference')],
    amounts: [1],
  }),
};

const errorMessageCube: Cube = {
  table: 'error_message_cube',
  kind: 'call',
  key: texts('leakage_type', 'error_code', 'error_message'),
  measures: ['calls'],
  contribution: (fact) => {
    const [code, message] = [shortened(fact, 'error_code'), shortened(fact, 'error_message')];
    if (fact.attribution !== 'leakage' || code === '' || message === '') return null;
    return { key: [text(fact, 'leakage_type'), code, message], amounts: [1] };
  },
};

/** In the order in which a fold writes them. */
export const cubes: readonly Cube[] = [callCube, journeyCube, memberCube, errorMessageCube];
