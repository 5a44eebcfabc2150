import type { ApplyResult, PartitionChunk, Stage } from '@leakage/kafka';
import { type LostRange, lostWithin, type Session, type SinkTx } from '@leakage/postgres';
import { SOURCES } from '@leakage/schemas';
import type { ArchiveBatch, BronzeSink } from './bronze-sink.ts';
import { archive, archivedOffsets, droppedRanges, mendArchive } from './bronze-store.ts';
import { layouts } from './domain/layout.ts';

export interface GapFillerOptions {
  readonly sink: BronzeSink;
  readonly session: Session;
  readonly schema: string;
  /** The replay's: the archive's own positions are beyond everything that is read here. */
  readonly pipeline: string;
  /** What the archive has given up for lost. */
  readonly losses: readonly LostRange[];
}

/**
 * Reads again what the archive has read, and adds what it lacks, but for what retention has removed from it; a row that is there is
 * left as it is, whatever it holds (law 4).
 * One transaction looks, adds and moves the replay's positions: who else could add the same rows would have moved these, and is
 * the only one whose rows stay.
 */
export class GapFiller implements Stage<readonly PartitionChunk[]> {
  readonly #o: GapFillerOptions;

  constructor(o: GapFillerOptions) {
    this.#o = o;
  }

  async prepare(chunks: readonly PartitionChunk[]): Promise<readonly PartitionChunk[]> {
    await this.#o.sink.learn(chunks);
    return chunks;
  }

  async apply(chunks: readonly PartitionChunk[]): Promise<ApplyResult> {
    const { session, sink } = this.#o;
    try {
      sink.count(await session.transaction((tx) => this.#fill(tx, chunks)));
      return 'applied';
    } catch (error) {
      return await sink.failed(error);
    }
  }

  async #fill(tx: SinkTx, chunks: readonly PartitionChunk[]): Promise<ArchiveBatch> {
    const { sink, pipeline, losses } = this.#o;
    const missing = await this.#missing(tx, chunks);
    const batch = await sink.encode([...missing].map(([chunk, records]) => ({ ...chunk, records })));
    try {
      const parts = chunks.map((chunk) => ({ ...chunk, added: missing.get(chunk)?.length ?? 0 }));
      await archive(tx, { pipeline, judgedBy: batch.judgedBy, copies: batch.copies, parts });
    } finally {
      sink.recycle(batch);
    }
    await mendArchive(
      tx,
      chunks.flatMap((chunk) =>
        lostWithin(losses, chunk).map((range) => ({ ...range, accepted: recordsIn(chunk, range) })),
      ),
    );
    return batch;
  }

  /** The records of each chunk that bronze does not have. */
  async #missing(
    tx: SinkTx,
    chunks: readonly PartitionChunk[],
  ): Promise<Map<PartitionChunk, PartitionChunk['records']>> {
    const { sink, schema } = this.#o;
    const missing = new Map<PartitionChunk, PartitionChunk['records']>();
    for (const source of SOURCES) {
      const ofSource = chunks.filter(({ topic }) => sink.sourceOf(topic) === source);
      if (ofSource.length === 0) continue;
      const there = await archivedOffsets(tx, `${schema}.${layouts[source].table}`, ofSource);
      // After the rows: what is removed between the two counts as there, and not as lacking.
      const dropped = await droppedRanges(tx, ofSource);
      for (const [at, chunk] of ofSource.entries()) {
        const isDropped = (offset: number) =>
          dropped[at]?.some(([from, next]) => offset >= from && offset < next) === true;
        missing.set(
          chunk,
          chunk.records.filter(({ offset }) => there[at]?.has(offset) !== true && !isDropped(offset)),
        );
      }
    }
    return missing;
  }
}

function recordsIn({ records }: PartitionChunk, { fromOffset, nextOffset }: LostRange): number {
  return records.filter(({ offset }) => offset >= fromOffset && offset < nextOffset).length;
}
