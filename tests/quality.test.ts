import { readFileSync } from 'node:fs';
import { Metrics } from '@leakage/runtime';
import { expect, test } from 'vitest';
import { EXPECTATIONS, type Expectation } from '../services/silver-joiner/src/domain/expectations.ts';
import { joinerMetrics } from '../services/silver-joiner/src/joiner-metrics.ts';

const rules: readonly Expectation[] = EXPECTATIONS;
const page = readFileSync(new URL('../docs/quality.md', import.meta.url), 'utf8');
const marked = /(<!-- The tables .*? -->\n).*?(<!-- End of the tables\. -->\n)/s;

test('docs/quality.md lists every rule as it is declared (write it with npm run docs)', async () => {
  expect(page).toMatch(marked);
  await expect(page.replace(marked, `$1\n${tables()}\n$2`)).toMatchFileSnapshot('../docs/quality.md');
});

test('every metric that docs/quality.md names is served', async () => {
  const metrics = new Metrics();
  joinerMetrics(metrics);
  const served = await metrics.text();
  const named = [...new Set(page.match(/leakage_(?:quality|silver)_\w+/g))].map((name) => name.replace(/_bucket$/, ''));
  expect(named.length).toBeGreaterThan(8);
  expect(named.filter((name) => !served.includes(`# TYPE ${name} `))).toEqual([]);
});

function tables(): string {
  return [
    '| rule | source | about | demands | record | share of | warns above | fails above |',
    '|---|---|---|---|---|---|---|---|',
    ...rules.map((rule) => {
      const { id, sources, dimension, demands, actions, base, measure, warnIf, failIf } = rule;
      const cells = [id, sources.join(', ') || 'all layers', dimension, demands, actions.join(', ')];
      const limits = [warnIf, failIf].map((limit) => shown(limit, measure));
      return `| ${[...cells, base?.replace('_', ' ') ?? '', ...limits].join(' | ')} |`;
    }),
    '',
    '| rule | reasons of quarantine | warnings | tolerated | outcomes |',
    '|---|---|---|---|---|',
    ...rules
      .map(({ id, reasons, warnings, tolerated, outcomes }) => ({
        id,
        names: [reasons, warnings, tolerated, outcomes],
      }))
      .filter(({ names }) => names.flat().length > 0)
      .map(({ id, names }) => `| ${[id, ...names.map(code)].join(' | ')} |`),
    '',
  ].join('\n');
}

const code = (names: readonly string[]) => names.map((name) => `\`${name}\``).join(', ');

function shown(limit: number | null, measure: Expectation['measure']): string {
  if (limit === null) return '';
  switch (measure) {
    case 'share':
      return `${Number((limit * 100).toFixed(4))} %`;
    case 'seconds':
      return `${limit / 60} min`;
    case 'differences':
    case null:
      return String(limit);
  }
}
