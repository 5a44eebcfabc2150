import { styleText } from 'node:util';
import type { Progress } from './progress.ts';

/** Where `up` talks: lines that stay, and one line that is renewed in place on a terminal, or now and then elsewhere. */
export interface Screen {
  readonly say: (line: string) => void;
  readonly renew: (line: string) => void;
}

const plainEveryMs = 10_000;

export function openScreen(out: NodeJS.WriteStream): Screen {
  return out.isTTY ? terminalScreen(out) : plainScreen(out);
}

function terminalScreen(out: NodeJS.WriteStream): Screen {
  let last = '';
  const clear = '\r\u001b[2K';
  return {
    say: (line) => {
      out.write(`${clear}${line}\n${last}`);
    },
    renew: (line) => {
      last = line.slice(0, Math.max(20, (out.columns ?? 80) - 1)); // a line that wraps could not be renewed
      out.write(`${clear}${last}`);
    },
  };
}

function plainScreen(out: NodeJS.WriteStream): Screen {
  let nextAt = 0;
  return {
    say: (line) => {
      out.write(`${line}\n`);
    },
    renew: (line) => {
      if (line === '' || Date.now() < nextAt) return;
      nextAt = Date.now() + plainEveryMs;
      out.write(`${line}\n`);
    },
  };
}

const whole = new Intl.NumberFormat('en-US');
const cents = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' });
const money = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD', maximumFractionDigits: 0 });

export interface Look {
  readonly progress: Progress;
  /** The look before this one, and how long ago it was: for the rate. */
  readonly before: Progress | null;
  readonly seconds: number;
  /** The part of the history that has been sent, 0 to 1; null while nobody can say. */
  readonly history: number | null;
}

export function progressLine({ progress: p, before, seconds, history }: Look): string {
  const rate = before && seconds > 0 ? Math.max(0, Math.round((p.bronzeEvents - before.bronzeEvents) / seconds)) : 0;
  const sent = history ?? 0;
  const behind = { bronze: p.bronzeBehind, silver: p.silverBehind, gold: p.goldBehind };
  const late = Object.entries(behind).filter(([, count]) => count > 0);
  return [
    ...(sent < 1 ? [`history ${Math.floor(sent * 100)} %`] : []),
    `${whole.format(p.bronzeEvents)} events${rate > 0 ? ` (${whole.format(rate)}/s)` : ''}`,
    `${whole.format(p.calls)} calls joined`,
    `${whole.format(p.leakageCalls)} leakage = ${money.format(p.leakageCents / 100)}`,
    ...(late.length > 0 ? [`behind: ${late.map(([name, n]) => `${name} ${whole.format(n)}`).join(', ')}`] : []),
    ...(late.length === 0 && sent === 1 ? ['up to date'] : []),
  ].join('  |  ');
}

export interface SummaryRow {
  readonly journey: string;
  readonly daily_calls: string | null;
  readonly daily_cost: string | null;
  readonly primary_segment: string | null;
  readonly trend: string | null;
}

/** What the sample query says, as a small table. */
export function summaryTable(rows: readonly SummaryRow[]): string[] {
  const header = ['journey', 'calls a day', 'cost a day', 'primary segment', 'trend'];
  const cells = rows.map((row) => [
    row.journey,
    row.daily_calls ?? '-',
    row.daily_cost === null ? '-' : cents.format(Number(row.daily_cost)),
    row.primary_segment ?? '-',
    row.trend === null ? '-' : `${Number(row.trend) > 0 ? '+' : ''}${Number(row.trend).toFixed(1)} %`,
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const numeric = new Set([1, 2, 4]);
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, i) => (numeric.has(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join('   ')}`;
  return [styleText('dim', line(header)), ...cells.map(line)];
}
