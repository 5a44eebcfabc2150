import type { PartitionChunk, Stage } from './types.ts';

/** What a batch took: how many records, and for how long it was applied. */
export interface BatchEffort {
  readonly records: number;
  readonly ms: number;
}

interface Paced<P> {
  readonly prepared: P;
  readonly records: number;
}

/**
 * A stage that rests after each batch for as long as `pace` takes, which has to be far below `applyMs`; null: it never rests. The
 * batch is committed by then, so nothing is locked meanwhile; records that arrive wait in the buffers, and the broker hears that
 * the process lives.
 */
export function pacedStage<P>(stage: Stage<P>, pace: ((effort: BatchEffort) => Promise<void>) | null): Stage<Paced<P>> {
  return {
    prepare: async (chunks) => ({ prepared: await stage.prepare(chunks), records: recordsOf(chunks) }),
    async apply({ prepared, records }) {
      const began = performance.now();
      const result = await stage.apply(prepared);
      if (result === 'applied') await pace?.({ records, ms: performance.now() - began });
      return result;
    },
  };
}

function recordsOf(chunks: readonly PartitionChunk[]): number {
  return chunks.reduce((sum, { records }) => sum + records.length, 0);
}
