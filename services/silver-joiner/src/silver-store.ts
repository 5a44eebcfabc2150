import type { PartitionChunk } from '@leakage/kafka';
import {
  addOutcomes,
  advance,
  lockShards,
  type MendedRange,
  mendLosses,
  type Outcomes,
  type SinkTx,
} from '@leakage/postgres';
import type { Source } from '@leakage/schemas';
import { type Decided, decide, type SilverReader } from './decide.ts';
import type { LookedUp, Settled } from './domain/quality.ts';
import type { Reduced } from './domain/reduce.ts';
import type { RuleBook } from './domain/rules.ts';
import type { Call, JourneyEvent, Profile } from './domain/types.ts';
import type { Writes } from './domain/writes.ts';
import { FactCopies } from './fact-copies.ts';
import { LogReaders } from './log-readers.ts';
import { type Merged, type MergeStatements, mergeSource, mergeStatements } from './merge.ts';
import type { Lane, PreparedBatch } from './prepare.ts';
import { ProfileCache } from './profile-cache.ts';
import { type ReaderStatements, readerStatements, silverReader } from './silver-reader.ts';
import {
  mergeChanged,
  numberChanges,
  raisedShards,
  removeFacts,
  updateShards,
  type WriterStatements,
  writeConflicts,
  writerStatements,
} from './silver-writer.ts';
import { type Arrival, CALLS, JOURNEYS, MEMBERS, type Version } from './sources.ts';
import { TimelineCache } from './timeline-cache.ts';

/** Changes of the log that one batch removes at most, per shard. */
const TRIM_CHANGES = 20_000;

/** A replaced row belonged to a member whose shard is not locked: roll back, and run again with it. */
export class UnlockedShardError extends Error {
  readonly shards: readonly number[];
  constructor(shards: readonly number[]) {
    super('a correction moved a row away from a member whose shard was not locked');
    this.name = 'UnlockedShardError';
    this.shards = shards;
  }
}

export type Step = 'stage' | 'lock' | 'merge' | 'decide' | 'write' | 'settle';

/** What one batch did, for the metrics. */
export interface Applied {
  readonly outcomes: readonly Outcomes[];
  readonly changes: number;
  /** What only applying can tell the quality rules. */
  readonly settled: Readonly<Record<Source, Settled>>;
  readonly stepsMs: ReadonlyMap<Step, number>;
}

interface MergedBatch {
  readonly journeys: Merged<JourneyEvent>;
  readonly calls: Merged<Call>;
  readonly profiles: Merged<Profile>;
}

export interface ApplyOptions {
  /** To be locked. */
  readonly shards: readonly number[];
  /** Remove what every reader of the change log has read. */
  readonly trim: boolean;
}

export interface SilverStoreOptions {
  /** The generation's schema, e.g. silver_1. */
  readonly schema: string;
  readonly generation: number;
  readonly pipeline: string;
  readonly book: RuleBook;
}

/** Silver in Postgres. A batch is one transaction (law 1); every lock in it is a statement of its own. */
export class SilverStore {
  readonly #options: SilverStoreOptions;
  readonly #merge: {
    readonly journeys: MergeStatements;
    readonly calls: MergeStatements;
    readonly members: MergeStatements;
  };
  readonly #read: ReaderStatements;
  readonly #write: WriterStatements;
  readonly #copies: FactCopies;
  readonly #readers: LogReaders;
  readonly #profiles: ProfileCache;
  readonly #timelines: TimelineCache;
  /** The shards whose version the last `apply` has raised. */
  #raised: ReadonlySet<number> = new Set();

  constructor(options: SilverStoreOptions) {
    const { schema } = options;
    this.#options = options;
    this.#merge = {
      journeys: mergeStatements(schema, JOURNEYS),
      calls: mergeStatements(schema, CALLS),
      members: mergeStatements(schema, MEMBERS),
    };
    this.#read = readerStatements(`"${schema}"`);
    this.#write = writerStatements(`"${schema}"`);
    this.#copies = new FactCopies(`"${schema}"`);
    this.#readers = new LogReaders(options.generation);
    this.#profiles = new ProfileCache(options.book.shardOf);
    this.#timelines = new TimelineCache(options.book.shardOf);
  }

  /** Must be called in a transaction, which is rolled back when this throws. It may be called again. */
  async apply(tx: SinkTx, batch: PreparedBatch, { shards, trim }: ApplyOptions): Promise<Applied> {
    const { generation, pipeline, book } = this.#options;
    const time = stepTimer();

    // 0. Before any lock: nothing ends a client that stops inside a COPY.
    if (batch.copies.length > 0) await tx.copyAll(batch.copies);
    time.end('stage');

    // 1, 2. Shards, then positions, each in order. A position that is not where it was expected ends everything here.
    const locked = shards.length === 0 ? [] : await lockShards(tx, generation, shards);
    await advance(
      tx,
      pipeline,
      batch.lanes.filter(({ lost }) => lost === null).map(({ chunk }) => chunk),
    );
    time.end('lock');

    // 3. The stored versions, the rejected records, the contents in conflict.
    const merged = await this.#mergeAll(tx, batch, new Set(shards));
    if (batch.quarantined.length > 0) await tx.query(this.#write.quarantine);
    time.end('merge');

    // 4. What follows from them, and the log of it.
    this.#profiles.begin(tx.connection, locked);
    this.#timelines.begin(tx.connection, locked);
    this.#timelines.merged({ journeys: merged.journeys.changes, calls: merged.calls.changes });
    this.#profiles.forget(merged.profiles.changes.map(({ after, before }) => (after ?? before)?.member_id ?? ''));
    const { writes, lookedUp } = await decide(
      this.#reader(tx),
      { journeys: merged.journeys.changes, calls: merged.calls.changes, profiles: merged.profiles.changes },
      book,
    );
    time.end('decide');
    await removeFacts(tx, this.#write, writes);
    const { numbered, last: changeSeq } = numberChanges(writes.changes, locked);
    const read = await this.#readers.among(tx, new Set(writes.changes.map(({ shard }) => shard)));
    const copies = this.#copies.encode(
      writes,
      numbered.filter(({ change }) => read.has(change.shard)),
    );
    if (copies.length > 0) await tx.copyAll(copies);
    await mergeChanged(tx, this.#write, writes);
    this.#timelines.written(writes);
    time.end('write');

    // 5. Locks released by COMMIT must show a new version where something is new, and every record its outcome (laws 1 and 3).
    const written = writtenShards(merged, writes, book.shardOf);
    this.#raised = raisedShards(locked, { written, watermarks: batch.shards });
    await updateShards(tx, generation, { raised: this.#raised, changeSeq, watermarks: batch.shards });
    if (trim && shards.length > 0) await tx.query(this.#write.trim, [generation, shards, TRIM_CHANGES]);
    const outcomes = countOutcomes(batch, merged);
    await addOutcomes(tx, pipeline, { counts: ofPartitions(batch.lanes, outcomes), judgedBy: batch.judgedBy });
    await mendLosses(tx, `silver_${generation}`, mendedRanges(batch.lanes, outcomes));
    time.end('settle');
    const settled = settle(batch, { outcomes, merged, lookedUp });
    return { outcomes, changes: writes.changes.length, settled, stepsMs: time.stepsMs };
  }

  /** The batch of the last `apply` is committed. */
  committed(): void {
    this.#profiles.confirm(this.#raised);
    this.#timelines.confirm(this.#raised);
  }

  #reader(tx: SinkTx): SilverReader {
    const reader = silverReader(tx, this.#read);
    return {
      ...reader,
      profiles: (memberIds) => this.#profiles.profiles(memberIds, (ids) => reader.profiles(ids)),
      calls: (ranges) => this.#timelines.calls(ranges, (unknown) => reader.calls(unknown)),
      events: (ranges) => this.#timelines.events(ranges, (unknown) => reader.events(unknown)),
    };
  }

  /** Tables in one order everywhere, so that two processes at the same identities cannot deadlock. */
  async #mergeAll(tx: SinkTx, batch: PreparedBatch, locked: ReadonlySet<number>): Promise<MergedBatch> {
    const { encoder } = batch;
    const journeys = await mergeSource(tx, {
      table: JOURNEYS,
      statements: this.#merge.journeys,
      reduced: batch.journeys,
      direct: batch.staged ? null : encoder.journeys,
    });
    const calls = await mergeSource(tx, {
      table: CALLS,
      statements: this.#merge.calls,
      reduced: batch.calls,
      direct: batch.staged ? null : encoder.calls,
    });
    const profiles = await mergeSource(tx, {
      table: MEMBERS,
      statements: this.#merge.members,
      reduced: batch.members,
      direct: batch.staged ? null : encoder.members,
    });
    const missing = [...journeys.shards, ...calls.shards, ...profiles.shards].filter((shard) => !locked.has(shard));
    if (missing.length > 0) throw new UnlockedShardError(missing);

    await writeConflicts(tx, this.#write, { source: 'journeys', ...journeys });
    await writeConflicts(tx, this.#write, { source: 'calls', ...calls });
    await writeConflicts(tx, this.#write, { source: 'members', ...profiles });
    return { journeys, calls, profiles };
  }
}

function stepTimer(): { end(step: Step): void; readonly stepsMs: ReadonlyMap<Step, number> } {
  const stepsMs = new Map<Step, number>();
  let began = performance.now();
  return {
    stepsMs,
    end(step) {
      const now = performance.now();
      stepsMs.set(step, now - began);
      began = now;
    },
  };
}

/** The shards in which a batch has changed a row that readers see or processes remember. */
function writtenShards(
  { journeys, calls, profiles }: MergedBatch,
  { changes }: Writes,
  shardOf: RuleBook['shardOf'],
): Set<number> {
  const written = new Set(changes.map(({ shard }) => shard));
  for (const { before, after } of [...journeys.changes, ...calls.changes, ...profiles.changes]) {
    if (before !== null) written.add(shardOf(before.member_id));
    if (after !== null) written.add(shardOf(after.member_id));
  }
  return written;
}

/** One row per partition: what had been given up for lost is counted with the rest of its chunk. */
function ofPartitions(lanes: readonly Lane[], outcomes: readonly Outcomes[]): readonly Outcomes[] {
  if (lanes.every(({ lost }) => lost === null)) return outcomes;
  const sums = new Map<PartitionChunk, Outcomes>();
  for (const [i, { chunk }] of lanes.entries()) {
    const one = outcomes[i];
    const sum = sums.get(chunk);
    if (one === undefined) continue;
    sums.set(chunk, sum === undefined ? one : addUp(sum, one));
  }
  return [...sums.values()];
}

function addUp(a: Outcomes, b: Outcomes): Outcomes {
  return {
    ...a,
    accepted: a.accepted + b.accepted,
    superseded: a.superseded + b.superseded,
    duplicates: a.duplicates + b.duplicates,
    conflicts: a.conflicts + b.conflicts,
    quarantined: a.quarantined + b.quarantined,
  };
}

function mendedRanges(lanes: readonly Lane[], outcomes: readonly Outcomes[]): MendedRange[] {
  return lanes.flatMap(({ lost }, i) => {
    const counts = outcomes[i];
    return lost === null || counts === undefined ? [] : [{ ...counts, ...lost }];
  });
}

/** One outcome per record: those settled while preparing, and the merge's for each winner, at its partition. */
function countOutcomes(batch: PreparedBatch, merged: MergedBatch): Outcomes[] {
  const counts = batch.lanes.map(({ chunk, counts }: Lane) => ({
    topic: chunk.topic,
    partition: chunk.partition,
    ...counts,
  }));
  const add = <R extends Version>(reduced: Reduced<Arrival<R>>, { refused }: Merged<R>): void => {
    for (const winner of reduced.winners.values()) {
      const count = counts[winner.lane];
      if (count === undefined) throw new Error('a merged record has no partition');
      count[refused.get(winner.identity) ?? 'accepted'] += 1;
    }
  };
  add(batch.journeys, merged.journeys);
  add(batch.calls, merged.calls);
  add(batch.members, merged.profiles);
  return counts;
}

function settle(
  batch: PreparedBatch,
  { outcomes, merged, lookedUp }: { outcomes: readonly Outcomes[]; merged: MergedBatch; lookedUp: Decided['lookedUp'] },
): Record<Source, Settled> {
  const of = (source: Source, overruled: number, found: LookedUp): Settled => {
    let duplicates = 0;
    let conflicts = overruled;
    batch.lanes.forEach((lane, i) => {
      if (lane.source !== source) return;
      duplicates += outcomes[i]?.duplicates ?? 0;
      conflicts += outcomes[i]?.conflicts ?? 0;
    });
    return { duplicates, conflicts, lookedUp: found };
  };
  return {
    journeys: of('journeys', merged.journeys.overruled, lookedUp.journeys),
    calls: of('calls', merged.calls.overruled, lookedUp.calls),
    members: of('members', merged.profiles.overruled, { checked: 0, unknown: 0 }),
  };
}
