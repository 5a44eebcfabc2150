import { sleep } from '@leakage/runtime';
import type { ApplyResult, PartitionChunk, PositionStore, Stage, StoredPosition } from './types.ts';

interface Applied {
  readonly offsets: number[];
  readonly values: string[];
  holes: number;
}

/**
 * Positions and state of one pipeline in memory, moved together by compare-and-set as Postgres does it: what several consumers
 * may share in a test whose subject is the consumer. Fails the test when an offset is applied twice or skipped.
 */
export class TestPipeline {
  readonly positions = new Map<string, StoredPosition>();
  readonly applied = new Map<string, Applied>();
  readonly batches: { readonly records: number; readonly partitions: number }[] = [];
  /** Where new positions end. */
  until: number | null = null;
  moved = 0;
  loads = 0;

  readonly store: PositionStore = {
    load: async (parts, clusterId) => {
      this.loads += 1;
      await sleep(1);
      return parts.map(({ topic, partition, lowOffset }) => {
        const key = `${topic}/${partition}`;
        const known = this.positions.get(key);
        if (known !== undefined) return known;
        const created: StoredPosition = {
          topic,
          partition,
          nextOffset: lowOffset,
          lastOffset: null,
          lastFingerprint: null,
          clusterId,
          untilOffset: this.until,
        };
        this.positions.set(key, created);
        return created;
      });
    },
    acceptLoss: (lost) => `accept ${lost.length}`,
  };

  /** A stage of one process; `around` may delay, fail or answer for the commit that it is given. */
  stage(around: (commit: () => ApplyResult) => Promise<ApplyResult> = async (commit) => commit()): Stage<Prepared> {
    return {
      prepare: (chunks) => ({ chunks, records: chunks.reduce((sum, chunk) => sum + chunk.records.length, 0) }),
      apply: (prepared) => around(() => this.#commit(prepared)),
    };
  }

  get total(): number {
    let total = 0;
    for (const { offsets } of this.applied.values()) total += offsets.length;
    return total;
  }

  get holes(): number {
    let holes = 0;
    for (const applied of this.applied.values()) holes += applied.holes;
    return holes;
  }

  valuesOf(topic: string): string[] {
    return [...this.applied].filter(([key]) => key.startsWith(`${topic}/`)).flatMap(([, { values }]) => values);
  }

  #commit({ chunks, records }: Prepared): ApplyResult {
    for (const { topic, partition, expectedOffset } of chunks) {
      if (this.positions.get(`${topic}/${partition}`)?.nextOffset !== expectedOffset) {
        this.moved += 1;
        return 'moved';
      }
    }
    for (const chunk of chunks) this.#advance(chunk);
    this.batches.push({ records, partitions: chunks.length });
    return 'applied';
  }

  #advance(chunk: PartitionChunk): void {
    const { topic, partition, expectedOffset, nextOffset, records, holes } = chunk;
    const key = `${topic}/${partition}`;
    const position = this.positions.get(key);
    if (position === undefined) throw new Error(`no position of ${key}`);
    if (nextOffset - expectedOffset !== records.length + holes) throw new Error(`${key}: chunk does not add up`);
    const mine = this.applied.get(key) ?? { offsets: [], values: [], holes: 0 };
    let last = expectedOffset - 1;
    for (const { offset, value } of records) {
      if (offset <= last || offset >= nextOffset) throw new Error(`${key}: offset ${offset} out of order`);
      last = offset;
      mine.offsets.push(offset);
      mine.values.push(value?.toString() ?? '');
    }
    mine.holes += holes;
    this.applied.set(key, mine);
    this.positions.set(key, {
      ...position,
      nextOffset,
      lastOffset: chunk.lastOffset ?? position.lastOffset,
      lastFingerprint: chunk.lastOffset === null ? position.lastFingerprint : chunk.lastFingerprint,
    });
  }
}

export interface Prepared {
  readonly chunks: readonly PartitionChunk[];
  readonly records: number;
}

/** Waits until `condition` holds; fails with `what` after `ms`. */
export async function until(what: string, condition: () => boolean, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await sleep(10);
  }
}
