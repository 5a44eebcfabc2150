import type { PartitionEnds } from '@leakage/kafka';
import { CommandError } from '../command-error.ts';
import type { LocalTime } from '../import/local-time.ts';
import { readTime } from '../replay/beginning.ts';
import type { BronzePosition } from './source.ts';

/** Of what a generation is made, where that is not everything: records that Kafka got in this time, in epoch milliseconds. */
export interface Part {
  /** Null: from the beginning. */
  readonly from: number | null;
  /** Null: it has no end, and follows live. */
  readonly to: number | null;
}

/** What `--from` and `--to` say; null: everything. Throws CommandError (wrong usage). */
export function readPart(
  { from, to }: { readonly from?: string | undefined; readonly to?: string | undefined },
  { localTime, now }: { readonly localTime: LocalTime; readonly now: number },
): Part | null {
  if (from === undefined && to === undefined) return null;
  const part = {
    from: from === undefined ? null : readTime(from, localTime),
    to: to === undefined ? null : readTime(to, localTime),
  };
  for (const [option, ms] of [
    ['--from', part.from],
    ['--to', part.to],
  ] as const) {
    // What Kafka gets until then would belong to it as well, and nobody knows yet where that ends.
    if (ms !== null && ms > now) throw wrong(`${option} ${iso(ms)} lies in the future: it is ${iso(now)}`);
  }
  if (part.from !== null && part.to !== null && part.from >= part.to) {
    throw wrong(`--from ${iso(part.from)} is not before --to ${iso(part.to)}: nothing lies between them`);
  }
  return part;
}

/** What a part is, as the end of a sentence. */
export function partWords({ from, to }: Part): string {
  const begins = from === null ? [] : [`from ${iso(from)} on`];
  const ends = to === null ? [] : [`before ${iso(to)}`];
  return `what Kafka got ${[...begins, ...ends].join(' and ')}`;
}

interface Place {
  readonly topic: string;
  readonly partition: number;
}

/** The first record of a partition from an instant on. */
export interface FirstSince extends Place {
  readonly offset: number;
}

/** Where a generation begins to read a partition, and where it ends; null: it reads for ever. */
export interface PartPosition extends Place {
  readonly firstOffset: number;
  readonly untilOffset: number | null;
}

export interface Logs {
  readonly bronze: readonly BronzePosition[];
  /** What Kafka still has. */
  readonly ends: readonly PartitionEnds[];
  /** Of what Kafka still has and of what bronze has, the first records from the part's beginning on, and from its end on. */
  readonly from: readonly FirstSince[];
  readonly to: readonly FirstSince[];
  /** Profiles are read from the beginning: without them every call would be one of a member that nobody knows. */
  readonly ofProfiles: (topic: string) => boolean;
}

/** Where a generation of a part begins and ends in every partition that bronze has begun. Throws CommandError where that is nowhere. */
export function partPositions(part: Part, { bronze, ends, from, to, ofProfiles }: Logs): PartPosition[] {
  const begun = new Set(bronze.map(keyOf));
  const unknown = ends.find((end) => end.high > end.low && !begun.has(keyOf(end)));
  if (unknown !== undefined) {
    throw new CommandError(`Bronze has not begun to read ${keyOf(unknown)}: let bronze-sink run first.`);
  }
  const firstOf = (found: readonly FirstSince[], one: BronzePosition) =>
    Math.max(
      one.firstOffset,
      Math.min(...found.filter((first) => keyOf(first) === keyOf(one)).map(({ offset }) => offset)),
    );
  const positions = bronze.map((one) => {
    const { topic, partition } = one;
    const firstOffset = part.from === null || ofProfiles(topic) ? one.firstOffset : firstOf(from, one);
    const untilOffset = part.to === null ? null : Math.max(firstOffset, firstOf(to, one));
    return { topic, partition, firstOffset, untilOffset };
  });
  const isEmpty = positions.every((one) => ofProfiles(one.topic) || one.firstOffset === one.untilOffset);
  if (isEmpty) throw new CommandError(`There are no journeys and no calls in ${partWords(part)}.`, 2);
  return positions;
}

/** Partitions of which Kafka has removed records that bronze has: only bronze knows where a time lies in them. */
export function forgottenPartitions(
  bronze: readonly BronzePosition[],
  ends: readonly PartitionEnds[],
): BronzePosition[] {
  const lows = new Map(ends.map((end) => [keyOf(end), end.low]));
  return bronze.filter((one) => (lows.get(keyOf(one)) ?? one.nextOffset) > one.firstOffset);
}

/** Throws CommandError (wrong usage) for a part that begins, or ends, before there is anything; `oldest` null: there is nothing. */
export function mustBeThere({ from, to }: Part, oldest: number | null): void {
  const has = oldest === null ? 'has no journeys and no calls' : `has journeys and calls from ${iso(oldest)} on`;
  for (const [option, ms] of [
    ['--from', from],
    ['--to', to],
  ] as const) {
    if (ms === null || (oldest !== null && ms >= oldest)) continue;
    throw wrong(`bronze ${has}, and ${option} ${iso(ms)} lies before that`);
  }
}

const iso = (ms: number) => new Date(ms).toISOString();
const keyOf = ({ topic, partition }: Place) => `${topic}/${partition}`;

function wrong(what: string): CommandError {
  return new CommandError(`${what.charAt(0).toUpperCase()}${what.slice(1)}.`, 2);
}
