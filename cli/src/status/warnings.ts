import type { Status } from './types.ts';

const stalledMs = 30_000;
const untoldMs = 60_000;
const apartMs = 60 * 60_000;
const quarantinedShare = 0.01;

/** What a person should look at, each in one sentence that says where to look. */
export function warningsOf(s: Omit<Status, 'warnings'>): string[] {
  return [...kafkaWarnings(s), ...progressWarnings(s), ...dataWarnings(s)];
}

/** That Kafka does not answer is said by whoever asked it. */
function kafkaWarnings({ topics }: Omit<Status, 'warnings'>): string[] {
  if (topics.some((topic) => topic.partitions === null)) return [];
  const counts = new Set(topics.map((topic) => topic.partitions));
  return counts.size > 1
    ? ['The topics have different numbers of partitions: results stay right, but processing is slower.']
    : [];
}

function progressWarnings(s: Omit<Status, 'warnings'>): string[] {
  const behind = {
    bronze: total(s.topics.map((topic) => topic.behind.bronze)),
    silver: total(s.topics.map((topic) => topic.behind.silver)),
    gold: s.timings.goldBehind,
  };
  const service = { bronze: 'bronze-sink', silver: 'silver-joiner', gold: 'gold-aggregator' };
  const found: string[] = [];
  for (const layer of ['bronze', 'silver', 'gold'] as const) {
    const last = s.timings.lastProgress[layer];
    const silent = last === null ? Number.POSITIVE_INFINITY : Date.parse(s.at) - Date.parse(last);
    if (behind[layer] === 0 || silent < stalledMs) continue;
    const since = last === null ? 'has done nothing yet' : `has made no progress since ${last}`;
    found.push(`${service[layer]} is behind and ${since}: is it running?`);
  }
  const { changeStream } = s;
  if (changeStream?.oldestAt && Date.parse(s.at) - Date.parse(changeStream.oldestAt) > untoldMs) {
    found.push(
      `${changeStream.untold} changes are not told in the change stream yet, the oldest since ${changeStream.oldestAt}: ` +
        "the silver-joiner's /readyz says why, and the change log grows meanwhile.",
    );
  }
  return found;
}

function dataWarnings(s: Omit<Status, 'warnings'>): string[] {
  const found: string[] = [];
  if (s.conservation.broken.length > 0) found.push('Some partitions do not add up: npx leakage verify shows where.');
  for (const check of s.validation) if (!check.ok) found.push(`${check.name}: ${check.detail}.`);
  const { newest, newestFull } = s.verification;
  if (newest?.ok === false || newestFull?.ok === false) {
    found.push('The newest verification found differences: npx leakage verify shows the rows.');
  }
  const { quarantined, conflicts, records } = s.outcomes;
  const open = quarantined - s.resolved;
  if (records > 0 && open / records > quarantinedShare) {
    found.push(
      `${((100 * open) / records).toFixed(1)} % of all records are in quarantine: npx leakage quarantine list.`,
    );
  }
  if (conflicts > 0 || (s.rows.silver.conflicts ?? 0) > 0) {
    found.push('Some records contradict each other at the same revision: npx leakage quarantine conflicts.');
  }
  const { digital, calls } = s.watermarks;
  if (
    s.caughtUp === true &&
    digital !== null &&
    calls !== null &&
    Math.abs(Date.parse(digital) - Date.parse(calls)) > apartMs
  ) {
    found.push('Journeys and calls are more than an hour apart: one of the sources lags behind.');
  }
  return found;
}

const total = (counts: readonly (number | null)[]) => counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
