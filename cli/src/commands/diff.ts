import { loadSettings, readEnvironment, schemaSettings } from '@leakage/runtime';
import { type Command, InvalidArgumentError } from 'commander';
import { CommandError } from '../command-error.ts';
import { databaseUrl, withDatabase } from '../connect.ts';
import { diffLines } from '../diff/report.ts';
import { diffPipeline } from '../diff.ts';
import { existingGeneration } from '../generation.ts';
import { openScreen } from '../up/screen.ts';
import { generationNumber, wholeNumber } from '../whole-number.ts';

interface DiffCommandOptions {
  readonly from?: string;
  readonly to?: string;
  readonly cost?: number;
  readonly examples: number;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('diff')
    .summary('what differs between two generations, in calls and dollars, and why')
    .description(
      'Compares generation <b> with generation <a> in one snapshot: calls, repeats and journeys per day, journey and segment, ' +
        'priced at the cost per call, with the cause of every call that differs and examples. Where the two have not read ' +
        'equally far, only complete local days that both have are compared, and it is said why. Exit code 0: it could be ' +
        'compared, whatever it found; 1: it could not.',
    )
    .argument('<a>', 'the generation that is compared with, mostly the active one', generationNumber)
    .argument('<b>', 'the generation that is asked about', generationNumber)
    .option('--from <day>', 'first local day, YYYY-MM-DD', day)
    .option('--to <day>', 'last local day, YYYY-MM-DD', day)
    .option('--cost <dollars>', 'what a call is to cost, instead of the cost per call that is stored', cents)
    .option('--examples <n>', 'how many calls of each cause and journey are shown (0 to 100)', wholeNumber(0, 100), 3)
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage diff 1 2\n  $ npx leakage diff 1 2 --from 2026-11-01 --to 2026-11-28 --json | jq .totals.leakageCalls\n  $ npx leakage diff 1 2 --cost 9.50',
    )
    .action(diff);
}

async function diff(a: number, b: number, { json, cost, ...options }: DiffCommandOptions): Promise<void> {
  const { from, to } = options;
  if (from !== undefined && to !== undefined && from > to) {
    throw new CommandError(`--from ${from} is after --to ${to}: turn them round.`, 2);
  }
  const { silverSchema, goldSchema } = loadSettings(schemaSettings, readEnvironment());
  const screen = openScreen(process.stderr);
  await withDatabase('diff', (pool) => existingGeneration(pool, a));
  const report = await diffPipeline({
    databaseUrl: databaseUrl(),
    a,
    b,
    schemas: { silver: silverSchema, gold: goldSchema },
    ...options,
    costPerCallCents: cost,
    onStep: screen.renew,
  });
  screen.renew('');
  process.stdout.write(json ? `${JSON.stringify(report, null, 2)}\n` : `${diffLines(report).join('\n')}\n`);
}

/** Whole cents of an amount in dollars. */
function cents(text: string): number {
  if (!/^\d{1,5}(\.\d{1,2})?$/.test(text)) throw new InvalidArgumentError('dollars are wanted, such as 9.50');
  return Math.round(Number(text) * 100);
}

function day(text: string): string {
  const instant = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(`${text}T00:00:00Z`) : Number.NaN;
  // A day that no month has would otherwise be taken for one of the next month.
  if (Number.isNaN(instant) || !new Date(instant).toISOString().startsWith(text)) {
    throw new InvalidArgumentError('a day is wanted, YYYY-MM-DD');
  }
  return text;
}
