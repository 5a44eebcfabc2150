import { createInterface } from 'node:readline/promises';
import { dropGeneration, neverDropped } from '@leakage/postgres';
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { runChange } from '../generations/run-change.ts';
import { generationNumber, wholeNumber } from '../whole-number.ts';

interface DropCommandOptions {
  readonly yes?: true;
  readonly force?: true;
  readonly wait: number;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('drop')
    .summary('remove a generation that nobody needs any more')
    .description(
      'Removes the tables of a generation and everything that its services know of it; that it was there stays on record, and its ' +
        'number is used up. Never the active one. Its processes end by themselves, and replays of it are cancelled. Interrupted, it is run again and goes on. ' +
        'Exit code 0: done; 3: refused, and why is said; 1: it could not be done.',
    )
    .argument('<generation>', 'its number, as leakage generations shows it', generationNumber)
    .option('--yes', 'do not ask')
    .option('--force', 'also the one that rollback would go back to, or whose last changes were not told yet')
    .option('--wait <seconds>', 'how long its processes may take to let go of it', wholeNumber(0), 30)
    .option('--json', 'one JSON document on stdout')
    .addHelpText('after', '\nExamples:\n  $ npx leakage drop 3\n  $ npx leakage drop 1 --force --yes')
    .action(drop);
}

async function drop(generation: number, options: DropCommandOptions): Promise<void> {
  const done = await runChange('drop', async ({ pool, layers, screen }) => {
    const force = options.force ?? false;
    const never = await neverDropped(pool, generation, { layers, force });
    if (never !== null) throw new CommandError(never, 3);
    if (!options.yes) await confirm(generation);
    return await dropGeneration(pool, generation, { layers, force, waitMs: options.wait * 1_000, say: screen.renew });
  });
  const { schemas, rows, replays } = done;
  const removed =
    schemas.length === 0 && rows === 0 ? 'nothing of it was left' : [...schemas, `${rows} rows of ops`].join(', ');
  const cancelled = replays === 0 ? '' : ' The replay that ran in it is cancelled.';
  process.stdout.write(
    options.json ? `${JSON.stringify(done)}\n` : `Generation ${generation} is dropped: ${removed}.${cancelled}\n`,
  );
}

async function confirm(generation: number): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CommandError('drop asks before it removes a generation, and nobody can answer here: add --yes.', 2);
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`Remove generation ${generation} for good? [y/N] `);
  prompt.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('Nothing was removed.');
}
