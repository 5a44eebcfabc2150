import type { ShardRow } from '@leakage/postgres';

/** A shard's row, as its lock gives it. */
export function lockedShard(shard: number, stateVersion: number, watermark: number | null = null): ShardRow {
  return { shard, stateVersion, changeSeq: 0, wmDigital: watermark, wmCalls: watermark };
}
