import { LogLostError, LogReplacedError, OtherClusterError } from './errors.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { KafkaRecord, StoredPosition } from './types.ts';

/** The record below the position, which must come first: proof that this is the log that was read. */
export interface Witness {
  readonly offset: number;
  readonly fingerprint: number;
}

export interface StartingPoint {
  readonly seekTo: number;
  readonly nextOffset: number;
  readonly witness: Witness | null;
}

/** Where to begin reading, or a loud stop: a position that Kafka no longer has is never skipped (law 3). */
export function startingPoint(
  stored: StoredPosition,
  log: { readonly low: number; readonly high: number; readonly clusterId: string },
): StartingPoint {
  const { topic, partition, nextOffset, lastOffset, lastFingerprint } = stored;
  const where = `${topic}/${partition}`;
  if (stored.clusterId !== log.clusterId) {
    throw new OtherClusterError(
      `the position of ${where} belongs to Kafka cluster ${stored.clusterId}, but the brokers are of cluster ${log.clusterId}: point KAFKA_BROKERS at the first one, or use another database for the second`,
    );
  }
  if (nextOffset < log.low) {
    throw new LogLostError(
      `${where} continues at offset ${nextOffset}, but Kafka has removed everything below ${log.low}: restore those ${log.low - nextOffset} offsets, or, to go on without them, set next_offset of this position in ops.position to ${log.low} and last_offset to null`,
    );
  }
  if (nextOffset > log.high) {
    throw new LogReplacedError(
      `${where} continues at offset ${nextOffset}, but its log ends at ${log.high}: the topic was deleted and created anew, or was cut; restore the log, or start with an empty database`,
    );
  }
  const witness =
    lastOffset === null || lastFingerprint === null || lastOffset < log.low
      ? null
      : { offset: lastOffset, fingerprint: lastFingerprint };
  return { seekTo: witness?.offset ?? nextOffset, nextOffset, witness };
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
      `${place.topic}/${place.partition} no longer holds the record that was read at offset ${witness.offset}: the topic was deleted and created anew, or was cut; restore the log, or start with an empty database`,
    );
  }
  return records.slice(1);
}
