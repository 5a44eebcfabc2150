import type { Pool } from '@leakage/postgres';
import { isoInstant } from './resources.ts';
import { type Retention, readRetention } from './retention-store.ts';
import { inSnapshot, type Snapshot } from './snapshot.ts';
import { readVerifications, type Verifications } from './verification-store.ts';

export interface StoredOutcomes {
  readonly pipeline: string;
  readonly topic: string;
  readonly partition: number;
  readonly nextOffset: number;
  readonly records: number;
  readonly accepted: number;
  readonly superseded: number;
  readonly duplicates: number;
  readonly conflicts: number;
  readonly quarantined: number;
  readonly holes: number;
  readonly updatedAt: number;
}

export interface PipelineState {
  readonly generation: number;
  readonly watermarks: { readonly digital: string | null; readonly calls: string | null };
  readonly asOf: string | null;
  /** Changes of silver that gold has not folded. */
  readonly goldLagChanges: number;
  /** Changes that outsiders were not told yet; null: they are told nothing. */
  readonly untoldChanges: number | null;
  readonly positions: readonly StoredOutcomes[];
  readonly verification: Verifications;
  readonly retention: Retention;
}

export interface PipelineStore {
  read(topics: readonly string[]): Promise<PipelineState>;
}

export function pipelineStore(pool: Pool): PipelineStore {
  return {
    read: (topics) =>
      inSnapshot(pool, async (snapshot) => {
        const clock = await readClock(snapshot);
        const untoldChanges = await readUntold(snapshot);
        const positions = await readPositions(snapshot, topics);
        const verification = await readVerifications(snapshot.tx, snapshot.generation);
        const retention = await readRetention(snapshot.tx, snapshot.generation);
        return { generation: snapshot.generation, ...clock, untoldChanges, positions, verification, retention };
      }),
  };
}

async function readClock({
  tx,
  generation,
}: Snapshot): Promise<Pick<PipelineState, 'watermarks' | 'asOf' | 'goldLagChanges'>> {
  const { rows } = await tx.query<{ digital: number | null; calls: number | null; behind: string }>(
    `select max(s.wm_digital) as digital, max(s.wm_calls) as calls,
            coalesce(sum(s.change_seq + 1 - coalesce(r.next_seq, 1)), 0) as behind
       from ops.shard s
       left join ops.reader r on r.reader = 'gold' and r.generation = s.generation and r.shard = s.shard
      where s.generation = $1`,
    [generation],
  );
  const { digital = null, calls = null, behind = '0' } = rows[0] ?? {};
  return {
    watermarks: { digital: isoInstant(digital), calls: isoInstant(calls) },
    asOf: digital === null || calls === null ? null : isoInstant(Math.min(digital, calls)),
    goldLagChanges: Number(behind),
  };
}

/** Those of a generation that was retired included. */
async function readUntold({ tx }: Snapshot): Promise<number | null> {
  const { rows } = await tx.query<{ untold: number | null }>(
    `select sum(greatest(coalesce(r.until_seq, s.change_seq) + 1 - r.next_seq, 0))::bigint as untold
       from ops.reader r join ops.shard s on s.generation = r.generation and s.shard = r.shard
      where r.reader = 'changes'`,
  );
  return rows[0]?.untold ?? null;
}

async function readPositions({ tx, generation }: Snapshot, topics: readonly string[]): Promise<StoredOutcomes[]> {
  const { rows } = await tx.query<StoredOutcomes>(
    `select pipeline, topic, partition, next_offset as "nextOffset", next_offset - first_offset - holes as records,
            accepted, superseded, duplicates, conflicts, quarantined, holes, updated_at as "updatedAt"
       from ops.position
      where pipeline = any ($1) and topic = any ($2)
      order by pipeline, topic, partition`,
    [['bronze', `silver_${generation}`], topics],
  );
  return rows;
}
