import { contracts, type Source } from '@leakage/schemas';
import { LocalTime } from '../import/local-time.ts';
import type { Fix, Step } from './fix.ts';

/** A record's fields by name, as its producer sent them. */
export type Fields = Readonly<Record<string, unknown>>;

/** The fields after a fix, or why it does not fit this record. */
export type Fixed = { readonly ok: true; readonly fields: Fields } | { readonly ok: false; readonly problem: string };

/**
 * Makes the steps of a fix on the fields of records, one record at a time. Pure, but for what it remembers of time zones. What
 * a step does not concern, it leaves as it is: whether the outcome is a record, silver's rules say.
 */
export function stepsOfFix({ source, steps }: Pick<Fix, 'source' | 'steps'>): (fields: Fields) => Fixed {
  const whole = wholeFields(source);
  const zones = new Map(
    steps.flatMap((step) => (step.kind === 'localTime' ? [[step.timeZone, new LocalTime(step.timeZone)]] : [])),
  );
  return (sent) => {
    const fields = structuredClone(sent) as Record<string, unknown>;
    for (const step of steps) {
      const problem = make(step, fields, { whole, zones });
      if (problem !== null) return { ok: false, problem };
    }
    return { ok: true, fields };
  };
}

interface Knowledge {
  /** Fields that hold whole numbers, instants among them. */
  readonly whole: ReadonlySet<string>;
  readonly zones: ReadonlyMap<string, LocalTime>;
}

function wholeFields(source: Source): Set<string> {
  const { fields } = contracts[source];
  return new Set(fields.filter(({ kind }) => kind === 'instant' || kind === 'int').map(({ name }) => name));
}

/** Changes `fields`; a text: why the step would lose or invent something. */
function make(step: Step, fields: Record<string, unknown>, known: Knowledge): string | null {
  if (step.kind === 'rename') return rename(step, fields);
  const value = fields[step.field];
  switch (step.kind) {
    case 'set':
      fields[step.field] = step.value;
      break;
    case 'default':
      if (value === undefined || value === null) fields[step.field] = step.value;
      break;
    case 'replace':
      if (typeof value === 'string') fields[step.field] = value.replaceAll(step.from, () => step.to);
      break;
    case 'map': {
      const mapped = isScalar(value) ? step.values.get(String(value)) : undefined;
      if (mapped !== undefined) fields[step.field] = mapped;
      break;
    }
    case 'scale':
      if (typeof value === 'number') {
        const scaled = value * step.factor;
        fields[step.field] = known.whole.has(step.field) ? Math.round(scaled) : scaled;
      }
      break;
    case 'toNumber':
      if (typeof value === 'string' && /^\s*[+-]?\d+(?:\.\d+)?\s*$/.test(value)) fields[step.field] = Number(value);
      break;
    case 'toText':
      if (isScalar(value)) fields[step.field] = String(value);
      break;
    case 'localTime': {
      const instant = typeof value === 'string' ? known.zones.get(step.timeZone)?.parse(value.trim()) : null;
      if (instant !== null && instant !== undefined) fields[step.field] = instant;
      break;
    }
  }
  return null;
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

/** `from` may lead into objects: "member_id.id". */
function rename({ from, to }: { from: string; to: string }, fields: Record<string, unknown>): string | null {
  const path = Object.hasOwn(fields, from) ? [from] : from.split('.');
  const name = path.at(-1) ?? from;
  let holder: unknown = fields;
  for (const part of path.slice(0, -1)) holder = isObject(holder) && Object.hasOwn(holder, part) ? holder[part] : null;
  if (!isObject(holder) || !Object.hasOwn(holder, name)) return null;
  const value = holder[name];
  const there = fields[to];
  // An object that holds the value itself is what it takes the place of.
  const isHolder = path.length > 1 && path[0] === to;
  if (there !== undefined && there !== null && !isHolder && from !== to) return `rename:${to}`;
  delete holder[name];
  fields[to] = value;
  return null;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
