import { styleText } from 'node:util';
import type { CallView, CauseFigures, ComparedGeneration, DiffReport, Example, Figures, Part } from '@leakage/diff';

/** Rows of a table that people read; --json has all of them. */
const rowsMax = 10;

const whole = new Intl.NumberFormat('en-US');
const signed = new Intl.NumberFormat('en-US', { signDisplay: 'exceptZero' });
const dollars = new Intl.NumberFormat('en-US', { style: 'currency', currency: 'USD' });
const money = (cents: number | null) => (cents === null ? '-' : dollars.format(cents / 100));

/** The report for people: what it comes to, then where, then why, then single calls. */
export function diffLines(report: DiffReport): string[] {
  return [
    styleText('bold', report.headline),
    '',
    ...[report.a, report.b].map(generationLine),
    ...ruleLines(report),
    ...(report.days?.because ?? []).map((sentence) => `  days          ${sentence}`),
    ...report.notes.map((note) => `  ${styleText('yellow', 'note')}          ${note}`),
    ...(report.equal ? [] : differenceLines(report)),
  ];
}

function generationLine(one: ComparedGeneration): string {
  const { windowMinutes, timeZone, repeatScope } = one.rules;
  const parts = [
    one.purpose === 'what_if' ? `${one.state}, a what-if` : one.state,
    `${windowMinutes} minutes, ${timeZone}, ${repeatScope}`,
    `${whole.format(one.records)} records, as of ${one.asOf ?? 'nothing yet'}`,
    ...(one.partOf === null ? [] : [`made of ${one.partOf.from ?? 'the beginning'} to ${one.partOf.to ?? 'now'} only`]),
  ];
  return `  generation ${String(one.id).padEnd(3)}${parts.join('; ')}`;
}

function ruleLines({ rules, a, b }: DiffReport): string[] {
  if (rules.length === 0) return ['  rules         the same'];
  return rules.map((one) =>
    one.a === ''
      ? `  rules         ${one.rule}`
      : `  rules         ${one.rule}: ${one.a} in generation ${a.id}, ${one.b} in generation ${b.id}`,
  );
}

function differenceLines(report: DiffReport): string[] {
  const { totals, journeys, segments, byDay } = report;
  const named: [string, Figures][] = [
    ['leakage calls', totals.leakageCalls],
    ['  of these repeats', totals.repeatLeakageCalls],
    ['repeat calls, leakage or not', totals.allRepeatCalls],
    ['calls', totals.allCalls],
    ['leaked journeys', totals.leakedJourneys],
    ['failed journeys', totals.failedJourneys],
    ['decided journeys', totals.decidedJourneys],
  ];
  return [
    ...table(report, 'in all', named),
    ...partTable(report, 'leakage calls by journey', journeys),
    ...partTable(report, 'leakage calls by segment', segments),
    ...partTable(report, 'leakage calls by day', byDay),
    ...otherCells(report),
    ...causeLines(report),
    ...exampleLines(report),
  ];
}

function table({ a, b }: DiffReport, title: string, rows: readonly (readonly [string, Figures])[]): string[] {
  const line = (label: string, cells: readonly string[]) =>
    `  ${label.padEnd(32)}${cells.map((cell) => cell.padStart(16)).join('')}`;
  return [
    '',
    styleText('dim', line(title, [`generation ${a.id}`, `generation ${b.id}`, 'difference', 'cost'])),
    ...rows.map(([label, one]) =>
      line(label, [whole.format(one.a), whole.format(one.b), signed.format(one.difference), money(one.cents)]),
    ),
  ];
}

/** The parts that differ, the greatest difference first. */
function partTable(report: DiffReport, title: string, parts: readonly Part[]): string[] {
  const differing = parts
    .map((part): readonly [string, Figures] => [part.of ?? 'none', part.figures.leakageCalls])
    .filter(([, one]) => one.difference !== 0)
    .sort(([, x], [, y]) => Math.abs(y.difference) - Math.abs(x.difference));
  if (differing.length === 0) return [];
  const rest = differing.length - rowsMax;
  return [
    ...table(report, title, differing.slice(0, rowsMax)),
    ...(rest > 0 ? [`  and ${whole.format(rest)} more (--json has all)`] : []),
  ];
}

function otherCells({ differingCells, differingFigures }: DiffReport): string[] {
  if (differingFigures > 0 || differingCells === 0) return [];
  return [
    '',
    `  No figure per day, journey and segment differs, but ${whole.format(differingCells)} cells of gold do, by hour, device, language or error code.`,
  ];
}

function causeLines({ causes, a, b }: DiffReport): string[] {
  if (causes.length === 0) return [];
  const line = (label: string, cells: readonly string[], meaning: string) =>
    `  ${label.padEnd(16)}${cells.map((cell) => cell.padStart(14)).join('')}   ${meaning}`;
  const header = line('why', ['calls', `only in ${a.id}`, `only in ${b.id}`, 'difference', 'cost'], '');
  const row = (one: CauseFigures) =>
    line(
      one.cause,
      [
        whole.format(one.calls),
        whole.format(one.onlyA),
        whole.format(one.onlyB),
        signed.format(one.difference),
        money(one.cents),
      ],
      one.meaning,
    );
  return ['', styleText('dim', header.trimEnd()), ...causes.map(row)];
}

function exampleLines({ examples, a, b }: DiffReport): string[] {
  if (examples.length === 0) return [];
  return [
    '',
    styleText('dim', `  examples: as generation ${a.id} sees the call, and as generation ${b.id} does`),
    ...examples.flatMap(exampleLinesOf),
  ];
}

function exampleLinesOf({ callId, calledAt, callReason, cause, why, a, b }: Example): string[] {
  return [
    `  ${callId}  ${calledAt}  ${callReason ?? 'no reason'}  ${cause}: ${why}`,
    `    ${viewText(a)}  ->  ${viewText(b)}`,
  ];
}

function viewText(view: CallView | null): string {
  if (view === null) return 'does not have it';
  const parts = [view.attribution];
  if (view.leakageType !== null) parts.push(view.leakageType);
  if (view.minutesToCall !== null) parts.push(`${view.minutesToCall.toFixed(1)} minutes after the failure`);
  if (view.errorCode !== null) parts.push(view.errorCode);
  if (view.isRepeatCall) parts.push('repeat');
  return [...parts, view.memberCategory, view.localDate].join(', ');
}
