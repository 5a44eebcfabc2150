import type { Admin, Consumer } from 'kafkajs';
import { ConsumerError } from './errors.ts';
import type { Intake, Lane } from './intake.ts';
import { checkCluster, lostError, lostRange, startingPoint } from './positions.ts';
import { endsOf } from './topics.ts';
import type { PartitionEnds, PositionStore } from './types.ts';

export interface RepositionOptions {
  readonly intake: Intake;
  readonly consumer: Pick<Consumer, 'seek' | 'resume'>;
  readonly admin: Admin;
  readonly positions: PositionStore;
  readonly topics: readonly string[];
}

/**
 * Reads the positions of all owned partitions, checks that Kafka still has them, seeks and resumes. All partitions are paused
 * before (a seek that comes after the first fetch of an assignment loses the race), and nothing happens between seek and
 * resume: what was fetched before the seek is then discarded by kafkajs itself. A partition that was read up to its end stays paused.
 */
export async function reposition(o: RepositionOptions): Promise<void> {
  const { drop, lanes } = o.intake;
  if (lanes.length === 0) return;
  const { clusterId } = await o.admin.describeCluster();
  const before = indexed(await endsOf(o.admin, o.topics));
  // A partition that the brokers do not have may be one of the cluster that answered here before: that is judged first.
  const there = lanes.filter((lane) => before.has(keyOf(lane)));
  const parts = there.map((lane) => ({ ...placeOf(lane), lowOffset: of(before, lane).low }));
  const stored = indexed(await o.positions.load(parts, clusterId));
  for (const position of stored.values()) checkCluster(position, clusterId);
  // Another process may have moved a position past the end seen before it was read.
  const after = indexed(await endsOf(o.admin, o.topics));
  const found = lanes.map((lane) => {
    const log = { low: of(before, lane).low, high: of(after, lane).high };
    return { lane, position: of(stored, lane), log };
  });
  const [lost, ...others] = found.flatMap(({ position, log }) => lostRange(position, log) ?? []);
  if (lost !== undefined) throw lostError([lost, ...others], o.positions.acceptLoss([lost, ...others]));
  const starts = found.map(({ lane, position, log }) => ({ lane, start: startingPoint(position, log) }));
  // An attempt that outlived its deadline must not open again what a later one has opened.
  if (o.intake.drop !== drop || o.intake.positioned) return;
  for (const { lane, start } of starts) o.intake.open(lane, start);
  const unread = starts.filter(({ lane: { topic, partition } }) => !o.intake.isDelivered(topic, partition));
  for (const { lane, start } of unread) o.consumer.seek({ ...placeOf(lane), offset: String(start.seekTo) });
  o.consumer.resume(unread.map(({ lane: { topic, partition } }) => ({ topic, partitions: [partition] })));
}

function placeOf({ topic, partition }: Lane): { topic: string; partition: number } {
  return { topic, partition };
}

function indexed<T extends { topic: string; partition: number }>(list: readonly T[]): Map<string, T> {
  return new Map(list.map((item) => [keyOf(item), item]));
}

function keyOf({ topic, partition }: { topic: string; partition: number }): string {
  return `${topic}/${partition}`;
}

function of<T extends PartitionEnds | object>(index: Map<string, T>, lane: Lane): T {
  const found = index.get(keyOf(lane));
  if (found === undefined) {
    throw new ConsumerError(
      `nothing is known of ${keyOf(lane)} although it was assigned to this process: check that the topic exists and that positions of it can be stored`,
    );
  }
  return found;
}
