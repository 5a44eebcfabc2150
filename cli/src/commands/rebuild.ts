import { join } from 'node:path';
import { type KafkaClient, type PartitionEnds, topicOffsets } from '@leakage/kafka';
import { activeGeneration, type Pool } from '@leakage/postgres';
import { dataDirectory, loadSettings, readEnvironment, schemaSettings } from '@leakage/runtime';
import { SOURCES, topicName } from '@leakage/schemas';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { openDataFolder } from '../../local/index.ts';
import { CommandError } from '../command-error.ts';
import { connectKafka, databaseUrl, withDatabase } from '../connect.ts';
import { GenerationRunner } from '../generations/runner.ts';
import { answersAt } from '../probe.ts';
import { beginRebuild } from '../rebuild/begin.ts';
import { changeOrders } from '../rebuild/orders.ts';
import { parseRuleOrders } from '../rebuild/rules.ts';
import type { WantedSource } from '../rebuild/source.ts';
import { watchRebuild } from '../rebuild/watch.ts';
import { watchInterruption } from '../up/interruption.ts';
import { openScreen, type Screen } from '../up/screen.ts';
import { startGeneration } from '../up/services.ts';
import { wholeNumber } from '../whole-number.ts';

interface RebuildOptions {
  readonly source: WantedSource;
  readonly set: readonly string[];
  readonly whatIf?: true;
  readonly share?: number;
  readonly rate?: number;
  readonly note?: string;
  readonly resume?: number;
  readonly pause?: number;
  readonly detach?: true;
  readonly rolePrefix: string;
  readonly json?: true;
}

/** Of its time, by default: the live generation keeps at least the rest. */
const SHARE_PERCENT = 50;

export function register(program: Command): void {
  program
    .command('rebuild')
    .summary('compute silver and gold anew, beside live')
    .description(
      'Makes a new generation of silver and gold, with other rules if you like, and builds it from Kafka, or from bronze ' +
        'where Kafka has forgotten something, while the active one goes on. It then follows live. Compare it with ' +
        'leakage diff, check it with leakage verify, and let everybody see it with leakage promote. ' +
        'Ctrl-C ends the watching; the building goes on where leakage up runs, else with leakage rebuild --resume <n>.',
    )
    .addOption(
      new Option('--source <where>', 'where to read from; auto: Kafka if it still has everything, else bronze')
        .choices(['auto', 'topics', 'bronze'])
        .default('auto'),
    )
    .option(
      '--set <rule=value>',
      'another rule than the active generation has, as often as needed: window=45m, repeat-scope=any_reason, reasons=<file>, time-zone=America/Chicago',
      (text: string, before: string[]) => [...before, text],
      [] as string[],
    )
    .option('--what-if', 'only to be compared: it can never be promoted')
    .option(
      '--share <percent>',
      `how much of its time it takes until it has caught up (default: ${SHARE_PERCENT})`,
      percent,
    )
    .option('--rate <records>', 'records a second at most until it has caught up', positive)
    .option('--note <text>', 'what it is for, for the list of generations')
    .option('--pause <generation>', 'let the building of a generation rest', positive)
    .option('--resume <generation>', 'go on with it, with another --share or --rate if given, and show it', positive)
    .option('--detach', 'do not wait until it is built')
    .option('--role-prefix <name>', 'first part of the names of the logins that leakage init made', 'leakage')
    .option('--json', 'one JSON document on stdout, at the end')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage rebuild\n  $ npx leakage rebuild --what-if --set window=45m --note "45 minutes instead of 30"\n' +
        '  $ npx leakage rebuild --source bronze --share 80\n  $ npx leakage rebuild --pause 2\n  $ npx leakage rebuild --resume 2 --share 100',
    )
    .action(rebuild);
}

async function rebuild(options: RebuildOptions): Promise<void> {
  const screen = openScreen(process.stderr);
  await withDatabase('rebuild', async (pool) => {
    if (options.pause !== undefined) {
      await changeOrders(pool, options.pause, { paused: true });
      screen.say(`Generation ${options.pause} rests. Go on with: npx leakage rebuild --resume ${options.pause}`);
      return;
    }
    const generation = await (options.resume === undefined
      ? begin(pool, options, screen)
      : resume(pool, options.resume, options));
    const built = options.detach ? null : await watch(pool, generation, screen);
    if (options.json)
      process.stdout.write(`${JSON.stringify({ generation, built: built !== null, progress: built }, null, 2)}\n`);
    else
      for (const line of nextSteps(
        { generation, active: await activeGeneration(pool), built: built !== null },
        options,
      ))
        screen.say(line);
  });
}

async function begin(pool: Pool, options: RebuildOptions, screen: Screen): Promise<number> {
  const rules = parseRuleOrders(options.set);
  const { bronzeSchema, silverSchema, goldSchema } = loadSettings(schemaSettings, readEnvironment());
  const { generation, source, why, closedBefore, takenFrom } = await beginRebuild({
    pool,
    environment: { DATABASE_URL: databaseUrl() },
    schemas: { bronze: bronzeSchema, silver: silverSchema, gold: goldSchema },
    rolePrefix: options.rolePrefix,
    ends: await kafkaEnds(),
    order: {
      rules,
      source: options.source,
      purpose: options.whatIf ? 'what_if' : 'candidate',
      sharePercent: options.share ?? SHARE_PERCENT,
      recordsPerSecond: options.rate ?? null,
      note: options.note ?? null,
    },
  });
  screen.say(`Generation ${generation} is built from ${source === 'topics' ? 'Kafka' : 'bronze'} (${why})`);
  if (closedBefore !== null) {
    const before =
      takenFrom === null ? 'it has none of the days before' : `the days before are those of generation ${takenFrom}`;
    screen.say(
      `Retention has removed what lies before: it counts the local days from ${closedBefore} on, and ${before}`,
    );
  }
  return generation;
}

async function resume(pool: Pool, generation: number, options: RebuildOptions): Promise<number> {
  if (options.set.length > 0)
    throw new CommandError('The rules of a generation never change: leave out --set, or build a new one.', 2);
  await changeOrders(pool, generation, {
    paused: false,
    ...(options.share === undefined ? {} : { sharePercent: options.share }),
    ...(options.rate === undefined ? {} : { recordsPerSecond: options.rate }),
    ...(options.source === 'bronze' ? { readBronzeAgain: true } : {}),
  });
  return generation;
}

/** Null where Kafka does not answer: bronze will do. */
async function kafkaEnds(): Promise<PartitionEnds[] | null> {
  const { kafka, topicPrefix } = connectKafka('rebuild');
  if (!(await anyAnswers(kafka))) return null;
  return await topicOffsets(
    kafka,
    SOURCES.map((source) => topicName(topicPrefix, source)),
  );
}

async function anyAnswers({ brokers }: KafkaClient): Promise<boolean> {
  const answers = await Promise.all(brokers.map((broker) => answersAt(`kafka://${broker}`)));
  return answers.includes(true);
}

async function watch(pool: Pool, generation: number, screen: Screen) {
  const interruption = watchInterruption();
  try {
    return await watchRebuild({
      pool,
      generation,
      screen,
      signal: interruption.signal,
      runHere: () => runnerOf(pool, generation, screen),
    });
  } finally {
    interruption[Symbol.dispose]();
  }
}

/** Processes of this one generation, as children of this command. */
function runnerOf(pool: Pool, generation: number, screen: Screen): GenerationRunner {
  const folder = openDataFolder(join(dataDirectory(), `generation-${generation}`));
  const env = { ...process.env, ...readEnvironment() };
  return new GenerationRunner({
    db: pool,
    serves: ({ id }) => id === generation,
    start: (one) => startGeneration({ folder, env, say: screen.say }, one),
    onBroken: (id, why) => screen.say(`Generation ${id} stands still: ${why}`),
    say: screen.say,
  });
}

function nextSteps(
  {
    generation,
    active,
    built,
  }: { readonly generation: number; readonly active: number | null; readonly built: boolean },
  options: RebuildOptions,
): string[] {
  if (!built) return [`See how far it is with: npx leakage rebuild --resume ${generation}`];
  return [
    `Generation ${generation} has everything and follows live. Next:`,
    `  npx leakage verify --generation ${generation}    recomputes it with an independent program`,
    `  npx leakage diff ${active} ${generation}                 what it would change, in calls and dollars`,
    ...(options.whatIf
      ? []
      : [`  npx leakage promote ${generation}                shows it to everybody; leakage rollback goes back`]),
  ];
}

const positive = wholeNumber(1);

function percent(text: string): number {
  const value = positive(text.replace(/\s*%$/, ''));
  if (value > 100) throw new InvalidArgumentError('1 to 100 percent');
  return value;
}
