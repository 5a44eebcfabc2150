import type { OutgoingRecord, PublishedRange, Publisher } from '@leakage/kafka';
import type { Connection } from '@leakage/postgres';
import { sleep } from '@leakage/runtime';
import { CommandError } from '../command-error.ts';
import type { BronzeStore, Envelope } from './bronze-store.ts';
import type { Judge } from './judge.ts';
import { judged } from './judged.ts';
import { type Position, positionText } from './position.ts';
import type { QuarantinedRecord, QuarantineStore, Selection } from './quarantine-store.ts';
import { Refusals, type Refused } from './refusals.ts';
import type { RepairStore } from './repair-store.ts';
import type { Repairer } from './repairer.ts';

/** How many records are repaired, sent and acknowledged at a time. */
const batchRecords = 200;

export interface ReinjectOptions {
  readonly run: string;
  readonly selection: Selection;
  /** How many records are sent at most. */
  readonly limit: number;
  /** Records a second; null: as fast as they go. */
  readonly rate: number | null;
  readonly quarantine: QuarantineStore;
  readonly repairs: RepairStore;
  readonly bronze: BronzeStore;
  readonly repairer: Repairer;
  readonly judge: Judge;
  readonly publisher: Publisher;
  /** Holds the lock of repairs. */
  readonly lock: Pick<Connection, 'lost'>;
  readonly onProgress: (done: Reinjected) => void;
  /** Aborted: no other batch begins. */
  readonly signal: AbortSignal;
}

export interface Reinjected {
  /** Records that the fix was made on. */
  readonly examined: number;
  readonly sent: number;
  /** Those that stay open, by reason. */
  readonly refused: readonly Refused[];
  readonly interrupted: boolean;
}

/** A record of the quarantine in the form in which it goes back to its topic. */
interface Ready {
  readonly record: QuarantinedRecord;
  readonly outgoing: OutgoingRecord;
}

/**
 * Sends repaired records to where they came from, as new ones that say what they repair. Batch by batch, each in three steps
 * that are committed: the intention, the records, the acknowledgement. Killed before the first nothing was done, after it
 * `settle` finds out whether Kafka took them. What the rules would refuse again is not sent.
 */
export async function reinject(o: ReinjectOptions): Promise<Reinjected> {
  const refusals = new Refusals();
  let examined = 0;
  let sent = 0;
  let after: Position = { topic: '', partition: -1, offset: -1 };
  const state = (): Reinjected => ({ examined, sent, refused: refusals.list(), interrupted: o.signal.aborted });
  const began = performance.now();
  while (!o.signal.aborted && sent < o.limit) {
    const records = Math.min(batchRecords, o.limit - sent, o.rate ?? batchRecords);
    const batch = await o.quarantine.next(o.selection, { after, records });
    const last = batch.at(-1);
    if (last === undefined) break;
    const ready = await prepare(o, batch, refusals);
    if (ready.length > 0) await send(o, ready);
    examined += batch.length;
    sent += ready.length;
    after = last;
    o.onProgress(state());
    if (o.rate !== null) await pause(began + (sent / o.rate) * 1_000 - performance.now(), o.signal);
  }
  return state();
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (ms <= 0) return;
  await sleep(ms, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}

/** Those of a batch that silver would accept, as they will be sent. */
async function prepare(o: ReinjectOptions, batch: readonly QuarantinedRecord[], refusals: Refusals): Promise<Ready[]> {
  const [first] = batch;
  if (first === undefined) return [];
  const envelopes = await o.bronze.envelopes(first.source, batch);
  const ready: Ready[] = [];
  for (const { record, repaired, verdict } of await judged(batch, o)) {
    const envelope = envelopes.get(positionText(record));
    if (!repaired.ok) refusals.add([repaired.problem], record);
    else if (verdict?.ok !== true) refusals.add(verdict?.reasons ?? [], record);
    else if (envelope === undefined) refusals.add(['not_in_bronze'], record);
    else ready.push({ record, outgoing: outgoingOf(record, { value: repaired.value, envelope, run: o.run }) });
  }
  return ready;
}

function outgoingOf(
  record: QuarantinedRecord,
  { value, envelope, run }: { readonly value: Buffer; readonly envelope: Envelope; readonly run: string },
): OutgoingRecord {
  const { key, sourceFile } = envelope;
  const origin: Record<string, string> = sourceFile === null ? {} : { source_file: sourceFile };
  return {
    topic: record.topic,
    // Beside the original, wherever its producer has put that: the offsets that come back can be told apart by partition.
    partition: record.partition,
    key,
    value,
    headers: { ...origin, repair_of: positionText(record), repair: run },
  };
}

async function send({ run, repairs, publisher, lock }: ReinjectOptions, ready: readonly Ready[]): Promise<void> {
  if (lock.lost !== null) throw new CommandError(`The connection that keeps other repairs away is lost: try again.`);
  const records = ready.map(({ record }) => record);
  await repairs.intend(records, run);
  const ranges = await publisher.publish(ready.map(({ outgoing }) => outgoing));
  await repairs.acknowledge(records.map((record, nr) => ({ record, at: placeOf(records, nr, ranges) })));
}

/** Where a record of a batch is: those of one partition lie together, in their order. */
function placeOf(records: readonly Position[], nr: number, ranges: readonly PublishedRange[]): Position {
  const { topic, partition } = records[nr] ?? { topic: '', partition: -1 };
  const isBeside = (one: Position): boolean => one.topic === topic && one.partition === partition;
  const range = ranges.find((one) => one.topic === topic && one.partition === partition);
  const beside = records.filter(isBeside).length;
  if (range === undefined || range.lastOffset - range.firstOffset + 1 !== beside) {
    throw new CommandError(
      `Kafka took the records for ${topic}/${partition} in parts: give the same command again, it finds them in bronze.`,
    );
  }
  return { topic, partition, offset: range.firstOffset + records.slice(0, nr).filter(isBeside).length };
}
