import { styleText } from 'node:util';
import { daysOf } from '../verify/report.ts';
import type { Verification } from '../verify/verification-store.ts';
import { businessLines } from './business-lines.ts';
import type { Counts, Status } from './types.ts';

const whole = new Intl.NumberFormat('en-US');
const number = (count: number | null) => (count === null ? '?' : whole.format(count));
const title = (text: string) => styleText('bold', text.padEnd(13));
const indent = ' '.repeat(13);
const good = (text: string) => styleText('green', text);
const bad = (text: string) => styleText('red', text);

/** One screen for people, at most 100 columns wide. */
export function statusLines(s: Status): string[] {
  return [
    headline(s),
    '',
    ...topicLines(s),
    '',
    `${title('watermarks')}journeys ${instant(s.watermarks.digital)}   calls ${instant(s.watermarks.calls)}   UTC`,
    `${title('newest')}sent ${age(s, s.timings.newestEmittedAt)}, received ${age(s, s.timings.newestKafkaTimestamp)}; as of ${age(s, s.watermarks.asOf)}`,
    `${title('right now')}bronze ${number(s.timings.bronzePerSecond)} records/s   silver ${number(s.timings.silverPerSecond)} records/s   gold ${number(s.timings.goldChangesPerSecond)} changes/s`,
    '',
    ...rowLines('bronze', s.rows.bronze),
    ...rowLines('silver', s.rows.silver),
    ...rowLines('gold', s.rows.gold),
    '',
    ...outcomeLines(s),
    ...quarantineLines(s),
    ...validationLines(s),
    `${title('verified')}${verificationText(s)}`,
    ...leftOutLines(s),
    ...retentionLines(s),
    '',
    ...businessLines(s.summary),
    ...s.warnings.map((warning) => `${styleText('yellow', '!')} ${warning}`),
  ];
}

function headline(s: Status): string {
  const state =
    s.caughtUp === null
      ? styleText('yellow', 'lag unknown')
      : s.caughtUp
        ? good('caught up')
        : styleText('yellow', 'catching up');
  const scope = s.rules.repeatScope === 'same_issue' ? 'repeats of the same issue' : 'repeats for any reason';
  return `${styleText('bold', 'Leakage')}  generation ${s.generation}: ${s.rules.windowMinutes} minutes, ${s.rules.timeZone}, ${scope}  |  ${state}`;
}

function topicLines({ topics, timings, changeStream }: Status): string[] {
  const row = (cells: readonly string[]) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(40) : cell.padStart(i === 1 ? 10 : 15))).join(' ');
  return [
    styleText('dim', row(['topic', 'partitions', 'end offsets', 'bronze behind', 'silver behind'])),
    ...topics.map(({ topic, partitions, end, behind }) =>
      row([topic, number(partitions), number(end), number(behind.bronze), number(behind.silver)]),
    ),
    row(['change log of silver', '', '', 'gold behind', number(timings.goldBehind)]),
    ...(changeStream === null ? [] : [row(['', '', '', 'not yet told', number(changeStream.untold)])]),
  ];
}

const words: Record<string, string> = {
  callFacts: 'call facts',
  journeyOutcomes: 'journey outcomes',
  changeLog: 'change log',
  callCells: 'call cells',
  journeyCells: 'journey cells',
  memberCells: 'member cells',
};

function rowLines(layer: string, counts: Counts): string[] {
  return filled(
    `rows ${layer}`,
    Object.entries(counts).map(([name, count]) => `${words[name] ?? name} ${number(count)}`),
  );
}

/** As many parts on a line as fit, under one title. */
function filled(name: string, parts: readonly string[]): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + part.length <= 82) lines[lines.length - 1] = `${last}   ${part}`;
    else lines.push(part);
  }
  return lines.map((line, i) => `${i === 0 ? title(name) : indent}${line}`);
}

function outcomeLines({ outcomes, conservation }: Status): string[] {
  const { records, holes, ...kinds } = outcomes;
  const list = Object.entries(kinds).map(([name, count]) => `${name} ${number(count)}`);
  const holds =
    conservation.broken.length === 0
      ? good(`adds up in all ${conservation.partitions} positions`)
      : bad(`does not add up in ${conservation.broken.length} of ${conservation.partitions} positions`);
  return [
    `${title('outcomes')}${list.join('   ')}`,
    `${indent}= ${number(records)} records (and ${number(holes)} holes): ${holds}`,
    ...conservation.broken.map(
      (one) =>
        `${indent}${bad(`${one.pipeline} ${one.topic}/${one.partition}: ${number(one.offsets)} offsets, ${number(one.outcomes)} outcomes`)}`,
    ),
  ];
}

function quarantineLines({ quarantine }: Status): string[] {
  if (quarantine.length === 0) return [];
  const list = quarantine.map(({ reason, records }) => `${reason} ${number(records)}`);
  return filled('quarantine', list);
}

function validationLines({ validation }: Status): string[] {
  const failed = validation.filter((check) => !check.ok);
  if (validation.length === 0) return [];
  return [
    `${title('validation')}${failed.length === 0 ? good(`${validation.length} quick checks hold`) : bad(`${failed.length} of ${validation.length} quick checks fail`)} (npx leakage verify recomputes everything)`,
    ...failed.map((check) => `${indent}${bad(`${check.name}: ${check.detail}`)}`),
  ];
}

/** The newest verification, and the newest of everything where that is another one. */
function verificationText(s: Status): string {
  const { newest, newestFull } = s.verification;
  if (newest === null) return 'never (npx leakage verify recomputes everything)';
  const shown = newestFull === null || newestFull.endedAt === newest.endedAt ? [newest] : [newest, newestFull];
  const text = shown.map((one) => verifiedText(s, one)).join('; ');
  return shown.every(({ ok }) => ok) ? text : `${text}: run npx leakage verify`;
}

function verifiedText(s: Status, one: Verification): string {
  const scope = `${daysOf({ from: one.fromDay, to: one.toDay })}, ${age(s, one.endedAt)}`;
  return one.ok ? `${scope}: ${good('equal')}` : bad(`DIFFERENT: ${scope}, ${one.differing.length} checks`);
}

/** Scheduled verifications that did not take place since the last one that did. */
function leftOutLines(s: Status): string[] {
  const { leftOut } = s.verification;
  if (leftOut === null) return [];
  const { kind, times, lastAt, reason } = leftOut;
  const often = times === 1 ? '' : `; ${number(times)} in a row, the first ${age(s, leftOut.firstAt)}`;
  const words = `the last scheduled one was ${kind === 'skipped' ? 'left out' : 'broken off'} (${age(s, lastAt)}${often}): ${reason}`;
  return wrapped(words).map((line) => `${indent}${styleText('yellow', line)}`);
}

function wrapped(text: string): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < 86) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

function retentionLines(s: Status): string[] {
  const { horizon, lastRun } = s.retention;
  if (lastRun === null) return [];
  const run =
    lastRun.endedAt === null
      ? styleText(
          'yellow',
          `a run began ${age(s, lastRun.begunAt)} and has not ended (npx leakage retain goes on with it)`,
        )
      : `last run ${age(s, lastRun.endedAt)}`;
  return [`${title('horizon')}${horizon ?? 'none'}; ${run}`];
}

const instant = (iso: string | null) => (iso === null ? 'none yet' : iso.slice(0, 19).replace('T', ' '));

/** How long ago, by the clock of the database. */
function age(s: Status, iso: string | null): string {
  if (iso === null) return 'never';
  const seconds = (Date.parse(s.at) - Date.parse(iso)) / 1000;
  if (seconds < 0) return 'just now';
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s ago`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h ago`;
  return `${Math.round(seconds / 86_400)} days ago`;
}
