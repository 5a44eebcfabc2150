import { loadSettings, readEnvironment, schemaSettings } from '@leakage/runtime';
import { type Command, InvalidArgumentError } from 'commander';
import { databaseUrl, withDatabase } from '../connect.ts';
import { existingGeneration } from '../generation.ts';
import { openScreen } from '../up/screen.ts';
import { verifyLines, withoutMembers } from '../verify/report.ts';
import { verifyPipeline } from '../verify.ts';

interface VerifyCommandOptions {
  readonly json?: true;
  readonly generation?: number;
  readonly wait: number;
  readonly examples: number;
}

export function register(program: Command): void {
  program
    .command('verify')
    .summary('recompute silver and gold with plain SQL and compare')
    .description(
      'Recomputes every fact and figure from bronze with an independent SQL program and compares it with what silver and ' +
        'gold hold, in one snapshot. Silver is held still for a moment, until bronze and gold have reached it. ' +
        'Exit code 0: equal; 3: something differs, and the first differing rows are shown; 1: it could not be done.',
    )
    .option('--json', 'one JSON document on stdout')
    .option('--generation <n>', 'another generation than the active one', positive)
    .option('--wait <seconds>', 'how long bronze and gold may take to come close to silver', positive, 60)
    .option('--examples <n>', 'how many differing rows of each check are shown', positive, 5)
    .addHelpText('after', '\nExamples:\n  $ npx leakage verify\n  $ npx leakage verify --json | jq .ok')
    .action(verify);
}

async function verify(options: VerifyCommandOptions): Promise<void> {
  const { bronzeSchema, silverSchema, goldSchema } = loadSettings(schemaSettings, readEnvironment());
  const screen = openScreen(process.stderr);
  const generation = await withDatabase('verify', (pool) => existingGeneration(pool, options.generation));
  const found = await verifyPipeline({
    databaseUrl: databaseUrl(),
    generation,
    schemas: { bronze: bronzeSchema, silver: silverSchema, gold: goldSchema },
    catchUpMs: options.wait * 1000,
    examples: options.examples,
    onWait: screen.renew,
  });
  screen.renew('');
  const report = withoutMembers(found);
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : `${verifyLines(report).join('\n')}\n`);
  if (!report.ok) process.exitCode = 3;
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('a whole number from 1 is wanted');
  return value;
}
