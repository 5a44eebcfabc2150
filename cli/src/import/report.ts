import type { ImportResult } from './import-files.ts';
import type { SilverOutcome } from './outcome.ts';

const whole = new Intl.NumberFormat('en-US');
const lines = (n: number): string => `${whole.format(n)} ${n === 1 ? 'line' : 'lines'}`;

/** What was sent and what was refused, for people. */
export function sentLines(result: ImportResult): string[] {
  const width = Math.max(...result.files.map((file) => file.file.length));
  const files = result.files.map((file) => {
    const notes = [
      ...(file.refused > 0 ? [`${whole.format(file.refused)} refused`] : []),
      ...(file.sentAsJson > 0 ? [`${whole.format(file.sentAsJson)} with values of a wrong type`] : []),
      ...(file.ignoredColumns.length > 0 ? [`not imported: ${file.ignoredColumns.join(', ')}`] : []),
    ];
    return `${file.file.padEnd(width)}  ${lines(file.sent)} sent${notes.map((note) => `, ${note}`).join('')}`;
  });
  const refusals = result.refusals.map(({ file, line, reason }) => `  ${file}:${line}  ${reason}`);
  const more = result.refused - result.refusals.length;
  return [
    ...files,
    ...(result.refused > 0 ? [`${lines(result.refused)} refused:`, ...refusals] : []),
    ...(more > 0 ? [`  and ${whole.format(more)} more`] : []),
  ];
}

/** What silver made of it, for people. */
export function silverLines(silver: SilverOutcome): string[] {
  const { accepted, superseded, duplicates, conflicts, quarantined } = silver.outcomes;
  const counts = [
    `${whole.format(accepted)} accepted`,
    ...(superseded > 0 ? [`${whole.format(superseded)} superseded`] : []),
    `${whole.format(duplicates)} duplicates`,
    ...(conflicts > 0 ? [`${whole.format(conflicts)} conflicts`] : []),
    `${whole.format(quarantined)} quarantined`,
  ];
  return [
    `silver: ${counts.join(', ')}`,
    ...(silver.others > 0
      ? [
          `  (with ${whole.format(silver.others)} records of other producers; of the imported lines ${whole.format(silver.quarantined)} are quarantined)`,
        ]
      : []),
    ...silver.reasons.map(
      ({ source, reason, records, example }) =>
        `  ${whole.format(records)} x ${reason} in ${source}${example === null ? '' : `, such as ${example}`}`,
    ),
  ];
}
