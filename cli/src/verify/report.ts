import { styleText } from 'node:util';
import type { Check, DayRange, Difference, NotChecked } from '@leakage/oracle';
import type { VerifyReport } from '../verify.ts';

const whole = new Intl.NumberFormat('en-US');
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** The report for people: every check on a line, then the first differing rows. */
export function verifyLines(report: VerifyReport): string[] {
  const wrong = report.checks.filter((check) => check.differences > 0);
  const verdict =
    wrong.length === 0
      ? styleText('green', report.days === null && report.horizon === null ? 'everything is equal' : 'equal')
      : styleText('red', `${wrong.length} of ${report.checks.length} checks differ`);
  const title = report.days === null && report.horizon === null ? '' : `, ${comparedDays(report)}`;
  return [
    `Generation ${report.generation}${title}, recomputed from ${whole.format(report.records)} records of bronze in ${seconds(report.recomputeMs)}: ${verdict}`,
    '',
    ...report.checks.map(checkLine),
    ...report.notChecked.map(notCheckedLine),
    ...report.warnings.map(noteLine),
    ...wrong.flatMap((check) => ['', ...differenceLines(check)]),
    '',
    `${seconds(report.elapsedMs)} in all${report.waitedMs >= 1000 ? `, after ${seconds(report.waitedMs)} of waiting for bronze and gold` : ''}`,
  ];
}

/** Local days for people. */
export function daysOf({ from, to }: DayRange): string {
  if (from !== null && to !== null) return from === to ? from : `${from} to ${to}`;
  if (from !== null) return `from ${from} on`;
  return to === null ? 'everything' : `up to ${to}`;
}

/** What was compared: what lies before the horizon of retention is not, whatever was asked. */
function comparedDays({ days, horizon }: Pick<VerifyReport, 'days' | 'horizon'>): string {
  if (horizon === null) return days === null ? 'everything' : daysOf(days);
  if (days === null) return `everything from the horizon (${horizon}) on`;
  const moved = days.from === null || days.from < horizon;
  return moved ? `${daysOf({ ...days, from: horizon })} (the horizon)` : daysOf(days);
}

/** What a run has found, on one line. */
export function resultLine(report: VerifyReport): string {
  const scope = comparedDays(report);
  const wrong = report.checks.filter(({ differences }) => differences > 0);
  const found =
    wrong.length === 0
      ? 'equal'
      : `${wrong.length} of ${report.checks.length} checks differ (${wrong.map(({ name }) => name).join('; ')})`;
  const effort = `${whole.format(report.records)} records in ${seconds(report.elapsedMs)}`;
  return `generation ${report.generation}, ${scope}: ${found}, ${effort}`;
}

function notCheckedLine({ name, rows, reason }: NotChecked): string {
  const some = rows === null ? '' : ` of ${whole.format(rows)} rows`;
  return styleText('dim', `  not   ${name}${some}: ${reason}`);
}

function noteLine({ rule, name, count, of }: VerifyReport['warnings'][number]): string {
  const share = `${((100 * count) / of).toFixed(2)} % of ${whole.format(of)}`;
  return `  ${styleText('yellow', 'note')}  ${name} (${rule}): ${whole.format(count)}, ${share}`;
}

function checkLine({ name, compared, differences }: Check): string {
  const mark = differences === 0 ? styleText('green', 'ok  ') : styleText('red', 'DIFF');
  const found = differences === 0 ? '' : `  ${whole.format(differences)} differ`;
  return `  ${mark}  ${name.padEnd(56)} ${whole.format(compared).padStart(12)} rows${found}`;
}

function differenceLines(check: Check): string[] {
  return [
    styleText(
      'bold',
      `${check.name}: the first ${Math.min(check.examples.length, check.differences)} of ${check.differences}`,
    ),
    ...check.examples.map((example) => `  ${show(example.key)}  ${whatDiffers(example)}`),
  ];
}

function whatDiffers({ expected, actual, columns }: Difference): string {
  if (actual === null) return 'is missing';
  if (expected === null) return 'should not be there';
  const one = (column: string) => `${column} is ${text(actual[column])}, should be ${text(expected[column])}`;
  return columns.map(one).join('; ');
}

const text = (value: unknown) => (value === undefined ? 'null' : JSON.stringify(value));
const show = (key: Record<string, unknown>) =>
  Object.entries(key)
    .map(([column, value]) => `${column} ${String(value)}`)
    .join(', ');

/** Rows of members leave the database here: their ids are cut to the last three characters. */
export function withoutMembers(report: VerifyReport): VerifyReport {
  const mask = (row: Record<string, unknown>) =>
    typeof row.member_id === 'string' ? { ...row, member_id: `***${row.member_id.slice(-3)}` } : row;
  const hide = (example: Difference): Difference => ({
    ...example,
    key: mask(example.key),
    expected: example.expected && mask(example.expected),
    actual: example.actual && mask(example.actual),
  });
  return { ...report, checks: report.checks.map((check) => ({ ...check, examples: check.examples.map(hide) })) };
}
