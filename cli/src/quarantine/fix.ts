import { contracts, SOURCES, type Source } from '@leakage/schemas';

/** What may stand in a field of a fix. */
export type Scalar = string | number | boolean | null;

/** How bytes are to be read that do not say so, or say so wrongly: the record begins behind `skipBytes`. */
export type DecodeAs =
  | { readonly format: 'avro'; readonly schemaId: number; readonly skipBytes: number }
  | { readonly format: 'json'; readonly skipBytes: number };

/** One change of a record's fields. The names of fields are the contract's, but for that which is renamed. */
export type Step =
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'set' | 'default'; readonly field: string; readonly value: Scalar }
  | { readonly kind: 'replace'; readonly field: string; readonly from: string; readonly to: string }
  | { readonly kind: 'map'; readonly field: string; readonly values: ReadonlyMap<string, Scalar> }
  | { readonly kind: 'scale'; readonly field: string; readonly factor: number }
  | { readonly kind: 'toNumber' | 'toText'; readonly field: string }
  | { readonly kind: 'localTime'; readonly field: string; readonly timeZone: string };

/** What is wrong with the records of one source, and how it is put right. */
export interface Fix {
  readonly source: Source;
  readonly decodeAs: DecodeAs | null;
  readonly steps: readonly Step[];
}

/** A fix that cannot be used; each problem begins with the place in the file. */
export class FixError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.name = 'FixError';
    this.problems = problems;
  }
}

/** The header of Confluent's wire format, which serializers for JSON Schema write too. */
const headerBytes = 5;
const skipBytes = { from: 0, to: 1_024 };
/** A fix is written by hand. */
const stepsOfAFix = 100;

type Json = Readonly<Record<string, unknown>>;

/** Collects all that is wrong before it says so. */
class Reading {
  readonly problems: string[] = [];

  wrong(at: string, what: string): null {
    this.problems.push(`${at}: ${what}`);
    return null;
  }

  object(value: unknown, at: string): Json | null {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Json) : this.wrong(at, 'an object is wanted');
  }

  only(object: Json, names: readonly string[], at: string): void {
    for (const name of Object.keys(object)) {
      if (!names.includes(name)) this.wrong(`${at}.${name}`, `is not known; there is ${names.join(', ')}`);
    }
  }
}

/** Reads a fix file. Throws FixError with everything that is wrong with it. */
export function parseFix(text: string): Fix {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new FixError([`it is no JSON: ${error instanceof Error ? error.message : String(error)}`]);
  }
  const reading = new Reading();
  const fix = fixOf(reading, parsed);
  if (fix === null || reading.problems.length > 0) throw new FixError(reading.problems);
  return fix;
}

/** The same fix, the same text: by this a run knows its fix again. */
export function fixText({ source, decodeAs, steps }: Fix): string {
  const plain = steps.map((step) =>
    step.kind === 'map' ? { ...step, values: Object.fromEntries(step.values) } : step,
  );
  return JSON.stringify({ source, decodeAs, steps: plain });
}

function fixOf(reading: Reading, parsed: unknown): Fix | null {
  const file = reading.object(parsed, 'the file');
  if (file === null) return null;
  reading.only(file, ['source', 'decodeAs', 'steps'], 'the file');
  const source = SOURCES.find((one) => one === file.source);
  const decodeAs = file.decodeAs === undefined ? null : decodeAsOf(reading, file.decodeAs);
  if (source === undefined) return reading.wrong('source', `one of ${SOURCES.join(', ')} is wanted`);
  const listed = file.steps ?? [];
  if (!Array.isArray(listed)) return reading.wrong('steps', 'a list is wanted');
  if (listed.length > stepsOfAFix) return reading.wrong('steps', `more than ${stepsOfAFix} of them`);
  const steps = listed.flatMap((step: unknown, nr) => stepsOf(new StepReading(reading, source, `steps[${nr}]`), step));
  return { source, decodeAs, steps };
}

function decodeAsOf(reading: Reading, given: unknown): DecodeAs | null {
  const at = 'decodeAs';
  const decodeAs = reading.object(given, at);
  if (decodeAs === null) return null;
  reading.only(decodeAs, ['schemaId', 'json', 'skipBytes'], at);
  const { schemaId, json, skipBytes: skip = headerBytes } = decodeAs;
  if (!isWhole(skip, skipBytes)) return reading.wrong(`${at}.skipBytes`, 'a whole number from 0 to 1024 is wanted');
  if (json === true && schemaId === undefined) return { format: 'json', skipBytes: skip };
  if (json !== undefined) return reading.wrong(at, 'either "schemaId" or "json": true is wanted');
  if (!isWhole(schemaId, { from: 1, to: 2 ** 31 - 1 })) {
    return reading.wrong(`${at}.schemaId`, 'the id of a schema, a whole number from 1, is wanted');
  }
  return { format: 'avro', schemaId, skipBytes: skip };
}

function isWhole(value: unknown, { from, to }: { from: number; to: number }): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= from && value <= to;
}

const kinds = ['rename', 'set', 'default', 'replace', 'map', 'scale', 'toNumber', 'toText', 'localTime'] as const;
type StepKind = (typeof kinds)[number];

/** One step as it stands in the file, of one source. */
class StepReading {
  readonly #reading: Reading;
  readonly #source: Source;
  readonly at: string;

  constructor(reading: Reading, source: Source, at: string) {
    this.#reading = reading;
    this.#source = source;
    this.at = at;
  }

  within(name: string): StepReading {
    return new StepReading(this.#reading, this.#source, `${this.at}.${name}`);
  }

  wrong(what: string): null {
    return this.#reading.wrong(this.at, what);
  }

  object(value: unknown): Json | null {
    return this.#reading.object(value, this.at);
  }

  /** An object with these names, none of them missing. */
  named<N extends string>(value: unknown, names: readonly N[]): Readonly<Record<N, unknown>> | null {
    const object = this.object(value);
    if (object === null) return null;
    this.#reading.only(object, names, this.at);
    const missing = names.filter((name) => object[name] === undefined);
    return missing.length > 0 ? this.wrong(`${missing.join(', ')} is missing`) : (object as Record<N, unknown>);
  }

  field(name: unknown): string | null {
    const { fields } = contracts[this.#source];
    if (fields.some((field) => field.name === name)) return name as string;
    const all = fields.map((field) => field.name).join(', ');
    return this.wrong(`${JSON.stringify(name)} is no field of ${this.#source}: ${all}`);
  }

  text(value: unknown): string | null {
    return typeof value === 'string' ? value : this.wrong('a text is wanted');
  }

  /** A value that the field can hold, by the contract's own rules for JSON. */
  value(field: string, value: unknown): value is Scalar {
    if (value === null) return true;
    const decoded = contracts[this.#source].decode(Buffer.from(JSON.stringify({ [field]: value })));
    const holds = decoded.ok && decoded.emptied.length === 0;
    if (!holds) this.wrong(`${JSON.stringify(value)} is nothing that ${field} can hold`);
    return holds;
  }
}

function stepsOf(reading: StepReading, given: unknown): Step[] {
  const step = reading.object(given);
  if (step === null) return [];
  const [name, ...others] = Object.keys(step);
  const kind = kinds.find((one) => one === name);
  if (kind === undefined || others.length > 0) {
    reading.wrong(`a step has one of ${kinds.join(', ')}, and only one`);
    return [];
  }
  return stepsOfKind[kind](reading.within(kind), step[kind]);
}

type StepParser = (reading: StepReading, given: unknown) => Step[];

const stepsOfKind: Readonly<Record<StepKind, StepParser>> = {
  rename: (reading, given) =>
    Object.entries(reading.object(given) ?? {}).flatMap(([from, target]): Step[] => {
      const to = reading.within(from).field(target);
      return to === null ? [] : [{ kind: 'rename', from, to }];
    }),
  set: valuesOf('set'),
  default: valuesOf('default'),
  replace: (reading, given) => {
    const found = reading.named(given, ['field', 'from', 'to']);
    if (found === null) return [];
    const field = reading.within('field').field(found.field);
    const from = reading.within('from').text(found.from);
    const to = reading.within('to').text(found.to);
    if (from === '') reading.within('from').wrong('what is to be replaced is empty');
    return field === null || from === null || to === null ? [] : [{ kind: 'replace', field, from, to }];
  },
  map: (reading, given) => {
    const found = reading.named(given, ['field', 'values']);
    const field = found === null ? null : reading.within('field').field(found.field);
    const values = found === null ? null : reading.within('values').object(found.values);
    if (field === null || values === null) return [];
    const kept = Object.entries(values).filter((entry): entry is [string, Scalar] =>
      reading.within('values').within(entry[0]).value(field, entry[1]),
    );
    return [{ kind: 'map', field, values: new Map(kept) }];
  },
  scale: (reading, given) => {
    const found = reading.named(given, ['field', 'factor']);
    if (found === null) return [];
    const field = reading.within('field').field(found.field);
    const { factor } = found;
    if (typeof factor === 'number' && factor !== 0) return field === null ? [] : [{ kind: 'scale', field, factor }];
    reading.within('factor').wrong('a number other than 0 is wanted');
    return [];
  },
  toNumber: fieldsOf('toNumber'),
  toText: fieldsOf('toText'),
  localTime: (reading, given) => {
    const found = reading.named(given, ['field', 'timeZone']);
    if (found === null) return [];
    const field = reading.within('field').field(found.field);
    const timeZone = timeZoneOf(reading.within('timeZone'), found.timeZone);
    return field === null || timeZone === null ? [] : [{ kind: 'localTime', field, timeZone }];
  },
};

function valuesOf(kind: 'set' | 'default'): StepParser {
  return (reading, given) =>
    Object.entries(reading.object(given) ?? {}).flatMap(([name, value]): Step[] => {
      const at = reading.within(name);
      const field = at.field(name);
      return field !== null && at.value(field, value) ? [{ kind, field, value }] : [];
    });
}

function fieldsOf(kind: 'toNumber' | 'toText'): StepParser {
  return (reading, given) => {
    if (!Array.isArray(given)) {
      reading.wrong('a list of fields is wanted');
      return [];
    }
    return given.flatMap((name: unknown): Step[] => {
      const field = reading.field(name);
      return field === null ? [] : [{ kind, field }];
    });
  };
}

function timeZoneOf(reading: StepReading, value: unknown): string | null {
  const timeZone = reading.text(value);
  if (timeZone === null) return null;
  try {
    return new Intl.DateTimeFormat('en', { timeZone }).resolvedOptions().timeZone && timeZone;
  } catch {
    return reading.wrong(`${timeZone} is no time zone: give a name such as America/New_York`);
  }
}
