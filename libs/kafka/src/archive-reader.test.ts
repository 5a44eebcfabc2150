import { createLogger, Metrics } from '@leakage/runtime';
import { afterEach, expect, test } from 'vitest';
import { startArchiveReader } from './archive-reader.ts';
import { ArchiveLacksError, OtherClusterError } from './errors.ts';
import { until } from './test-pipeline.ts';
import type {
  ApplyResult,
  ArchiveReader,
  KafkaRecord,
  OffsetRange,
  Pace,
  PartitionChunk,
  StoredPosition,
} from './types.ts';

const log = createLogger({ service: 'test', level: 'silent' });
const topics = ['calls', 'journeys'];
const keyOf = (part: { topic: string; partition: number }) => `${part.topic}/${part.partition}`;

/** Records in memory: what is tested is how they are read and applied, not where they lie. */
class Shelf {
  readonly records = new Map<string, KafkaRecord[]>();
  readonly highs = new Map<string, number>();
  readonly applied = new Map<string, number>();
  readonly untils = new Map<string, number>();
  readonly asked: OffsetRange[] = [];
  readonly seen: string[] = [];
  clusterId = 'ours';
  low = 0;
  whole = true;
  answers: (ApplyResult | Error)[] = [];

  put(topic: string, partition: number, offsets: readonly number[], high: number): void {
    const key = keyOf({ topic, partition });
    const added = offsets.map((offset) => ({
      topic,
      partition,
      offset,
      timestampMs: offset,
      key: null,
      value: Buffer.from(String(offset)),
      headers: null,
    }));
    this.records.set(key, [...(this.records.get(key) ?? []), ...added]);
    this.highs.set(key, high);
  }

  start(options: { readonly pace?: Pace } = {}): ArchiveReader {
    const parts = () => [...this.highs].map(([key, high]) => ({ ...placeOf(key), high }));
    reader = startArchiveReader<readonly PartitionChunk[]>({
      topics,
      log,
      metrics: new Metrics(),
      maxBatchRecords: 1_000,
      ...options,
      archive: {
        ends: async () => parts().map((part) => ({ ...part, low: this.low, holes: 0, clusterId: this.clusterId })),
        read: async (ranges) => {
          this.asked.push(...ranges);
          return ranges.flatMap((range) =>
            (this.records.get(keyOf(range)) ?? []).filter(
              ({ offset }) => offset >= range.fromOffset && offset < range.nextOffset,
            ),
          );
        },
        mustBeWhole: async () => {
          if (!this.whole) throw new ArchiveLacksError('3 records are missing');
        },
      },
      positions: {
        load: async (wanted) => wanted.map((part) => this.#position(part)),
        acceptLoss: () => '',
      },
      stage: {
        prepare: (chunks) => chunks,
        apply: async (chunks) => this.#apply(chunks),
      },
    });
    return reader;
  }

  #position({ topic, partition, lowOffset }: { topic: string; partition: number; lowOffset: number }): StoredPosition {
    const nextOffset = this.applied.get(keyOf({ topic, partition })) ?? lowOffset;
    return {
      topic,
      partition,
      nextOffset,
      lastOffset: null,
      lastFingerprint: null,
      untilOffset: this.untils.get(keyOf({ topic, partition })) ?? null,
      clusterId: 'ours',
    };
  }

  #apply(chunks: readonly PartitionChunk[]): ApplyResult {
    const answer = this.answers.shift() ?? 'applied';
    if (answer instanceof Error) throw answer;
    if (answer !== 'applied') return answer;
    for (const chunk of chunks) {
      if (chunk.expectedOffset !== (this.applied.get(keyOf(chunk)) ?? 0)) this.seen.push('a batch at the wrong place');
      this.applied.set(keyOf(chunk), chunk.nextOffset);
      this.seen.push(...chunk.records.map((record) => `${keyOf(record)}@${record.offset}`));
    }
    return 'applied';
  }
}

function placeOf(key: string): { topic: string; partition: number } {
  const [topic = '', partition = ''] = key.split('/');
  return { topic, partition: Number(partition) };
}

const upTo = (count: number, from = 0) => Array.from({ length: count }, (_, at) => from + at);
let reader: ArchiveReader | null = null;

afterEach(async () => {
  await reader?.stop();
  reader = null;
});

test('applies everything once, in order within a partition, and is done', async () => {
  const shelf = new Shelf();
  shelf.put('journeys', 0, upTo(2_500), 2_500);
  shelf.put('journeys', 1, upTo(10), 10);
  shelf.put('calls', 0, upTo(1_700), 1_700);
  await shelf.start().done;
  expect(shelf.applied).toEqual(new Map(shelf.highs));
  expect(new Set(shelf.seen).size).toBe(4_210);
  expect(shelf.seen.filter((place) => place.startsWith('journeys/0'))).toEqual(
    upTo(2_500).map((n) => `journeys/0@${n}`),
  );
});

test('offsets without a record are holes, also at the ends', async () => {
  const shelf = new Shelf();
  shelf.put('calls', 0, [2, 3, 1_500], 3_000);
  await shelf.start().done;
  expect(shelf.applied.get('calls/0')).toBe(3_000);
  expect(shelf.seen).toEqual(['calls/0@2', 'calls/0@3', 'calls/0@1500']);
});

test('goes on where the positions are, and asks for nothing below', async () => {
  const shelf = new Shelf();
  shelf.put('calls', 0, upTo(100), 100);
  shelf.applied.set('calls/0', 40);
  await shelf.start().done;
  expect(shelf.seen).toEqual(upTo(60, 40).map((n) => `calls/0@${n}`));
  expect(Math.min(...shelf.asked.map(({ fromOffset }) => fromOffset))).toBe(40);
});

test('ends where the pipeline ends', async () => {
  const shelf = new Shelf();
  shelf.put('calls', 0, upTo(3_000), 3_000);
  shelf.put('calls', 1, upTo(10), 10);
  shelf.untils.set('calls/0', 1_234);
  await shelf.start().done;
  expect(shelf.applied).toEqual(
    new Map([
      ['calls/0', 1_234],
      ['calls/1', 10],
    ]),
  );
});

test('reads what has come meanwhile, when that is much', async () => {
  const shelf = new Shelf();
  shelf.put('calls', 0, upTo(100), 100);
  shelf.start({
    pace: async () => {
      if (shelf.highs.get('calls/0') === 100) shelf.put('calls', 0, upTo(20_000, 100), 20_100);
    },
  });
  await reader?.done;
  expect(shelf.applied.get('calls/0')).toBe(20_100);
});

test('a batch that was not applied is read again from the positions', async () => {
  const shelf = new Shelf();
  shelf.put('calls', 0, upTo(3_000), 3_000);
  shelf.answers = ['applied', 'moved', 'unknown', new Error('the database is away')];
  await shelf.start().done;
  expect(shelf.seen).toEqual(upTo(3_000).map((n) => `calls/0@${n}`));
});

test.each([
  ['it is of another cluster', (shelf: Shelf) => Object.assign(shelf, { clusterId: 'theirs' }), OtherClusterError],
  [
    'it begins behind the position',
    (shelf: Shelf) => Object.assign(shelf, { low: 10 }).applied.set('calls/0', 5),
    ArchiveLacksError,
  ],
  ['it has fewer records than it says', (shelf: Shelf) => Object.assign(shelf, { whole: false }), ArchiveLacksError],
  ['it has a record twice', (shelf: Shelf) => shelf.put('calls', 0, [7], 20), ArchiveLacksError],
])('stops loudly when %s', async (_, damage, error) => {
  const shelf = new Shelf();
  shelf.put('calls', 0, upTo(20), 20);
  damage(shelf);
  await expect(shelf.start().failed).rejects.toThrow(error);
});

test('rests as long as it is told to, and stops all the same', async () => {
  const shelf = new Shelf();
  shelf.put('calls', 0, upTo(5_000), 5_000);
  let resting = 0;
  const started = startResting(shelf, () => {
    resting += 1;
  });
  await until('a rest', () => resting > 0);
  expect(shelf.applied.get('calls/0')).toBe(1_000);
  await started.stop();
  expect(shelf.applied.get('calls/0')).toBe(1_000);
});

function startResting(shelf: Shelf, onRest: () => void): ArchiveReader {
  return shelf.start({
    pace: async (_, signal) => {
      onRest();
      await new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('stopped'))));
    },
  });
}
