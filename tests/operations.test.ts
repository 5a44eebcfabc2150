// The limits in docs/operations.md are those of the code: each row names a file, something in it, and the value that it has there.

import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commonSettings, settingRows } from '@leakage/runtime';
import { expect, test } from 'vitest';
import { passwordSettings } from '../cli/src/init/passwords.ts';
import { consumerLimits } from '../libs/kafka/src/limits.ts';
import * as api from '../services/api/src/config.ts';
import * as bronze from '../services/bronze-sink/src/config.ts';
import * as generator from '../services/generator/src/config.ts';
import * as gold from '../services/gold-aggregator/src/config.ts';
import * as silver from '../services/silver-joiner/src/config.ts';

const project = join(import.meta.dirname, '..');
const text = readFileSync(join(project, 'docs/operations.md'), 'utf8');

interface Row {
  readonly what: string;
  readonly bound: string;
  readonly name: string;
  readonly file: string;
}

/** Rows of the form | what | bound | `name` | `file` | then |. */
const rows: readonly Row[] = [...text.matchAll(/^\|([^|]+)\|([^|]+)\| `([^`]+)` \| `([^`]+)` \|[^|]+\|$/gm)].map(
  ([, what = '', bound = '', name = '', file = '']) => ({ what: what.trim(), bound: bound.trim(), name, file }),
);

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  min: 60_000,
  h: 3_600_000,
  KiB: 1_024,
  MiB: 1_024 ** 2,
};

const declaredSettings = new Map(
  [
    ...settingRows(commonSettings({ metricsPort: 0 })),
    ...settingRows(generator.settings),
    ...settingRows(bronze.settings),
    ...settingRows(silver.settings),
    ...settingRows(gold.settings),
    ...settingRows(api.settings),
    ...settingRows(passwordSettings),
  ].map((row) => [row.env, row]),
);

/** "16 MiB" in bytes, "5 s" in milliseconds, "10,000 records" as it is; with the range of a setting behind it. */
function stated(bound: string): { value: number; range: readonly number[] | null } {
  const [, number = '', unit = '', low, high] =
    /^([\d,]+) ([A-Za-z]+)[a-z ]*(?: \(([\d,]+) to ([\d,]+)\))?$/.exec(bound) ?? [];
  if (number === '') throw new Error(`"${bound}" is not a number with its unit`);
  const plain = (digits: string) => Number(digits.replaceAll(',', ''));
  const range = low === undefined || high === undefined ? null : [plain(low), plain(high)];
  return { value: plain(number) * (units[unit] ?? 1), range };
}

/** "10_000", "16 * 1024 * 1024". */
function evaluated(expression: string): number {
  return expression.split('*').reduce((product, factor) => product * Number(factor.replaceAll('_', '').trim()), 1);
}

/** The numbers that stand behind a name, however it is given its value; `a.b` is the first b behind a. */
function valuesOf(name: string, code: string): number[] {
  const path = name.split('.');
  const [last = '', within] = path.toReversed();
  const begin = within === undefined ? 0 : code.search(new RegExp(`\\b${within}\\b[^;\\n]{0,200}[:=({]`));
  if (begin < 0) return [];
  const given = new RegExp(
    `\\b${last}\\b["']?\\s*(?::|=|,|\\?\\?)\\s*["']?(\\d[\\d_]*(?:\\s*\\*\\s*\\d[\\d_]*)*)`,
    'g',
  );
  const found = [...code.slice(begin).matchAll(given)].map(([, value = '']) => evaluated(value));
  return within === undefined ? found : found.slice(0, 1);
}

test('there are limits in the document, and none twice', () => {
  expect(rows.length).toBeGreaterThan(100);
  const places = rows.map(({ name, file }) => `${name} in ${file}`);
  expect(places.filter((place, at) => places.indexOf(place) !== at)).toEqual([]);
});

const settings = rows.filter(({ name }) => declaredSettings.has(name));
const constants = rows.filter(({ name }) => !declaredSettings.has(name));

test.each(settings)('$name is $bound', ({ name, bound, file }) => {
  const { value, range } = stated(bound);
  expect(declaredSettings.get(name)).toMatchObject({ default: String(value) });
  const [, min, max] =
    new RegExp(`env: '${name}',\\s*default: [\\d_]+,\\s*min: ([\\d_]+),\\s*max: ([\\d_]+),`).exec(
      readFileSync(join(project, file), 'utf8'),
    ) ?? [];
  expect([evaluated(min ?? ''), evaluated(max ?? '')]).toEqual(range);
});

test.each(constants)('$file: $name is $bound', ({ name, bound, file }) => {
  expect(existsSync(join(project, file)), `${file} exists`).toBe(true);
  const values = new Set(valuesOf(name, readFileSync(join(project, file), 'utf8')));
  expect([...values]).toEqual([stated(bound).value]);
});

/** Not how much there may be, but what a value may be. */
const ranges = new Set(['INT_MAX', 'HANDLE_TIME_MAX']);

test('a constant whose name ends in Max is in the tables', () => {
  const sources = globSync('{libs,services,cli}/**/*.ts', { cwd: project, exclude: ['**/node_modules/**'] });
  const files = sources.filter((file) => !/\.test\.ts$|\/testing\//.test(file));
  const found = files.flatMap((file) =>
    [...readFileSync(join(project, file), 'utf8').matchAll(/^(?:export )?const (\w+(?:_MAX|Max))\b[^=\n]*= \d/gm)].map(
      ([, name = '']) => ({ name, file }),
    ),
  );
  expect(found.length).toBeGreaterThan(20);
  const told = (at: { name: string; file: string }) =>
    rows.some(({ name, file }) => name === at.name && file === at.file);
  expect(found.filter((at) => !ranges.has(at.name) && !told(at))).toEqual([]);
});

test('every limit of a consumer is told', () => {
  const told = constants.filter(({ file }) => file === 'libs/kafka/src/limits.ts').map(({ name }) => name);
  expect(told.toSorted()).toEqual(Object.keys(consumerLimits).toSorted());
});

test('a name in capitals that is no constant of the file is a setting that exists', () => {
  const named = [...text.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`/g)].map(([, name = '']) => name);
  const known = new Set([...declaredSettings.keys(), ...constants.map(({ name }) => name)]);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});
