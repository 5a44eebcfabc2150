import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { guards } from './faults/support/guards.ts';

const page = readFileSync(new URL('../docs/reliability.md', import.meta.url), 'utf8');
const marked = /(<!-- The guards .*? -->\n).*?(<!-- End of the guards\. -->\n)/s;

test('docs/reliability.md lists every guard as it is switched off (write it with npm run docs)', async () => {
  expect(page).toMatch(marked);
  await expect(page.replace(marked, `$1\n${table()}\n$2`)).toMatchFileSnapshot('../docs/reliability.md');
});

test('every test file of faults is named in docs/reliability.md', () => {
  const named = new Set(page.match(/[a-z-]+(?=\.test\.ts)/g));
  const files = [
    'kills',
    'zombies',
    'members-and-clocks',
    'schedules',
    'soak',
    'sources-and-readers',
    'postgres',
    'broker',
  ];
  expect([...files, 'log', 'disk', 'poison', 'fuzz', 'guards', 'overload'].filter((file) => !named.has(file))).toEqual(
    [],
  );
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
