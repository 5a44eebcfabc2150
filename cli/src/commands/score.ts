import { join, resolve } from 'node:path';
import { createPool, type Pool } from '@leakage/postgres';
import { loadSettings, readEnvironment, schemaSettings } from '@leakage/runtime';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CommandError } from '../command-error.ts';
import { databaseUrl, quietLogger, withDatabase } from '../connect.ts';
import { generatorFolder } from '../generator-folder.ts';
import { chargesOfFile, chargesOfGeneration, chargesOfTable, type Take } from '../score/charges.ts';
import { Judge } from '../score/judge.ts';
import { scoreLines } from '../score/report.ts';
import { trueCalls } from '../score/truth.ts';
import { unreadBySilver } from '../score/unread.ts';

interface ScoreOptions {
  readonly truth?: string;
  readonly table?: string;
  readonly file?: string;
  readonly naive?: boolean;
  readonly atLeast: number;
  readonly json?: true;
}

export function register(program: Command): void {
  program
    .command('score')
    .summary('how right attributed calls are, by the truth of the generator')
    .description(
      'Compares the leakage facts of the active generation, or any table of attributed calls, with the truth file of the ' +
        'generator: precision, recall, and the kinds of mistakes, over the calls that were not withdrawn. A table has the ' +
        'columns call_id, session_id (or digital_session_id) and leakage_type; rows without a leakage type charge nothing. ' +
        'Calls that silver has not read yet count as missed; how many records wait is said. Exit code 3: below --at-least.',
    )
    .option(
      '--truth <file>',
      'of the generator (default: truth.jsonl in OUTPUT_PATH, or in generator in the data folder)',
    )
    .addOption(new Option('--table <schema.table>', 'judge this table or view').conflicts(['file', 'naive']))
    .addOption(new Option('--file <path>', 'judge this file: .csv with a header, or JSON lines').conflicts('naive'))
    .option('--naive', 'judge what a join by member and time alone would charge')
    .option('--at-least <share>', 'what precision and recall must be', share, 0.995)
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage score\n  $ npx leakage score --naive\n  $ npx leakage score --file ./attributed.csv --truth ./data/truth.jsonl --at-least 0.9',
    )
    .action(run);
}

function share(text: string): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= 0 && value <= 1))
    throw new InvalidArgumentError('a number from 0 to 1 is wanted');
  return value;
}

async function run(options: ScoreOptions): Promise<void> {
  const judge = new Judge();
  for await (const call of trueCalls(truthFile(options.truth))) judge.addTruth(call);
  const { what, unread } = await addCharges(options, (charge) => judge.addCharge(charge));
  const score = judge.score();
  const json = { ...score, unread: typeof unread === 'number' ? unread : null };
  process.stdout.write(
    options.json
      ? `${JSON.stringify(json, null, 2)}\n`
      : scoreLines(score, { what, unread, atLeast: options.atLeast })
          .map((line) => `${line}\n`)
          .join(''),
  );
  const reached = [score.precision, score.recall].every((one) => one !== null && one >= options.atLeast);
  if (!reached) throw new CommandError(`Precision or recall is below ${options.atLeast}.`, 3);
}

function truthFile(given: string | undefined): string {
  return given === undefined ? join(generatorFolder(), 'truth.jsonl') : resolve(given);
}

interface Judged {
  readonly what: string;
  /** Records that silver has still to read, or why that is not known; null where silver is not what is judged. */
  readonly unread: number | string | null;
}

/** Hands over what is to be judged. */
async function addCharges({ file, table, naive = false }: ScoreOptions, take: Take): Promise<Judged> {
  if (file !== undefined) {
    await chargesOfFile(file, take);
    return { what: file, unread: null };
  }
  // Says in one sentence when nothing answers.
  await withDatabase('score', () => Promise.resolve());
  return await withLongPool(async (pool) => {
    if (table !== undefined) {
      await chargesOfTable(pool, table, take);
      return { what: table, unread: null };
    }
    const unread = await unreadBySilver(pool);
    const { silverSchema } = loadSettings(schemaSettings, readEnvironment());
    await chargesOfGeneration(pool, { silverSchema, naive }, take);
    return { what: naive ? 'The naive join' : 'The leakage facts', unread };
  });
}

/** A pool for statements that read all there is. */
async function withLongPool<T>(work: (pool: Pool) => Promise<T>): Promise<T> {
  const pool = createPool({
    url: databaseUrl(),
    applicationName: 'leakage-score',
    max: 1,
    statementTimeoutMs: 10 * 60_000,
    log: quietLogger('score'),
  });
  try {
    return await work(pool);
  } finally {
    await pool.stop();
  }
}
