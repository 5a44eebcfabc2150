import { styleText } from 'node:util';
import type { Command } from 'commander';
import type { Check } from '../doctor/check.ts';
import { examine } from '../doctor/checks.ts';

const marks = {
  ok: styleText('green', 'ok  '),
  note: styleText('yellow', 'note'),
  no: styleText('red', 'no  '),
} as const;

export function register(program: Command): void {
  program
    .command('doctor')
    .summary('what this machine has and lacks')
    .description('Checks versions, memory, disk, ports and connections. Exit code 3 when something is missing.')
    .option('--json', 'one JSON document on stdout')
    .addHelpText('after', '\nExample:\n  $ npx leakage doctor')
    .action(async ({ json }: { json?: true }) => {
      const checks = await examine();
      process.stdout.write(json ? `${JSON.stringify({ ok: allOk(checks), checks }, null, 2)}\n` : report(checks));
      if (!allOk(checks)) process.exitCode = 3;
    });
}

const allOk = (checks: readonly Check[]): boolean => checks.every((check) => check.state !== 'no');

function report(checks: readonly Check[]): string {
  const width = Math.max(...checks.map((check) => check.name.length));
  return checks
    .flatMap(({ name, state, found, remedy }) => {
      const line = `${marks[state]}  ${name.padEnd(width)}  ${found}`;
      return remedy === null ? [line] : [line, `${' '.repeat(width + 8)}${remedy}`];
    })
    .map((line) => `${line}\n`)
    .join('');
}
