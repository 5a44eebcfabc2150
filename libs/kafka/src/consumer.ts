import { type Logger, retry, withDeadline } from '@leakage/runtime';
import type { Admin, Consumer } from 'kafkajs';
import { copartitionAssigner } from './assigner.ts';
import { adminRetry, answered, clientRetry, connected, kafkaOf } from './client.ts';
import { type BatchMetrics, consumerMetrics, type DropReason } from './consumer-metrics.ts';
import { coordinatorAnswers } from './coordinator.ts';
import { EndsWatch } from './ends-watch.ts';
import { ConsumerError, LogLostError, LogReplacedError, messageOf, OtherClusterError } from './errors.ts';
import { type HandlerOptions, handleBatch, handleHoles } from './handlers.ts';
import { OffsetHints } from './hints.ts';
import { Intake } from './intake.ts';
import { limitsOf } from './limits.ts';
import { reposition } from './repositioning.ts';
import { endsOf } from './topics.ts';
import type { ConsumerLimits, ConsumerOptions, KafkaConsumer } from './types.ts';
import { Watchdog } from './watchdog.ts';
import { paceOf, Writer } from './writer.ts';

/** How long a database or broker may not answer when positions are read: about 30 s. */
const repositionRetry = { attempts: 10, baseMs: 200, maxMs: 5_000 } as const;

/**
 * Starts reading `topics` as a member of `groupId`. Returns when Kafka is connected; `ready` tells of the first assignment.
 * Every record is applied once in the sense of the stage's compare-and-set, whatever happens in between (laws 1 to 3).
 */
export async function startConsumer<P>(options: ConsumerOptions<P>): Promise<KafkaConsumer> {
  const consumer = new StageConsumer(options);
  try {
    await consumer.start();
  } catch (error) {
    await consumer.stop().catch((late: unknown) => options.log.debug({ err: late }, 'stopping after a failed start'));
    throw error;
  }
  return consumer;
}

/** The thin shell over kafkajs: its events in, pause, seek and resume out. What is decided is decided in Intake and Writer. */
class StageConsumer<P> implements KafkaConsumer {
  readonly name: string;
  readonly #o: ConsumerOptions<P>;
  readonly #log: Logger;
  readonly #limits: ConsumerLimits;
  readonly #ready = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<never>();
  readonly #done = Promise.withResolvers<void>();
  readonly #intake: Intake;
  readonly #metrics: BatchMetrics;
  readonly #admin: Admin;
  readonly #abort = new AbortController();
  #consumer: Consumer | null = null;
  #writer: Writer<P> | null = null;
  #hints: OffsetHints | null = null;
  #watchdog: Watchdog | null = null;
  #ends: EndsWatch | null = null;
  #endsTimer: NodeJS.Timeout | null = null;
  #looking = false;
  #running: Promise<void> = Promise.resolve();
  #writing: Promise<void> = Promise.resolve();
  /** Deliveries in a row that did not begin where they had to, by partition. */
  readonly #misplaced = new Map<string, number>();

  constructor(options: ConsumerOptions<P>) {
    this.#o = options;
    this.name = `consumer ${options.groupId}`;
    this.#log = options.log;
    this.#limits = limitsOf(options);
    this.#intake = new Intake(this.#limits);
    this.#metrics = consumerMetrics(options.metrics, {
      groupId: options.groupId,
      held: () => this.#intake,
      lags: () => this.#ends?.lags() ?? [],
    });
    this.#admin = kafkaOf(options.kafka).admin({ retry: adminRetry });
    // Whoever owns this part listens; nobody has to.
    this.#failed.promise.catch(() => undefined);
    this.#ready.promise.catch(() => undefined);
    const giveUp = (): void => this.#ready.reject(new ConsumerError('the consumer is to stop before it was ready'));
    if (options.signal?.aborted) giveUp();
    else options.signal?.addEventListener('abort', giveUp, { once: true });
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  get done(): Promise<void> {
    return this.#done.promise;
  }

  get failed(): Promise<never> {
    return this.#failed.promise;
  }

  caughtUp(): boolean {
    return this.#ends?.caughtUp() ?? false;
  }

  async start(): Promise<void> {
    await connected(this.#admin.connect(), this.#o.kafka);
    const partitions = (await answered(endsOf(this.#admin, this.#o.topics), this.#o.kafka)).length;
    const consumer = this.#createConsumer(partitions);
    this.#consumer = consumer;
    await connected(consumer.connect(), this.#o.kafka);
    await answered(coordinatorAnswers(this.#admin, this.#o.groupId, this.#abort.signal), this.#o.kafka);
    // The beginning, for where kafkajs decides by itself: it never gets to keep such a decision, but it must not skip either.
    await consumer.subscribe({ topics: [...this.#o.topics], fromBeginning: true });
    this.#startWatching();
    this.#writer = this.#createWriter(consumer);
    this.#writing = this.#writer.run().catch((error: unknown) => this.#fail(error));
    const handlers = this.#handlers();
    consumer.on(consumer.events.START_BATCH_PROCESS, ({ payload }) => handleHoles(handlers, payload));
    const running = consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      partitionsConsumedConcurrently: Math.max(1, partitions),
      eachBatch: (payload) => handleBatch(handlers, payload),
    });
    this.#running = running.catch((error: unknown) => this.#fail(error));
  }

  /** Fetching stops, a running apply ends, everything else is dropped: the positions know what was applied. */
  async stop(): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    const end = performance.now() + this.#limits.stopMs;
    const left = (): number => Math.max(1, end - performance.now());
    this.#ready.reject(new ConsumerError('the consumer was stopped'));
    this.#watchdog?.stop();
    if (this.#endsTimer !== null) clearInterval(this.#endsTimer);
    this.#intake.room.ring();
    this.#writer?.stop();
    try {
      await withDeadline(this.#writing, left(), 'the running batch');
      await this.#hints?.flush();
      // A group that is just being joined cannot be left.
      await withDeadline(this.#running, left(), 'joining the group');
    } finally {
      const leaving = Promise.all([this.#consumer?.disconnect() ?? Promise.resolve(), this.#admin.disconnect()]);
      await withDeadline(leaving, left(), 'leaving Kafka');
    }
  }

  #createConsumer(partitions: number): Consumer {
    const limits = this.#limits;
    const consumer = kafkaOf(this.#o.kafka).consumer({
      groupId: this.#o.groupId,
      partitionAssigners: [copartitionAssigner],
      sessionTimeout: limits.sessionTimeoutMs,
      rebalanceTimeout: limits.rebalanceTimeoutMs,
      heartbeatInterval: limits.heartbeatMs,
      metadataMaxAge: limits.metadataMs,
      maxWaitTimeInMs: limits.fetchWaitMs,
      maxBytes: limits.fetchBytes,
      // kafkajs asks for partitions in a fixed order: were one fetch too small for all, the last ones would starve.
      maxBytesPerPartition: Math.min(limits.fetchBytesPerPartition, Math.ceil(limits.fetchBytes / (partitions || 1))),
      allowAutoTopicCreation: false,
      // Never restarted in this process: after a crash nothing of its state is to be trusted.
      retry: { ...clientRetry, restartOnFailure: async () => false },
    });
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => this.#onAssigned(consumer, payload.memberAssignment));
    consumer.on(consumer.events.REBALANCING, () => this.#onRebalancing());
    consumer.on(consumer.events.FETCH, () => this.#watchdog?.moved());
    consumer.on(consumer.events.CRASH, ({ payload }) => this.#fail(this.#crash(payload.error)));
    return consumer;
  }

  /** Runs inside the event, before the first fetch of the assignment: nothing may be awaited here. */
  #onAssigned(consumer: Consumer, assignment: Record<string, number[]>): void {
    const parts = Object.entries(assignment).flatMap(([topic, partitions]) =>
      partitions.map((partition) => ({ topic, partition })),
    );
    if (parts.length > 0) consumer.pause(parts.map(({ topic, partition }) => ({ topic, partitions: [partition] })));
    this.#watchdog?.moved();
    this.#metrics.dropped('assignment');
    this.#log.info({ group: this.#o.groupId, partitions: parts.length }, 'partitions assigned');
    this.#intake.assign(parts);
    if (parts.length === 0) this.#ready.resolve();
  }

  /** Whatever is held may be somebody else's soon; kafkajs fetches nothing until the group is joined anew. */
  #onRebalancing(): void {
    this.#watchdog?.allow(this.#limits.rebalanceTimeoutMs);
    this.#metrics.dropped('rebalance');
    this.#intake.assign([]);
  }

  #drop(consumer: Consumer, reason: DropReason): void {
    const { lanes } = this.#intake;
    if (lanes.length > 0) consumer.pause(lanes.map(({ topic, partition }) => ({ topic, partitions: [partition] })));
    this.#metrics.dropped(reason);
    this.#log.info({ group: this.#o.groupId, reason }, 'dropped what was buffered; reading the positions again');
    this.#intake.dropAll();
  }

  #createWriter(consumer: Consumer): Writer<P> {
    const hints = new OffsetHints({ consumer, intake: this.#intake, hintMs: this.#limits.hintMs, log: this.#log });
    this.#hints = hints;
    return new Writer({
      intake: this.#intake,
      stage: this.#o.stage,
      limits: this.#limits,
      metrics: this.#metrics,
      log: this.#log,
      drop: (reason) => this.#drop(consumer, reason),
      onApplied: () => {
        hints.offer();
        this.#lookWhetherDone();
      },
      ...paceOf(this.#o),
      reposition: () => this.#reposition(consumer),
    });
  }

  async #reposition(consumer: Consumer): Promise<void> {
    const { positions, topics } = this.#o;
    const attempt = async (): Promise<void> => {
      const done = reposition({ intake: this.#intake, consumer, admin: this.#admin, positions, topics });
      await withDeadline(done, this.#limits.applyMs, 'reading the positions');
    };
    try {
      await retry(attempt, {
        ...repositionRetry,
        signal: this.#abort.signal,
        retryable: (error) => !isLoud(error),
        onRetry: (error, times) => this.#log.warn({ err: error, attempt: times }, 'reading the positions failed'),
      });
    } catch (error) {
      if (this.#abort.signal.aborted) return;
      throw error;
    }
    if (!this.#intake.positioned || this.#intake.lanes.length === 0) return;
    this.#ready.resolve();
    this.#lookWhetherDone();
    this.#look();
  }

  #lookWhetherDone(): void {
    if (this.#intake.done) this.#done.resolve();
  }

  #handlers(): HandlerOptions {
    return {
      intake: this.#intake,
      heartbeatMs: this.#limits.heartbeatMs,
      stopping: () => this.#abort.signal.aborted,
      misplaced: (topic, partition) => this.#onMisplaced(topic, partition),
      admitted: (topic, partition) => this.#onAdmitted(topic, partition),
      waiting: () => this.#watchdog?.moved(),
      fail: (error) => this.#fail(error),
    };
  }

  #onAdmitted(topic: string, partition: number): void {
    this.#misplaced.delete(`${topic}/${partition}`);
    if (this.#intake.isDelivered(topic, partition)) this.#consumer?.pause([{ topic, partitions: [partition] }]);
  }

  /** Kafka gave something else than what follows the position: check the position, and begin there again. */
  #onMisplaced(topic: string, partition: number): void {
    const times = (this.#misplaced.get(`${topic}/${partition}`) ?? 0) + 1;
    this.#misplaced.set(`${topic}/${partition}`, times);
    this.#log.warn({ topic, partition, times }, 'a delivery does not begin at the position');
    if (times > this.#limits.misplacedMax) {
      this.#fail(
        new ConsumerError(
          `${topic}/${partition} gave ${times} deliveries that do not begin at the position: look at the log around it with kafka-dump-log; it is compacted or damaged`,
        ),
      );
    }
    if (this.#consumer !== null) this.#drop(this.#consumer, 'misplaced');
  }

  #startWatching(): void {
    this.#watchdog = new Watchdog(this.#limits.stallMs, (error) => this.#fail(error));
    this.#watchdog.allow(this.#limits.rebalanceTimeoutMs);
    const ends = new EndsWatch({
      admin: this.#admin,
      topics: this.#o.topics,
      intake: this.#intake,
      limits: this.#limits,
      misplaced: (topic, partition) => this.#onMisplaced(topic, partition),
      fail: (error) => this.#fail(error),
    });
    this.#ends = ends;
    this.#endsTimer = setInterval(() => this.#look(), this.#limits.endsMs);
  }

  #look(): void {
    if (this.#looking || this.#abort.signal.aborted) return;
    this.#looking = true;
    const look = async (): Promise<void> => {
      await this.#ends?.look();
      this.#hints?.offer();
    };
    look()
      .catch((error: unknown) => this.#log.debug({ err: error }, 'the ends of the partitions could not be read'))
      .finally(() => {
        this.#looking = false;
      });
  }

  #crash(error: Error): Error {
    return new ConsumerError(
      `the Kafka consumer of group ${this.#o.groupId} ended: ${messageOf(error)}; the process has to be restarted, and if it happens again, check that the brokers answer`,
      { cause: error },
    );
  }

  #fail(error: unknown): void {
    if (this.#abort.signal.aborted) return;
    this.#ready.reject(error);
    this.#failed.reject(error);
    this.#writer?.stop();
  }
}

/** Errors that no further attempt can change. */
function isLoud(error: unknown): boolean {
  return (
    error instanceof LogLostError ||
    error instanceof LogReplacedError ||
    error instanceof OtherClusterError ||
    error instanceof ConsumerError
  );
}
