import { createInterface } from 'node:readline/promises';
import { migrateOps } from '@leakage/postgres';
import { type Command, InvalidArgumentError } from 'commander';
import { CommandError } from '../command-error.ts';
import { databaseUrl, quietLogger } from '../connect.ts';
import { runChange } from '../generations/run-change.ts';
import { checkPolicy, parseKeep, type RetentionPolicy } from '../retain/policy.ts';
import { isNothing, planLines, retainedLines } from '../retain/report.ts';
import { carryOut, planRetention, type RetainOptions, type RetentionPlan, withRetention } from '../retain/run.ts';
import { watchInterruption } from '../up/interruption.ts';
import { wholeNumber } from '../whole-number.ts';

interface RetainCommandOptions {
  readonly keep: number;
  readonly bronzeKeep?: number;
  readonly quarantineKeep: number;
  readonly goldKeep: number;
  readonly asOf?: string;
  readonly wait: number;
  readonly dryRun?: true;
  readonly yes?: true;
  readonly json?: true;
}

/** One look through a table. */
const statementTimeoutMs = 30 * 60_000;

export function register(program: Command): void {
  program
    .command('retain')
    .summary('remove what is older than it may be kept')
    .description(
      'Moves the horizon of every generation: what is older is taken in no more. Then removes single events, calls and facts from ' +
        'before it from silver, old daily partitions from bronze, and old quarantined records; figures of gold stay for as long as ' +
        '--gold-keep says. Says what it would remove, and asks. Everything goes on meanwhile. Ended anywhere, it is run again and ' +
        'goes on. Exit code 0: done; 3: refused, and why is said; 1: it could not be done, or not to the end.',
    )
    .option('--keep <days>', 'single events and calls, by their own time', days, 90)
    .option(
      '--bronze-keep <days>',
      'records as received, and as long as anything is recomputed from them (default: as --keep)',
      days,
    )
    .option('--quarantine-keep <days>', 'quarantined records, by when they were received', days, 30)
    .option('--gold-keep <months>', 'figures of gold, by day', months, 25)
    .option('--as-of <day>', 'the day that counts as today, if that is over', day)
    .option('--wait <seconds>', 'how long gold may take to fold what silver has written', wholeNumber(0), 60)
    .option('--dry-run', 'only say what would be removed')
    .option('--yes', 'do not ask')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage retain --dry-run\n  $ npx leakage retain --keep 90d --yes\n' +
        '  $ npx leakage retain --keep 180d --bronze-keep 365d --gold-keep 37mo',
    )
    .action(retain);
}

async function retain(options: RetainCommandOptions): Promise<void> {
  const policy: RetentionPolicy = {
    keepDays: options.keep,
    bronzeKeepDays: options.bronzeKeep ?? options.keep,
    quarantineKeepDays: options.quarantineKeep,
    goldKeepMonths: options.goldKeep,
  };
  checkPolicy(policy);
  const interruption = watchInterruption();
  try {
    await runChange(
      'retain',
      async ({ pool, schemas, screen }) => {
        await migrateOps({ url: databaseUrl(), log: quietLogger('retain') });
        const { signal } = interruption;
        const waitMs = options.wait * 1_000;
        const o = { pool, schemas, policy, asOf: options.asOf ?? null, waitMs, signal, say: screen.renew };
        await withRetention(o, () => look(o, options));
      },
      { statementTimeoutMs },
    );
  } finally {
    interruption[Symbol.dispose]();
  }
}

async function look(o: RetainOptions, options: RetainCommandOptions): Promise<void> {
  const plan = await planRetention(o);
  if (options.dryRun) return tell(options, { dryRun: true, ...plan }, planLines(plan));
  if (!options.yes && !isNothing(plan)) await confirm(plan);
  const retained = await carryOut(o);
  tell(options, { dryRun: false, ...retained }, retainedLines(retained));
  if (retained.bronze.left.length > 0) {
    throw new CommandError(
      `Somebody reads bronze (a verification, a rebuild), so ${retained.bronze.left.join(', ')} could not be dropped: run the same command again later.`,
    );
  }
}

function tell({ json }: RetainCommandOptions, document: object, lines: readonly string[]): void {
  process.stdout.write(json ? `${JSON.stringify(document, null, 2)}\n` : `${lines.join('\n')}\n`);
}

async function confirm(plan: RetentionPlan): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CommandError('retain asks before it removes anything, and nobody can answer here: add --yes.', 2);
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`${planLines(plan).join('\n')}\nRemove all this for good? [y/N] `);
  prompt.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('Nothing was removed.');
}

function days(text: string): number {
  const kept = parseKeep(text);
  if (kept === null || !('days' in kept)) throw new InvalidArgumentError('whole days such as 90d are wanted');
  return kept.days;
}

function months(text: string): number {
  const kept = parseKeep(text);
  if (kept === null || !('months' in kept)) throw new InvalidArgumentError('whole months such as 25mo are wanted');
  return kept.months;
}

function day(text: string): string {
  const date = new Date(`${text}T00:00:00Z`);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text) || Number.isNaN(date.getTime()) || !date.toISOString().startsWith(text)) {
    throw new InvalidArgumentError('a day such as 2026-11-27 is wanted');
  }
  return text;
}
