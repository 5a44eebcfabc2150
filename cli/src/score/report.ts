import { styleText } from 'node:util';
import type { Score } from './judge.ts';

const whole = new Intl.NumberFormat('en-US');
const percent = (share: number | null): string => (share === null ? '-' : `${(share * 100).toFixed(2)} %`);

const KINDS: Readonly<Record<string, string>> = {
  leak: 'a call after a failure',
  follow_on: 'a second call about the same failure',
  repeat_after_failure: 'a repeated call after another failure',
  repeat: 'a repeated call without a new failure',
  unaligned: 'the call was about something else',
  late_aligned: 'the call came too late',
  cured: 'the journey was completed before the call',
  before_failure: 'the call came before the failure',
  other: 'no failure before the call',
  orphan: 'a caller nobody knows',
  enrollment: 'a new member',
  withdrawn: 'the call was withdrawn',
  unknown: 'not in the truth',
};

/** `unread`: records that silver has still to read, or why that is not known; null where silver is not what is judged. */
export function scoreLines(
  score: Score,
  o: { what: string; unread: number | string | null; atLeast: number },
): string[] {
  const line = (label: string, figure: string) => `  ${label.padEnd(58)} ${figure.padStart(12)}`;
  const mistakes = (title: string, kinds: Score['mistakes']['missed']): string[] => {
    const entries = Object.entries(kinds);
    const sum = entries.reduce((all, [, { count }]) => all + count, 0);
    return [
      line(title, whole.format(sum)),
      ...entries.map(([kind, { count }]) => line(`  ${KINDS[kind] ?? kind}`, whole.format(count))),
    ];
  };
  const good = [score.precision, score.recall].every((share) => share !== null && share >= o.atLeast);
  return [
    `${o.what}, against the truth of ${whole.format(score.calls)} calls, of which ${whole.format(score.leakage)} are leakage`,
    ...unreadLines(o.unread),
    '',
    styleText('bold', line('precision: charged calls that are right', percent(score.precision))),
    styleText('bold', line('recall: leakage that is charged rightly', percent(score.recall))),
    line('rows charged for each leakage call there is', score.overCount === null ? '-' : score.overCount.toFixed(3)),
    line('precision of the rows', percent(score.precisionOfRows)),
    '',
    line('rows charged', whole.format(score.rowsCharged)),
    line('calls charged', whole.format(score.callsCharged)),
    line('  charged again', whole.format(score.chargedAgain)),
    line('  right', whole.format(score.correct)),
    ...mistakes('  wrong: no leakage', score.mistakes.wronglyCharged),
    ...mistakes('  wrong: another session or type', score.mistakes.misattributed),
    ...mistakes('leakage that is not charged', score.mistakes.missed),
    '',
    good
      ? `Precision and recall are at least ${percent(o.atLeast)}.`
      : `Precision and recall are NOT both at least ${percent(o.atLeast)}.`,
  ];
}

function unreadLines(unread: number | string | null): string[] {
  if (typeof unread === 'string') return [unread];
  if (unread === null || unread === 0) return [];
  return [`Silver has ${whole.format(unread)} records still to read: calls among them count as missed until then.`];
}
