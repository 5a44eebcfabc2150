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
    .description(
      'Checks versions, memory, disk, ports and connections; of servers that run, also topics, schemas, clocks, the time zone, ' +
        'the rules of the generation and what logins may do. Changes nothing. Exit code 3 when something is wrong.',
    )
    .option('--role-prefix <name>', 'first part of the names of the logins, as given to leakage init', 'leakage')
    .option('--json', 'one JSON document on stdout')
    .addHelpText('after', '\nExamples:\n  $ npx leakage doctor\n  $ npx leakage doctor --json | jq .ok')
    .action(async ({ json, rolePrefix }: { json?: true; rolePrefix: string }) => {
      const checks = await examine(rolePrefix);
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
