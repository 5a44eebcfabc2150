import { type ArchiveReader, type ArchiveReaderOptions, startArchiveReader } from '@leakage/kafka';
import { generationOrders, type Queryable, withPool } from '@leakage/postgres';
import type { ServiceContext } from '@leakage/runtime';
import { sourceOfTopic } from '@leakage/schemas';
import { endArchiveTurn, takeArchiveTurn } from './archive-turn.ts';
import { bronzeArchive } from './bronze-archive.ts';
import type { SilverSettings } from './config.ts';
import type { PreparedBatch } from './prepare.ts';

/** One question to bronze, which may have to read a part of a large table. */
const STATEMENT_MS = 10 * 60_000;

export interface BronzeReadingOptions {
  readonly db: Queryable;
  readonly generation: number;
  readonly reader: Omit<ArchiveReaderOptions<PreparedBatch>, 'archive'>;
}

/**
 * What Kafka may have forgotten comes from bronze, up to where bronze is now; then Kafka goes on at the next offset. Once a
 * generation has caught up there is nothing to be done here.
 */
export async function readBronze(ctx: ServiceContext<SilverSettings>, o: BronzeReadingOptions): Promise<void> {
  const { settings: s, log, health, signal } = ctx;
  const { db, generation, reader } = o;
  if ((await generationOrders(db, generation))?.caughtUp === true) return;
  health.setReady('consumer', false, 'reading bronze');
  const { databaseUrl: url, bronzeSchema: schema, topicPrefix, bronzeReaders } = s;
  const sourceOf = (topic: string) => sourceOfTopic(topicPrefix, topic);
  const pooled = { url, applicationName: 'silver-joiner bronze', max: 2, statementTimeoutMs: STATEMENT_MS, log };
  await withPool(pooled, (pool) =>
    pool.withConnection(async (turn) => {
      const all = { db: pool, schema, topics: reader.topics, sourceOf, pipeline: `silver_${generation}` };
      const parts = new Set(Array.from({ length: bronzeReaders }, (_, part) => part));
      // Every part, also what others have read: so nobody goes on with Kafka before all of bronze is read, and what a process
      // that was killed has left is read by those that are there.
      while (parts.size > 0 && !signal.aborted) {
        const part = await takeArchiveTurn(turn, { generation, schema, parts, signal, log });
        log.info({ generation, part: part + 1, of: bronzeReaders }, 'reading bronze');
        const archive = bronzeArchive({ ...all, part, parts: bronzeReaders });
        await readToEnd(startArchiveReader({ ...reader, archive }), signal);
        await endArchiveTurn(turn, generation, part);
        parts.delete(part);
      }
    }),
  );
  if (!signal.aborted) log.info({ generation }, 'everything that bronze has is read: going on with Kafka');
}

/** Until all is read, or somebody wants us to stop. */
async function readToEnd(reader: ArchiveReader, signal: AbortSignal): Promise<void> {
  const stopping = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  try {
    await Promise.race([reader.done, stopping]);
  } finally {
    await reader.stop();
  }
}
