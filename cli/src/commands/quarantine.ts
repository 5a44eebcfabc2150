import { startPublisher } from '@leakage/kafka';
import type { Connection, Pool } from '@leakage/postgres';
import { kafkaSettings, loadSettings, readEnvironment, schemaSettings } from '@leakage/runtime';
import { SOURCES, type Source } from '@leakage/schemas';
import { type Command, Option } from 'commander';
import { CommandError } from '../command-error.ts';
import { checkKafka, connectKafka, quietLogger, withDatabase } from '../connect.ts';
import { position, positions, positive, runName, since } from '../quarantine/arguments.ts';
import { BronzeStore } from '../quarantine/bronze-store.ts';
import { conflictsOf, countConflicts, readConflicts } from '../quarantine/conflicts.ts';
import { disclose } from '../quarantine/disclosure-store.ts';
import { type Fix, fixText } from '../quarantine/fix.ts';
import type { Position } from '../quarantine/position.ts';
import { QuarantineStore, type Selection, type Status, statuses } from '../quarantine/quarantine-store.ts';
import { type Reinjected, reinject } from '../quarantine/reinject.ts';
import { RepairStore } from '../quarantine/repair-store.ts';
import {
  conflictLines,
  listLines,
  type ReinjectReport,
  reinjectLines,
  showLines,
  trialLines,
} from '../quarantine/report.ts';
import { settle } from '../quarantine/settle.ts';
import { show } from '../quarantine/show.ts';
import { tryFix } from '../quarantine/try-fix.ts';
import { openReading, placeOf, readFix, withWorkshop } from '../quarantine/workshop.ts';
import { watchInterruption } from '../up/interruption.ts';
import { openScreen, type Screen } from '../up/screen.ts';

interface Common {
  readonly json?: true;
}

interface SelectionOptions extends Common {
  readonly source?: Source;
  readonly reason?: string;
  readonly since?: number;
}

export function register(program: Command): void {
  const quarantine = program
    .command('quarantine')
    .summary('see, repair and send again what silver has refused')
    .description(
      'Lists what is in quarantine and why, shows single records, tries a fix on a sample, and sends repaired records to their ' +
        'topic again, as new records that say what they repair. A fix is a file of JSON; docs/quarantine.md describes it. ' +
        'What silver would refuse again is not sent. A run that was interrupted is given again and goes on.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage quarantine list\n  $ npx leakage quarantine show leakage.journeys/3/4711\n' +
        '  $ npx leakage quarantine try --fix fix.json --reason type:timestamp\n' +
        '  $ npx leakage quarantine reinject --fix fix.json --reason type:timestamp --name seconds-2026-11\n' +
        '  $ npx leakage quarantine discard --reason unknown_format --why "a port scanner"\n  $ npx leakage quarantine conflicts',
    );
  registerLooking(quarantine);
  registerRepairing(quarantine);
}

function registerLooking(quarantine: Command): void {
  selecting(command(quarantine, 'list', 'what is in quarantine, by source and reason'))
    .addOption(
      new Option('--status <status>', 'what became of it')
        .choices([...statuses, 'all'])
        .default('open' satisfies Status),
    )
    .action(list);
  command(quarantine, 'show', 'everything about one record, the member in it included; it is recorded who looked')
    .argument('<position>', 'topic/partition/offset', position)
    .option('--purpose <text>', 'why you look, for the record')
    .action(showOne);
  command(quarantine, 'conflicts', 'identities of which several versions contradict each other, with all of them')
    .option('--limit <n>', 'how many identities', positive, 20)
    .option('--show', 'with the members in them; it is recorded who looked')
    .option('--purpose <text>', 'why you look, for the record')
    .action(conflicts);
}

function registerRepairing(quarantine: Command): void {
  choosing(command(quarantine, 'try', 'make a fix on some records and have the rules judge them; nothing is sent'))
    .requiredOption('--fix <file>', 'the fix, a file of JSON')
    .option('--sample <n>', 'how many records', positive, 10)
    .action(tryOne);
  choosing(command(quarantine, 'reinject', 'repair records and send them to their topic again'))
    .requiredOption('--fix <file>', 'the fix, a file of JSON')
    .requiredOption('--name <run>', 'the name of this run: it stays with the records, and stands for one fix', runName)
    .option('--limit <n>', 'how many records are sent at most', positive)
    .option('--rate <n>', 'how many records a second at most', positive)
    .option('--wait <seconds>', 'how long to wait for bronze after an interrupted run', positive, 60)
    .action(reinjectAll);
  choosing(command(quarantine, 'discard', 'give records up: they stay in bronze and in quarantine, and are not open'))
    .requiredOption('--why <text>', 'why nothing is lost with them')
    .option('--wait <seconds>', 'how long to wait for bronze after an interrupted run', positive, 60)
    .action(discard);
}

function command(parent: Command, name: string, summary: string): Command {
  return parent
    .command(name)
    .summary(summary)
    .description(`${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`)
    .option('--json', 'one JSON document on stdout');
}

function selecting(of: Command): Command {
  return of
    .addOption(new Option('--source <name>', 'records of this source').choices(SOURCES))
    .option('--reason <reason>', 'records refused for this, such as type:timestamp, or type for all of its kind')
    .option('--since <time>', 'records received since then: an instant with offset, or 90m, 24h, 7d ago', since);
}

function choosing(of: Command): Command {
  return selecting(of.argument('[positions...]', 'single records, as topic/partition/offset', positions));
}

async function list({ json, status, ...o }: SelectionOptions & { status: Status | 'all' }): Promise<void> {
  const selection = selectionOf(o, status === 'all' ? null : status);
  await withDatabase('quarantine', async (pool) => {
    const { generation, silverSchema } = await placeOf(pool);
    const store = new QuarantineStore(pool, silverSchema);
    const groups = await store.groups(selection);
    const report = { generation, status: selection.status, records: await store.count(selection), groups };
    const iso = (ms: number): string | null => (Number.isFinite(ms) ? new Date(ms).toISOString() : null);
    const plain = groups.map((group) => ({
      ...group,
      firstSeen: iso(group.firstSeen),
      lastSeen: iso(group.lastSeen),
    }));
    print(json, { ...report, groups: plain }, () => listLines(report));
  });
}

async function showOne(at: Position, { json, purpose }: Common & { purpose?: string }): Promise<void> {
  await withDatabase('quarantine', async (pool) => {
    const { generation, bronzeSchema, silverSchema } = await placeOf(pool);
    const schemas = { bronze: bronzeSchema, silver: silverSchema };
    const reading = openReading(pool);
    const shown = await show(at, { pool, generation, schemas, reading, purpose: purpose ?? null });
    print(json, shown, () => showLines(shown));
  });
}

interface ConflictOptions extends Common {
  readonly limit: number;
  readonly show?: true;
  readonly purpose?: string;
}

async function conflicts({ json, limit, show: shown, purpose }: ConflictOptions): Promise<void> {
  await withDatabase('quarantine', async (pool) => {
    const { generation, silverSchema } = await placeOf(pool);
    const rows = await readConflicts(pool, silverSchema, limit);
    if (shown === true) await disclose(pool, rows, { command: 'conflicts', purpose: purpose ?? null });
    const report = {
      generation,
      identities: await countConflicts(pool, silverSchema),
      conflicts: conflictsOf(rows, shown === true),
    };
    print(json, report, () => conflictLines(report));
  });
}

interface FixOptions extends SelectionOptions {
  readonly fix: string;
}

async function tryOne(at: readonly Position[], o: FixOptions & { readonly sample: number }): Promise<void> {
  const fix = await readFix(o.fix);
  const selection = selectionOfFix(fix, { ...o, positions: at });
  const { topicPrefix } = loadSettings({ topicPrefix: kafkaSettings.topicPrefix }, readEnvironment());
  await withDatabase('quarantine', async (pool) => {
    const report = await withWorkshop({ pool, fix, topicPrefix }, (workshop) =>
      tryFix({ ...workshop, source: fix.source, selection, sample: o.sample }),
    );
    print(o.json, report, () => trialLines(report));
    if (report.accepted < report.tried) process.exitCode = 3;
  });
}

interface ReinjectOptions extends FixOptions {
  readonly name: string;
  readonly limit?: number;
  readonly rate?: number;
  readonly wait: number;
}

async function reinjectAll(at: readonly Position[], o: ReinjectOptions): Promise<void> {
  const fix = await readFix(o.fix);
  const selection = selectionOfFix(fix, { ...o, positions: at });
  const screen = openScreen(process.stderr);
  await repairing(o.wait, screen, async ({ pool, lock, found }) => {
    const repairs = new RepairStore(pool);
    if (!(await repairs.openRun(o.name, fixText(fix)))) {
      throw new CommandError(`Run ${o.name} was made with another fix: give this one another --name.`, 2);
    }
    const store = new QuarantineStore(pool, (await placeOf(pool)).silverSchema);
    const all = Math.min(await store.count(selection), o.limit ?? Number.POSITIVE_INFINITY);
    const onProgress = ({ sent, examined }: Reinjected): void =>
      screen.renew(`${sent} of ${all} records sent again, ${examined - sent} refused`);
    const done = await sendAgain({ fix, pool, lock, o, selection, onProgress });
    screen.renew('');
    const { name: run } = o;
    const report: ReinjectReport = { run, source: fix.source, ...done, found, open: await store.count(selection) };
    print(o.json, report, () => reinjectLines(report));
    if (done.interrupted) process.exitCode = 1;
    else if (done.sent === 0 && done.examined > 0) process.exitCode = 3;
  });
}

interface Sending {
  readonly fix: Fix;
  readonly pool: Pool;
  readonly lock: Connection;
  readonly o: ReinjectOptions;
  readonly selection: Selection;
  readonly onProgress: (done: Reinjected) => void;
}

async function sendAgain({ fix, pool, lock, o, selection, onProgress }: Sending): Promise<Reinjected> {
  const { kafka, topicPrefix } = connectKafka('quarantine');
  const publisher = await startPublisher(kafka, { log: quietLogger('quarantine') });
  const interruption = watchInterruption();
  interruption.onInsist(() => process.exit(1));
  try {
    return await withWorkshop({ pool, fix, topicPrefix }, (workshop) =>
      reinject({
        ...workshop,
        run: o.name,
        selection,
        limit: o.limit ?? Number.POSITIVE_INFINITY,
        rate: o.rate ?? null,
        repairs: new RepairStore(pool),
        bronze: new BronzeStore(pool, workshop.place.bronzeSchema),
        publisher,
        lock,
        onProgress,
        signal: interruption.signal,
      }),
    );
  } finally {
    interruption[Symbol.dispose]();
    await publisher.stop();
  }
}

async function discard(
  at: readonly Position[],
  o: SelectionOptions & { readonly why: string; readonly wait: number },
): Promise<void> {
  const selection = { ...selectionOf(o, 'open'), positions: at.length === 0 ? null : at };
  if (at.length === 0 && o.source === undefined && o.reason === undefined && o.since === undefined) {
    throw new CommandError('What is to be discarded? Give positions, --source, --reason or --since.', 2);
  }
  if (o.why.trim() === '') throw new CommandError('--why wants a reason that others will understand.', 2);
  const screen = openScreen(process.stderr);
  await repairing(o.wait, screen, async ({ pool, found }) => {
    const { silverSchema } = await placeOf(pool);
    const discarded = await new QuarantineStore(pool, silverSchema).discard(selection, o.why);
    const acknowledged = found > 0 ? [`${found} of an interrupted run were in Kafka already: these are replayed`] : [];
    print(o.json, { discarded, found }, () => [
      `${discarded} ${discarded === 1 ? 'record' : 'records'} discarded: ${o.why}`,
      ...acknowledged,
    ]);
  });
}

/** Any number, the same for all of us: one repairs at a time. */
const lockKey = 4_718_264;

interface Repairing {
  readonly pool: Pool;
  readonly lock: Connection;
  /** Records of interrupted runs that turned out to be in Kafka. */
  readonly found: number;
}

/** Alone, and after it is known what became of every record that was about to be sent. */
async function repairing(wait: number, screen: Screen, work: (o: Repairing) => Promise<void>): Promise<void> {
  const { kafka, topicPrefix } = connectKafka('quarantine');
  await checkKafka(kafka);
  const { bronzeSchema } = loadSettings(schemaSettings, readEnvironment());
  await withDatabase('quarantine', (pool) =>
    pool.withConnection(async (lock) => {
      const { rows } = await lock.query<{ mine: boolean }>('select pg_try_advisory_lock($1) as mine', [lockKey]);
      if (rows[0]?.mine !== true) {
        throw new CommandError(
          'Another leakage quarantine reinject or discard is at work on this database: wait for it.',
        );
      }
      try {
        await placeOf(pool);
        const waitMs = wait * 1_000;
        const found = await settle({ pool, kafka, topicPrefix, bronzeSchema, waitMs, onWait: screen.renew });
        screen.renew('');
        await work({ pool, lock, found });
      } finally {
        if (lock.lost === null) await lock.query('select pg_advisory_unlock($1)', [lockKey]);
      }
    }),
  );
}

function selectionOf({ source, reason, since: from }: SelectionOptions, status: Status | null): Selection {
  return { positions: null, source: source ?? null, reason: reason ?? null, since: from ?? null, status };
}

/** A fix is for one source. */
function selectionOfFix(fix: Fix, o: SelectionOptions & { readonly positions: readonly Position[] }): Selection {
  if (o.source !== undefined && o.source !== fix.source) {
    throw new CommandError(`--source is ${o.source}, and the fix is for ${fix.source}.`, 2);
  }
  const positionsGiven = o.positions.length === 0 ? null : o.positions;
  return { ...selectionOf(o, 'open'), source: fix.source, positions: positionsGiven };
}

function print(json: true | undefined, document: object, lines: () => readonly string[]): void {
  process.stdout.write(
    json
      ? `${JSON.stringify(document, null, 2)}\n`
      : lines()
          .map((line) => `${line}\n`)
          .join(''),
  );
}
