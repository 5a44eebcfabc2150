import { ensureTopics, startPublisher } from '@leakage/kafka';
import { openEncoders, RegistrySilentError } from '@leakage/registry';
import {
  loadSettings,
  readEnvironment,
  registryWriterSettings,
  schemaSettings,
  timeZoneSettings,
} from '@leakage/runtime';
import { SOURCES, topicName, topicTable } from '@leakage/schemas';
import { type Command, InvalidArgumentError } from 'commander';
import { CommandError } from '../command-error.ts';
import { checkKafka, connectKafka, kafkaAddress, quietLogger, withDatabase } from '../connect.ts';
import { findFiles, type Header, type InputFile, readHeader } from '../import/files.ts';
import { type ImportResult, importFiles } from '../import/import-files.ts';
import { LocalTime } from '../import/local-time.ts';
import { awaitSilver, type SilverOutcome, silverOutcome, silverState } from '../import/outcome.ts';
import { sentLines, silverLines } from '../import/report.ts';
import { openScreen } from '../up/screen.ts';

interface ImportCommandOptions {
  readonly timeZone?: string;
  readonly wait: boolean;
  readonly patience: number;
  readonly json?: true;
}

type Screen = ReturnType<typeof openScreen>;
type Input = { file: InputFile; header: Header | null };

export function register(program: Command): void {
  program
    .command('import')
    .argument(
      '<folder>',
      'holds digital_journeys*, call_logs* and member_profiles*, each .csv (with a header) or .jsonl',
    )
    .summary('publish CSV and JSON lines files')
    .description(
      'Publishes the rows of files to the topics, then waits until silver has judged them. A line that cannot be read at all ' +
        'is refused and told; a row with wrong values is sent, and silver quarantines it with its reason. Times without an ' +
        'offset are local: one that happens twice when clocks go back is the first of the two, one that is skipped when they ' +
        'go forward lies as much later. Importing a file again does no harm: its rows are duplicates.',
    )
    .option('--time-zone <name>', 'of times without an offset (default: TIME_ZONE)')
    .option('--no-wait', 'do not wait for silver')
    .option('--patience <seconds>', 'how long to wait for silver while it does not move', seconds, 60)
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage import ./data\n  $ npx leakage import ./data --time-zone Europe/Berlin --no-wait',
    )
    .action(run);
}

function seconds(text: string): number {
  const value = Number(text);
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('a number of seconds is wanted');
  return value;
}

async function run(folder: string, options: ImportCommandOptions): Promise<void> {
  const localTime = localTimeOf(options.timeZone ?? loadSettings(timeZoneSettings, readEnvironment()).timeZone);
  const { files, ignored } = await findFiles(folder);
  const inputs: Input[] = [];
  for (const file of files) inputs.push({ file, header: file.format === 'csv' ? await readHeader(file) : null });
  const screen = openScreen(process.stderr);
  if (ignored.length > 0) screen.say(`Not imported: ${ignored.join(', ')}`);
  const result = options.wait
    ? await sendAndWait({ inputs, localTime, screen, patienceMs: options.patience * 1000 })
    : { ...(await send({ inputs, localTime, screen })), silver: null };
  screen.renew('');
  print(result, options);
  if (result.sent === 0) throw new CommandError('Not one line could be sent.');
  if (options.wait && result.silver === null) {
    throw new CommandError(
      `The lines are sent, but silver has not read them: it has not moved for ${options.patience} seconds. Look at \`leakage status\`.`,
    );
  }
}

function localTimeOf(timeZone: string): LocalTime {
  try {
    return new LocalTime(timeZone);
  } catch (error) {
    if (error instanceof RangeError)
      throw new CommandError(`${timeZone} is no time zone: give a name such as America/New_York.`, 2);
    throw error;
  }
}

async function send(o: { inputs: Input[]; localTime: LocalTime; screen: Screen }): Promise<ImportResult> {
  const { kafka, topicPrefix } = connectKafka('import');
  await checkKafka(kafka);
  const { differences } = await ensureTopics(kafka, topicTable(topicPrefix));
  for (const difference of differences) o.screen.say(`Note: ${difference}`);
  const { schemaRegistryUrl: url, schemaRegistryRegister: register } = loadSettings(
    registryWriterSettings,
    readEnvironment(),
  );
  const log = quietLogger('import');
  const sources = SOURCES.filter((source) => o.inputs.some(({ file }) => file.source === source));
  const encoders = await openEncoders({ url, register, topicPrefix, sources, log }).catch(explained);
  const publisher = await startPublisher(kafka, { log });
  const total = o.inputs.reduce((sum, { file }) => sum + file.bytes, 0);
  const began = performance.now();
  try {
    return await importFiles({
      files: o.inputs,
      topicPrefix,
      localTime: o.localTime,
      encoders,
      publisher,
      onProgress: ({ sent, refused, bytes }) => {
        const rate = Math.round((sent / Math.max(1, performance.now() - began)) * 1000);
        o.screen.renew(
          `${Math.floor((bytes / Math.max(1, total)) * 100)} %  ${sent} lines sent (${rate}/s), ${refused} refused`,
        );
      },
    });
  } finally {
    await publisher.stop();
  }
}

function explained(error: unknown): never {
  if (error instanceof RegistrySilentError)
    throw new CommandError(`${error.message}: start it, or check SCHEMA_REGISTRY_URL.`);
  throw error;
}

interface WholeResult extends ImportResult {
  silver: SilverOutcome | null;
}

async function sendAndWait(o: {
  inputs: Input[];
  localTime: LocalTime;
  screen: Screen;
  patienceMs: number;
}): Promise<WholeResult> {
  const { bronzeSchema, silverSchema } = loadSettings(schemaSettings, readEnvironment());
  return await withDatabase('import', async (pool) => {
    const { topicPrefix } = kafkaAddress();
    const topics = [...new Set(o.inputs.map(({ file }) => topicName(topicPrefix, file.source)))];
    const before = await silverState(pool, topics);
    const result = await send(o);
    const { ranges } = result;
    const onWait = (left: number): void => o.screen.renew(`waiting for silver: ${left} records left`);
    const after =
      ranges.length === 0 ? null : await awaitSilver({ pool, topics, ranges, patienceMs: o.patienceMs, onWait });
    if (after === null) return { ...result, silver: null };
    const schemas = { bronze: bronzeSchema, silver: silverSchema };
    const sameGeneration = before?.generation === after.generation;
    return {
      ...result,
      silver: await silverOutcome({ pool, before: sameGeneration ? before.state : null, after, ranges, schemas }),
    };
  });
}

function print({ ranges: _, ...result }: WholeResult, options: ImportCommandOptions): void {
  if (options.json) {
    process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
    return;
  }
  const lines = [
    ...sentLines({ ...result, ranges: [] }),
    ...(result.silver === null ? [] : silverLines(result.silver)),
  ];
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}
