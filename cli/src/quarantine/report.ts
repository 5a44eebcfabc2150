import { styleText } from 'node:util';
import type { Conflict } from './conflicts.ts';
import type { Group } from './quarantine-store.ts';
import type { Refused } from './refusals.ts';
import type { Shown } from './show.ts';
import type { Change, TrialReport, Tried } from './try-fix.ts';
import { inWords } from './words.ts';

const whole = new Intl.NumberFormat('en-US');
const records = (n: number): string => `${whole.format(n)} ${n === 1 ? 'record' : 'records'}`;
const instant = (ms: number): string =>
  Number.isFinite(ms) ? new Date(ms).toISOString().slice(0, 19).replace('T', ' ') : 'unknown';

export interface ListReport {
  readonly generation: number;
  /** Null: of any status. */
  readonly status: string | null;
  readonly records: number;
  readonly groups: readonly Group[];
}

export function listLines({ generation, status, records: all, groups }: ListReport): string[] {
  const what = `${records(all)} in the quarantine of generation ${generation}${status === null ? '' : ` (${status})`}`;
  if (groups.length === 0) return [what];
  const counted = groups.reduce((sum, group) => sum + group.records, 0);
  const rows = groups.map((group) => [
    group.source,
    group.reason,
    whole.format(group.records),
    instant(group.firstSeen),
    instant(group.lastSeen),
    group.sample,
  ]);
  return [
    what,
    '',
    ...table(['source', 'reason', 'records', 'first seen', 'last seen', 'the newest'], rows),
    ...(counted > all ? ['', 'A record with several reasons is counted for each.'] : []),
  ];
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (header[i] === 'records' ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [styleText('dim', line(header)), ...rows.map(line)];
}

/** The beginning of a value, as much as a screen holds. */
const bytesShown = 512;
const bytesOfALine = 16;

export function showLines(shown: Shown): string[] {
  const { decoded, asSent } = shown;
  return [
    `${shown.position}  (${shown.source}, received ${shown.receivedAt ?? 'at no time of the calendar'})`,
    '',
    ...shown.reasons.map(({ reason, words }) => `  ${styleText('red', reason)}: ${words}`),
    '',
    `status       ${statusText(shown)}`,
    `key          ${shown.key ?? 'none'}`,
    `headers      ${shown.headers === null ? 'none' : JSON.stringify(shown.headers)}`,
    `source file  ${shown.sourceFile ?? 'none'}`,
    '',
    ...fieldLines('as it was sent', asSent),
    ...fieldLines('as the contract reads it', decoded),
    ...valueLines(shown),
  ];
}

function statusText({ status, attempts, run, repairedAs, discardedFor, resolvedBy, resolvedAt }: Shown): string {
  const by = `by ${resolvedBy} at ${resolvedAt}`;
  if (status === 'replayed') return `replayed by run ${run} as ${repairedAs}, ${by}`;
  if (status === 'discarded') return `discarded ${by}: ${discardedFor}`;
  return attempts === 0 ? status : `${status}, was about to be sent ${attempts} times, last by run ${run}`;
}

function fieldLines(title: string, fields: object | null): string[] {
  if (fields === null) return [`${title}: nothing can be read`, ''];
  const width = Math.max(...Object.keys(fields).map((name) => name.length));
  const lines = Object.entries(fields).map(([name, value]) => `  ${name.padEnd(width)}  ${JSON.stringify(value)}`);
  return [`${title}:`, ...lines, ''];
}

function valueLines({ hex, bytes }: Shown): string[] {
  if (hex === null || bytes === null) return ['no value'];
  const shown = Buffer.from(hex, 'hex').subarray(0, bytesShown);
  const lines: string[] = [];
  for (let at = 0; at < shown.length; at += bytesOfALine) {
    const part = shown.subarray(at, at + bytesOfALine);
    const codes = [...part].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const text = [...part].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`  ${at.toString(16).padStart(4, '0')}  ${codes.padEnd(bytesOfALine * 3)} ${text}`);
  }
  const more = bytes - shown.length;
  return [`value, ${whole.format(bytes)} bytes:`, ...lines, ...(more > 0 ? [`  and ${whole.format(more)} more`] : [])];
}

export function trialLines(report: TrialReport): string[] {
  const { tried, selected, accepted, source } = report;
  if (tried === 0) return [`No open record of ${source} is meant.`];
  return [
    ...report.records.flatMap((one) => [...triedLines(one), '']),
    `${whole.format(tried)} of ${records(selected)} of ${source} tried: ${whole.format(accepted)} would be accepted` +
      (accepted === tried ? '' : `, ${whole.format(tried - accepted)} would not`),
    ...refusedLines(report.refused),
  ];
}

function triedLines({ position, reasons, changes, accepted, refusedFor, warnings }: Tried): string[] {
  const width = Math.max(0, ...changes.map(({ field }) => field.length));
  const verdict = accepted
    ? styleText('green', warnings.length === 0 ? 'accepted' : `accepted, with ${warnings.join(', ')}`)
    : styleText('red', `refused: ${refusedFor.join(', ')}`);
  return [
    `${position}  ${reasons.join(', ')}`,
    ...changes.map((change) => `  ${change.field.padEnd(width)}  ${changeText(change)}`),
    `  ${verdict}`,
  ];
}

function changeText(change: Change): string {
  const text = (value: unknown): string =>
    typeof value === 'string' && value.startsWith('(') ? value : JSON.stringify(value);
  return `${'before' in change ? text(change.before) : '(none)'} -> ${'after' in change ? text(change.after) : '(none)'}`;
}

export interface ReinjectReport {
  readonly run: string;
  readonly source: string;
  readonly examined: number;
  readonly sent: number;
  /** Records of interrupted runs that turned out to be in Kafka already. */
  readonly found: number;
  readonly refused: readonly Refused[];
  readonly interrupted: boolean;
  /** Records that the selection still means and that are open. */
  readonly open: number;
}

export function reinjectLines(report: ReinjectReport): string[] {
  const { run, source, examined, sent, found, open, interrupted } = report;
  return [
    `${run}: ${records(examined)} of ${source} looked at, ${whole.format(sent)} sent again` +
      (examined === sent ? '' : `, ${whole.format(examined - sent)} not`),
    ...refusedLines(report.refused),
    ...(found > 0
      ? [`${records(found)} of an interrupted run were in Kafka already: acknowledged, not sent again`]
      : []),
    ...(interrupted ? ['interrupted after a batch: the same command goes on'] : []),
    `${records(open)} of this selection ${open === 1 ? 'is' : 'are'} open`,
  ];
}

function refusedLines(refused: readonly Refused[]): string[] {
  return refused.map(
    ({ reason, records: count, example }) =>
      `  ${whole.format(count)} x ${reason} (${inWords(reason)}), such as ${example}`,
  );
}

export interface ConflictsReport {
  readonly generation: number;
  /** Identities whose versions contradict each other. */
  readonly identities: number;
  readonly conflicts: readonly Conflict[];
}

export function conflictLines({ generation, identities, conflicts }: ConflictsReport): string[] {
  const of = `${whole.format(identities)} ${identities === 1 ? 'identity has' : 'identities have'}`;
  return [
    `${of} versions that contradict each other, in generation ${generation}` +
      (conflicts.length < identities ? `; the first ${whole.format(conflicts.length)}` : ''),
    ...conflicts.flatMap((conflict) => ['', ...versionLines(conflict)]),
  ];
}

/** What the versions have in common is said once. */
function versionLines({ source, identity, revision, versions }: Conflict): string[] {
  const [first] = versions;
  const fields = Object.keys(first?.content ?? {});
  const text = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));
  const isCommon = (field: string): boolean =>
    versions.every(({ content }) => text(content[field]) === text(first?.content[field]));
  const list = (names: readonly string[], content: Readonly<Record<string, unknown>>): string =>
    names.map((field) => `${field} ${text(content[field])}`).join(', ');
  return [
    `${source} ${identity}, revision ${revision}`,
    `  ${list(fields.filter(isCommon), first?.content ?? {})}`,
    ...versions.map(({ position, counts, content }) => {
      const own = list(
        fields.filter((field) => !isCommon(field)),
        content,
      );
      return `  ${position}${counts ? ' (counts)' : ''}: ${own}`;
    }),
  ];
}
