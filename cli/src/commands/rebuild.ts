import { join } from 'node:path';
import { type KafkaClient, offsetsSince, topicOffsets } from '@leakage/kafka';
import { activeGeneration, loadGeneration, type Pool } from '@leakage/postgres';
import { dataDirectory, loadSettings, readEnvironment, schemaSettings, timeZoneSettings } from '@leakage/runtime';
import { SOURCES, topicName } from '@leakage/schemas';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { openDataFolder } from '../../local/index.ts';
import { CommandError } from '../command-error.ts';
import { connectKafka, databaseUrl, withDatabase } from '../connect.ts';
import { GenerationRunner } from '../generations/runner.ts';
import { LocalTime } from '../import/local-time.ts';
import { answersAt } from '../probe.ts';
import { beginRebuild } from '../rebuild/begin.ts';
import { changeOrders } from '../rebuild/orders.ts';
import { partWords, readPart } from '../rebuild/part.ts';
import type { KafkaLogs } from '../rebuild/place-part.ts';
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
  readonly from?: string;
  readonly to?: string;
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
      '--from <time>',
      'only of what Kafka got at that time or later (local where it has no offset), and all profiles; it is a what-if',
    )
    .option('--to <time>', 'only of what Kafka got before that time; it ends there, and is a what-if')
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
        '  $ npx leakage rebuild --from 2026-11-01T00:00:00Z --to 2026-11-08T00:00:00Z --set window=45m\n' +
        '  $ npx leakage rebuild --source bronze --share 80\n  $ npx leakage rebuild --pause 2\n  $ npx leakage rebuild --resume 2 --share 100',
    )
    .action(rebuild);
}

async function rebuild(options: RebuildOptions): Promise<void> {
  checkUsage(options);
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
    else for (const line of await nextSteps(pool, { generation, built: built !== null })) screen.say(line);
  });
}

/** What a generation is made of never changes. */
function checkUsage({ resume, pause, set, from, to }: RebuildOptions): void {
  if (resume === undefined && pause === undefined) return;
  if (resume !== undefined && set.length > 0)
    throw new CommandError('The rules of a generation never change: leave out --set, or build a new one.', 2);
  if (from !== undefined || to !== undefined)
    throw new CommandError(
      'What a generation is made of never changes: leave out --from and --to, or build a new one.',
      2,
    );
}

async function begin(pool: Pool, options: RebuildOptions, screen: Screen): Promise<number> {
  const rules = parseRuleOrders(options.set);
  const environment = readEnvironment();
  const { bronzeSchema, silverSchema, goldSchema } = loadSettings(schemaSettings, environment);
  const { timeZone } = loadSettings(timeZoneSettings, environment);
  const part = readPart(options, { localTime: new LocalTime(timeZone), now: Date.now() });
  const { generation, source, why, closedBefore, takenFrom } = await beginRebuild({
    pool,
    environment: { DATABASE_URL: databaseUrl() },
    schemas: { bronze: bronzeSchema, silver: silverSchema, gold: goldSchema },
    rolePrefix: options.rolePrefix,
    logs: await kafkaLogs(),
    order: {
      rules,
      source: options.source,
      purpose: options.whatIf || part !== null ? 'what_if' : 'candidate',
      part,
      sharePercent: options.share ?? SHARE_PERCENT,
      recordsPerSecond: options.rate ?? null,
      note: options.note ?? null,
    },
  });
  screen.say(`Generation ${generation} is built from ${source === 'topics' ? 'Kafka' : 'bronze'} (${why})`);
  if (part !== null)
    screen.say(
      `It is made of ${partWords(part)}, and of all profiles until then: a what-if, to be compared and never promoted`,
    );
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
  await changeOrders(pool, generation, {
    paused: false,
    ...(options.share === undefined ? {} : { sharePercent: options.share }),
    ...(options.rate === undefined ? {} : { recordsPerSecond: options.rate }),
    ...(options.source === 'bronze' ? { readBronzeAgain: true } : {}),
  });
  return generation;
}

/** Null where Kafka does not answer: bronze will do. */
async function kafkaLogs(): Promise<KafkaLogs | null> {
  const { kafka, topicPrefix } = connectKafka('rebuild');
  if (!(await anyAnswers(kafka))) return null;
  const topics = SOURCES.map((source) => topicName(topicPrefix, source));
  return { topicPrefix, ends: () => topicOffsets(kafka, topics), since: (ms) => offsetsSince(kafka, topics, ms) };
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

async function nextSteps(
  pool: Pool,
  { generation, built }: { readonly generation: number; readonly built: boolean },
): Promise<string[]> {
  if (!built) return [`See how far it is with: npx leakage rebuild --resume ${generation}`];
  const active = await activeGeneration(pool);
  const { purpose, fromTime, toTime } = (await loadGeneration(pool, generation)) ?? everything;
  const isPart = fromTime !== null || toTime !== null;
  const what = isPart ? `all of ${partWords({ from: fromTime, to: toTime })}` : 'everything';
  return [
    `Generation ${generation} has ${what}${toTime === null ? ' and follows live' : ''}. Next:`,
    `  npx leakage verify --generation ${generation}    recomputes it with an independent program`,
    `  npx leakage diff ${active} ${generation}                 what it would change, in calls and dollars`,
    ...(purpose === 'what_if'
      ? []
      : [`  npx leakage promote ${generation}                shows it to everybody; leakage rollback goes back`]),
  ];
}

const everything = { purpose: 'candidate', fromTime: null, toTime: null } as const;

const positive = wholeNumber(1);

function percent(text: string): number {
  const value = positive(text.replace(/\s*%$/, ''));
  if (value > 100) throw new InvalidArgumentError('1 to 100 percent');
  return value;
}
