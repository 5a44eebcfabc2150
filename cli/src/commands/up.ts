import { relative } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { dataDirectory } from '@leakage/runtime';
import type { Command } from 'commander';
import { type LocalStack, startLocalStack } from '../../local/index.ts';
import { CommandError } from '../command-error.ts';
import { type Interruption, watchInterruption } from '../up/interruption.ts';
import { runProduct } from '../up/product.ts';
import { openScreen, type Screen } from '../up/screen.ts';
import { loadUpSettings, type UpSettings } from '../up/settings.ts';

interface UpOptions {
  readonly generator: boolean;
  readonly empty?: true;
  readonly yes?: true;
}

export function register(program: Command): void {
  program
    .command('up')
    .summary('start everything and show how it fills (npm start)')
    .description(
      'Starts Kafka and Postgres (unless KAFKA_BROKERS and DATABASE_URL say where they are), then bronze-sink, ' +
        'silver-joiner, gold-aggregator, api and a generator of synthetic events. Ctrl-C stops all of it; the data stay.',
    )
    .option('--no-generator', 'without synthetic events: for your own')
    .option('--empty', 'forget the data of earlier starts first (asks)')
    .option('--yes', 'do not ask')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage up\n  $ npx leakage up --no-generator\n' +
        '  $ PRESET=standard LEAKAGE_DATA_DIR=/data/leakage npx leakage up --empty --yes',
    )
    .action(up);
}

async function up(options: UpOptions): Promise<void> {
  const settings = loadUpSettings();
  const dataDir = dataDirectory();
  if (options.empty) await confirmForgetting(options, settings, dataDir);
  const screen = openScreen(process.stdout);
  // try and finally, not `using`: the boundary check's parser does not know that statement.
  const interruption = watchInterruption();
  try {
    const trouble = await start(settings, { dataDir, screen, interruption, options });
    if (trouble !== null) throw new CommandError(trouble);
  } finally {
    interruption[Symbol.dispose]();
  }
  screen.say(`Stopped. The data stay in ${relative(process.cwd(), dataDir) || dataDir} for the next start.`);
}

interface StartOptions {
  readonly dataDir: string;
  readonly screen: Screen;
  readonly interruption: Interruption;
  readonly options: UpOptions;
}

async function start(settings: UpSettings, o: StartOptions): Promise<string | null> {
  const { dataDir, screen, interruption, options } = o;
  let stack: LocalStack;
  try {
    stack = await startLocalStack({
      dataDir,
      brokers: settings.kafkaBrokers?.join(','),
      databaseUrl: settings.databaseUrl,
      empty: options.empty ?? false,
      say: screen.say,
      signal: interruption.signal,
    });
  } catch (error) {
    if (interruption.signal.aborted) return null;
    throw error;
  }
  return runProduct({ stack, settings, screen, interruption, generator: options.generator });
}

async function confirmForgetting(options: UpOptions, settings: UpSettings, dataDir: string): Promise<void> {
  if (settings.databaseUrl || settings.kafkaBrokers) {
    throw new CommandError(
      '--empty forgets only what is kept in the data folder, and KAFKA_BROKERS or DATABASE_URL points elsewhere: ' +
        'delete topics and database there yourself, or unset both.',
      2,
    );
  }
  if (options.yes) return;
  if (!process.stdin.isTTY || !process.stdout.isTTY) {
    throw new CommandError('--empty asks before it forgets data, and nobody can answer here: add --yes.', 2);
  }
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await prompt.question(`Forget all data in ${dataDir}? [y/N] `);
  prompt.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('Nothing was forgotten and nothing started.');
}
