import { styleText } from 'node:util';
import type { Check, Difference } from '@leakage/oracle';
import type { VerifyReport } from '../verify.ts';

const whole = new Intl.NumberFormat('en-US');
const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`;

/** The report for people: every check on a line, then the first differing rows. */
export function verifyLines(report: VerifyReport): string[] {
  const wrong = report.checks.filter((check) => check.differences > 0);
  const verdict =
    wrong.length === 0
      ? styleText('green', 'everything is equal')
      : styleText('red', `${wrong.length} of ${report.checks.length} checks differ`);
  return [
    `Generation ${report.generation}, recomputed from ${whole.format(report.records)} records of bronze in ${seconds(report.recomputeMs)}: ${verdict}`,
    '',
    ...report.checks.map(checkLine),
    ...report.warnings.map(noteLine),
    ...wrong.flatMap((check) => ['', ...differenceLines(check)]),
    '',
    `${seconds(report.elapsedMs)} in all${report.waitedMs >= 1000 ? `, after ${seconds(report.waitedMs)} of waiting for bronze and gold` : ''}`,
  ];
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
