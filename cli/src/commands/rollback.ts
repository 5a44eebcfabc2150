import { rollback as rollBack } from '@leakage/postgres';
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { promotionLines } from '../generations/lines.ts';
import { grantViews, prepareRights } from '../generations/rights.ts';
import { runChange } from '../generations/run-change.ts';
import { wholeNumber } from '../whole-number.ts';

interface RollbackCommandOptions {
  readonly force?: true;
  readonly reason?: string;
  readonly wait: number;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('rollback')
    .summary('go back to the generation that was active before')
    .description(
      'Makes the generation active again that the active one was promoted over. It was fed on meanwhile, so nothing is missing ' +
        'in it; where its processes were stopped, it is behind, and going back is refused unless --force is given. ' +
        'Exit code 0: done; 3: refused, and what to do is said; 1: it could not be done.',
    )
    .option('--reason <text>', 'why; it stays on record')
    .option('--force', 'also to one that is behind; needs --reason')
    .option('--wait <seconds>', 'how long it may take to catch up, and readers of the views to end', wholeNumber(0), 60)
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\nExample:\n  $ npx leakage rollback --reason "the call centre does not find its figures again"',
    )
    .action(rollback);
}

async function rollback(options: RollbackCommandOptions): Promise<void> {
  const { reason } = options;
  if (options.force && !reason) {
    throw new CommandError(
      '--force needs --reason "...": it stays on record why this was rolled back all the same.',
      2,
    );
  }
  const done = await runChange('rollback', async ({ pool, schemas, layers, screen }) => {
    await prepareRights(pool, schemas);
    return await rollBack(pool, {
      layers,
      force: options.force && reason ? { reason } : null,
      ...(reason === undefined ? {} : { reason }),
      waitMs: options.wait * 1_000,
      published: (tx) => grantViews(tx, schemas),
      say: screen.renew,
    });
  });
  process.stdout.write(`${options.json ? JSON.stringify({ done: true, ...done }) : promotionLines(done).join('\n')}\n`);
}
