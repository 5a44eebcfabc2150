import { setTimeout as sleep } from 'node:timers/promises';
import { migrateOps, type Pool } from '@leakage/postgres';
import { loadSettings, readEnvironment, timeZoneSettings } from '@leakage/runtime';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { CommandError } from '../command-error.ts';
import { checkKafka, connectKafka, databaseUrl, quietLogger, withDatabase } from '../connect.ts';
import { existingGeneration } from '../generation.ts';
import { LocalTime } from '../import/local-time.ts';
import { beginReplay } from '../replay/begin.ts';
import { readBeginning } from '../replay/beginning.ts';
import {
  endReplay,
  listReplays,
  pauseReplay,
  type ReplayedService,
  type ReplayState,
  readReplay,
  unpauseReplay,
} from '../replay/replay-store.ts';
import {
  capital,
  listLines,
  nameOf,
  progressLine,
  replayDocument,
  summaryLines,
  wholeNumber,
} from '../replay/report.ts';
import { type RunEnd, runReplayService } from '../replay/run-service.ts';
import { watchInterruption } from '../up/interruption.ts';
import { openScreen, type Screen } from '../up/screen.ts';

interface ReplayCommandOptions {
  readonly service?: ReplayedService;
  readonly from?: string;
  readonly generation?: number;
  readonly rate?: number;
  readonly resume?: number;
  readonly pause?: number;
  readonly cancel?: number;
  readonly list?: true;
  readonly json?: true;
}

const lookEveryMs = 1_000;
const newestListed = 100;

export function register(program: Command): void {
  program
    .command('replay')
    .summary('have a service read again what it has read')
    .description(
      'Reads records again from Kafka, up to where the live service stands, while everything goes on: bronze-sink adds the rows ' +
        'that bronze lacks, silver-joiner accepts the records that silver lacks. Where nothing is lacking, nothing changes. ' +
        'Ctrl-C stops it; --resume goes on where it stopped.',
    )
    .addOption(new Option('--service <name>', 'which one').choices(['bronze-sink', 'silver-joiner']))
    .option(
      '--from <earliest|time|offsets>',
      'the oldest record that Kafka has; a time (local where it has no offset); or topic/partition@offset,... or a JSON file with these',
    )
    .option('--generation <n>', 'of silver, another one than the active one', positive)
    .option('--rate <records/s>', 'so many records a second at most', positive)
    .option('--resume <id>', 'go on with a replay that was stopped', positive)
    .option('--pause <id>', 'stop the process that works on a replay, wherever it runs', positive)
    .option('--cancel <id>', 'end a replay where it stands', positive)
    .option('--list', 'all replays, the newest first')
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage replay --service bronze-sink --from earliest\n' +
        '  $ npx leakage replay --service silver-joiner --from 2026-11-01T00:00:00Z --rate 2000\n' +
        '  $ npx leakage replay --service silver-joiner --from leakage.calls/3@1200,leakage.calls/4@980\n' +
        '  $ npx leakage replay --resume 3',
    )
    .action(replay);
}

async function replay(options: ReplayCommandOptions): Promise<void> {
  const wishes = [options.service, options.resume, options.pause, options.cancel, options.list];
  if (wishes.filter((wish) => wish !== undefined).length !== 1) {
    throw new CommandError('Say one thing: --service with --from, or --resume, --pause, --cancel or --list.', 2);
  }
  if ((options.service === undefined) !== (options.from === undefined)) {
    throw new CommandError('--service and --from belong together: what is to be read again, and from where on.', 2);
  }
  await withDatabase('replay', async (pool) => {
    await migrateOps({ url: databaseUrl(), log: quietLogger('replay') });
    if (options.list) return print(options, await listReplays(pool, newestListed));
    if (options.pause !== undefined) return await pause(pool, options.pause, options);
    if (options.cancel !== undefined) return await cancel(pool, options.cancel, options);
    return await run(pool, options);
  });
}

function print(options: ReplayCommandOptions, replays: readonly ReplayState[]): void {
  const lines = options.json ? [JSON.stringify(replays.map(replayDocument), null, 2)] : listLines(replays);
  process.stdout.write(`${lines.join('\n')}\n`);
}

async function pause(pool: Pool, id: number, options: ReplayCommandOptions): Promise<void> {
  if (!(await pauseReplay(pool, id))) throw await isOver(pool, id);
  tell(options, await existing(pool, id), [`Paused: npx leakage replay --resume ${id} goes on with it.`]);
}

async function cancel(pool: Pool, id: number, options: ReplayCommandOptions): Promise<void> {
  if (!(await endReplay(pool, id, 'cancelled'))) throw await isOver(pool, id);
  const ended = await existing(pool, id);
  tell(options, ended, summaryLines(ended));
}

/** Begins or resumes, and stays until it is over or somebody has stopped it. */
async function run(pool: Pool, options: ReplayCommandOptions): Promise<void> {
  const screen = openScreen(process.stderr);
  const id = options.resume ?? (await begin(pool, options, screen));
  if (id === null) return nothing(options);
  if (options.resume !== undefined && !(await unpauseReplay(pool, id, options.rate ?? null)))
    throw await isOver(pool, id);
  const before = await existing(pool, id);
  screen.say(`${capital(nameOf(before))}: Ctrl-C stops it, npx leakage replay --resume ${id} goes on.`);
  // Somebody may have let the service finish it without us.
  const end = (await endReplay(pool, id, 'done')) ? null : await work({ pool, screen, before });
  await endReplay(pool, id, 'done');
  const after = await existing(pool, id);
  if (after.state === 'running') throw unfinished(after, end);
  tell(options, after, summaryLines(after));
  if (after.state === 'cancelled') process.exitCode = 1;
}

async function begin(pool: Pool, options: ReplayCommandOptions, screen: Screen): Promise<number | null> {
  const { service = 'silver-joiner', from = 'earliest' } = options;
  const { timeZone } = loadSettings(timeZoneSettings, readEnvironment());
  const beginning = readBeginning(from, new LocalTime(timeZone));
  const { kafka, topicPrefix } = connectKafka('replay');
  await checkKafka(kafka);
  return await beginReplay({
    pool,
    kafka,
    topicPrefix,
    service,
    generation: service === 'bronze-sink' ? null : await existingGeneration(pool, options.generation),
    beginning,
    begins: from,
    recordsPerSecond: options.rate ?? null,
    note: screen.say,
  });
}

async function work(o: {
  readonly pool: Pool;
  readonly screen: Screen;
  readonly before: ReplayState;
}): Promise<RunEnd> {
  const interruption = watchInterruption();
  try {
    return await showing(o, runReplayService(o.before, { interruption }));
  } finally {
    interruption[Symbol.dispose]();
    o.screen.renew('');
  }
}

/** Shows how far it is, every second, until the process has ended. */
async function showing(
  { pool, screen, before }: { readonly pool: Pool; readonly screen: Screen; readonly before: ReplayState },
  running: Promise<RunEnd>,
): Promise<RunEnd> {
  let began: { readonly at: number; readonly offsets: number } | null = null;
  const ended = running.then((end) => ({ end }));
  for (;;) {
    const outcome = await Promise.race([ended, sleep(lookEveryMs, null)]);
    if (outcome !== null) return outcome.end;
    const now = await readReplay(pool, before.id);
    if (now === null) continue;
    const at = performance.now();
    if (began === null || now.offsets === began.offsets) began = { at, offsets: now.offsets };
    const seconds = (at - began.at) / 1000;
    screen.renew(progressLine({ replay: now, perSecond: seconds > 0 ? (now.offsets - began.offsets) / seconds : 0 }));
  }
}

function unfinished(replay: ReplayState, end: RunEnd | null): CommandError {
  const { code, said } = end ?? { code: 0, said: [] };
  const at = `${wholeNumber(replay.offsets)} of ${wholeNumber(replay.total ?? 0)} records`;
  const goOn = `npx leakage replay --resume ${replay.id} goes on`;
  if (code === 0) return new CommandError(`${capital(nameOf(replay))} was stopped after ${at}: ${goOn}.`);
  const why = said.length === 0 ? '' : `: ${said.join('\n')}`;
  return new CommandError(
    `${capital(nameOf(replay))} ended with ${code === null ? 'a signal' : `code ${code}`} after ${at}${why}\nWhen that is mended, ${goOn}.`,
  );
}

function tell(options: ReplayCommandOptions, replay: ReplayState, lines: readonly string[]): void {
  const text = options.json ? JSON.stringify(replayDocument(replay), null, 2) : lines.join('\n');
  process.stdout.write(`${text}\n`);
}

function nothing(options: ReplayCommandOptions): void {
  process.stdout.write(
    options.json ? 'null\n' : 'Nothing to replay: Kafka has no record from there on that the service has read.\n',
  );
}

async function existing(pool: Pool, id: number): Promise<ReplayState> {
  const found = await readReplay(pool, id);
  if (found === null) throw new CommandError(`There is no replay ${id}: see leakage replay --list.`, 2);
  return found;
}

async function isOver(pool: Pool, id: number): Promise<CommandError> {
  const found = await existing(pool, id);
  return new CommandError(`${capital(nameOf(found))} is ${found.state} already.`);
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1 || value > 2_147_483_647) {
    throw new InvalidArgumentError('a whole number from 1 is wanted');
  }
  return value;
}
