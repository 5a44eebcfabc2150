import { styleText } from 'node:util';
import type { BusinessRow } from './types.ts';

const header = ['journey', 'calls/day', 'cost/day', 'primary segment', 'trend', 'repeats', 'sentiment'];
const widths = [16, 12, 15, 17, 9, 9, 10];

/** What it costs, per journey, over the days of daily_leakage_summary. */
export function businessLines(rows: readonly BusinessRow[]): string[] {
  const [first] = rows;
  if (first === undefined) return ['No figures yet: both sources must be heard first.', ''];
  const days = first.days === 1 ? first.summaryDate : `${first.days} days to ${first.summaryDate}`;
  return [
    styleText('dim', line(header)),
    ...rows.map((row) => line(cells(row))),
    styleText('bold', line(totalOf(rows))),
    styleText(
      'dim',
      `mean of ${days}, ${first.status}; trend: against the 7 days before; repeats: share of these calls`,
    ),
    '',
  ];
}

const line = (texts: readonly string[]) =>
  texts
    .map((text, i) => (i === 0 || i === 3 ? `  ${text}`.padEnd(widths[i] ?? 0) : text.padStart(widths[i] ?? 0)))
    .join(' ');

function cells(row: BusinessRow): string[] {
  return [
    row.journey,
    row.dailyCalls === null ? '-' : grouped(row.dailyCalls),
    row.dailyCost === null ? '-' : `$${grouped(row.dailyCost)}`,
    row.primarySegment ?? '-',
    row.trendPct === null ? '-' : `${Number(row.trendPct) > 0 ? '+' : ''}${Number(row.trendPct).toFixed(1)} %`,
    row.repeatPct === null ? '-' : `${row.repeatPct.toFixed(1)} %`,
    row.sentiment === null ? '-' : row.sentiment.toFixed(2),
  ];
}

/** Sums of the decimals shown, in tenths of a call and in cents: no float is added. */
function totalOf(rows: readonly BusinessRow[]): string[] {
  const calls = rows.reduce((sum, row) => sum + Math.round(10 * Number(row.dailyCalls ?? 0)), 0);
  const cents = rows.reduce((sum, row) => sum + Math.round(100 * Number(row.dailyCost ?? 0)), 0);
  const priced = rows.every((row) => row.dailyCost !== null);
  return [
    'all',
    grouped((calls / 10).toFixed(1)),
    priced ? `$${grouped((cents / 100).toFixed(2))}` : '-',
    '',
    '',
    '',
    '',
  ];
}

/** Decimal text with commas; its decimals stay as they are. */
function grouped(text: string): string {
  const [integer = '0', decimals] = text.split('.');
  const withCommas = integer.replace(/\B(?=(\d{3})+$)/g, ',');
  return decimals === undefined ? withCommas : `${withCommas}.${decimals}`;
}
