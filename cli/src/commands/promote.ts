import { activeGeneration, promote as promoteGeneration } from '@leakage/postgres';
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { promotionLines } from '../generations/lines.ts';
import { grantViews, prepareRights } from '../generations/rights.ts';
import { runChange } from '../generations/run-change.ts';
import { generationNumber, wholeNumber } from '../whole-number.ts';

interface PromoteCommandOptions {
  readonly force?: true;
  readonly reason?: string;
  readonly wait: number;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('promote')
    .summary('make another generation the one that everybody reads')
    .description(
      'Makes a generation that was built beside the active one the active one: api, stable views and change stream go over to it ' +
        'in one moment, while everything goes on. Refused unless the whole generation was verified within the last day and is ' +
        'nowhere behind the active one; --force promotes it all the same, and then figures may go back in time until it has ' +
        'caught up. A what-if is never promoted. The former one is fed on: leakage rollback goes back to it. ' +
        'Exit code 0: done, or it is the active one already; 3: refused, and what to do is said; 1: it could not be done.',
    )
    .argument('<generation>', 'its number, as leakage generations shows it', generationNumber)
    .option('--force', 'also what is not verified, or behind; needs --reason')
    .option('--reason <text>', 'why; it stays on record')
    .option('--wait <seconds>', 'how long it may take to catch up, and readers of the views to end', wholeNumber(0), 60)
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage promote 2\n  $ npx leakage promote 2 --force --reason "figures of generation 1 are wrong since Monday"',
    )
    .action(promote);
}

async function promote(generation: number, options: PromoteCommandOptions): Promise<void> {
  const { reason } = options;
  if (options.force && !reason) {
    throw new CommandError('--force needs --reason "...": it stays on record why this was promoted all the same.', 2);
  }
  const done = await runChange('promote', async ({ pool, schemas, layers, screen }) => {
    if ((await activeGeneration(pool)) === generation) return null;
    await prepareRights(pool, schemas);
    return await promoteGeneration(pool, generation, {
      layers,
      force: options.force && reason ? { reason } : null,
      ...(reason === undefined ? {} : { reason }),
      waitMs: options.wait * 1_000,
      published: (tx) => grantViews(tx, schemas),
      say: screen.renew,
    });
  });
  if (done === null) {
    const text = options.json
      ? JSON.stringify({ done: false, active: generation })
      : `Generation ${generation} is the active one already: nothing was changed.`;
    process.stdout.write(`${text}\n`);
  } else {
    process.stdout.write(
      `${options.json ? JSON.stringify({ done: true, ...done }) : promotionLines(done).join('\n')}\n`,
    );
  }
}
