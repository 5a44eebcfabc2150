import type { PartitionEnds } from '@leakage/kafka';
import { CommandError } from '../command-error.ts';

export type WantedSource = 'auto' | 'topics' | 'bronze';

/** Bronze's position in a partition. */
export interface BronzePosition {
  readonly topic: string;
  readonly partition: number;
  readonly firstOffset: number;
  readonly nextOffset: number;
  /** Records of it that retention has removed from bronze. */
  readonly dropped: number;
}

/** Where a generation is read from, and why, as a sentence. */
export interface ChosenSource {
  readonly source: 'topics' | 'bronze';
  readonly why: string;
}

/**
 * Kafka, as long as it still has everything that bronze has, because it is the shorter way; else bronze. `ends` null: Kafka does
 * not answer. Throws CommandError where Kafka is wanted and has forgotten something.
 */
export function chooseSource(
  wanted: WantedSource,
  bronze: readonly BronzePosition[],
  ends: readonly PartitionEnds[] | null,
): ChosenSource {
  if (wanted === 'bronze') return { source: 'bronze', why: 'as ordered' };
  if (ends === null) {
    if (wanted === 'auto') return { source: 'bronze', why: 'Kafka does not answer' };
    throw new CommandError('Kafka does not answer: start it, or use --source bronze.');
  }
  const lows = new Map(ends.map(({ topic, partition, low }) => [`${topic}/${partition}`, low]));
  const forgotten = bronze.reduce((sum, { topic, partition, firstOffset, nextOffset }) => {
    const low = lows.get(`${topic}/${partition}`) ?? nextOffset;
    return sum + Math.max(0, Math.min(low, nextOffset) - firstOffset);
  }, 0);
  if (forgotten === 0) return { source: 'topics', why: 'Kafka still has everything' };
  const dropped = bronze.reduce((sum, one) => sum + one.dropped, 0);
  const what =
    forgotten > dropped
      ? `Kafka has forgotten ${(forgotten - dropped).toLocaleString('en-US')} records that bronze has`
      : 'Kafka has forgotten records that retention has removed from bronze too, so it does not begin where bronze began';
  if (wanted === 'topics') throw new CommandError(`${what}: use --source auto or --source bronze.`);
  return { source: 'bronze', why: what };
}
