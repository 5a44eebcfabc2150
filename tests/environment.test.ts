import { commonSettings, type SettingRow, type Spec, settingRows } from '@leakage/runtime';
import { expect, test } from 'vitest';
import { passwordSettings } from '../cli/src/init/passwords.ts';
import { upOnlySettings } from '../cli/src/up/settings.ts';
import * as api from '../services/api/src/config.ts';
import * as bronze from '../services/bronze-sink/src/config.ts';
import * as generator from '../services/generator/src/config.ts';
import * as gold from '../services/gold-aggregator/src/config.ts';
import * as silver from '../services/silver-joiner/src/config.ts';

interface Declared extends SettingRow {
  readonly usedBy: string;
}

/** Every variable with every service that declares it. */
function declared(): Declared[] {
  const of = <S>(usedBy: string, { settings, metricsPort }: { settings: Spec<S>; metricsPort: number }): Declared[] =>
    [...settingRows(settings), ...settingRows(commonSettings({ metricsPort }))].map((row) => ({ ...row, usedBy }));
  return [
    ...of('generator', generator),
    ...of('bronze-sink', bronze),
    ...of('silver-joiner', silver),
    ...of('gold-aggregator', gold),
    ...of('api', api),
    ...settingRows(passwordSettings).map((row) => ({ ...row, usedBy: 'leakage init' })),
    ...settingRows(upOnlySettings).map((row) => ({ ...row, usedBy: 'leakage up' })),
  ];
}

const perService = 'METRICS_PORT';
/** The generator needs none for files. */
const neededByMost = 'KAFKA_BROKERS';

test('a variable means the same wherever it is used', () => {
  const rows = declared().filter((row) => row.env !== perService);
  for (const { usedBy, ...row } of rows) {
    const others = rows.filter((other) => other.env === row.env).map(({ usedBy: _, ...other }) => other);
    const same = row.env === neededByMost ? { ...row, default: expect.any(String) } : row;
    for (const other of others) expect(other, `${row.env} of ${usedBy}`).toEqual(same);
  }
});

test('docs/environment.md lists every variable of every service, of leakage init and of leakage up (write it with npm run docs)', async () => {
  await expect(document(declared())).toMatchFileSnapshot('../docs/environment.md');
});

function document(rows: readonly Declared[]): string {
  const names = [...new Set(rows.map((row) => row.env))].sort();
  const lines = names.map((name) => {
    const users = rows.filter((row) => row.env === name);
    const [first] = users;
    if (first === undefined) return '';
    const everywhere = users.length === 5;
    const fallback =
      name === perService
        ? users.map((row) => `${row.default} (${row.usedBy})`).join(', ')
        : name === neededByMost
          ? 'required, but not for files of the generator'
          : first.default;
    const usedBy = everywhere ? 'every service' : users.map((row) => row.usedBy).join(', ');
    return `| \`${name}\` | ${first.kind} | ${fallback} | ${first.help} | ${usedBy} |`;
  });
  return [
    '<!-- Written by npm run docs from the settings in the code. -->',
    '# Settings',
    '',
    'Every setting is an environment variable. A variable that is empty counts as not set. What is not set comes from the file',
    '`env` in the data folder (`LEAKAGE_DATA_DIR`, default `.data`), which `leakage up` writes, else from its default. A service',
    'that finds something wrong says everything that is wrong at once and ends with exit code 2; `--help` shows its settings.',
    '',
    '| variable | value | default | meaning | used by |',
    '|---|---|---|---|---|',
    ...lines,
    '',
  ].join('\n');
}
