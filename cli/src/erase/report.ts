import type { ErasureReport } from './erase-member.ts';

const whole = new Intl.NumberFormat('en-US');
const rowsOf = (counts: Readonly<Record<string, number>>): string[] =>
  Object.entries(counts)
    .filter(([, rows]) => rows > 0)
    .map(([table, rows]) => `  ${table.padEnd(36)} ${whole.format(rows).padStart(9)} rows`);

/** What a dry run has found. */
export function foundLines(found: Readonly<Record<string, number>>): string[] {
  const rows = rowsOf(found);
  if (rows.length === 0)
    return ['There is nothing of this member in bronze and silver; erasing refuses what would come.'];
  return ['There is of this member:', ...rows, 'Nothing was changed.'];
}

/** What was done, and what nobody but the keeper of Kafka can do. Never the member. */
export function reportLines(report: ErasureReport, topics: readonly string[]): string[] {
  const { erasure, again, generations, counts, mentions } = report;
  const [journeys = '', calls = '', members = ''] = topics;
  const rows = rowsOf(counts);
  return [
    `Erasure ${erasure}: nothing is left of the member in bronze, and in silver of generation ${generations.join(', ')}.`,
    ...(rows.length === 0
      ? ['There was nothing of it.']
      : [again ? 'Emptied or removed, all in all:' : 'Emptied or removed:', ...rows]),
    'What comes of this member from now on is refused as "erased".',
    ...mentions.map((place) => `Somebody has written the id into ${place}: look whether that may stay.`),
    '',
    'Kafka still holds what the member has sent:',
    `  ${journeys}, ${calls}: until their retention (retention.ms) has passed, or kafka-delete-records.sh has removed what is older than now;`,
    `  ${members}: for ever, unless it is compacted and a record with this key and no value is sent; see docs/erasure.md.`,
  ];
}
