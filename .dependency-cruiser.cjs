// What may import what: the table in ARCHITECTURE.md as rules. tests/boundaries.test.ts plants a violation of each kind.

const tests = '(^tests/|/testing/|\\.test\\.ts$|^benchmarks/)';
const nodeBuiltin = ['core'];

/** From a library of ours, to anything of ours but what is listed. */
const library = (name, allowed) => ({
  name: `${name}-imports-only-${allowed.join('-') || 'itself'}`,
  comment: `libs/${name} may import ${['itself', ...allowed].join(', ')} of this repository and nothing else of it.`,
  severity: 'error',
  from: { path: `^libs/${name}/`, pathNot: tests },
  to: { path: '^(libs|services|cli|tests|benchmarks)/', pathNot: `^libs/(${[name, ...allowed].join('|')})/` },
});

/** A client library is hidden in one place. */
const hidden = (name, packages, home) => ({
  name: `${name}-only-in-${home.replace('/', '-')}`,
  comment: `${name} is hidden behind ${home}, so that it can be replaced.`,
  severity: 'error',
  from: { path: '^(libs|services)/', pathNot: `^${home}/|${tests}` },
  to: { path: `(^|/)node_modules/(${packages})/|^(${packages})(/|$)` },
});

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Modules that import each other cannot be understood one at a time.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-unresolvable',
      comment: 'An import that leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-undeclared-package',
      comment: 'A package must stand in the package.json of the workspace that imports it.',
      severity: 'error',
      from: { path: '^(libs|services|cli)/', pathNot: tests },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'] },
    },
    {
      name: 'domain-is-pure',
      comment:
        'A rule knows nothing of Kafka, Postgres, Node or other packages: only types of schemas, statistics and its own domain.',
      severity: 'error',
      from: { path: '^services/([^/]+)/src/domain/', pathNot: tests },
      to: { pathNot: '^(services/$1/src/domain|libs/statistics|libs/schemas)/' },
    },
    {
      name: 'domain-takes-types-of-schemas',
      comment: 'Of schemas a rule uses types only: no codec runs inside a rule.',
      severity: 'error',
      from: { path: '^services/([^/]+)/src/domain/', pathNot: tests },
      to: { path: '^libs/schemas/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-other-service',
      comment: 'Services meet in topics and tables, never in code.',
      severity: 'error',
      from: { path: '^services/([^/]+)/', pathNot: tests },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },
    {
      name: 'services-use-libs-for-production',
      comment: 'A service runs without the command line, the test tools and the oracle (law 8).',
      severity: 'error',
      from: { path: '^services/', pathNot: tests },
      to: { path: '^(cli|libs/testing|libs/oracle|tests|benchmarks)/' },
    },
    {
      name: 'dashboard-speaks-only-to-the-api',
      comment: 'The web page gets figures from the api: of ours it takes types of schemas, and statistics.',
      severity: 'error',
      from: { path: '^services/dashboard/', pathNot: tests },
      to: { path: '^libs/', pathNot: '^libs/(schemas|statistics)/' },
    },
    {
      name: 'dashboard-takes-types-of-schemas',
      comment: 'No codec runs in the browser.',
      severity: 'error',
      from: { path: '^services/dashboard/', pathNot: tests },
      to: { path: '^libs/schemas/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'cli-imports-no-service',
      comment: 'The command line starts services as processes.',
      severity: 'error',
      from: { path: '^(cli|libs)/', pathNot: '(^tests/|\\.test\\.ts$)' },
      to: { path: '^services/' },
    },
    {
      name: 'cli-is-a-program',
      comment: 'Only its local stack is shared, and only with the test tools.',
      severity: 'error',
      from: { path: '^libs/testing/' },
      to: { path: '^cli/', pathNot: '^cli/local/' },
    },
    library('kafka', ['runtime', 'schemas']),
    library('postgres', ['runtime']),
    library('registry', ['runtime', 'schemas']),
    library('runtime', []),
    library('schemas', []),
    library('statistics', []),
    library('oracle', []),
    library('diff', []),
    hidden('kafkajs', 'kafkajs', 'libs/kafka'),
    hidden('pg', 'pg|pg-[^/]+|postgres|node-pg-migrate|@types/pg', 'libs/postgres'),
    {
      name: 'pure-libraries-need-no-node',
      comment: 'Statistics, the oracle and the diff are arithmetic and text: they read no file and open no connection.',
      severity: 'error',
      from: { path: '^libs/(statistics|oracle|diff)/', pathNot: tests },
      to: { dependencyTypes: nodeBuiltin },
    },
  ],
  options: {
    // TypeScript 7 has no JavaScript API: without swc no module would be seen, and every rule would pass.
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(\\.data|coverage|services/dashboard/dist)/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
      extensions: ['.ts', '.mts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
};
