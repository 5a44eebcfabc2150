import { styleText } from 'node:util';
import type { NaiveReport } from '@leakage/oracle';

export interface Comparison extends NaiveReport {
  generation: number;
  windowMinutes: number;
  /** Integer cents; null where nobody has set the parameter. */
  costPerCallCents: number | null;
  /** What the naive join charges for each dollar that leakage cost; null without leakage. */
  overCountFactor: number | null;
  costCents: Record<'naive' | 'exact' | 'double' | 'cured' | 'unaligned' | 'other' | 'raw', number | null>;
}

/** Both joins with their cost: integer calls x integer cents. */
export function comparisonOf(
  naive: NaiveReport,
  o: { generation: number; windowMs: number; costPerCallCents: number | null },
): Comparison {
  const cost = (calls: number) => (o.costPerCallCents === null ? null : calls * o.costPerCallCents);
  return {
    ...naive,
    generation: o.generation,
    windowMinutes: o.windowMs / 60_000,
    costPerCallCents: o.costPerCallCents,
    overCountFactor: naive.leakageCalls === 0 ? null : naive.rows / naive.leakageCalls,
    costCents: {
      naive: cost(naive.rows),
      exact: cost(naive.leakageCalls),
      double: cost(naive.doubleCharged),
      cured: cost(naive.wrong.cured),
      unaligned: cost(naive.wrong.unaligned),
      other: cost(naive.wrong.other),
      raw: cost(naive.rawRows),
    },
  };
}

const whole = new Intl.NumberFormat('en-US');
const dollars = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' });

export function comparisonLines(c: Comparison): string[] {
  const line = (label: string, count: number, cents: number | null) =>
    `  ${label.padEnd(58)} ${whole.format(count).padStart(12)} ${(cents === null ? '-' : dollars.format(cents / 100)).padStart(16)}`;
  const header = `  ${''.padEnd(58)} ${'calls'.padStart(12)} ${'cost'.padStart(16)}`;
  const bold = (text: string) => styleText('bold', text);
  return [
    `The naive join: every error or abandon row with every call of the same member within ${c.windowMinutes} minutes.`,
    '',
    styleText('dim', header),
    bold(line('naive join: rows it charges', c.rows, c.costCents.naive)),
    line('  charged again for a call already charged', c.doubleCharged, c.costCents.double),
    line('  wrong: the journey was completed before the call', c.wrong.cured, c.costCents.cured),
    line('  wrong: the call was about something else', c.wrong.unaligned, c.costCents.unaligned),
    line('  wrong: no reason given, or nothing stood failed', c.wrong.other, c.costCents.other),
    bold(line('exact rule: leakage calls, each charged once', c.leakageCalls, c.costCents.exact)),
    ...(c.missed === 0 ? [] : [line('  of these the naive join misses', c.missed, null)]),
    '',
    line('naive join over records as received (duplicates, revisions)', c.rawRows, c.costCents.raw),
    '',
    c.overCountFactor === null
      ? 'No leakage calls yet: send events, then look again.'
      : `The naive join charges ${c.overCountFactor.toFixed(2)} times what leakage costs: ${whole.format(c.rows)} rows for ${whole.format(c.distinctCalls)} calls, of which ${whole.format(c.leakageCalls - c.missed)} are leakage.`,
  ];
}
