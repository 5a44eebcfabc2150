import { type Logger, retry, sleep, withDeadline } from '@leakage/runtime';
import { type BatchMetrics, batchMetrics, type DropReason } from './consumer-metrics.ts';
import { ArchiveLacksError, ConsumerError, OtherClusterError } from './errors.ts';
import { Intake, type Lane, type Reading } from './intake.ts';
import { limitsOf } from './limits.ts';
import type {
  ArchivedPartition,
  ArchiveReader,
  ArchiveReaderOptions,
  ConsumerLimits,
  KafkaRecord,
  OffsetRange,
} from './types.ts';
import { paceOf, Writer } from './writer.ts';

/** Offsets of each partition that one question to the archive is about; there are about a dozen partitions in a topic. */
const WINDOW_OFFSETS = 1_000;
/** What comes into the archive while it is read is read too, until no more than this is left: the rest is Kafka's. */
const LEFT_RECORDS_MAX = 10_000;
/** How often it is looked whether there is room again. */
const LOOK_MS = 20;
/** How long the archive may not answer: about 30 s. */
const archiveRetry = { attempts: 10, baseMs: 200, maxMs: 5_000 } as const;

/**
 * Applies an archive of records as if they came from Kafka: the same batches, the same positions by compare-and-set (laws 1 to
 * 3). Offsets that the archive does not have are holes, and as many as it says there are: one more and it stops loudly.
 */
export function startArchiveReader<P>(options: ArchiveReaderOptions<P>): ArchiveReader {
  return new Reader(options);
}

class Reader<P> implements ArchiveReader {
  readonly name = 'archive reader';
  readonly done: Promise<void>;
  readonly failed: Promise<never>;
  readonly #o: ArchiveReaderOptions<P>;
  readonly #log: Logger;
  readonly #limits: ConsumerLimits;
  readonly #intake: Intake;
  readonly #metrics: BatchMetrics;
  readonly #writer: Writer<P>;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #ends: readonly ArchivedPartition[] = [];

  constructor(options: ArchiveReaderOptions<P>) {
    this.#o = options;
    this.#log = options.log;
    this.#limits = limitsOf(options);
    this.#intake = new Intake(this.#limits);
    this.#metrics = batchMetrics(options.metrics);
    this.#writer = new Writer({
      intake: this.#intake,
      stage: options.stage,
      limits: this.#limits,
      metrics: this.#metrics,
      log: this.#log,
      drop: (reason) => this.#drop(reason),
      onApplied: () => undefined,
      reposition: () => this.#reposition(),
      ...paceOf(options),
    });
    const done = Promise.withResolvers<void>();
    const failure = Promise.withResolvers<never>();
    this.done = done.promise;
    this.failed = failure.promise;
    // Whoever owns this part listens; nobody has to.
    for (const promise of [this.done, this.failed]) promise.catch(() => undefined);
    this.#running = this.#run().then(done.resolve, (error: unknown) => {
      if (this.#abort.signal.aborted) return;
      failure.reject(error);
      done.reject(error);
    });
  }

  /** A running apply ends, everything else is dropped: the positions know what was applied. */
  async stop(): Promise<void> {
    this.#abort.abort();
    this.#writer.stop();
    this.#intake.room.ring();
    await withDeadline(this.#running, this.#limits.stopMs, 'the running batch');
  }

  async #run(): Promise<void> {
    await this.#lookAtEnds();
    this.#assign();
    const writing = this.#writer.run();
    const stopped = writing.then(() => undefined);
    try {
      // Whichever ends first: all is read, or the writer cannot go on.
      await Promise.race([this.#pump(), stopped]);
    } finally {
      this.#writer.stop();
      await writing;
    }
  }

  get #over(): boolean {
    return this.#abort.signal.aborted || this.#writer.stopped;
  }

  /** Fills the buffers until everything is applied. */
  async #pump(): Promise<void> {
    while (!this.#over) {
      if (await this.#fillAll()) continue;
      if (this.#isApplied() && (await this.#nothingMore())) return;
      // Not by waiting for room: who waits there tells the writer that nothing more can come.
      await sleep(LOOK_MS, this.#abort.signal);
    }
  }

  /** One question for each topic that has a partition with too little to do; false when no one has. */
  async #fillAll(): Promise<boolean> {
    let asked = false;
    for (const topic of this.#o.topics) {
      if (this.#over) return false;
      const ranges = this.#intake.lanes.flatMap((lane) => (lane.topic === topic ? this.#wanted(lane) : []));
      if (ranges.length === 0) continue;
      await this.#fill(ranges);
      asked = true;
    }
    return asked;
  }

  #wanted(lane: Lane): OffsetRange[] {
    const { topic, partition, reading } = lane;
    if (reading === null || reading.buffer.records >= WINDOW_OFFSETS || !this.#intake.hasRoom(topic, partition))
      return [];
    const nextOffset = Math.min(reading.fetchAt + WINDOW_OFFSETS, this.#high(lane));
    return nextOffset > reading.fetchAt ? [{ topic, partition, fromOffset: reading.fetchAt, nextOffset }] : [];
  }

  /** Where this reader ends: as far as the archive reaches, or the pipeline is to go. */
  #high(lane: Lane): number {
    return Math.min(this.#endOf(lane).high, lane.reading?.until ?? Number.POSITIVE_INFINITY);
  }

  #endOf({ topic, partition }: Pick<Lane, 'topic' | 'partition'>): ArchivedPartition {
    const end = this.#ends.find((one) => one.topic === topic && one.partition === partition);
    if (end === undefined) throw new ConsumerError(`the archive knows nothing of ${topic}/${partition}`);
    return end;
  }

  async #fill(ranges: readonly OffsetRange[]): Promise<void> {
    const { drop } = this.#intake;
    const records = Map.groupBy(
      await this.#patiently(() => this.#o.archive.read(ranges), 'reading the archive'),
      ({ partition }) => partition,
    );
    // What was read under an older number is void.
    if (this.#intake.drop !== drop) return;
    for (const { topic, partition, fromOffset, nextOffset } of ranges) {
      const found = records.get(partition) ?? [];
      mustAscend(found, { topic, partition, fromOffset, nextOffset });
      this.#intake.append({ topic, partition, fetchedOffset: fromOffset, nextOffset, records: found });
    }
  }

  #readings(): { readonly lane: Lane; readonly reading: Reading }[] {
    return this.#intake.lanes.flatMap((lane) => (lane.reading === null ? [] : [{ lane, reading: lane.reading }]));
  }

  #isApplied(): boolean {
    const readings = this.#readings();
    return (
      readings.length === this.#ends.length &&
      readings.every(({ lane, reading }) => reading.applied >= this.#high(lane))
    );
  }

  /** Looks how much has come meanwhile; true when it is little enough to be left to Kafka. */
  async #nothingMore(): Promise<boolean> {
    await this.#o.archive.mustBeWhole(this.#ends);
    await this.#lookAtEnds();
    if (this.#intake.lanes.length !== this.#ends.length) {
      this.#assign();
      return false;
    }
    const left = this.#readings().reduce(
      (sum, { lane, reading }) => sum + Math.max(0, this.#high(lane) - reading.applied),
      0,
    );
    return left <= LEFT_RECORDS_MAX;
  }

  #assign(): void {
    this.#intake.assign(this.#ends.map(({ topic, partition }) => ({ topic, partition })));
  }

  async #lookAtEnds(): Promise<void> {
    const known = new Set(this.#o.topics);
    const ends = await this.#patiently(() => this.#o.archive.ends(), 'asking how far the archive reaches');
    this.#ends = ends.filter(({ topic }) => known.has(topic));
  }

  async #patiently<T>(ask: () => Promise<T>, what: string): Promise<T> {
    return await retry(() => withDeadline(ask(), this.#limits.applyMs, what), {
      ...archiveRetry,
      signal: this.#abort.signal,
      onRetry: (error, attempt) => this.#log.warn({ err: error, attempt }, `${what} failed`),
    });
  }

  #drop(reason: DropReason): void {
    this.#metrics.dropped(reason);
    this.#log.info({ reason }, 'dropped what was buffered; reading the positions again');
    this.#intake.dropAll();
  }

  async #reposition(): Promise<void> {
    const { drop, lanes } = this.#intake;
    await this.#lookAtEnds();
    const positions = await this.#loadPositions(lanes);
    if (this.#intake.drop !== drop) return;
    for (const [at, lane] of lanes.entries()) {
      const position = positions[at];
      if (position === undefined)
        throw new ConsumerError(`no position of ${lane.topic}/${lane.partition} can be stored`);
      const { low, clusterId } = this.#endOf(lane);
      if (position.clusterId !== clusterId) {
        throw new OtherClusterError(
          `the position of ${lane.topic}/${lane.partition} belongs to Kafka cluster ${position.clusterId}, but the archive was made from cluster ${clusterId}`,
        );
      }
      if (position.nextOffset < low) {
        throw new ArchiveLacksError(
          `${lane.topic}/${lane.partition} continues at offset ${position.nextOffset}, but the archive begins at ${low}`,
        );
      }
      const { nextOffset, untilOffset } = position;
      this.#intake.open(lane, { seekTo: nextOffset, nextOffset, untilOffset, witness: null });
    }
  }

  /** Of one cluster, as every archive is that a position can be continued in. */
  #loadPositions(lanes: readonly Lane[]) {
    const parts = lanes.map((lane) => ({
      topic: lane.topic,
      partition: lane.partition,
      lowOffset: this.#endOf(lane).low,
    }));
    const clusterId = this.#ends[0]?.clusterId ?? '';
    return this.#patiently(() => this.#o.positions.load(parts, clusterId), 'reading the positions');
  }
}

/** An archive that gives a record twice, or one that nobody asked for, is damaged. */
function mustAscend(records: readonly KafkaRecord[], range: OffsetRange): void {
  let before = range.fromOffset - 1;
  for (const { offset } of records) {
    if (offset <= before || offset >= range.nextOffset) {
      throw new ArchiveLacksError(
        `the archive has the record at offset ${offset} of ${range.topic}/${range.partition} twice or out of order: run leakage verify`,
      );
    }
    before = offset;
  }
}
