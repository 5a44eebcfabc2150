import { resolve } from 'node:path';
import { type Environment, readEnvironment } from './environment.ts';

/** One environment variable: its type, default and sentence, declared once and used for loading, help and documents. */
export interface Setting<T> {
  readonly env: string;
  readonly help: string;
  /** What a value must look like, for people: "integer from 0 to 65535". */
  readonly kind: string;
  readonly required: boolean;
  readonly secret: boolean;
  /** The default as it would be written in the environment; undefined when there is none. */
  readonly defaultText: string | undefined;
  readonly fallback: T;
  readonly parse: (text: string) => Parsed<T>;
}

type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly problem: string };

/** The settings of a program by field name: `{ apiPort: setting.integer({ env: 'API_PORT', ... }) }`. */
export type Spec<S> = { readonly [K in keyof S]: Setting<S[K]> };

/** The object that `loadSettings` gives for a spec: `type Settings = SettingsOf<typeof spec>`. */
export type SettingsOf<P> = { readonly [K in keyof P]: P[K] extends Setting<infer T> ? T : never };

/** Everything that is wrong with the environment, in one error. The message never holds the value of a secret. */
export class SettingsError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(
      `${problems.length === 1 ? 'a setting is' : `${problems.length} settings are`} wrong: ${problems.join('; ')}`,
    );
    this.name = 'SettingsError';
    this.problems = problems;
  }
}

interface Named {
  readonly env: string;
  readonly help: string;
  readonly secret?: boolean;
}
type Given<T> = Named &
  ({ readonly default: T; readonly required?: never } | { readonly required: true; readonly default?: never });
type Absent = Named & { readonly default?: never; readonly required?: false };

interface Declare<T, Limits> {
  (options: Given<T> & Limits): Setting<T>;
  (options: Absent & Limits): Setting<T | undefined>;
}

interface Reader<T> {
  readonly kind: string;
  readonly parse: (text: string) => Parsed<T>;
  readonly write?: (value: T) => string;
}

/** Names of variables must be usable in a shell and in compose. */
const envName = /^[A-Z][A-Z0-9_]*$/;

function declare<T, Limits>(reader: (limits: Limits) => Reader<T>): Declare<T, Limits> {
  const read = (options: (Given<T> | Absent) & Limits) => build<T>(options, reader(options));
  // The overloads say what `build` does: undefined is possible only where there is neither default nor `required`.
  return read as Declare<T, Limits>;
}

function build<T>(options: Given<T> | Absent, { kind, parse, write = String }: Reader<T>): Setting<T | undefined> {
  if (!envName.test(options.env)) throw new Error(`${options.env} is not a usable name of an environment variable`);
  return {
    env: options.env,
    help: options.help,
    kind,
    required: options.required === true,
    secret: options.secret === true,
    defaultText: options.default === undefined ? undefined : write(options.default),
    fallback: options.default,
    parse,
  };
}

const ok = <T>(value: T): Parsed<T> => ({ ok: true, value });
const bad = (problem: string): { ok: false; problem: string } => ({ ok: false, problem });

interface TextLimits {
  readonly pattern?: RegExp;
  /** For what a pattern cannot say. */
  readonly valid?: (text: string) => boolean;
  /** What `pattern` and `valid` demand, for people. */
  readonly kind?: string;
}
interface NumberLimits {
  readonly min?: number;
  readonly max?: number;
}

function fits(text: string, { pattern, valid }: TextLimits): boolean {
  return (pattern === undefined || pattern.test(text)) && (valid === undefined || valid(text));
}

function rangeText(limits: NumberLimits): string {
  if (limits.min !== undefined && limits.max !== undefined) return ` from ${limits.min} to ${limits.max}`;
  if (limits.min !== undefined) return ` of at least ${limits.min}`;
  if (limits.max !== undefined) return ` of at most ${limits.max}`;
  return '';
}

function inRange(value: number, kind: string, { min = -Infinity, max = Infinity }: NumberLimits): Parsed<number> {
  return value >= min && value <= max ? ok(value) : bad(`must be ${kind}`);
}

const string = declare<string, TextLimits>((limits) => {
  const kind = limits.kind ?? 'text';
  return { kind, parse: (text) => (fits(text, limits) ? ok(text) : bad(`must be ${kind}`)) };
});

const integer = declare<number, NumberLimits>((limits) => {
  const kind = `an integer${rangeText(limits)}`;
  return {
    kind,
    parse: (text) => {
      const value = Number(text);
      return /^[+-]?\d+$/.test(text) && Number.isSafeInteger(value)
        ? inRange(value, kind, limits)
        : bad(`must be ${kind}`);
    },
  };
});

const decimal = declare<number, NumberLimits & { readonly fractionDigits?: number }>((limits) => {
  const digits = limits.fractionDigits === undefined ? '' : ` with at most ${limits.fractionDigits} decimals`;
  const kind = `a number${rangeText(limits)}${digits}`;
  return {
    kind,
    parse: (text) => {
      const match = /^[+-]?\d+(?:\.(\d+))?$/.exec(text);
      const tooFine = (match?.[1]?.length ?? 0) > (limits.fractionDigits ?? Infinity);
      return match === null || tooFine ? bad(`must be ${kind}`) : inRange(Number(text), kind, limits);
    },
  };
});

const boolean = declare<boolean, unknown>(() => ({
  kind: 'true or false',
  parse: (text) => {
    if (/^(true|1|yes|on)$/i.test(text)) return ok(true);
    return /^(false|0|no|off)$/i.test(text) ? ok(false) : bad('must be true or false');
  },
}));

const list = declare<readonly string[], TextLimits>((limits) => {
  const kind = limits.kind ?? 'a list, separated by commas';
  return {
    kind,
    write: (values) => values.join(','),
    parse: (text) => {
      const items = text.split(',').map((item) => item.trim());
      return items.every((item) => item !== '' && fits(item, limits)) ? ok(items) : bad(`must be ${kind}`);
    },
  };
});

const url = declare<string, { readonly protocols: readonly string[] }>(({ protocols }) => {
  const kind = `a URL (${protocols.map((protocol) => `${protocol}://...`).join(' or ')})`;
  return {
    kind,
    parse: (text) => {
      const parsed = URL.canParse(text) ? new URL(text) : null;
      return parsed !== null && protocols.includes(parsed.protocol.slice(0, -1)) ? ok(text) : bad(`must be ${kind}`);
    },
  };
});

/** A path is made absolute at once: it goes on to processes that work in another folder. */
const file = declare<string, unknown>(() => ({
  kind: 'the path of a file',
  parse: (text) => ok(resolve(text)),
}));

function choice<const V extends string>(values: readonly V[], options: Given<NoInfer<V>>): Setting<V>;
function choice<const V extends string>(values: readonly V[], options: Absent): Setting<V | undefined>;
function choice<const V extends string>(values: readonly V[], options: Given<V> | Absent): Setting<V | undefined> {
  const kind = `one of ${values.join(', ')}`;
  const parse = (text: string): Parsed<V> => {
    const found = values.find((value) => value === text.toLowerCase());
    return found === undefined ? bad(`must be ${kind}`) : ok(found);
  };
  return build<V>(options, { kind, parse });
}

/** The kinds of settings. Without `default` and `required: true` a setting may be undefined. */
export const setting = { string, integer, decimal, boolean, choice, url, list, file };

/** The same variable where a program can do without it. */
export function optional<T>(one: Setting<T>): Setting<T | undefined> {
  return { ...one, required: false, defaultText: undefined, fallback: undefined };
}

/**
 * Reads every setting of a spec. Without `env`: the process's environment, completed from the local stack's file.
 * An empty variable counts as not set. Throws one SettingsError that lists all problems.
 */
export function loadSettings<S>(spec: Spec<S>, env: Environment = readEnvironment()): S {
  const problems: string[] = [];
  const settings: Partial<S> = {};
  for (const key of keysOf(spec)) {
    const one = spec[key];
    const text = textOf(one, env);
    if (text === undefined) {
      if (one.required) problems.push(`${one.env} is not set (${one.help})`);
      settings[key] = one.fallback;
      continue;
    }
    const parsed = one.parse(text);
    if (parsed.ok) settings[key] = parsed.value;
    else problems.push(`${one.env} ${parsed.problem}${shown(one, text)}`);
  }
  if (problems.length > 0) throw new SettingsError(problems);
  return settings as S;
}

/** Names of the variables of a spec that somebody set: what tells a wish from a default. */
export function settingsSet<S>(spec: Spec<S>, env: Environment = readEnvironment()): Set<string> {
  const names = keysOf(spec).flatMap((key) => (textOf(spec[key], env) === undefined ? [] : [spec[key].env]));
  return new Set(names);
}

export interface SettingRow {
  readonly env: string;
  readonly kind: string;
  readonly default: string;
  readonly help: string;
}

/** One row per variable, in the order of the spec: for `--help` and for generated documents. */
export function settingRows<S>(spec: Spec<S>): SettingRow[] {
  return keysOf(spec).map((key) => {
    const { env, kind, defaultText, required, help } = spec[key];
    return { env, kind, default: required ? 'required' : (defaultText ?? 'not set'), help };
  });
}

/** The settings as lines of text, two per variable. */
export function settingsHelp<S>(spec: Spec<S>): string {
  return settingRows(spec)
    .map(
      (row) =>
        `  ${row.env}  (${row.kind}; ${row.default === 'required' ? row.default : `default: ${row.default}`})\n      ${row.help}`,
    )
    .join('\n');
}

/** What `loadSettings` would read to give these settings again; those that are at their default are left out. */
export function settingsText<S>(spec: Spec<S>, settings: NoInfer<S>): Record<string, string> {
  const texts = keysOf(spec).map((key): [string, string | undefined] => {
    const { env, defaultText } = spec[key];
    const value = settings[key];
    const text = value === undefined ? undefined : Array.isArray(value) ? value.join(',') : String(value);
    return [env, text === defaultText ? undefined : text];
  });
  return Object.fromEntries(texts.filter((pair): pair is [string, string] => pair[1] !== undefined));
}

/** A URL that may be shown: without the password. */
export function withoutPassword(text: string): string {
  if (!URL.canParse(text)) return '(not a URL)';
  const parsed = new URL(text);
  if (parsed.password !== '') parsed.password = '***';
  for (const name of parsed.searchParams.keys())
    if (/pass|secret|token/i.test(name)) parsed.searchParams.set(name, '***');
  return parsed.toString();
}

function keysOf<S>(spec: Spec<S>): (keyof S)[] {
  return Object.keys(spec) as (keyof S)[];
}

function textOf<T>(one: Setting<T>, env: Environment): string | undefined {
  const text = env[one.env]?.trim();
  return text === '' ? undefined : text;
}

// A URL may hold a password even where nobody marked it secret.
function shown<T>(one: Setting<T>, text: string): string {
  return one.secret || text.includes('://') ? '' : `, not ${JSON.stringify(text)}`;
}
