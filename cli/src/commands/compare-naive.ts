import { createPool } from '@leakage/postgres';
import { loadSettings, readEnvironment, schemaSettings } from '@leakage/runtime';
import type { Command } from 'commander';
import { comparisonLines } from '../compare-naive/report.ts';
import { compareNaive } from '../compare-naive.ts';
import { databaseUrl, quietLogger, withDatabase } from '../connect.ts';
import { existingGeneration } from '../generation.ts';

export function register(program: Command): void {
  program
    .command('compare-naive')
    .summary('what a join on member and time alone would have charged')
    .description(
      'Runs the naive join on the live data: every error or abandon row with every call of the same member within the ' +
        'window, without a look at the reason of the call or at whether the journey was completed. Prints its charges ' +
        'beside the exact ones, and what is wrong with the rest.',
    )
    .option('--json', 'one JSON document on stdout')
    .addHelpText('after', '\nExample:\n  $ npx leakage compare-naive')
    .action(compare);
}

async function compare(options: { readonly json?: true }): Promise<void> {
  const { bronzeSchema, silverSchema } = loadSettings(schemaSettings, readEnvironment());
  await withDatabase('compare-naive', existingGeneration);
  const pool = createPool({
    url: databaseUrl(),
    applicationName: 'leakage-compare-naive',
    max: 1,
    // Reads all there is.
    statementTimeoutMs: 10 * 60_000,
    log: quietLogger('compare-naive'),
  });
  try {
    const found = await compareNaive(pool, { bronzeSchema, silverSchema });
    process.stdout.write(
      options.json ? `${JSON.stringify(found, null, 2)}\n` : `${comparisonLines(found).join('\n')}\n`,
    );
  } finally {
    await pool.stop();
  }
}
