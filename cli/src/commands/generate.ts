import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { readEnvironment } from '@leakage/runtime';
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { kafkaAddress } from '../connect.ts';

const projectFolder = join(import.meta.dirname, '..', '..', '..');

/** Flags, and the settings of the generator that they set. */
const flags = [
  ['--preset <name>', 'PRESET', 'small, standard, full or parity'],
  ['--seed <n>', 'SEED', 'the same seed gives the same world'],
  ['--num-members <n>', 'NUM_MEMBERS', 'members'],
  ['--num-digital-journeys <n>', 'NUM_DIGITAL_JOURNEYS', 'digital events a day'],
  ['--num-calls <n>', 'NUM_CALLS', 'leakage calls a day'],
  ['--history-days <n>', 'HISTORY_DAYS', 'complete days before the live stream'],
  ['--anchor-date <date>', 'ANCHOR_DATE', 'last day of the history (default: yesterday)'],
  ['--speed <n>', 'SPEED', 'simulated seconds in a second after the anchor date'],
  ['--to <kafka|jsonl|csv>', 'GENERATOR_OUTPUT', 'where the records go (default: kafka)'],
  ['--output-path <folder>', 'OUTPUT_PATH', 'folder of the files, the truth file and the state'],
  ['--parameters <file>', 'PARAMETER_FILE', 'JSON file of what is different in the simulated world'],
  ['--time-zone <name>', 'TIME_ZONE', 'where days begin'],
] as const;

const camelCase = (flag: string): string =>
  flag
    .replace(/^--/, '')
    .replace(/ .*$/, '')
    .replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

export function register(program: Command): void {
  const command = program
    .command('generate')
    .summary('publish an invented world: members, journeys, calls')
    .description(
      'Runs the generator: a seeded world, spoiled on purpose, as history and then as a live stream until Ctrl-C. Started ' +
        'again it goes on where it stopped. Into files it writes the history alone: jsonl has every record as it would be ' +
        'sent, csv each event once, as it stands in the end, with the columns of the original notebooks; `leakage import` ' +
        'reads both. All its settings: npx node services/generator/src/main.ts --help',
    );
  for (const [flag, , help] of flags) command.option(flag, help);
  command
    .option('--history-only', 'end when the history is published')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage generate\n  $ npx leakage generate --preset standard --history-days 42 --history-only\n' +
        '  $ npx leakage generate --preset parity --to csv --output-path ./data',
    )
    .action(generate);
}

async function generate(options: Readonly<Record<string, string | true | undefined>>): Promise<void> {
  const toKafka = (options.to ?? process.env.GENERATOR_OUTPUT ?? 'kafka') === 'kafka';
  if (toKafka) kafkaAddress(); // says in one sentence when nobody knows where Kafka is
  const env: Record<string, string | undefined> = {
    ...readEnvironment(),
    METRICS_PORT: process.env.METRICS_PORT ?? '0',
  };
  for (const [flag, variable] of flags) {
    const value = options[camelCase(flag)];
    if (typeof value === 'string') env[variable] = value;
  }
  if (options.historyOnly === true) env.LIVE = 'false';
  const child = spawn(process.execPath, [join(projectFolder, 'services', 'generator', 'src', 'main.ts')], {
    env,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  // A terminal sends Ctrl-C to both processes, a supervisor often to this one alone: closing the channel stops the
  // generator in order either way, and does not count as a second signal.
  const stop = (): void => {
    if (child.connected) child.disconnect();
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  // Not its 'close', which never comes when the channel was closed from this side.
  const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
  if (code === 2) throw new CommandError('The generator does not accept these settings.', 2);
  if (code !== 0) throw new CommandError(`The generator ended with ${signal ?? `code ${code}`}.`);
}
