import { isUtf8 } from 'node:buffer';
import { daysOfDate, isInstantInRange, parseInstant } from './instants.ts';
import type { Field, Shape } from './shape.ts';

export type JsonResult =
  | { ok: true; event: Record<string, unknown>; unknownFields: number; emptied: readonly string[] }
  | { ok: false; error: string; event: Record<string, unknown> | null };

/** A wrong value of these is emptied with a warning: the rest of the call still counts. */
const LENIENT: ReadonlySet<string> = new Set(['sentiment_score', 'handle_time_seconds']);

const INT_MIN = -(2 ** 31);
const INT_MAX = 2 ** 31 - 1;

/**
 * Plain JSON with the names of the fields. Instants are ISO 8601 with an offset or integral epoch milliseconds, dates
 * 'YYYY-MM-DD', ints integral and of 32 bits, null is absent; of two equal keys the last counts, unknown ones are counted.
 * Strings must be UTF-8 and well-formed in the known fields; in what is unknown nothing is looked at.
 */
export function decodeJson(shape: Shape, value: Buffer): JsonResult {
  let parsed: Record<string, unknown>;
  try {
    // The first byte is a brace, so whatever parses is an object.
    parsed = JSON.parse(textOf(value)) as Record<string, unknown>;
  } catch {
    return { ok: false, error: 'json', event: null };
  }
  const event: Record<string, unknown> = {};
  const emptied: string[] = [];
  let problem: string | null = null;
  let known = 0;
  for (const field of shape.fields) {
    event[field.name] = field.fallback;
    if (!Object.hasOwn(parsed, field.name)) continue;
    known += 1;
    const raw = parsed[field.name];
    if (raw === null) continue;
    const read = readField(field, raw);
    if (read.error === null) event[field.name] = read.value;
    else if (LENIENT.has(field.name)) emptied.push(field.name);
    else problem ??= read.error;
  }
  if (problem !== null) return { ok: false, error: problem, event };
  return { ok: true, event, unknownFields: Object.keys(parsed).length - known, emptied };
}

/** All fields as they were sent; null for what is no JSON or not UTF-8. The first byte is a brace. */
export function jsonAsSent(value: Buffer): Record<string, unknown> | null {
  if (!isUtf8(value)) return null;
  try {
    return JSON.parse(value.toString('utf8')) as Record<string, unknown>;
  } catch {
    return null; // not JSON: JSON.parse has no other error
  }
}

/** Compact JSON: absent for null, instants as ISO 8601 in UTC (as milliseconds outside the years that has). */
export function encodeJson(shape: Shape, event: Record<string, unknown>): Buffer {
  const out: Record<string, unknown> = {};
  for (const field of shape.fields) {
    const value = event[field.name];
    if (value === null || value === undefined) continue;
    const instant = field.kind === 'instant' && isInstantInRange(value as number);
    out[field.name] = instant ? new Date(value as number).toISOString() : value;
  }
  return Buffer.from(JSON.stringify(out));
}

/** A byte that is not UTF-8 becomes two of these: the second stands alone whatever escape is in front of the first. */
const LONE_SURROGATES = '\udfff\udfff';
const REPLACEMENT_BYTES = '\u00ef\u00bf\u00bd';

/** The text of a payload. Where it is not UTF-8 it is not well-formed either, other than by U+FFFD, which may have been sent. */
function textOf(value: Buffer): string {
  if (isUtf8(value)) return value.toString('utf8');
  return value
    .toString('latin1')
    .split(REPLACEMENT_BYTES)
    .map((part) => Buffer.from(part, 'latin1').toString('utf8').replaceAll('\ufffd', LONE_SURROGATES))
    .join('\ufffd');
}

type Read = { error: null; value: unknown } | { error: string };

function readField(field: Field, raw: unknown): Read {
  const wrong = { error: `type:${field.name}` };
  switch (field.kind) {
    case 'string':
      if (typeof raw !== 'string') return wrong;
      if (raw.includes('\0')) return { error: `nul:${field.name}` };
      // A lone surrogate, sent as an escape, has no UTF-8 form: two ids must not become one on the way into a store.
      return raw.isWellFormed() ? { error: null, value: raw } : { error: `utf8:${field.name}` };
    case 'int':
      if (typeof raw !== 'number' || !Number.isInteger(raw) || raw < INT_MIN || raw > INT_MAX) return wrong;
      return { error: null, value: raw | 0 };
    case 'double':
      return typeof raw === 'number' ? { error: null, value: raw } : wrong;
    case 'boolean':
      return typeof raw === 'boolean' ? { error: null, value: raw } : wrong;
    case 'instant': {
      const ms = readInstant(raw);
      if (ms === null) return wrong;
      return isInstantInRange(ms) ? { error: null, value: ms } : { error: `timestamp_range:${field.name}` };
    }
    case 'date':
      return typeof raw === 'string' && daysOfDate(raw) !== null ? { error: null, value: raw } : wrong;
    case 'long':
    case 'record':
      return wrong;
  }
}

function readInstant(raw: unknown): number | null {
  if (typeof raw === 'string') return parseInstant(raw);
  return typeof raw === 'number' && Number.isInteger(raw) ? raw + 0 : null;
}
