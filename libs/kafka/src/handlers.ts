import type { EachBatchPayload } from 'kafkajs';
import { type Delivery, offsetOf, readDelivery } from './delivery.ts';
import type { Intake } from './intake.ts';

export interface HandlerOptions {
  readonly intake: Intake;
  readonly heartbeatMs: number;
  stopping(): boolean;
  /** A delivery did not begin where it had to. */
  misplaced(topic: string, partition: number): void;
  /** A delivery was appended. */
  admitted(topic: string, partition: number): void;
  /** A handler waits for room, and the broker knows that it lives. */
  waiting(): void;
  fail(error: unknown): void;
}

/** What kafkajs tells about every batch, also about one without records, which reaches no handler. */
export interface BatchEvent {
  readonly topic: string;
  readonly partition: number;
  readonly batchSize: number;
  readonly firstOffset: string | null;
  readonly lastOffset: string;
}

/**
 * One delivery: append it and return, so that fetching goes on while the writer works; wait, with heartbeats, while there is no
 * room. Only errors of kafkajs (a rebalance) may leave it: any other would be retried, or would silently end the consumer.
 */
export async function handleBatch(o: HandlerOptions, payload: EachBatchPayload): Promise<void> {
  const { batch } = payload;
  const { drop } = o.intake;
  const isVoid = (): boolean => o.stopping() || !payload.isRunning() || payload.isStale() || o.intake.drop !== drop;
  if (isVoid()) return;
  const delivery = guarded(o, () => admit(o, readDelivery(batch)));
  if (delivery === null) return;
  while (!o.intake.hasRoom(batch.topic, batch.partition)) {
    await o.intake.room.heard(o.heartbeatMs / 2);
    if (isVoid()) return;
    await payload.heartbeat();
    if (isVoid()) return;
    o.waiting();
  }
  guarded(o, () => {
    o.intake.append(delivery);
    payload.resolveOffset(batch.lastOffset());
    o.admitted(batch.topic, batch.partition);
    return null;
  });
}

function admit(o: HandlerOptions, delivery: Delivery): Delivery | null {
  const admission = o.intake.admits(delivery);
  if (admission === 'misplaced') o.misplaced(delivery.topic, delivery.partition);
  return admission === 'admitted' ? delivery : null;
}

/** A delivery of markers and aborted records only: kafkajs steps over it by itself, so the position must follow. */
export function handleHoles(o: HandlerOptions, event: BatchEvent): void {
  if (event.batchSize > 0 || o.stopping()) return;
  const { topic, partition, firstOffset, lastOffset } = event;
  guarded(o, () => {
    const first = firstOffset === null ? null : offsetOf(firstOffset);
    const admission = o.intake.admitHoles({ topic, partition, first, last: offsetOf(lastOffset) });
    if (admission === 'misplaced') o.misplaced(topic, partition);
    if (admission === 'admitted') o.admitted(topic, partition);
    return null;
  });
}

/** The value of `work`, or null after its failure has ended the consumer. */
function guarded<T>(o: HandlerOptions, work: () => T | null): T | null {
  try {
    return work();
  } catch (error) {
    o.fail(error);
    return null;
  }
}
