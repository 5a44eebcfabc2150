import { setImmediate as otherWork } from 'node:timers/promises';
import type { OutgoingRecord } from '@leakage/kafka';
import type { Session, SinkTx } from '@leakage/postgres';
import { type Health, type Logger, type Part, sleep, withDeadline } from '@leakage/runtime';
import { type LeakageChange, PARTITIONS } from '@leakage/schemas';
import { changeRecords, memberOf } from './domain/change-records.ts';
import { nextTurn, untold } from './domain/turns.ts';
import type { RelayMetrics } from './relay-metrics.ts';
import {
  forgetTold,
  type LogRead,
  leaveRelayLock,
  moveReader,
  readLog,
  register,
  relayState,
  tryRelayLock,
} from './relay-store.ts';

/** Changes of one shard that a step takes, and up to 99 more where they share a row of the log. */
const SHARD_CHANGES_MAX = 200;
/** How long the relay waits for a wake-up before it looks by itself. */
const POLL_MS = 1_000;
/** After a step that left nothing, so that many small commits of silver become one step. */
const PAUSE_MS = 50;
/** After a step that left some it rests for as long as that took, and no longer than this: the join has the same thread. */
const REST_MS_MAX = 1_000;
/** After a failure; it doubles, up to the second figure, for as long as it takes. */
const backoff = { firstMs: 250, longestMs: 30_000 } as const;
const OUTLET_STOP_MS = 5_000;

export const SHARDS: readonly number[] = Array.from({ length: PARTITIONS }, (_, shard) => shard);

/** Where changes go. */
export interface Outlet {
  encode(change: LeakageChange): Buffer;
  /** Resolves when every replica in sync has every record. */
  publish(records: readonly OutgoingRecord[]): Promise<unknown>;
  stop(): Promise<void>;
}

export interface RelayOptions {
  /** A connection of its own, which holds the lock of whoever relays. Stopped with the relay. */
  readonly session: Session;
  /** It relays while this is the active one. */
  readonly generation: number;
  /** The schema of a generation, quoted. */
  readonly schemaOf: (generation: number) => string;
  readonly topic: string;
  /** Asked for when there is something to tell, and again after a failure. */
  readonly open: (signal: AbortSignal) => Promise<Outlet>;
  readonly metrics: RelayMetrics;
  readonly health: Health;
  readonly log: Logger;
}

type Step =
  | ({ readonly kind: 'tell'; readonly generation: number; readonly left: number } & LogRead)
  /** Something was put in order: look again. */
  | { readonly kind: 'again' }
  /** `relaying`: this process is the one that relays. */
  | { readonly kind: 'nothing'; readonly relaying: boolean };

/**
 * Tells the world every change of a call fact, at least once and in order: read the log, publish, wait for the
 * acknowledgements, move the reader by compare-and-set. Whatever fails is tried again for ever and never ends the process: the
 * join goes on, and the log grows meanwhile.
 */
export class Relay implements Part {
  readonly name = 'relay of changes';
  readonly #o: RelayOptions;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #waking = new AbortController();
  /** The connection that holds the lock. */
  #lockedOn: object | null = null;
  #outlet: Outlet | null = null;
  #failures = 0;

  constructor(options: RelayOptions) {
    this.#o = options;
    this.#done = this.#run();
  }

  /** Something was written. */
  wake(): void {
    this.#waking.abort();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.wake();
    await this.#done;
    await this.#closeOutlet();
    await this.#o.session.stop();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      // Renewed before looking: what is written from here on ends the wait below.
      this.#waking = new AbortController();
      try {
        const waitMs = await this.#step();
        if (this.#failures > 0) this.#o.log.info({ failures: this.#failures }, 'changes are told again');
        this.#failures = 0;
        await pause(waitMs, waitMs === POLL_MS ? this.#waking.signal : signal);
      } catch (error) {
        if (!signal.aborted) await pause(await this.#failed(error), signal);
      }
    }
  }

  /** Returns how long to wait before the next one. */
  async #step(): Promise<number> {
    const { session, metrics, health } = this.#o;
    const began = performance.now();
    const step = await session.transaction((tx) => this.#look(tx));
    if (step.kind === 'again') return 0;
    if (step.kind === 'nothing') {
      health.setReady('changes', true, step.relaying ? 'all are told' : 'told by another process');
      return POLL_MS;
    }
    const records = await this.#tell(step);
    await session.transaction((tx) => moveReader(tx, step));
    const ms = performance.now() - began;
    metrics.told(records, ms);
    health.setReady('changes', true, 'being told');
    return step.left === 0 ? PAUSE_MS : Math.min(ms, REST_MS_MAX);
  }

  /** One short transaction: who is to be told what, and that part of the log. Nothing is held while it is sent. */
  async #look(tx: SinkTx): Promise<Step> {
    const { generation, schemaOf } = this.#o;
    if (!(await this.#relays(tx))) {
      this.#o.metrics.waiting({ changes: 0, oldestAt: null });
      return { kind: 'nothing', relaying: false };
    }
    // With the lock: what was seen before it may be old.
    const { told } = await relayState(tx);
    const options = { active: generation, shards: PARTITIONS, changesMax: SHARD_CHANGES_MAX };
    const turn = nextTurn(told, options);
    switch (turn.kind) {
      case 'nothing':
        this.#o.metrics.waiting({ changes: 0, oldestAt: null });
        return { kind: 'nothing', relaying: true };
      case 'register':
        await register(tx, generation, SHARDS);
        return { kind: 'again' };
      case 'told':
        await forgetTold(tx, turn.generation);
        this.#o.log.info({ generation: turn.generation }, 'all changes of a generation that was retired are told');
        return { kind: 'again' };
      case 'tell': {
        const read = await readLog(tx, schemaOf(turn.generation), turn);
        const changes = untold(told);
        this.#o.metrics.waiting({ changes, oldestAt: Math.min(...read.entries.map((entry) => entry.loggedAt)) });
        const taken = read.ranges.reduce((sum, range) => sum + range.toSeq - range.fromSeq, 0);
        return { kind: 'tell', generation: turn.generation, left: changes - taken, ...read };
      }
    }
  }

  /** Only a process of the active generation, and of those one. */
  async #relays(tx: SinkTx): Promise<boolean> {
    const { active } = await relayState(tx);
    if (active !== this.#o.generation) {
      if (this.#lockedOn === tx.connection) await leaveRelayLock(tx);
      this.#lockedOn = null;
      return false;
    }
    if (this.#lockedOn === tx.connection) return true;
    this.#lockedOn = (await tryRelayLock(tx)) ? tx.connection : null;
    return this.#lockedOn !== null;
  }

  async #tell(step: LogRead & { readonly generation: number }): Promise<number> {
    const outlet = await this.#openOutlet();
    const { topic } = this.#o;
    const records: OutgoingRecord[] = [];
    for (const entry of step.entries) {
      for (const change of changeRecords(entry, step.generation)) {
        records.push({ topic, key: memberOf(change), value: outlet.encode(change) });
      }
      // The join has the same thread.
      await otherWork();
    }
    if (records.length > 0) await this.#unlessStopped(outlet.publish(records));
    return records.length;
  }

  async #openOutlet(): Promise<Outlet> {
    this.#outlet ??= await this.#unlessStopped(this.#o.open(this.#stopping.signal));
    return this.#outlet;
  }

  /** A stop does not wait for Kafka: what was not acknowledged is sent again. */
  async #unlessStopped<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#stopping;
    signal.throwIfAborted();
    work.catch(() => undefined);
    const { promise: stopped, reject } = Promise.withResolvers<never>();
    const end = () => reject(signal.reason);
    signal.addEventListener('abort', end, { once: true });
    try {
      return await Promise.race([work, stopped]);
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  async #closeOutlet(): Promise<void> {
    const outlet = this.#outlet;
    this.#outlet = null;
    if (outlet === null) return;
    await withDeadline(outlet.stop(), OUTLET_STOP_MS, 'stopping the publisher of changes').catch((error: unknown) => {
      this.#o.log.debug({ err: error }, 'the publisher of changes did not stop');
    });
  }

  /** Returns how long to wait. */
  async #failed(error: unknown): Promise<number> {
    const { metrics, health, log } = this.#o;
    const waitMs = Math.min(backoff.longestMs, backoff.firstMs * 2 ** Math.min(this.#failures, 20));
    this.#failures += 1;
    metrics.failed();
    // Said, and no reason to be called unready: the join goes on.
    health.setReady(
      'changes',
      true,
      `not told, tried again: ${error instanceof Error ? error.message : String(error)}`,
    );
    log.warn(
      { err: error, failures: this.#failures, waitMs },
      'changes could not be told: they wait in the change log',
    );
    await this.#closeOutlet();
    return waitMs;
  }
}

/** Waits, or less when the signal comes. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms === 0) return;
  try {
    await sleep(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
