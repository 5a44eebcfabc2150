import { LogLostError, LogReplacedError, OtherClusterError } from './errors.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { KafkaRecord, LostRange, StoredPosition } from './types.ts';

const replaced =
  'the topic was deleted and created anew, or was cut; restore the log, or go on with new topics (another TOPIC_PREFIX) or an empty database';

/** The record below the position, which must come first: proof that this is the log that was read. */
export interface Witness {
  readonly offset: number;
  readonly fingerprint: number;
}

export interface StartingPoint {
  readonly seekTo: number;
  readonly nextOffset: number;
  readonly witness: Witness | null;
  readonly untilOffset: number | null;
}

/** What Kafka says of a log. */
export interface LogEnds {
  readonly low: number;
  readonly high: number;
}

/** Throws when the positions are those of another cluster: nothing else about its logs says anything then. */
export function checkCluster({ topic, partition, clusterId }: StoredPosition, brokersAre: string): void {
  if (clusterId === brokersAre) return;
  throw new OtherClusterError(
    `the position of ${topic}/${partition} belongs to Kafka cluster ${clusterId}, but the brokers are of cluster ${brokersAre}: point KAFKA_BROKERS at the first one, or use another database or TOPIC_PREFIX for the second`,
  );
}

/** What Kafka has removed before it was read; what was not to be read is nobody's loss. */
export function lostRange(position: StoredPosition, { low }: LogEnds): LostRange | null {
  const { topic, partition, nextOffset, untilOffset } = position;
  const end = Math.min(low, untilOffset ?? low);
  return nextOffset < end ? { topic, partition, fromOffset: nextOffset, nextOffset: end } : null;
}

/** `acceptLoss`: the way to go on without them, for all of them at once. */
export function lostError(lost: readonly [LostRange, ...LostRange[]], acceptLoss: string): LogLostError {
  const [{ topic, partition, fromOffset, nextOffset }, ...others] = lost;
  const offsets = lost.reduce((sum, range) => sum + range.nextOffset - range.fromOffset, 0);
  const more = others.length === 0 ? '' : ` (and so in ${others.length} more partitions)`;
  return new LogLostError(
    `${topic}/${partition} continues at offset ${fromOffset}, but Kafka has removed everything below ${nextOffset}${more}: restore these ${offsets} offsets, or, to go on without them, run in Postgres: ${acceptLoss}`,
  );
}

/** Where to begin reading, or a loud stop: a position that Kafka does not have is never skipped (law 3). */
export function startingPoint(stored: StoredPosition, log: LogEnds): StartingPoint {
  const { topic, partition, nextOffset, lastOffset, lastFingerprint, untilOffset } = stored;
  if (nextOffset > log.high) {
    throw new LogReplacedError(
      `${topic}/${partition} continues at offset ${nextOffset}, but its log ends at ${log.high}: ${replaced}`,
    );
  }
  if (untilOffset !== null && untilOffset > log.high) {
    throw new LogReplacedError(
      `${topic}/${partition} is to be read up to offset ${untilOffset}, but its log ends at ${log.high}: ${replaced}`,
    );
  }
  // Nothing is left to read, so nothing has to be proved.
  if (nextOffset === untilOffset) return { seekTo: nextOffset, nextOffset, witness: null, untilOffset };
  const witness =
    lastOffset === null || lastFingerprint === null || lastOffset < log.low
      ? null
      : { offset: lastOffset, fingerprint: lastFingerprint };
  return { seekTo: witness?.offset ?? nextOffset, nextOffset, witness, untilOffset };
}

/** The records after the witness; throws when the first one is not it, or when one stands where none was. */
export function afterWitness(
  place: { readonly topic: string; readonly partition: number; readonly nextOffset: number },
  witness: Witness,
  records: readonly KafkaRecord[],
): KafkaRecord[] {
  const [first, second] = records;
  const same = first?.offset === witness.offset && fingerprintOf(first) === witness.fingerprint;
  if (!same || (second !== undefined && second.offset < place.nextOffset)) {
    throw new LogReplacedError(
      `${place.topic}/${place.partition} no longer holds the record that was read at offset ${witness.offset}: ${replaced}`,
    );
  }
  return records.slice(1);
}
