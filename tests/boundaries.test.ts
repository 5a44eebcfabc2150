import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '..');
const bin = (name: string): string => join(root, 'node_modules/.bin', name);

interface Violation {
  readonly from: string;
  readonly rule: string;
}

interface CruiseResult {
  readonly modules: readonly { readonly source: string; readonly dependencies: readonly unknown[] }[];
  readonly summary: {
    readonly violations: readonly { readonly from: string; readonly rule: { readonly name: string } }[];
  };
}

/** Runs dependency-cruiser with this repository's rules over a folder that looks like it. */
function cruise(folder: string, folders: readonly string[]): CruiseResult {
  const config = join(root, '.dependency-cruiser.cjs');
  const run = spawnSync(bin('depcruise'), [...folders, '--config', config, '-T', 'json'], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  });
  if (run.stdout === '') throw new Error(run.stderr);
  return JSON.parse(run.stdout) as CruiseResult;
}

function plant(folder: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), `${text}\n`);
  }
}

const workspaces: Readonly<Record<string, readonly string[]>> = {
  'libs/diff': [],
  'libs/kafka': ['kafkajs', '@leakage/runtime', '@leakage/schemas'],
  'libs/oracle': [],
  'libs/postgres': ['pg', '@leakage/runtime'],
  'libs/registry': ['@leakage/runtime', '@leakage/schemas'],
  'libs/runtime': [],
  'libs/schemas': [],
  'libs/statistics': [],
  'libs/testing': ['@leakage/cli'],
  'services/api': ['@leakage/postgres'],
  'services/dashboard': [],
  'services/silver-joiner': ['@leakage/schemas', '@leakage/statistics'],
  cli: [],
};

/** A small repository in which everything is allowed. */
function allowed(): Record<string, string> {
  const files: Record<string, string> = { 'package.json': '{"name":"planted","devDependencies":{"vitest":"*"}}' };
  for (const [folder, dependencies] of Object.entries(workspaces)) {
    const name = folder.split('/').at(-1) ?? folder;
    const exported = folder === 'cli' ? './local/index.ts' : './src/index.ts';
    const key = folder === 'cli' ? './local' : '.';
    const manifest = {
      name: `@leakage/${name}`,
      type: 'module',
      exports: { [key]: exported },
      dependencies: Object.fromEntries(dependencies.map((dependency) => [dependency, '*'])),
    };
    files[`${folder}/package.json`] = JSON.stringify(manifest);
    files[`${folder}/${exported.slice(2)}`] = 'export const value = 1;\nexport type Shape = { a: number };';
  }
  for (const name of ['kafkajs', 'pg', 'leftpad']) {
    files[`node_modules/${name}/package.json`] = JSON.stringify({ name, main: 'index.js' });
    files[`node_modules/${name}/index.js`] = 'module.exports = {};';
  }
  return {
    ...files,
    'libs/kafka/src/client.ts':
      "import 'kafkajs';\nimport '@leakage/runtime';\nimport type { Shape } from '@leakage/schemas';\nexport type A = Shape;",
    'libs/postgres/src/pool.ts': "import 'pg';\nimport '@leakage/runtime';\nimport 'node:net';",
    'libs/registry/src/readers.ts':
      "import '@leakage/runtime';\nimport { value } from '@leakage/schemas';\nexport const a = value;",
    'libs/testing/src/stack.ts': "import '@leakage/cli/local';\nimport '@leakage/kafka';\nimport 'pg';",
    'services/api/src/main.ts': "import '@leakage/postgres';\nimport './domain/rule.ts';\nimport 'node:fs';",
    'services/silver-joiner/src/domain/rule.ts':
      "import type { Shape } from '@leakage/schemas';\nimport { value } from '@leakage/statistics';\nimport './other.ts';\nexport const rule = (shape: Shape): number => shape.a + value;",
    'services/silver-joiner/src/domain/other.ts': 'export const other = 1;',
    'services/silver-joiner/src/domain/rule.test.ts':
      "import './rule.ts';\nimport 'node:fs';\nimport '@leakage/testing';",
    'services/api/src/domain/rule.ts': 'export const rule = 1;',
    'tests/whole.e2e.test.ts':
      "import '@leakage/testing';\nimport 'kafkajs';\nimport '../services/api/src/domain/rule.ts';",
  };
}

/** One violation of each kind: file, what it says, the rule that must catch it. */
const violations: readonly (readonly [file: string, text: string, rule: string])[] = [
  ['services/silver-joiner/src/domain/bad-node.ts', "import 'node:fs';", 'domain-is-pure'],
  ['services/silver-joiner/src/domain/bad-package.ts', "import 'leftpad';", 'domain-is-pure'],
  ['services/silver-joiner/src/domain/bad-runtime.ts', "import '@leakage/runtime';", 'domain-is-pure'],
  [
    'services/silver-joiner/src/domain/bad-kafka.ts',
    "import type { Shape } from '@leakage/kafka';\nexport type A = Shape;",
    'domain-is-pure',
  ],
  ['services/silver-joiner/src/domain/bad-postgres.ts', "import '@leakage/postgres';", 'domain-is-pure'],
  ['services/silver-joiner/src/domain/bad-shell.ts', "import '../store.ts';", 'domain-is-pure'],
  ['services/silver-joiner/src/store.ts', 'export const store = 1;', ''],
  [
    'services/silver-joiner/src/domain/bad-codec.ts',
    "import { value } from '@leakage/schemas';\nexport const a = value;",
    'domain-takes-types-of-schemas',
  ],
  ['services/silver-joiner/src/bad-service.ts', "import '../../api/src/main.ts';", 'no-other-service'],
  ['services/silver-joiner/src/bad-testing.ts', "import '@leakage/testing';", 'services-use-libs-for-production'],
  ['services/silver-joiner/src/bad-oracle.ts', "import '@leakage/oracle';", 'services-use-libs-for-production'],
  ['services/silver-joiner/src/bad-cli.ts', "import '@leakage/cli/local';", 'services-use-libs-for-production'],
  ['services/api/src/bad-pg.ts', "import 'pg';", 'pg-only-in-libs-postgres'],
  [
    'services/api/src/bad-pg-type.ts',
    "import type { Pool } from 'pg';\nexport type A = Pool;",
    'pg-only-in-libs-postgres',
  ],
  ['services/api/src/bad-kafkajs.ts', "import 'kafkajs';", 'kafkajs-only-in-libs-kafka'],
  ['libs/postgres/src/bad-kafkajs.ts', "import 'kafkajs';", 'kafkajs-only-in-libs-kafka'],
  ['libs/kafka/src/bad-pg.ts', "import 'pg';", 'pg-only-in-libs-postgres'],
  ['libs/kafka/src/bad-postgres.ts', "import '@leakage/postgres';", 'kafka-imports-only-runtime-schemas'],
  ['libs/postgres/src/bad-schemas.ts', "import '@leakage/schemas';", 'postgres-imports-only-runtime'],
  ['libs/registry/src/bad-postgres.ts', "import '@leakage/postgres';", 'registry-imports-only-runtime-schemas'],
  ['libs/runtime/src/bad-schemas.ts', "import '@leakage/schemas';", 'runtime-imports-only-itself'],
  ['libs/schemas/src/bad-runtime.ts', "import '@leakage/runtime';", 'schemas-imports-only-itself'],
  ['libs/statistics/src/bad-schemas.ts', "import '@leakage/schemas';", 'statistics-imports-only-itself'],
  [
    'libs/oracle/src/bad-schemas.ts',
    "import type { Shape } from '@leakage/schemas';\nexport type A = Shape;",
    'oracle-imports-only-itself',
  ],
  [
    'libs/diff/src/bad-oracle.ts',
    "import type { Shape } from '@leakage/oracle';\nexport type A = Shape;",
    'diff-imports-only-itself',
  ],
  ['libs/diff/src/bad-node.ts', "import 'node:fs';", 'pure-libraries-need-no-node'],
  ['libs/oracle/src/bad-node.ts', "import 'node:fs';", 'pure-libraries-need-no-node'],
  ['libs/testing/src/bad-service.ts', "import '../../../services/api/src/main.ts';", 'cli-imports-no-service'],
  ['libs/testing/src/bad-cli.ts', "import '../../../cli/src/program.ts';", 'cli-is-a-program'],
  ['cli/src/program.ts', "import '@leakage/kafka';", ''],
  ['cli/src/bad-service.ts', "import '../../services/api/src/main.ts';", 'cli-imports-no-service'],
  ['services/dashboard/src/bad-postgres.ts', "import '@leakage/postgres';", 'dashboard-speaks-only-to-the-api'],
  [
    'services/dashboard/src/bad-codec.ts',
    "import { value } from '@leakage/schemas';\nexport const a = value;",
    'dashboard-takes-types-of-schemas',
  ],
  ['services/api/src/bad-undeclared.ts', "import 'leftpad';", 'no-undeclared-package'],
  ['services/api/src/bad-path.ts', "import './nowhere.ts';", 'no-unresolvable'],
  ['services/api/src/bad-dynamic.ts', "export const load = () => import('kafkajs');", 'kafkajs-only-in-libs-kafka'],
  ['services/api/src/cycle-a.ts', "import { b } from './cycle-b.ts';\nexport const a = (): unknown => b;", 'no-cycles'],
  ['services/api/src/cycle-b.ts', "import { a } from './cycle-a.ts';\nexport const b = (): unknown => a;", ''],
];

describe('import boundaries', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'boundaries-'));
    plant(folder, allowed());
    mkdirSync(join(folder, 'node_modules/@leakage'), { recursive: true });
    for (const workspace of Object.keys(workspaces)) {
      symlinkSync(join(folder, workspace), join(folder, 'node_modules/@leakage', workspace.split('/').at(-1) ?? ''));
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('a tree that keeps the rules passes, and each planted violation is caught by its rule alone', () => {
    const folders = ['libs', 'services', 'cli', 'tests'];
    expect(found(cruise(folder, folders))).toEqual([]);

    plant(folder, Object.fromEntries(violations.map(([file, text]) => [file, text])));
    const planted = violations.filter(([, , rule]) => rule !== '').map(([from, , rule]) => ({ from, rule }));
    const caught = found(cruise(folder, folders));
    const missed = planted.filter((one) => !caught.some(({ from, rule }) => from === one.from && rule === one.rule));
    expect(missed).toEqual([]);
    const innocent = caught.filter(({ from }) => !planted.some((one) => one.from === from));
    expect(innocent).toEqual([]);
  }, 60_000);

  test('every TypeScript module of this repository is seen, with its imports', () => {
    const tracked = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], {
      cwd: root,
      encoding: 'utf8',
    });
    const expected = tracked.stdout
      .split('\n')
      .filter((path) => /^(libs|services|cli|tests)\//.test(path) && existsSync(join(root, path)));
    const result = cruise(root, ['libs', 'services', 'cli', 'tests']);
    const dependencies = new Map(result.modules.map((module) => [module.source, module.dependencies.length]));
    expect(expected.length).toBeGreaterThan(20);
    const blind = expected.filter((path) => {
      const imports = /^(import|export) [^;]*from '/m.test(readFileSync(join(root, path), 'utf8'));
      return (dependencies.get(path) ?? -1) < (imports ? 1 : 0);
    });
    expect(blind).toEqual([]);
  }, 60_000);
});

function found(result: CruiseResult): Violation[] {
  return result.summary.violations.map(({ from, rule }) => ({ from, rule: rule.name }));
}

describe('lint', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'lint-'));
    for (const file of ['.oxlintrc.json', 'biome.json', 'domain-clock.grit'])
      copyFileSync(join(root, file), join(folder, file));
    const options = { target: 'es2024', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true, types: [] };
    plant(folder, { 'tsconfig.json': JSON.stringify({ compilerOptions: options, include: ['services'] }) });
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const lint = (): string => {
    const run = spawnSync(bin('oxlint'), ['--type-aware', '--format', 'unix', 'services'], {
      cwd: folder,
      encoding: 'utf8',
    });
    return `${run.stdout}${run.stderr}`;
  };

  const impure: readonly (readonly [what: string, text: string, complaint: string])[] = [
    ['awaits', 'export const f = async () => 1;', 'no-async-await'],
    ['logs', 'console.log(1);', 'no-console'],
    ['reads the environment', 'export const a = process.env;', 'no-restricted-globals'],
    ['reads the clock', 'export const a = Date.now();', 'no-restricted-properties'],
    ['is random', 'export const a = Math.random();', 'no-restricted-properties'],
  ];
  test.each(impure)('a rule that %s is refused, a shell that does so is not', (_, text, complaint) => {
    const named = 'services/api/src/domain/planted.ts';
    const shell = 'services/api/src/planted.ts';
    plant(folder, { [named]: text, [shell]: text });
    const complaints = lint()
      .split('\n')
      .filter((line) => line.includes(complaint));
    rmSync(join(folder, named));
    rmSync(join(folder, shell));
    expect(complaints).toHaveLength(1);
    expect(complaints[0]).toContain(named);
  });

  test('a rule that makes a Date of now is refused', () => {
    plant(folder, {
      'services/api/src/domain/planted.ts': 'export const a = [new Date(5), new Date(), Date()];',
      'services/api/src/planted.ts': 'export const a = new Date();',
    });
    const run = spawnSync(bin('biome'), ['lint', '--vcs-enabled=false', 'services'], { cwd: folder, encoding: 'utf8' });
    rmSync(join(folder, 'services'), { recursive: true });
    expect(run.status).toBe(1);
    expect(`${run.stdout}${run.stderr}`.match(/No rule reads the clock/g)).toHaveLength(2);
  });

  test('a forgotten promise and a forgotten case are refused', () => {
    plant(folder, {
      'services/api/src/planted.ts': [
        'const work = async (): Promise<number> => 1;',
        'work();',
        "export const size = (kind: 'a' | 'b'): number | undefined => { switch (kind) { case 'a': return 1; } return undefined; };",
      ].join('\n'),
    });
    const complaints = lint();
    expect(complaints).toContain('no-floating-promises');
    expect(complaints).toContain('switch-exhaustiveness-check');
  });
});
