import type { Logger, Metrics, Part } from '@leakage/runtime';
import type { KafkaClient } from './client.ts';

/** One record as Kafka holds it; bytes are never decoded here. */
export interface KafkaRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** Epoch milliseconds: the broker's time of appending, or the producer's where the topic says so. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Null when the record has none. A header that occurs more than once is a list. */
  readonly headers: RecordHeaders | null;
  /** What of it was erased, so that it is not what Kafka had: only an archive has such records. Null: nothing. */
  readonly erased?: 'everything' | 'key' | null;
}

export type RecordHeaders = Readonly<Record<string, Buffer | string | readonly (Buffer | string)[] | undefined>>;

/**
 * What one partition gives to one batch: the offsets `expectedOffset` (inclusive) to `nextOffset` (exclusive), without a gap.
 * `holes` of them have no record (transaction markers, aborted or compacted records); a chunk may consist of holes only.
 */
export interface PartitionChunk {
  readonly topic: string;
  readonly partition: number;
  readonly expectedOffset: number;
  readonly nextOffset: number;
  /** Offset and fingerprint of the last record, null when the chunk has none: the stored ones then stay. */
  readonly lastOffset: number | null;
  readonly lastFingerprint: number | null;
  readonly holes: number;
  readonly records: readonly KafkaRecord[];
}

/** The truth about how far a pipeline has read a partition; it lives beside the state (law 1). */
export interface StoredPosition {
  readonly topic: string;
  readonly partition: number;
  readonly nextOffset: number;
  readonly lastOffset: number | null;
  readonly lastFingerprint: number | null;
  readonly clusterId: string;
  /** Where the pipeline ends: nothing at or beyond it is read. Null: it reads for ever. */
  readonly untilOffset: number | null;
}

export interface PositionStore {
  /** The stored positions of `parts`; those that are missing are created at their `lowOffset`, of this cluster. */
  load(
    parts: readonly { topic: string; partition: number; lowOffset: number }[],
    clusterId: string,
  ): Promise<StoredPosition[]>;
  /** What a person runs in the database to give these offsets up. Only a person does: it is never called for by a program. */
  acceptLoss(lost: readonly LostRange[]): string;
}

/** Offsets from the position on that Kafka no longer has. */
export type LostRange = OffsetRange;

/**
 * applied: committed, and the database said so. moved: another process has moved a position; nothing was written.
 * unknown: nobody answered the commit. After moved and unknown the consumer drops what it holds and asks the positions.
 */
export type ApplyResult = 'applied' | 'moved' | 'unknown';

export interface Stage<P> {
  /** Pure work on the records (decode, validate, encode). Runs while the batch before is applied, so it must read no state. */
  prepare(chunks: readonly PartitionChunk[]): P | Promise<P>;
  /** State, change log and positions in one transaction. Never called before the batch before it is confirmed. */
  apply(prepared: P): Promise<ApplyResult>;
}

/**
 * Awaited after every batch, before the next one is begun: for who may not take all that the machine can give. Records are the
 * batch's, ms is how long applying it took. Must heed the signal; meanwhile nothing is applied and the partitions are kept.
 */
export type Pace = (work: { readonly records: number; readonly ms: number }, signal: AbortSignal) => Promise<void>;

export interface ConsumerOptions<P> extends Partial<ConsumerLimits> {
  readonly kafka: KafkaClient;
  readonly groupId: string;
  readonly topics: readonly string[];
  readonly positions: PositionStore;
  readonly stage: Stage<P>;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Aborted: nobody waits for `ready` any more, it rejects. Stopping is still `stop`'s. */
  readonly signal?: AbortSignal;
  readonly pace?: Pace;
}

/** Offsets `fromOffset` (inclusive) to `nextOffset` (exclusive) of one partition. */
export interface OffsetRange {
  readonly topic: string;
  readonly partition: number;
  readonly fromOffset: number;
  readonly nextOffset: number;
}

/** How far an archive of a partition reaches. */
export interface ArchivedPartition extends PartitionEnds {
  /** The cluster that its records came from. */
  readonly clusterId: string;
  /** Offsets between `low` and `high` that never had a record, or whose loss somebody has accepted. */
  readonly holes: number;
}

/** Records that are kept elsewhere than in Kafka, each once, under the offsets that they had there. */
export interface RecordArchive {
  /** Every partition, as of one instant. */
  ends(): Promise<ArchivedPartition[]>;
  /** The records of these ranges, all of one topic, ascending within a partition. */
  read(ranges: readonly OffsetRange[]): Promise<KafkaRecord[]>;
  /** Everything up to these ends is applied: throws ArchiveLacksError when fewer records were found than there should be. */
  mustBeWhole(ends: readonly ArchivedPartition[]): Promise<void>;
}

export interface ArchiveReaderOptions<P>
  extends Partial<ConsumerLimits>,
    Pick<ConsumerOptions<P>, 'positions' | 'stage' | 'log' | 'metrics' | 'pace'> {
  readonly archive: RecordArchive;
  /** Partitions of other topics are left alone. */
  readonly topics: readonly string[];
}

export interface ArchiveReader extends Part {
  readonly failed: Promise<never>;
  /** Everything in the archive is applied, but for what came in the last moment: Kafka goes on at the positions. */
  readonly done: Promise<void>;
}

/** Law 10: everything that could grow or last has a name here. Defaults in `limits.ts`. */
export interface ConsumerLimits {
  /** Records in one batch, over all partitions. */
  readonly maxBatchRecords: number;
  /** Estimated memory of the records of one batch, headers too; one larger record still makes a batch of its own. */
  readonly maxBatchBytes: number;
  /** A handler waits while its partition has this many records buffered (so: this many, and one delivery). */
  readonly bufferRecordsPerPartition: number;
  /** Handlers wait while all buffers together hold this many bytes. */
  readonly bufferBytes: number;
  /** How long a batch that is not full may wait for more. */
  readonly lingerMs: number;
  /** Assigned, and no fetch completed for so long: the consumer fails. */
  readonly stallMs: number;
  /** One prepare or apply that takes longer: the consumer fails. */
  readonly applyMs: number;
  /** Failed or unanswered applies in a row before the consumer fails. */
  readonly failuresMax: number;
  /** Batches in a row lost to another process before the consumer fails. */
  readonly movedMax: number;
  /** Deliveries in a row that do not begin where the position is, before the consumer fails. */
  readonly misplacedMax: number;
  /** How often the ends of the partitions are read (lag, caught up, lost log). */
  readonly endsMs: number;
  /** How often applied offsets are sent to Kafka, as a hint for lag tools. */
  readonly hintMs: number;
  /** A stop that takes longer gives up waiting. */
  readonly stopMs: number;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly heartbeatMs: number;
  /** How old the client's knowledge of topics and leaders may be; partitions that were added are noticed after it. */
  readonly metadataMs: number;
  readonly fetchWaitMs: number;
  readonly fetchBytes: number;
  readonly fetchBytesPerPartition: number;
}

export interface KafkaConsumer extends Part {
  readonly failed: Promise<never>;
  /** The first assignment was made and its positions were checked. */
  readonly ready: Promise<void>;
  /** Every owned partition that has an end is applied up to it; never, where none has one. */
  readonly done: Promise<void>;
  /** Everything to be read that was readable at the last look at the partitions' ends is applied; false while nobody can say. */
  caughtUp(): boolean;
}

export interface OutgoingRecord {
  readonly topic: string;
  readonly key: Buffer | string | null;
  readonly value: Buffer | null;
  readonly headers?: Readonly<Record<string, Buffer | string>>;
  /** Left out: murmur2 of the key, as every Kafka client's default. */
  readonly partition?: number;
}

/** Where the records of one publish went, by partition, in the order given. */
export interface PublishedRange {
  readonly topic: string;
  readonly partition: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
}

export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

export interface PublisherOptions {
  readonly log: Logger;
  readonly compression?: Compression;
}

export interface Publisher extends Part {
  /**
   * Resolves when every replica in sync has every record. A rejected publish may have written any part of the batch:
   * sending it again is right, duplicates are removed by event identity.
   */
  publish(batch: readonly OutgoingRecord[]): Promise<PublishedRange[]>;
}

export interface PartitionEnds {
  readonly topic: string;
  readonly partition: number;
  /** First offset that Kafka still has. */
  readonly low: number;
  /** The offset after the last record. */
  readonly high: number;
}
