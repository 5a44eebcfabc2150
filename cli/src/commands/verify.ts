import { constants, setPriority } from 'node:os';
import type { DayRange } from '@leakage/oracle';
import { loadSettings, readEnvironment, schemaSettings } from '@leakage/runtime';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CommandError } from '../command-error.ts';
import { databaseUrl, withDatabase } from '../connect.ts';
import { durationKind, parseDuration } from '../duration.ts';
import { existingGeneration } from '../generation.ts';
import { watchInterruption } from '../up/interruption.ts';
import { openScreen } from '../up/screen.ts';
import { verifyLines, withoutMembers } from '../verify/report.ts';
import { verifyOnSchedule } from '../verify/schedule.ts';
import { verifyPipeline } from '../verify.ts';
import { wholeNumber } from '../whole-number.ts';

interface VerifyCommandOptions {
  readonly json?: true;
  readonly generation?: number;
  readonly from?: string;
  readonly to?: string;
  readonly wait: number;
  readonly examples: number;
  readonly every?: number;
  readonly fullEvery: number | null;
  readonly firstIn: number;
}

export function register(program: Command): void {
  program
    .command('verify')
    .summary('recompute silver and gold with plain SQL and compare')
    .description(
      'Recomputes every fact and figure from bronze with an independent SQL program and compares it with what silver and ' +
        'gold hold, in one snapshot. Silver is held still for a moment, until bronze and gold have reached it. ' +
        'With days, only what these days hold, at a fraction of the cost, and what that leaves out is listed. ' +
        'The result is kept in ops.verification. ' +
        'Exit code 0: equal; 3: something differs, and the first differing rows are shown; 1: it could not be done.',
    )
    .option('--json', 'one JSON document on stdout')
    .option('--generation <n>', 'another generation than the active one', positive)
    .option('--from <day>', "the first local day, in the generation's time zone", day)
    .option('--to <day>', 'the last local day', day)
    .option('--wait <seconds>', 'how long bronze and gold may take to come close to silver', positive, 60)
    .option('--examples <n>', 'how many differing rows of each check are shown', positive, 5)
    .addOption(
      new Option('--every <duration>', 'again and again, the last days of the active generation, until it is stopped')
        .argParser(duration)
        .conflicts(['json', 'generation', 'from', 'to']),
    )
    .option('--full-every <duration>', 'with --every: how often everything instead; or off', fullEvery, 24 * 3_600_000)
    .option('--first-in <duration>', 'with --every: how long after the start the first time', duration, 0)
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage verify\n  $ npx leakage verify --from 2026-11-27\n' +
        '  $ npx leakage verify --json | jq .ok\n  $ npx leakage verify --every 6h',
    )
    .action(async (options: VerifyCommandOptions) => {
      await (options.every === undefined ? verifyOnce(options) : verifyUntilStopped(options, options.every));
    });
}

function schemasOf() {
  const { bronzeSchema, silverSchema, goldSchema } = loadSettings(schemaSettings, readEnvironment());
  return { bronze: bronzeSchema, silver: silverSchema, gold: goldSchema };
}

async function verifyOnce(options: VerifyCommandOptions): Promise<void> {
  const days = daysOf(options);
  const schemas = schemasOf();
  const screen = openScreen(process.stderr);
  const generation = await withDatabase('verify', (pool) => existingGeneration(pool, options.generation));
  const found = await verifyPipeline({
    databaseUrl: databaseUrl(),
    generation,
    schemas,
    ...(days === undefined ? {} : { days }),
    catchUpMs: options.wait * 1000,
    examples: options.examples,
    record: 'command',
    onNotRecorded: screen.say,
    onWait: screen.renew,
  });
  screen.renew('');
  const report = withoutMembers(found);
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : `${verifyLines(report).join('\n')}\n`);
  if (!report.ok) process.exitCode = 3;
}

function daysOf({ from, to }: VerifyCommandOptions): DayRange | undefined {
  if (from === undefined && to === undefined) return undefined;
  if (from !== undefined && to !== undefined && from > to) {
    throw new CommandError(`--from ${from} is after --to ${to}: turn them round.`, 2);
  }
  return { from: from ?? null, to: to ?? null };
}

/** How soon it ends when it is stopped, whatever Postgres or the network do. */
const stopWithinMs = 5_000;

async function verifyUntilStopped(options: VerifyCommandOptions, everyMs: number): Promise<void> {
  const schemas = schemasOf();
  // What is wrong with the address or the login is said at once.
  await withDatabase('verify', async () => undefined);
  setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
  const interruption = watchInterruption();
  interruption.onInsist(() => process.exit(1));
  interruption.signal.addEventListener('abort', () => setTimeout(() => process.exit(), stopWithinMs).unref());
  try {
    await verifyOnSchedule({
      databaseUrl: databaseUrl(),
      schemas,
      everyMs,
      fullEveryMs: options.fullEvery,
      firstInMs: options.firstIn,
      signal: interruption.signal,
      say: (line) => process.stdout.write(`${line}\n`),
      complain: (line) => process.stderr.write(`${line}\n`),
    });
  } finally {
    interruption[Symbol.dispose]();
  }
}

const positive = wholeNumber(1);

function day(text: string): string {
  const date = new Date(`${text}T00:00:00Z`);
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text) || Number.isNaN(date.getTime()) || !date.toISOString().startsWith(text)) {
    throw new InvalidArgumentError('a day such as 2026-11-27 is wanted');
  }
  return text;
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === null) throw new InvalidArgumentError(`${durationKind} is wanted`);
  return ms;
}

const fullEvery = (text: string): number | null => (text === 'off' ? null : duration(text));
