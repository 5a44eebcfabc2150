import { Bell } from './bell.ts';
import type { Delivery } from './delivery.ts';
import { oldestFirst } from './oldest-first.ts';
import { PartitionBuffer } from './partition-buffer.ts';
import { afterWitness, type StartingPoint, type Witness } from './positions.ts';
import type { ConsumerLimits, KafkaRecord, PartitionChunk } from './types.ts';

export type IntakeLimits = Pick<
  ConsumerLimits,
  'maxBatchRecords' | 'maxBatchBytes' | 'bufferRecordsPerPartition' | 'bufferBytes'
>;

/** An owned partition. It is closed (`reading` null) from each drop until its position was read again. */
export interface Lane {
  readonly topic: string;
  readonly partition: number;
  reading: Reading | null;
}

export interface Reading {
  readonly buffer: PartitionBuffer;
  /** Where the next delivery must begin. */
  fetchAt: number;
  /** Still to come first, and to be thrown away. */
  witness: Witness | null;
  /** Everything below is applied. */
  applied: number;
  /** Nothing at or beyond it is taken in. Infinity: there is no end. */
  readonly until: number;
}

/** Records to append, once there is room; or why the delivery must not be used. */
export type Admission = 'closed' | 'misplaced' | 'admitted';

/** One batch: what all lanes had, cut to the limits, and the drop number under which it was taken. */
export interface TakenBatch {
  readonly drop: number;
  readonly chunks: readonly PartitionChunk[];
  readonly records: number;
}

/** Everything between kafkajs' handlers and the writer: bounded buffers, one a partition, all emptied by a drop. */
export class Intake {
  /** Rings when something arrived, was dropped, or must be looked at by the writer. */
  readonly changed = new Bell();
  /** Rings when a batch was taken or everything was dropped: there may be room now. */
  readonly room = new Bell();
  readonly #limits: IntakeLimits;
  #lanes = new Map<string, Lane>();
  #drop = 0;
  #turn = 0;

  constructor(limits: IntakeLimits) {
    this.#limits = limits;
  }

  /** Raised by every drop. What was delivered, taken or prepared under an older number is void. */
  get drop(): number {
    return this.#drop;
  }

  get lanes(): readonly Lane[] {
    return [...this.#lanes.values()];
  }

  /** Whether every owned partition knows its position. */
  get positioned(): boolean {
    for (const { reading } of this.#lanes.values()) if (reading === null) return false;
    return true;
  }

  lane(topic: string, partition: number): Lane | undefined {
    return this.#lanes.get(laneKey(topic, partition));
  }

  /** Replaces the owned partitions; nothing of the old ones stays, not even of those that stay owned. */
  assign(parts: readonly { readonly topic: string; readonly partition: number }[]): void {
    this.#lanes = new Map(
      parts.map(({ topic, partition }) => [laneKey(topic, partition), { topic, partition, reading: null }]),
    );
    this.dropAll();
  }

  /** Raises the drop number and empties everything: the positions must be read again. */
  dropAll(): void {
    this.#drop += 1;
    for (const lane of this.#lanes.values()) lane.reading = null;
    this.changed.ring();
    this.room.ring();
  }

  open(lane: Lane, { seekTo, nextOffset, witness, untilOffset }: StartingPoint): void {
    lane.reading = {
      buffer: new PartitionBuffer(lane.topic, lane.partition, nextOffset),
      fetchAt: seekTo,
      witness,
      applied: nextOffset,
      until: untilOffset ?? Number.POSITIVE_INFINITY,
    };
  }

  /** Whether a partition was delivered up to its end: it need not be fetched any more. */
  isDelivered(topic: string, partition: number): boolean {
    const reading = this.lane(topic, partition)?.reading;
    return reading !== null && reading !== undefined && reading.fetchAt >= reading.until;
  }

  /** Whether there are owned partitions that have an end, and all of those are applied up to it. */
  get done(): boolean {
    const readings = this.lanes.map(({ reading }) => reading);
    const ending = readings.filter((reading) => reading === null || reading.until < Number.POSITIVE_INFINITY);
    return ending.length > 0 && ending.every((reading) => reading !== null && reading.applied >= reading.until);
  }

  /** Whether a delivery continues what was delivered before. */
  admits(delivery: Delivery): Admission {
    const reading = this.lane(delivery.topic, delivery.partition)?.reading;
    if (reading === null || reading === undefined) return 'closed';
    return delivery.fetchedOffset === reading.fetchAt ? 'admitted' : 'misplaced';
  }

  /** Appends an admitted delivery; throws LogReplacedError when the witness is not its first record. */
  append(delivery: Delivery): void {
    const reading = this.lane(delivery.topic, delivery.partition)?.reading;
    if (reading === null || reading === undefined) throw new Error('a delivery was appended to a closed partition');
    let { records } = delivery;
    if (reading.witness !== null) {
      records = afterWitness({ ...delivery, nextOffset: reading.buffer.end }, reading.witness, records);
      reading.witness = null;
    }
    this.#fill(reading, records, delivery.nextOffset);
    reading.fetchAt = delivery.nextOffset;
    this.changed.ring();
  }

  /**
   * Takes note of a delivery without any record, which kafkajs shows to nobody: offsets `first` (null: not told) to `last` are
   * markers or aborted records. It does not say where it was fetched, so it counts only where it begins exactly here.
   */
  admitHoles(hole: { topic: string; partition: number; first: number | null; last: number }): Admission {
    const reading = this.lane(hole.topic, hole.partition)?.reading;
    if (reading === null || reading === undefined) return 'closed';
    if ((hole.first ?? hole.last) !== reading.fetchAt) return 'misplaced';
    if (reading.witness !== null) {
      afterWitness({ ...hole, nextOffset: reading.buffer.end }, reading.witness, []);
    }
    this.#fill(reading, [], hole.last + 1);
    reading.fetchAt = hole.last + 1;
    this.changed.ring();
    return 'admitted';
  }

  /** What lies beyond the partition's end stays outside, holes too: the position must not pass it. */
  #fill({ buffer, until }: Reading, records: KafkaRecord[], next: number): void {
    const within = (records.at(-1)?.offset ?? 0) < until ? records : records.filter(({ offset }) => offset < until);
    buffer.append(within, Math.max(buffer.end, Math.min(next, until)));
  }

  /** Half of the bytes are anybody's, half are shared out: a partition that is ahead of the others must not keep them out. */
  hasRoom(topic: string, partition: number): boolean {
    const buffer = this.lane(topic, partition)?.reading?.buffer;
    if ((buffer?.records ?? 0) >= this.#limits.bufferRecordsPerPartition) return false;
    const half = this.#limits.bufferBytes / 2;
    return (buffer?.bytes ?? 0) < half / this.#lanes.size || this.bytes < half;
  }

  get records(): number {
    let records = 0;
    for (const { reading } of this.#lanes.values()) records += reading?.buffer.records ?? 0;
    return records;
  }

  get bytes(): number {
    let bytes = 0;
    for (const { reading } of this.#lanes.values()) bytes += reading?.buffer.bytes ?? 0;
    return bytes;
  }

  get pending(): boolean {
    for (const { reading } of this.#lanes.values()) if (reading?.buffer.pending) return true;
    return false;
  }

  /** Waiting longer would not make the next batch larger. */
  get full(): boolean {
    return (
      this.records >= this.#limits.maxBatchRecords || this.bytes >= this.#limits.maxBatchBytes || this.room.waiting > 0
    );
  }

  /** Whatever has arrived on all partitions, the oldest first, up to the limits of one batch; null when nothing has. */
  take(): TakenBatch | null {
    const readings = this.lanes.flatMap(({ reading }) => (reading?.buffer.pending ? [reading] : []));
    if (readings.length === 0) return null;
    const { maxBatchRecords, maxBatchBytes } = this.#limits;
    const first = this.#turn++ % readings.length;
    const turn = [...readings.slice(first), ...readings.slice(0, first)];
    const shares = oldestFirst(
      turn.map(({ buffer }) => buffer),
      maxBatchRecords,
    );
    const chunks: PartitionChunk[] = [];
    let records = 0;
    let bytesLeft = maxBatchBytes;
    for (const [at, { buffer }] of turn.entries()) {
      // The first of the turn always gets a record, however large; the others an equal part of the bytes that are left.
      if (at > 0 && buffer.headBytes > bytesLeft) continue;
      const bytesBefore = buffer.bytes;
      const chunk = buffer.take(shares[at] ?? 0, bytesLeft / (turn.length - at));
      if (chunk === null) continue;
      bytesLeft = Math.max(0, bytesLeft - (bytesBefore - buffer.bytes));
      records += chunk.records.length;
      chunks.push(chunk);
    }
    this.room.ring();
    return chunks.length === 0 ? null : { drop: this.#drop, chunks, records };
  }

  /** A batch was committed. Says nothing about partitions that were dropped meanwhile. */
  confirm({ drop, chunks }: TakenBatch): void {
    if (drop !== this.#drop) return;
    for (const { topic, partition, nextOffset } of chunks) {
      const reading = this.lane(topic, partition)?.reading;
      if (reading !== null && reading !== undefined) reading.applied = nextOffset;
    }
  }
}

function laneKey(topic: string, partition: number): string {
  return `${topic}/${partition}`;
}
