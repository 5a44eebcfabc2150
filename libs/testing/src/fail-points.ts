import type { CodeEdit } from './code-edits.ts';
import type { ServiceName } from './service-name.ts';

/** A place in a service's code, put there by an edit: where a test can have the process killed or stopped. */
export interface FailPoint {
  readonly name: string;
  readonly service: ServiceName;
  readonly edit: CodeEdit;
}

/** What a process does to itself: at the `pass`-th time that it comes by (1 is the first). */
export interface FailPointOrder {
  readonly name: string;
  readonly pass: number;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
}

type Place = readonly [name: string, where: 'before' | 'after', text: string];

const silverStore = 'services/silver-joiner/src/silver-store.ts';
const relay = 'services/silver-joiner/src/relay.ts';
const bronzeStore = 'services/bronze-sink/src/bronze-store.ts';
const aggregator = 'services/gold-aggregator/src/aggregator.ts';
const generator = 'services/generator/src/generator.ts';
const transaction = 'libs/postgres/src/transaction.ts';
const hints = 'libs/kafka/src/hints.ts';
const repositioning = 'libs/kafka/src/repositioning.ts';
const archiveReader = 'libs/kafka/src/archive-reader.ts';

/** The numbered steps of the transaction that every consumer runs, and what lies around them. */
const ofConsumers: readonly (readonly [file: string, ...Place])[] = [
  [transaction, 'COMMIT to be sent', 'before', `answer = (await connection.query('commit')).command;`],
  [transaction, 'COMMIT answered', 'before', `if (answer !== 'COMMIT') throw`],
  [hints, 'offsets to be told to Kafka', 'before', 'await this.#o.consumer.commitOffsets('],
  [hints, 'offsets told to Kafka', 'before', 'for (const { topic, partition, offset } of news) this.#told'],
  [repositioning, 'positions read', 'after', 'const stored = indexed(await o.positions.load(parts, clusterId));'],
  [repositioning, 'partitions to be resumed', 'before', 'o.consumer.resume('],
];

const places: readonly (readonly [service: ServiceName, file: string, ...Place])[] = [
  ...ofConsumers.map((place) => ['bronze-sink', ...place] as const),
  ['bronze-sink', bronzeStore, 'rows copied', 'before', 'const records = batch.parts.reduce('],
  ['bronze-sink', bronzeStore, 'positions moved', 'before', 'await addOutcomes('],
  ...ofConsumers.map((place) => ['silver-joiner', ...place] as const),
  ['silver-joiner', silverStore, 'to be staged', 'before', 'if (batch.copies.length > 0) await tx.copyAll('],
  ['silver-joiner', silverStore, 'staged', 'after', `time.end('stage');`],
  ['silver-joiner', silverStore, 'shards locked', 'before', 'await advance('],
  ['silver-joiner', silverStore, 'positions moved', 'after', `time.end('lock');`],
  ['silver-joiner', silverStore, 'merged', 'after', `time.end('merge');`],
  ['silver-joiner', silverStore, 'decided', 'after', `time.end('decide');`],
  ['silver-joiner', silverStore, 'facts copied', 'before', 'await mergeChanged('],
  ['silver-joiner', silverStore, 'facts written', 'after', `time.end('write');`],
  ['silver-joiner', silverStore, 'settled', 'after', `time.end('settle');`],
  ['silver-joiner', relay, 'changes read', 'before', 'const records = await this.#tell(step);'],
  [
    'silver-joiner',
    relay,
    'changes acknowledged',
    'before',
    'await session.transaction((tx) => moveReader(tx, step));',
  ],
  ['silver-joiner', relay, 'changes told', 'after', 'await session.transaction((tx) => moveReader(tx, step));'],
  ...ofConsumers.slice(0, 2).map((place) => ['gold-aggregator', ...place] as const),
  ['gold-aggregator', aggregator, 'fold locked', 'before', 'const now = await progress(tx, o.generation);'],
  ['gold-aggregator', aggregator, 'log read', 'before', 'if (read === null) return'],
  ['gold-aggregator', aggregator, 'cells added', 'before', 'await moveReader('],
  ['gold-aggregator', aggregator, 'reader moved', 'before', 'await noteFold(tx, o.gold, left'],
  ['generator', generator, 'batch sent', 'before', 'await this.#commit(batch)'],
  ['generator', generator, 'truth written', 'before', 'for (const emission of batch) this.#state.position'],
  ['generator', generator, 'state written', 'before', 'progress.sent(batch, clock.now())'],
];

/** Where only a joiner comes by that builds a generation from bronze. */
const placesOfArchive: typeof places = [
  [
    'silver-joiner',
    archiveReader,
    'a piece of the archive read',
    'before',
    'if (this.#intake.drop !== drop) return;\n    for (const { topic, partition, fromOffset',
  ],
  ['silver-joiner', archiveReader, 'a piece of the archive taken in', 'after', 'await this.#fill(ranges);'],
  ['silver-joiner', archiveReader, 'archive at its end', 'before', 'await this.#o.archive.mustBeWhole(this.#ends);'],
  ['silver-joiner', 'services/silver-joiner/src/main.ts', 'to go on with Kafka', 'before', 'const consumer = ctx.own('],
];

export const failPoints: readonly FailPoint[] = places.map(failPointAt);
export const archiveFailPoints: readonly FailPoint[] = placesOfArchive.map(failPointAt);

function failPointAt([service, file, name, where, text]: (typeof places)[number]): FailPoint {
  const call = `leakageFailPoint('${name}');`;
  return {
    name,
    service,
    edit: { file, right: text, wrong: where === 'before' ? `${call} ${text}` : `${text} ${call}` },
  };
}

export function failPointsOf(service: ServiceName): readonly FailPoint[] {
  return failPoints.filter((point) => point.service === service);
}
