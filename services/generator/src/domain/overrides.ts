import { CATEGORIES, type CellOverride, DEFAULT_PARAMETERS, ISSUES, LANGUAGES, type Parameters } from './parameters.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** Issue and cohort of a cell are names; the rest of an override is numbers, or lists as in the issue itself. */
const CELL_NAMES: Readonly<Record<string, readonly string[]>> = {
  issue: ISSUES,
  category: CATEGORIES,
  language: LANGUAGES,
};
const CELL_NUMBERS: readonly (keyof CellOverride)[] = ['failures', 'repeats', 'leakRate', 'handleSeconds', 'sentiment'];
const CELL_LISTS: readonly (keyof CellOverride)[] = ['codes', 'devices', 'resolution', 'reasons'];

/** Where nothing is a value too: the calls are then made by members as there are. */
const NULLABLE = /^(?:idCardSpanish|issues\.\w+\.categories)$/;
const ANY_AMOUNT = [0, 1e9] as const;
const SOME = [0.01, 1e9] as const;
const SHARE = [0, 1] as const;
/** What numbers may be, by the end of their names; the first that fits counts. */
const RANGES: readonly (readonly [RegExp, readonly [number, number]])[] = [
  [/sentiment(?:\.[\w ]+)?$/, [-0.99, 0.99]],
  [/^trends\.(?:billing|id_card|pharmacy)$/, [-0.9, 10]],
  [/^trends\.onset$/, [-365, 0]],
  [/^repeats\.(?:maxDays|depth)$/, [1, 14]],
  [/leakRate$/, [0.01, 1]],
  [/(?:[mM]eanDays|Minutes|sentimentNu|leaksPerDay|agents)$/, SOME],
  [/handleSeconds(?:\.[\w ]+)?$/, SOME],
  [/^members\.(?:commercialNew|otherLanguage|lateProfiles|spanish\.\w+)$/, SHARE],
  [/^journeys\.(?:undecided|twoTypes|login|secondView\.\w+)$/, SHARE],
  [
    /^(?:afterFailure\.\w+|calls\.(?:followOn|beforeFailure)|repeats\.(?:afterFailure|targets\..+)|idCardSpanish)$/,
    SHARE,
  ],
  [/(?:abandonOnly|errorAndAbandon)$/, SHARE],
];
/** What the rest of the world knows these by. */
const FIXED = /^issues\.\w+\.(?:journeyType|letter)$/;

/** The default parameters with what a file says instead; lists are replaced as a whole. Throws a RangeError with all problems. */
export function parametersWith(overrides: unknown): Parameters {
  const problems: string[] = [];
  const merged = merge(DEFAULT_PARAMETERS as unknown as Json, overrides as Json, '', problems);
  if (problems.length === 0) checkWhole(merged as unknown as Parameters, problems);
  if (problems.length > 0) throw new RangeError(problems.join('; '));
  return merged as unknown as Parameters;
}

function merge(base: Json, given: Json, path: string, problems: string[]): Json {
  const wrong = (wanted: string): Json => {
    problems.push(`${path === '' ? 'the file' : path} must be ${wanted}`);
    return base;
  };
  if (path === 'cells')
    return isList(given) ? given.map((cell, i) => cellOf(cell, `cells[${i}]`, problems)) : wrong('a list');
  if (given === null) return NULLABLE.test(path) ? null : wrong('given or left out, not null');
  if (isList(base) || (base === null && path.endsWith('.categories'))) return listOf(base, given, path, problems);
  if (typeof base === 'object' && base !== null) {
    if (typeof given !== 'object' || isList(given)) return wrong('an object');
    const result: Record<string, Json> = { ...base };
    for (const [name, value] of Object.entries(given)) {
      const inner = path === '' ? name : `${path}.${name}`;
      if (Object.hasOwn(base, name))
        result[name] = merge((base as Record<string, Json>)[name] ?? null, value, inner, problems);
      else problems.push(`${inner} is no parameter (there are ${Object.keys(base).join(', ')})`);
    }
    return result;
  }
  if (FIXED.test(path)) return wrong('left as it is');
  if (typeof base === 'string') return typeof given === 'string' && given !== '' ? given : wrong('a text');
  return numberOf(given, path, problems) ?? base;
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

function numberOf(given: Json, path: string, problems: string[]): number | null {
  const [, [low, high]] = RANGES.find(([names]) => names.test(path)) ?? [null, ANY_AMOUNT];
  if (typeof given === 'number' && given >= low && given <= high) return given;
  problems.push(`${path} must be a number from ${low} to ${high}`);
  return null;
}

/** Lists of numbers keep their length; lists of weights hold names and weights that do not add up to nothing. */
function listOf(base: Json, given: Json, path: string, problems: string[]): Json {
  const wrong = (wanted: string): Json => {
    problems.push(`${path} must be ${wanted}`);
    return base;
  };
  if (!isList(given)) return wrong('a list');
  if (isList(base) && typeof base[0] === 'number') {
    const fits = given.length === base.length && given.every((one) => typeof one === 'number' && one >= 0);
    return fits ? given : wrong(`${base.length} numbers`);
  }
  if (path === 'otherCalls.elsewhere') {
    const fits = given.every(
      (one) => typeof one === 'object' && one !== null && !isList(one) && sameKeys(one, ['reason', 'token', 'weight']),
    );
    return fits && given.length > 0 ? given : wrong('a list of { reason, token, weight }');
  }
  const pairs = given.every(
    (one) => isList(one) && one.length === 2 && typeof one[0] === 'string' && typeof one[1] === 'number' && one[1] >= 0,
  );
  const sum = pairs
    ? (given as readonly (readonly [string, number])[]).reduce((all, [, weight]) => all + weight, 0)
    : 0;
  if (!(sum > 0)) return wrong('a list of [name, weight] whose weights are not all 0');
  const names: readonly string[] | null = path.endsWith('categories')
    ? CATEGORIES
    : path.endsWith('topics')
      ? [...ISSUES, 'elsewhere']
      : null;
  const unknown =
    names === null ? [] : (given as readonly (readonly [string, number])[]).filter(([name]) => !names.includes(name));
  return unknown.length === 0
    ? given
    : wrong(`about ${names?.join(', ')}, not ${unknown.map(([name]) => name).join(', ')}`);
}

function sameKeys(value: object, names: readonly string[]): boolean {
  return Object.keys(value).sort().join() === [...names].sort().join();
}

function cellOf(given: Json, path: string, problems: string[]): Json {
  if (typeof given !== 'object' || given === null || isList(given)) {
    problems.push(`${path} must be an object`);
    return {};
  }
  for (const [name, value] of Object.entries(given)) {
    const inner = `${path}.${name}`;
    const names = CELL_NAMES[name];
    if (names !== undefined) {
      if (typeof value !== 'string' || !names.includes(value))
        problems.push(`${inner} must be one of ${names.join(', ')}`);
    } else if (CELL_NUMBERS.some((one) => one === name)) numberOf(value, inner, problems);
    else if (CELL_LISTS.some((one) => one === name)) listOf([], value, inner, problems);
    else
      problems.push(
        `${inner} is no parameter of a cell (there are ${[...Object.keys(CELL_NAMES), ...CELL_NUMBERS, ...CELL_LISTS].join(', ')})`,
      );
  }
  return given;
}

function checkWhole(p: Parameters, problems: string[]): void {
  const near = (sum: number, wanted: number): boolean => Math.abs(sum - wanted) < 0.01 * wanted;
  const sumOf = (list: readonly number[]): number => list.reduce((all, one) => all + one, 0);
  if (!near(sumOf(p.time.weekdays), 7)) problems.push('time.weekdays must have a mean of 1');
  if (!near(sumOf(p.time.hours), 100)) problems.push('time.hours must add up to 100 per cent');
  if (p.members.spanish.new + p.members.otherLanguage > 1 || p.members.spanish.tenured + p.members.otherLanguage > 1)
    problems.push('members.spanish and members.otherLanguage are more than all members');
  for (const issue of ISSUES) {
    const { abandonOnly, errorAndAbandon } = p.issues[issue];
    if (abandonOnly + errorAndAbandon > 1)
      problems.push(`issues.${issue}: abandonOnly and errorAndAbandon are more than all failures`);
  }
  const { unalignedCall, lateAlignedCall, completedLater, curedCall } = p.afterFailure;
  if (curedCall > completedLater) problems.push('afterFailure.curedCall is a part of afterFailure.completedLater');
  const others = unalignedCall + lateAlignedCall + completedLater;
  for (const issue of ISSUES) {
    if (others > 1 - p.issues[issue].leakRate)
      problems.push(`issues.${issue}.leakRate leaves no room for what afterFailure wants`);
  }
}
