// How far the pipeline is behind the topics.

export interface PartitionPosition {
  readonly pipeline: string;
  readonly topic: string;
  readonly partition: number;
  readonly nextOffset: number;
}

export interface PartitionEnd {
  readonly topic: string;
  readonly partition: number;
  readonly low: number;
  readonly high: number;
}

export interface TopicLag {
  readonly topic: string;
  readonly lagRecords: number;
}

/**
 * Records between the positions of a pipeline and the ends of its topics. A partition without a position has not been
 * begun: all of it is ahead. A position beyond an end was moved after the end was read: nothing is ahead.
 */
export function lagOf(
  pipeline: string,
  positions: readonly PartitionPosition[],
  ends: readonly PartitionEnd[],
): TopicLag[] {
  const next = new Map<string, number>();
  for (const one of positions) {
    if (one.pipeline === pipeline) next.set(`${one.topic}/${one.partition}`, one.nextOffset);
  }
  const lags = new Map<string, number>();
  for (const end of ends) {
    const from = next.get(`${end.topic}/${end.partition}`) ?? end.low;
    lags.set(end.topic, (lags.get(end.topic) ?? 0) + Math.max(0, end.high - from));
  }
  return [...lags].map(([topic, lagRecords]) => ({ topic, lagRecords }));
}
