import { userInfo } from 'node:os';
import { createInterface } from 'node:readline/promises';
import { text } from 'node:stream/consumers';
import {
  ensurePseudonymKey,
  loadSettings,
  pseudonymKeySettings,
  readEnvironment,
  readPseudonymKey,
} from '@leakage/runtime';
import { SOURCES, topicName } from '@leakage/schemas';
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import { kafkaAddress } from '../connect.ts';
import { type ErasureReport, eraseMember } from '../erase/erase-member.ts';
import { mustBeTheKey, mustKnowErasures, silvers } from '../erase/erasure-store.ts';
import { lookFor } from '../erase/look.ts';
import { foundLines, reportLines } from '../erase/report.ts';
import { type ChangeContext, runChange } from '../generations/run-change.ts';
import { watchInterruption } from '../up/interruption.ts';
import { wholeNumber } from '../whole-number.ts';

interface EraseCommandOptions {
  readonly member: string;
  readonly reason?: string;
  readonly dryRun?: true;
  readonly yes?: true;
  readonly wait: number;
  readonly json?: true;
}

const REASON_CHARACTERS_MAX = 1_000;

export function register(program: Command): void {
  program
    .command('erase')
    .summary('remove a member for good')
    .description(
      'Removes everything of a member from bronze and silver of every generation; gold follows. A keyed hash is kept, by which the ' +
        'services refuse what comes of the member later, from wherever it comes, and an entry that says who asked for it and why, ' +
        'without the member. Interrupted, it is run again and goes on. What Kafka itself holds is not touched: the last lines say what to do there. ' +
        'Arguments are seen by whoever lists processes, and kept by shells: --member - reads the id from the standard input instead. ' +
        'Exit code 0: done; 1: it could not be done, or not yet; 2: wrong usage, or another key.',
    )
    .requiredOption('--member <id>', 'the id, as producers send it; -: one line of the standard input')
    .option('--reason <text>', 'why, for the entry that stays; without the id')
    .option('--dry-run', 'say what there is of the member, and change nothing')
    .option('--yes', 'do not ask')
    .option('--wait <seconds>', 'how long bronze-sink and gold-aggregator may take to come up', wholeNumber(0), 60)
    .option('--json', 'one JSON document on stdout')
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx leakage erase --member M-104382 --dry-run\n  $ npx leakage erase --member - --reason "request 4711" --yes < id.txt',
    )
    .action(erase);
}

async function erase(options: EraseCommandOptions): Promise<void> {
  const memberId = await memberOf(options.member);
  const { topicPrefix } = kafkaAddress();
  const topics = SOURCES.map((source) => topicName(topicPrefix, source));
  if (options.dryRun) {
    const found = await runChange('erase', async ({ pool, schemas }) =>
      lookFor(pool, { schemas, memberId, all: await silvers(pool, schemas.silver) }),
    );
    process.stdout.write(options.json ? `${JSON.stringify({ found })}\n` : `${foundLines(found).join('\n')}\n`);
    return;
  }
  const reason = reasonOf(options.reason, memberId);
  if (!options.yes) await confirm();
  const report = await runChange('erase', (context) =>
    run(context, { memberId, reason, waitMs: options.wait * 1_000 }),
  );
  const lines = reportLines(report, topics);
  process.stdout.write(options.json ? `${JSON.stringify({ ...report, topics })}\n` : `${lines.join('\n')}\n`);
}

async function run(
  { pool, schemas, screen }: ChangeContext,
  o: { readonly memberId: string; readonly reason: string; readonly waitMs: number },
): Promise<ErasureReport> {
  await mustKnowErasures(pool);
  const settings = loadSettings(pseudonymKeySettings, readEnvironment());
  const key = (await mustBeTheKey(pool, readPseudonymKey(settings))) ?? ensurePseudonymKey(settings);
  const interruption = watchInterruption();
  try {
    const { signal } = interruption;
    return await eraseMember({ ...o, pool, schemas, key, systemUser: userInfo().username, say: screen.renew, signal });
  } finally {
    interruption[Symbol.dispose]();
  }
}

async function memberOf(given: string): Promise<string> {
  const id = given === '-' ? (await text(process.stdin)).replace(/\r?\n$/, '') : given;
  if (id === '' || id.includes('\n')) throw new CommandError('The id of one member is wanted.', 2);
  return id;
}

function reasonOf(reason: string | undefined, memberId: string): string {
  if (reason === undefined || reason.trim() === '') {
    throw new CommandError('Why the member is erased stays on record: say it with --reason.', 2);
  }
  if (reason.length > REASON_CHARACTERS_MAX) {
    throw new CommandError(`A reason has at most ${REASON_CHARACTERS_MAX} characters.`, 2);
  }
  if (reason.includes(memberId)) throw new CommandError('The reason stays on record, so it must not hold the id.', 2);
  return reason;
}

async function confirm(): Promise<void> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new CommandError('erase asks before it removes a member, and nobody can answer here: add --yes.', 2);
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question('Remove this member for good, from every generation? [y/N] ');
  prompt.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new CommandError('Nothing was removed.');
}
