import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { guards } from './faults/support/guards.ts';

const page = readFileSync(new URL('../docs/reliability.md', import.meta.url), 'utf8');
const marked = /(<!-- The guards .*? -->\n).*?(<!-- End of the guards\. -->\n)/s;

test('docs/reliability.md lists every guard as it is switched off (write it with npm run docs)', async () => {
  expect(page).toMatch(marked);
  await expect(page.replace(marked, `$1\n${table()}\n$2`)).toMatchFileSnapshot('../docs/reliability.md');
});

test('every test file of faults is named in docs/reliability.md', () => {
  const files = readdirSync(new URL('./faults/', import.meta.url)).filter((file) => file.endsWith('.test.ts'));
  expect(files.length).toBeGreaterThan(10);
  expect(files.filter((file) => !page.includes(file))).toEqual([]);
});

function table(): string {
  return [
    '| guard | how it is switched off | scenario | what turns red |',
    '|---|---|---|---|',
    ...guards.map(({ guard, off, scenario, notice, red, longOnly }) => {
      const long = longOnly === true || red.length === 0 ? ' (long)' : '';
      return `| ${[guard + long, off, scenario, notice].join(' | ')} |`;
    }),
    '',
  ].join('\n');
}
