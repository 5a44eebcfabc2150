import { RefusedError, SettingsError } from '@leakage/runtime';
import { Command, CommanderError } from 'commander';
import { Problem } from '../local/index.ts';
import { CommandError } from './command-error.ts';
import * as compareNaive from './commands/compare-naive.ts';
import * as diff from './commands/diff.ts';
import * as doctor from './commands/doctor.ts';
import * as drop from './commands/drop.ts';
import * as erase from './commands/erase.ts';
import * as generate from './commands/generate.ts';
import * as generations from './commands/generations.ts';
import * as importFiles from './commands/import.ts';
import * as init from './commands/init.ts';
import * as promote from './commands/promote.ts';
import * as quarantine from './commands/quarantine.ts';
import * as rebuild from './commands/rebuild.ts';
import * as replay from './commands/replay.ts';
import * as retain from './commands/retain.ts';
import * as rollback from './commands/rollback.ts';
import * as runGenerations from './commands/run-generations.ts';
import * as score from './commands/score.ts';
import * as simulate from './commands/simulate.ts';
import * as status from './commands/status.ts';
import * as up from './commands/up.ts';
import * as verify from './commands/verify.ts';

const commands = [
  up,
  init,
  status,
  verify,
  rebuild,
  runGenerations,
  generations,
  diff,
  promote,
  rollback,
  drop,
  replay,
  retain,
  quarantine,
  erase,
  compareNaive,
  importFiles,
  generate,
  simulate,
  score,
  doctor,
];

/** Runs one command; the exit code is 0 done, 1 failed, 2 wrong usage, 3 a check says no. */
export async function main(argv: readonly string[]): Promise<void> {
  process.stdout.on('error', endWithReader);
  try {
    await createProgram().parseAsync(argv);
  } catch (error) {
    process.exitCode = report(error);
  }
}

/** Whoever reads our output has seen enough (`leakage status | head`): that is no failure. */
function endWithReader(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? 0);
  throw error;
}

export function createProgram(): Command {
  const program = new Command('leakage')
    .description('Digital-to-call leakage, exact and live.')
    .usage('<command> [options]')
    .exitOverride()
    .showHelpAfterError('(see leakage <command> --help)')
    .addHelpText('after', '\nExample:\n  $ npx leakage up        start everything; Ctrl-C ends it');
  for (const command of commands) command.register(program);
  return program;
}

/** Says what went wrong, once, and gives the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has said it already
  if (error instanceof SettingsError) {
    for (const problem of error.problems) process.stderr.write(`${problem}\n`);
    return 2;
  }
  const expected = error instanceof CommandError || error instanceof Problem || error instanceof RefusedError;
  const detailed = process.env.LOG_LEVEL === 'debug' || process.env.LOG_LEVEL === 'trace' || !expected;
  process.stderr.write(`${detailed && error instanceof Error ? error.stack : reasonOf(error)}\n`);
  return error instanceof CommandError ? error.exitCode : 1;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
