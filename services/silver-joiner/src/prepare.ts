import { createHash } from 'node:crypto';
import { setImmediate as yieldToLoop } from 'node:timers/promises';
import type { KafkaRecord, PartitionChunk } from '@leakage/kafka';
import { type CopySource, type Erased, type LostRange, lostWithin, type Policy } from '@leakage/postgres';
import type { Reading } from '@leakage/registry';
import type { CallLog, DigitalJourneyEvent, MemberProfile, Reader, Readers, Source } from '@leakage/schemas';
import { type CleanContext, type Cleaned, cleanCall, cleanJourney, cleanProfile } from './domain/clean.ts';
import type { Reason, Warning } from './domain/expectations.ts';
import { QualityTally } from './domain/quality.ts';
import { type Outcome, type Reduced, reduceBatch } from './domain/reduce.ts';
import type { RuleBook } from './domain/rules.ts';
import type { Call, JourneyEvent, Profile } from './domain/types.ts';
import { type Arrival, CALLS, JOURNEYS, MEMBERS, type SourceTable, type Version } from './sources.ts';
import type { BatchEncoder, QuarantinedRecord } from './staging.ts';

/** How many records are prepared before the event loop runs: heartbeats and the bytes of the batch before go out. */
const YIELD_RECORDS = 500;

export type RecordOutcome = Outcome | 'quarantined';

/** A part of a chunk and what became of its records; every record is counted once (law 3). */
export interface Lane {
  readonly chunk: PartitionChunk;
  /** The part that had been given up for lost; null: the rest, and every chunk has one such lane. */
  readonly lost: LostRange | null;
  readonly source: Source;
  readonly counts: Record<RecordOutcome, number>;
}

export interface Watermarks {
  digital: number | null;
  calls: number | null;
}

/** Everything about a batch that can be known without reading state. */
export interface PreparedBatch {
  readonly lanes: readonly Lane[];
  readonly journeys: Reduced<Arrival<JourneyEvent>>;
  readonly calls: Reduced<Arrival<Call>>;
  readonly members: Reduced<Arrival<Profile>>;
  /** Those that are told of; the counts of the lanes have all of them. */
  readonly quarantined: readonly QuarantinedRecord[];
  /** Shards of all valid records with the greatest event times that they bring. */
  readonly shards: ReadonlyMap<number, Watermarks>;
  readonly quality: Readonly<Record<Source, QualityTally>>;
  /** Records that a producer put into another partition than their member's. */
  readonly misrouted: number;
  /** The version of the policy that it was judged by. */
  readonly judgedBy: number;
  readonly copies: readonly CopySource[];
  readonly encoder: BatchEncoder;
  /** Whether the winners are among the copies; else what is new goes straight into its table. */
  readonly staged: boolean;
}

export interface PrepareOptions {
  readonly book: RuleBook;
  readonly policy: Policy;
  readonly sourceOf: (topic: string) => Source | null;
  readonly reading: Reading;
  /** What the live pipeline has given up for lost, where that is read again. */
  readonly losses: readonly LostRange[];
  /** It is a replay: the live pipeline has said what became of these records, but for what it had given up. */
  readonly again: boolean;
  /** Nobody else waits for the shards: a generation that is being built. */
  readonly building?: () => boolean;
}

const ERASED = 'erased' satisfies Reason;

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** What one source's records go through. */
interface Intake<E, R extends Version> {
  readonly table: SourceTable<R>;
  clean(event: E, kafkaTimestamp: number, context: CleanContext): Cleaned<R>;
  /** What a person would look a refused record up by. */
  id(event: E): string | null;
  /** Whose it is, and what else but its member tells it from others. */
  about(event: E): { readonly memberId: string | null; readonly recordId: string | null };
  /** What a valid record says about time and about itself. */
  mark(row: R, marks: Watermarks, tally: QualityTally): void;
}

const JOURNEY_INTAKE: Intake<DigitalJourneyEvent, JourneyEvent> = {
  table: JOURNEYS,
  clean: cleanJourney,
  id: (event) => event.event_id,
  about: (event) => ({ memberId: event.member_id, recordId: event.event_id }),
  mark: (row, marks, tally) => {
    marks.digital = later(marks.digital, Math.min(row.timestamp, row.emitted_at));
    tally.time(row.timestamp, row);
    if (row.action === 'error' || row.error_code !== null) tally.coded += 1;
  },
};

const CALL_INTAKE: Intake<CallLog, Call> = {
  table: CALLS,
  clean: cleanCall,
  id: (event) => event.call_id,
  about: (event) => ({ memberId: event.member_id, recordId: event.call_id }),
  mark: (row, marks, tally) => {
    marks.calls = later(marks.calls, Math.min(row.call_timestamp, row.emitted_at));
    tally.time(row.call_timestamp, row);
  },
};

const MEMBER_INTAKE: Intake<MemberProfile, Profile> = {
  table: MEMBERS,
  clean: cleanProfile,
  id: (event) => event.member_id,
  about: (event) => ({ memberId: event.member_id, recordId: null }),
  mark: () => {
    // Profiles have no watermark: they are valid from an instant on, and may be known long before it.
  },
};

interface OpenedLane {
  readonly index: number;
  readonly lane: Lane;
}

function covers(lost: LostRange | null, { offset }: KafkaRecord): boolean {
  return lost === null || (offset >= lost.fromOffset && offset < lost.nextOffset);
}

/** Collects one batch; thrown away afterwards. */
class Collector {
  readonly lanes: Lane[] = [];
  readonly journeys: Arrival<JourneyEvent>[] = [];
  readonly calls: Arrival<Call>[] = [];
  readonly members: Arrival<Profile>[] = [];
  readonly quarantined: QuarantinedRecord[] = [];
  readonly shards = new Map<number, Watermarks>();
  readonly quality = {
    journeys: new QualityTally('journeys'),
    calls: new QualityTally('calls'),
    members: new QualityTally('members'),
  };
  misrouted = 0;
  readonly #readers: Readers;
  readonly #book: RuleBook;
  readonly #clean: CleanContext;
  readonly #losses: readonly LostRange[];
  readonly #untoldBefore: number;
  readonly #erased: Erased | null;
  readonly #again: boolean;
  readonly #quarantineKeptFrom: number;

  constructor({ book, policy, reading, losses, again }: PrepareOptions) {
    this.#readers = reading.readers;
    this.#book = book;
    this.#clean = { aligner: book.aligner, sha256, horizon: policy.refusedBefore };
    this.#losses = losses;
    this.#quarantineKeptFrom = policy.quarantineKeptFrom ?? Number.NEGATIVE_INFINITY;
    this.#untoldBefore = again ? Number.POSITIVE_INFINITY : (policy.untoldBefore ?? Number.NEGATIVE_INFINITY);
    this.#erased = policy.erased;
    this.#again = again;
  }

  open(chunk: PartitionChunk, source: Source): OpenedLane[] {
    return [null, ...lostWithin(this.#losses, chunk)].map((lost) => {
      const counts = { accepted: 0, superseded: 0, duplicates: 0, conflicts: 0, quarantined: 0 };
      const lane = { chunk, lost, source, counts };
      return { index: this.lanes.push(lane) - 1, lane };
    });
  }

  /** `lanes` are those of the record's chunk. */
  take(lanes: readonly OpenedLane[], record: KafkaRecord): void {
    const opened = lanes.length > 1 ? lanes.findLast(({ lane: { lost } }) => covers(lost, record)) : lanes[0];
    if (opened === undefined) throw new Error('a record has no lane');
    const { source } = opened.lane;
    if (source === 'journeys')
      this.#take(JOURNEY_INTAKE, this.journeys, { ...opened, record, reader: this.#readers.journeys });
    else if (source === 'calls')
      this.#take(CALL_INTAKE, this.calls, { ...opened, record, reader: this.#readers.calls });
    else this.#take(MEMBER_INTAKE, this.members, { ...opened, record, reader: this.#readers.members });
  }

  #take<E, R extends Version>(
    intake: Intake<E, R>,
    into: Arrival<R>[],
    { index, lane, record, reader }: OpenedLane & { record: KafkaRecord; reader: Reader<E> },
  ): void {
    const { topic, partition, offset, timestampMs: receivedAt, value } = record;
    const tally = this.quality[lane.source];
    const decoded = reader.decode(value);
    if (
      record.erased === 'everything' ||
      (this.#erased !== null && this.#isErased(intake, decoded.event, { lane, record }))
    ) {
      this.#refuseErased(lane, record);
      return;
    }
    const cleaned = decoded.ok
      ? intake.clean(decoded.event, receivedAt, this.#clean)
      : ({ ok: false, reasons: [decoded.error] } as const);
    if (!cleaned.ok) {
      const recordId = (decoded.event === null ? null : intake.id(decoded.event)) || null;
      const { source } = lane;
      const { reasons } = cleaned;
      const toldFrom = isOnlyOld(reasons) ? this.#untoldBefore : this.#quarantineKeptFrom;
      if (lane.lost !== null || receivedAt >= toldFrom)
        this.quarantined.push({ source, topic, partition, offset, receivedAt, payload: value, recordId, reasons });
      lane.counts.quarantined += 1;
      tally.refuse(reasons);
      return;
    }
    tally.keep(decoded.ok ? allWarnings(decoded, cleaned.warnings) : cleaned.warnings);
    const { row } = cleaned;
    tally.newestEmittedAt = Math.max(tally.newestEmittedAt, row.emitted_at);
    const shard = this.#book.shardOf(row.member_id);
    if (shard !== partition) this.misrouted += 1;
    const identity = intake.table.identity(row);
    into.push({ row, identity, shard, lane: index, topic, partition, offset, receivedAt });
    intake.mark(row, this.#marks(shard), tally);
  }

  #isErased<E, R extends Version>(
    intake: Intake<E, R>,
    event: E | null,
    { lane: { source }, record: { key } }: { readonly lane: Lane; readonly record: KafkaRecord },
  ): boolean {
    const about = event === null ? { memberId: null, recordId: null } : intake.about(event);
    return this.#erased?.refuses({ source, ...about, key }) === true;
  }

  /** Of a member who was erased: nothing of the record is kept but that it was there. */
  #refuseErased(lane: Lane, { topic, partition, offset, timestampMs: receivedAt }: KafkaRecord): void {
    const { source, lost } = lane;
    const reasons = [ERASED];
    // The live pipeline may have kept it, when the member was still there, and counted it so.
    if (!this.#again || lost !== null) {
      this.quarantined.push({ source, topic, partition, offset, receivedAt, payload: null, recordId: null, reasons });
    }
    lane.counts.quarantined += 1;
    this.quality[source].refuse(reasons);
  }

  #marks(shard: number): Watermarks {
    let marks = this.shards.get(shard);
    if (marks === undefined) {
      marks = { digital: null, calls: null };
      this.shards.set(shard, marks);
    }
    return marks;
  }
}

/** Nothing is wrong with it but that retention has passed it by. */
function isOnlyOld(reasons: readonly string[]): boolean {
  return reasons.length === 1 && reasons[0] === 'beyond_retention';
}

/** What cleaning warns of, and what decoding had to empty or to ignore. */
function allWarnings(
  { emptied, unknownFields }: { readonly emptied: readonly string[]; readonly unknownFields: number },
  warnings: readonly Warning[],
): readonly string[] {
  if (emptied.length === 0 && unknownFields === 0) return warnings;
  const all: string[] = [...warnings, ...emptied.map((field) => `type:${field}`)];
  if (unknownFields > 0) all.push('S4:unknown_fields' satisfies Warning);
  return all;
}

function later(a: number | null, b: number): number {
  return a === null || b > a ? b : a;
}

function reduce<R extends Version>(
  table: SourceTable<R>,
  arrivals: readonly Arrival<R>[],
  lanes: readonly Lane[],
): Reduced<Arrival<R>> {
  const reduced = reduceBatch(arrivals, {
    identity: (arrival) => arrival.identity,
    revision: (arrival) => arrival.row.revision,
    content: (arrival) => table.content(arrival.row),
  });
  for (const { record, outcome } of reduced.losers) {
    const lane = lanes[record.lane];
    if (lane !== undefined) lane.counts[outcome] += 1;
  }
  return reduced;
}

function sourceOf({ topic }: PartitionChunk, options: PrepareOptions): Source {
  const source = options.sourceOf(topic);
  if (source === null) throw new Error(`topic ${topic} is none of this service's topics`);
  return source;
}

/** Decodes, cleans, reduces and encodes a batch. Reads no state, so it may run while the batch before is applied. */
export async function prepareBatch(
  chunks: readonly PartitionChunk[],
  options: PrepareOptions,
  encoder: BatchEncoder,
): Promise<PreparedBatch> {
  const parts = chunks.map((chunk) => ({ chunk, source: sourceOf(chunk, options), records: chunk.records }));
  await options.reading.learn(parts);
  const collected = new Collector(options);
  let untilYield = YIELD_RECORDS;
  for (const { chunk, source } of parts) {
    const opened = collected.open(chunk, source);
    for (const record of chunk.records) {
      collected.take(opened, record);
      untilYield -= 1;
      if (untilYield > 0) continue;
      untilYield = YIELD_RECORDS;
      await yieldToLoop();
    }
  }
  const { lanes, quarantined, shards, quality, misrouted } = collected;
  const journeys = reduce(JOURNEYS, collected.journeys, lanes);
  const calls = reduce(CALLS, collected.calls, lanes);
  const members = reduce(MEMBERS, collected.members, lanes);
  const staged = options.building?.() !== true;
  const records = staged
    ? [
        ...encoder.journeys.encode(journeys.winners.values()),
        ...encoder.calls.encode(calls.winners.values()),
        ...encoder.members.encode(members.winners.values()),
      ]
    : [];
  const copies = [...records, ...encoder.quarantine(quarantined)];
  const judgedBy = options.policy.version;
  const reduced = { journeys, calls, members };
  return { lanes, ...reduced, quarantined, shards, quality, misrouted, judgedBy, copies, encoder, staged };
}
